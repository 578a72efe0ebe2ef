import CHost
import EmuBus
import Glibc

/// Locks that keep two programs from spoiling one image, on the bytes QEMU uses, so that its programs and this one see each other.
///
/// For everything a user does with an image it holds byte 100 + n shared, for everything it wants nobody else to do byte 200 + n.
/// Nobody ever locks exclusively: whoever has taken its own bytes looks whether others hold those that contradict them. Locks
/// belong to the open file description, so two openings within one process exclude each other like two processes.
package enum ImageLock {
    /// What may be done to an image; the numbers are QEMU's.
    private enum Use: Int64 {
        case consistentRead = 0, write = 1, resize = 3
    }

    private static let usedBase: Int64 = 100, unsharedBase: Int64 = 200
    private static let unshared: [Use] = [.write, .resize]

    private static func uses(isWriter: Bool) -> [Use] { isWriter ? [.consistentRead, .write, .resize] : [.consistentRead] }

    /// How often and how long (microseconds) a lock is tried for: whoever has it may be about to end, or be a process between fork and exec.
    private static let tries = 50, pause: UInt32 = 10_000

    /// - Throws: `DiskError` naming the file and who has it, when somebody else uses it in a way that forbids this one.
    package static func take(_ file: HostFile, path: String, isWriter: Bool) throws(DiskError) {
        for _ in 1..<tries {
            do throws(DiskError) {
                return try takeNow(file, path: path, isWriter: isWriter)
            } catch { usleep(pause) }
        }
        try takeNow(file, path: path, isWriter: isWriter)
    }

    private static func takeNow(_ file: HostFile, path: String, isWriter: Bool) throws(DiskError) {
        let uses = uses(isWriter: isWriter)
        for byte in uses.map({ usedBase + $0.rawValue }) + unshared.map({ unsharedBase + $0.rawValue }) {
            guard host_lock_byte(file.descriptor, byte, 0) != 0 else { continue }
            // File systems without locks give another error; then there is nothing to check.
            guard errno == EAGAIN || errno == EACCES else { return }
            drop(file)
            throw conflict(file, path, isWriter: isWriter)
        }
        let contradicting = uses.map { unsharedBase + $0.rawValue } + unshared.map { usedBase + $0.rawValue }
        guard contradicting.contains(where: { host_lock_is_held(file.descriptor, $0) > 0 }) else { return }
        drop(file)
        throw conflict(file, path, isWriter: isWriter)
    }

    package static func drop(_ file: HostFile) {
        for use in 0..<4 {
            _ = host_lock_byte(file.descriptor, usedBase + Int64(use), -1)
            _ = host_lock_byte(file.descriptor, unsharedBase + Int64(use), -1)
        }
    }

    private static func conflict(_ file: HostFile, _ path: String, isWriter: Bool) -> DiskError {
        let user = holder(of: file).map { " (\($0))" } ?? ""
        return isWriter
            ? DiskError("disk '\(path)' is in use by another instance\(user); stop it, or use snapshot=on on a copy")
            : DiskError("disk '\(path)' is open for writing in another instance\(user); stop it, or use a copy")
    }

    /// Who else has the file open, as far as this user may see: locks of open file descriptions name no process.
    private static func holder(of file: HostFile) -> String? {
        var own = stat()
        guard fstat(file.descriptor, &own) == 0, let processes = opendir("/proc") else { return nil }
        defer { closedir(processes) }
        var isOurs = false
        while let entry = readdir(processes) {
            guard let process = Int32(entryName(entry)) else { continue }
            let directory = "/proc/\(process)/fd"
            guard let descriptors = opendir(directory) else { continue }
            defer { closedir(descriptors) }
            while let entry = readdir(descriptors) {
                guard let number = Int32(entryName(entry)), process != getpid() || number != file.descriptor else { continue }
                var other = stat()
                guard stat("\(directory)/\(number)", &other) == 0, other.st_ino == own.st_ino, other.st_dev == own.st_dev else { continue }
                if process != getpid() { return "process \(process)\(programName(process))" }
                isOurs = true
            }
        }
        return isOurs ? "this process: it is given twice" : nil
    }

    private static func entryName(_ entry: UnsafeMutablePointer<dirent>) -> String {
        withUnsafePointer(to: &entry.pointee.d_name) { $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) } }
    }

    private static func programName(_ process: Int32) -> String {
        let descriptor = open("/proc/\(process)/comm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var text = [UInt8](repeating: 0, count: 64)
        let count = text.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        guard count > 1 else { return "" }
        return ", " + String(decoding: text[..<(count - 1)], as: UTF8.self)
    }
}
