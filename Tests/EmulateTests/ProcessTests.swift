import Foundation
import Glibc
import Testing

/// The command as a process among others: in the background, with a number in a file, as another user.
@Suite struct ProcessTests {
    private let directory: TemporaryDirectory
    private let guest: String
    private let log: String
    private let pidFile: String

    init() throws {
        directory = try TemporaryDirectory()
        guest = try directory.program("echo.bin", TestGuest.echo)
        log = directory.path("log")
        pidFile = directory.path("pid")
    }

    private func start(_ arguments: String...) throws -> Subprocess {
        try Subprocess(["-bios", "none", "-kernel", guest, "-serial", "file:\(log)"] + arguments)
    }

    private func wait(until isDone: () -> Bool) -> Bool {
        let deadline = Date(timeIntervalSinceNow: Subprocess.patience)
        while !isDone() {
            guard deadline.timeIntervalSinceNow > 0 else { return false }
            usleep(5000)
        }
        return true
    }

    private func contents(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

    private var number: pid_t? { contents(pidFile).flatMap { $0.hasSuffix("\n") ? pid_t($0.dropLast()) : nil } }

    @Test func aDaemonLivesOnWhenTheCommandHasEnded() throws {
        let command = try start("-daemonize", "-pidfile", pidFile)
        #expect(command.wait() == .code(0))
        let daemon = try #require(number)
        #expect(daemon != command.pid && getsid(daemon) != getsid(0))
        #expect(wait { contents(log) == ">" })
        #expect(readlink("/proc/\(daemon)/fd/1") == "/dev/null")
        #expect(kill(daemon, SIGTERM) == 0)
        #expect(wait { contents(pidFile) == nil })
    }

    private func readlink(_ path: String) -> String? { try? FileManager.default.destinationOfSymbolicLink(atPath: path) }

    @Test func aMachineThatCannotBeMadeIsTheCommandsFailure() throws {
        let command = try Subprocess(["-daemonize", "-pidfile", pidFile, "-bios", "none", "-kernel", "/nonexistent"])
        #expect(command.errorsToEnd().contains("-kernel /nonexistent"))
        #expect(command.wait() == .code(1))
        #expect(wait { contents(pidFile) == nil })
    }

    @Test func theNumberIsThereAsLongAsTheProcess() throws {
        let first = try start("-pidfile", pidFile)
        #expect(wait { number == first.pid })
        let second = try start("-pidfile", pidFile)
        #expect(second.errorsToEnd().contains("another process that is still running has it"))
        #expect(second.wait() == .code(1))
        #expect(number == first.pid)
        first.signal(SIGTERM)
        #expect(first.wait() == .signal(SIGTERM))
        #expect(contents(pidFile) == nil)
        // What a process left that was killed is no obstacle.
        try "12345678\n".write(toFile: pidFile, atomically: false, encoding: .utf8)
        let third = try start("-pidfile", pidFile)
        #expect(wait { number == third.pid })
    }

    @Test func aFileOfOthersIsNotTakenAway() throws {
        let command = try start("-pidfile", directory.url.path)
        #expect(command.errorsToEnd().contains("cannot create it: Is a directory"))
        #expect(command.wait() == .code(1))
    }

    @Test(arguments: ["no-such-user", "1", "1:", "4294967295:1", "-1:1"]) func usersThatAreNoneAreRefused(user: String) throws {
        let command = try start("-runas", user)
        #expect(command.errorsToEnd().contains("there is no such user; write a name, or numbers as UID:GID"))
        #expect(command.wait() == .code(1))
    }

    @Test(.enabled(if: getuid() == 0, "only root may become another user")) func theGuestRunsAsTheUserNamed() throws {
        let command = try start("-runas", "65534:65533")
        #expect(wait { contents(log) == ">" })
        let status = try #require(contents("/proc/\(command.pid)/status"))
        #expect(status.contains("Uid:\t65534\t65534\t65534\t65534\n") && status.contains("Gid:\t65533\t65533\t65533\t65533\n"))
        #expect(status.contains(/Groups:\s*\n/) && status.contains("CapEff:\t0000000000000000\n"))
    }

    @Test(.enabled(if: getuid() != 0, "root may become any user")) func othersStayWhoTheyAre() throws {
        let command = try start("-runas", "0:0")
        #expect(command.errorsToEnd().contains("only root may become another user"))
        #expect(command.wait() == .code(1))
    }
}
