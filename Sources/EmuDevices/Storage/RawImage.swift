import CHost
import EmuBus
import Glibc
import Synchronization

/// How an image file is opened.
package struct ImageAccess: Sendable {
    package var isReadOnly = false
    /// Take the locks that keep others away. Off for a look at an image in use (`force-share=on`, `locking=off`).
    package var isLocked = true
    /// Go past the host's page cache where buffers are aligned (`cache.direct=on`).
    package var isDirect = false

    package init(isReadOnly: Bool = false, isLocked: Bool = true, isDirect: Bool = false) {
        self.isReadOnly = isReadOnly
        self.isLocked = isLocked
        self.isDirect = isDirect
    }
}

extension HostFile {
    /// Opens an image file or block device and locks it.
    /// - Throws: `DiskError` naming the file and what to do.
    package static func openImage(_ path: String, _ access: ImageAccess) throws(DiskError) -> HostFile {
        // Not to block on what may turn out to be a pipe.
        let descriptor = open(path, (access.isReadOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard descriptor >= 0 else { throw openError(path, errno, isReadOnly: access.isReadOnly) }
        let file = HostFile(descriptor: descriptor, name: "disk '\(path)'", isDirect: access.isDirect)
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw DiskError("disk '\(path)' cannot be examined: \(reason(errno))") }
        switch information.st_mode & S_IFMT {
        case S_IFREG, S_IFBLK: break
        case S_IFDIR: throw DiskError("disk '\(path)' is a directory; give a disk image file")
        default: throw DiskError("disk '\(path)' is neither a file nor a block device; give a disk image file")
        }
        if access.isLocked { try ImageLock.take(file, path: path, isWriter: !access.isReadOnly) }
        return file
    }

    /// Lets `body` write to a file that is open read-only, and brings what it wrote to the disk.
    /// - Throws: `DiskError` when the file may not be written, another instance has it open, or `body` fails.
    package func withWriteAccess(path: String, _ body: (HostFile) throws(DiskError) -> Void) throws(DiskError) {
        // The very file that is open, even if its name means another by now.
        let descriptor = open("/proc/self/fd/\(descriptor)", O_RDWR | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { throw Self.openError(path, errno, isReadOnly: false) }
        let writable = HostFile(descriptor: descriptor, name: name)
        // Two openings of one process exclude each other like two processes.
        ImageLock.drop(self)
        defer { try? ImageLock.take(self, path: path, isWriter: false) }
        try ImageLock.take(writable, path: path, isWriter: true)
        defer { ImageLock.drop(writable) }
        try body(writable)
        do throws(HostError) { try writable.flush() } catch { throw DiskError("\(error)") }
    }

    private static func openError(_ path: String, _ code: Int32, isReadOnly: Bool) -> DiskError {
        switch code {
        case ENOENT:
            return DiskError("disk '\(path)': no such file; check the path, or create an empty disk with 'emulate disk create \(path) 4G'")
        case EISDIR:
            return DiskError("disk '\(path)' is a directory; give a disk image file")
        case EACCES, EPERM, EROFS:
            return isReadOnly
                ? DiskError("disk '\(path)' may not be read: \(reason(code)); check its permissions")
                : DiskError("disk '\(path)' may not be opened for writing: \(reason(code)); use readonly=on or snapshot=on, or make it writable")
        case ETXTBSY, EBUSY:
            return DiskError("disk '\(path)' is in use by the host: \(reason(code)); unmount it first")
        default:
            return DiskError("disk '\(path)' cannot be opened: \(reason(code))")
        }
    }

    private static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }
}

/// A disk whose bytes are a host file's or a host block device's, one to one.
///
/// A file whose size is not a multiple of 512 gets its last sector padded with zeroes, which a write to it makes real.
/// While open it is locked: one writer, or any number of readers, among all users that lock the way QEMU does.
public final class RawImage: DiskImage, ImmediateDisk {
    public let size: UInt64
    public let isReadOnly: Bool
    public let path: String
    package let format = DiskFormat.raw
    package let allowsConcurrency = true
    package let file: any ImageFile
    /// Found to be raw by its contents alone: a guest may then not write what would make it another format the next time.
    private let isProbed: Bool
    /// Once a flush has failed the host may have dropped data, so no later flush may claim success.
    private let flushFailure = Mutex<HostError?>(nil)

    /// - Throws: `DiskError` naming the file and what to do.
    public convenience init(path: String, readOnly: Bool = false) throws(DiskError) {
        try self.init(try HostFile.openImage(path, ImageAccess(isReadOnly: readOnly)), path: path, isReadOnly: readOnly)
    }

    package init(_ file: any ImageFile, path: String, isReadOnly: Bool, isProbed: Bool = false) throws(DiskError) {
        let bytes: UInt64
        do throws(HostError) { bytes = try file.length() } catch { throw DiskError("\(error)") }
        guard bytes > 0 else {
            throw DiskError("disk '\(path)' is empty; give it a size, for example with 'emulate disk resize -f raw \(path) 4G'")
        }
        guard bytes < UInt64(Int64.max) - 511 else { throw DiskError("disk '\(path)' is larger than anything can be") }
        size = (bytes + 511) / 512 * 512
        self.file = file
        self.path = path
        self.isReadOnly = isReadOnly
        self.isProbed = isProbed
    }

    public func perform(_ operation: BlockOperation) throws(HostError) {
        switch operation {
        case .read(let offset, let buffers): try file.read(at: offset, into: buffers)
        case .write(let offset, let buffers):
            if isProbed, offset < UInt64(ImageProbe.prefixLength) { try refuseSignature(offset, buffers) }
            try file.write(at: offset, from: buffers)
        case .flush: try flush()
        case .discard(let offset, let length): try file.discard(at: offset, length: length)
        case .writeZeroes(let offset, let length, let mayUnmap):
            try file.writeZeroes(at: offset, length: length, mayUnmap: mayUnmap)
        }
    }

    package func performNow(_ operation: BlockOperation) -> Bool {
        guard case .read(let offset, let buffers) = operation, let file = file as? HostFile else { return false }
        return file.readCached(at: offset, into: buffers)
    }

    private func refuseSignature(_ offset: UInt64, _ buffers: [UnsafeMutableRawBufferPointer]) throws(HostError) {
        var start = try file.bytes(at: 0, ImageProbe.prefixLength)
        var position = Int(offset)
        for buffer in buffers {
            for byte in buffer.prefix(max(0, start.count - position)) {
                start[position] = byte
                position += 1
            }
        }
        guard ImageProbe.format(ofStart: start) != .raw else { return }
        throw HostError("\(file.name): format=raw was not given, so the guest may not make it look like another format", EPERM)
    }

    private func flush() throws(HostError) {
        if isReadOnly { return }
        // Typed errors do not pass through `withLock`.
        if let failure = flushFailure.withLock({ $0 }) { throw failure }
        do { try file.flush() } catch {
            flushFailure.withLock { $0 = error }
            throw error
        }
    }

    package func extent(at offset: UInt64, limit: UInt64) throws(HostError) -> DiskExtent {
        let (isData, length) = try file.extent(at: offset)
        return DiskExtent(kind: isData ? .data : .zero, length: min(length, limit), fileOffset: offset)
    }

    package func close() throws(HostError) { try flush() }

    package func writable(through file: any ImageFile) throws(DiskError) -> any DiskImage {
        try RawImage(file, path: path, isReadOnly: false, isProbed: isProbed)
    }

    package func reload() {}
}
