import CHost
import EmuBus
import Glibc

/// A disk whose bytes are a host file's or a host block device's, one to one.
///
/// A file whose size is not a multiple of 512 gets its last sector padded with zeroes, which a write to it makes real.
/// While open it is locked: one writer, or any number of readers, among all users that lock the way QEMU does.
public final class RawImage: BlockBackend {
    public let size: UInt64
    public let isReadOnly: Bool
    public let path: String
    private let file: HostFile
    /// Once a flush has failed the host may have dropped data, so no later flush may claim success.
    private var flushFailure: HostError?

    /// The byte QEMU's image locking uses to say "nobody else may write": all its users hold it shared, and so
    /// exclude whoever holds it exclusively.
    private static let lockByte: Int64 = 201

    /// - Throws: `DiskError` naming the file and what to do.
    public init(path: String, readOnly: Bool = false) throws(DiskError) {
        let descriptor = open(path, (readOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.openError(path, errno, readOnly: readOnly) }
        let file = HostFile(descriptor: descriptor, name: "disk '\(path)'")
        size = try Self.sectorSize(of: file, path)
        try Self.lock(file, path, exclusive: !readOnly)
        self.file = file
        self.path = path
        isReadOnly = readOnly
    }

    private static func openError(_ path: String, _ code: Int32, readOnly: Bool) -> DiskError {
        switch code {
        case ENOENT:
            return DiskError("disk '\(path)': no such file; check the path, or create an empty disk with 'truncate -s 4G \(path)'")
        case EISDIR:
            return DiskError("disk '\(path)' is a directory; give a disk image file")
        case EACCES, EPERM, EROFS:
            return readOnly
                ? DiskError("disk '\(path)' may not be read: \(reason(code)); check its permissions")
                : DiskError("disk '\(path)' may not be opened for writing: \(reason(code)); use readonly=on or snapshot=on, or make it writable")
        case ETXTBSY, EBUSY:
            return DiskError("disk '\(path)' is in use by the host: \(reason(code)); unmount it first")
        default:
            return DiskError("disk '\(path)' cannot be opened: \(reason(code))")
        }
    }

    private static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }

    private static func sectorSize(of file: HostFile, _ path: String) throws(DiskError) -> UInt64 {
        var information = stat()
        guard fstat(file.descriptor, &information) == 0 else {
            throw DiskError("disk '\(path)' cannot be examined: \(reason(errno))")
        }
        let bytes: Int64
        switch information.st_mode & S_IFMT {
        case S_IFREG:
            bytes = Int64(information.st_size)
        case S_IFBLK:
            bytes = host_block_device_size(file.descriptor)
            guard bytes >= 0 else { throw DiskError("size of block device '\(path)' is not known: \(reason(errno))") }
        case S_IFDIR:
            throw DiskError("disk '\(path)' is a directory; give a disk image file")
        default:
            throw DiskError("disk '\(path)' is neither a file nor a block device; give a disk image file")
        }
        guard bytes > 0 else {
            throw DiskError("disk '\(path)' is empty; give it a size, for example with 'truncate -s 4G \(path)'")
        }
        return (UInt64(bytes) + 511) / 512 * 512
    }

    private static func lock(_ file: HostFile, _ path: String, exclusive: Bool) throws(DiskError) {
        guard host_lock_byte(file.descriptor, lockByte, exclusive ? 1 : 0) != 0 else { return }
        // File systems without locks give another error; then there is nothing to check.
        guard errno == EAGAIN || errno == EACCES else { return }
        throw exclusive
            ? DiskError("disk '\(path)' is in use by another instance; stop it, or use snapshot=on on a copy")
            : DiskError("disk '\(path)' is open for writing in another instance; stop it, or use a copy")
    }

    public func perform(_ operation: BlockOperation) throws(HostError) {
        switch operation {
        case .read(let offset, let buffers): try file.read(at: offset, into: buffers)
        case .write(let offset, let buffers): try file.write(at: offset, from: buffers)
        case .flush: try flush()
        case .discard(let offset, let length): try file.discard(at: offset, length: length)
        case .writeZeroes(let offset, let length, let mayUnmap):
            try file.writeZeroes(at: offset, length: length, mayUnmap: mayUnmap)
        }
    }

    /// Lets `body` write to an image that is open read-only, and brings what it wrote to the disk.
    /// - Throws: `DiskError` when the file may not be written, another instance has it open, or `body` fails.
    func withWriteAccess(_ body: (HostFile) throws(HostError) -> Void) throws(DiskError) {
        // The very file that is open, even if its name means another by now.
        let descriptor = open("/proc/self/fd/\(file.descriptor)", O_RDWR | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { throw Self.openError(path, errno, readOnly: false) }
        let writable = HostFile(descriptor: descriptor, name: file.name)
        // Two openings of one process exclude each other like two processes.
        _ = host_lock_byte(file.descriptor, Self.lockByte, -1)
        defer { _ = host_lock_byte(file.descriptor, Self.lockByte, 0) }
        try Self.lock(writable, path, exclusive: true)
        defer { _ = host_lock_byte(descriptor, Self.lockByte, -1) }
        do throws(HostError) {
            try body(writable)
            try writable.flush()
        } catch {
            throw DiskError("\(error)")
        }
    }

    private func flush() throws(HostError) {
        if isReadOnly { return }
        if let flushFailure { throw flushFailure }
        do { try file.flush() } catch {
            flushFailure = error
            throw error
        }
    }
}
