import CHost
import EmuMachine
import Glibc

/// How the process lives among others: `-daemonize`, `-pidfile`, `-runas`.
package struct ProcessOptions: Sendable {
    /// It leaves the terminal once the machine is complete.
    package var isDaemon = false
    package var pidFile: String?
    /// It becomes this user once everything is open.
    package var user: String?

    /// One of the options that was given.
    var firstGiven: String? { isDaemon ? "-daemonize" : pidFile != nil ? "-pidfile" : user != nil ? "-runas" : nil }

    static let rows: [Option<RunOptions>] = [
        Option(["daemonize"], help: "go to the background once the machine is complete and the guest is about to start\n"
            + "the serial port goes nowhere unless -serial or a -chardev names a place other than stdio") { options, _ in
            options.process.isDaemon = true
        },
        Option(["pidfile"], "FILE", help: "write the process's number to FILE, locked while it lives and removed at the end") { options, use throws(CommandEnd) in
            if use.value.isEmpty { throw use.failed("needs the name of a file") }
            options.process.pidFile = use.value
        },
        Option(["runas"], "USER|UID:GID", help: "once all files are open, go on as this user, for which root has to start emulate\n"
            + "a reset of the guest reads -kernel, -initrd, -bios, -dtb and -device loader,file= again, as that user") { options, use throws(CommandEnd) in
            if use.value.isEmpty { throw use.failed("needs a user") }
            options.process.user = use.value
        },
    ]
}

/// A process in the background, with nobody at its terminal.
///
/// The process that was started waits for it and ends with 0 when the machine is complete, with 1 when it will never be.
struct Daemon {
    /// Where the process that waits is told.
    private let report: Int32

    /// Goes on in a process of its own, in a session without a terminal. Only while there is one thread; never returns in the process that was
    /// started.
    ///
    /// The working directory stays: a guest's reset reads files again, by names that may be relative to it.
    static func detach() throws(CommandEnd) -> Daemon {
        var ends: [Int32] = [-1, -1]
        guard host_pipe(&ends) == 0 else { throw failure("pipe") }
        if try fork() { waitForReport(ends[0], writeEnd: ends[1]) }
        close(ends[0])
        // The leader of a session would get a terminal back by opening one; its child cannot.
        setsid()
        if try fork() { _exit(0) }
        return Daemon(report: ends[1])
    }

    /// True in the parent.
    private static func fork() throws(CommandEnd) -> Bool {
        let child = host_fork()
        guard child >= 0 else { throw failure("fork") }
        return child > 0
    }

    private static func failure(_ call: String) -> CommandEnd { .failed("-daemonize", "\(call): \(String(cString: strerror(errno)))") }

    private static func waitForReport(_ descriptor: Int32, writeEnd: Int32) -> Never {
        close(writeEnd)
        var byte: UInt8 = 0
        var count: Int
        repeat { count = read(descriptor, &byte, 1) } while count < 0 && errno == EINTR
        _exit(count == 1 ? 0 : 1)
    }

    /// The machine is complete: whoever waits goes on, and the standard streams lead nowhere.
    func becomeReady() {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        for descriptor in STDIN_FILENO...STDERR_FILENO where null >= 0 { dup2(null, descriptor) }
        if null > STDERR_FILENO { close(null) }
        var byte: UInt8 = 0
        _ = write(report, &byte, 1)
        close(report)
    }
}

/// A file with this process's number in it, locked as long as the process lives.
final class PIDFile {
    private let path: String
    private let descriptor: Int32
    private var isThere = false

    init(_ path: String) throws(CommandEnd) {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0o644)
        guard descriptor >= 0 else { throw .failed("-pidfile \(path)", "cannot create it: \(String(cString: strerror(errno)))") }
        guard host_lock_byte(descriptor, 0, 1) == 0 else {
            close(descriptor)
            throw .failed("-pidfile \(path)", "another process that is still running has it; give each its own file")
        }
        isThere = true
        let text = Array("\(getpid())\n".utf8)
        guard ftruncate(descriptor, 0) == 0, write(descriptor, text, text.count) == text.count else {
            throw .failed("-pidfile \(path)", "cannot write it: \(String(cString: strerror(errno)))")
        }
    }

    /// Takes the file away, as far as the user the process has become may do that.
    func remove() {
        guard isThere else { return }
        isThere = false
        unlink(path)
        close(descriptor)
    }

    deinit { remove() }
}

/// A user of the host that the process can become.
struct HostUser {
    private let name: String?
    private let user: uid_t
    private let group: gid_t

    /// - Parameter text: a user's name, or numbers of user and group joined by a colon.
    init(_ text: String) throws(CommandEnd) {
        if let found = getpwnam(text) {
            (name, user, group) = (text, found.pointee.pw_uid, found.pointee.pw_gid)
            return
        }
        let numbers = text.split(separator: ":", omittingEmptySubsequences: false).map { UInt32($0) }
        // The largest number means "unchanged" to the host.
        guard numbers.count == 2, let user = numbers[0], let group = numbers[1], user != .max, group != .max else {
            throw .failed("-runas \(text)", "there is no such user; write a name, or numbers as UID:GID")
        }
        (name, self.user, self.group) = (nil, user, group)
    }

    /// Gives up everything the process may do that this user may not.
    func become() throws(ConfigError) {
        let hasGroups = if let name { initgroups(name, group) == 0 } else { setgroups(0, nil) == 0 }
        guard hasGroups, setgid(group) == 0, setuid(user) == 0 else {
            throw ConfigError("-runas \(name ?? "\(user):\(group)")", "the host refuses: \(String(cString: strerror(errno))); only root may become another user")
        }
        guard user == 0 || setuid(0) != 0 else { throw ConfigError("-runas", "the process could still become root again") }
    }
}
