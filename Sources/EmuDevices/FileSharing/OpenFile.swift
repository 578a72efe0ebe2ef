import Glibc

/// An opened file or folder of the host. Closed when released.
final class OpenFile {
    let descriptor: Int32
    /// What it was opened with, less what happens only once.
    let flags: Int32
    /// Of a folder being listed. SAFETY: owned; has a descriptor of its own.
    private var listing: OpaquePointer?
    /// Where the listing stands.
    private var position: UInt64 = 0

    init(_ descriptor: Int32, flags: Int32) {
        self.descriptor = descriptor
        self.flags = flags & ~(O_CREAT | O_EXCL | O_TRUNC)
    }

    deinit {
        if let listing { closedir(listing) }
        close(descriptor)
    }

    func facts() throws(FolderError) -> stat {
        var facts = stat()
        _ = try FolderError.check(fstat(descriptor, &facts))
        return facts
    }

    /// The next bytes, at most `count`; none at the end.
    func read(_ count: Int) throws(FolderError) -> [UInt8] {
        var got = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            // SAFETY: at most `count` bytes are read, and as many as were are initialised.
            repeat { got = Glibc.read(descriptor, buffer.baseAddress, count) } while got < 0 && errno == EINTR
            initialized = max(0, got)
        }
        _ = try FolderError.check(got)
        return bytes
    }

    /// Writes all of `bytes` where the file stands.
    func write(_ bytes: [UInt8]) throws(FolderError) {
        var done = 0
        while done < bytes.count {
            // SAFETY: `done` is inside the array.
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done) }
            if count < 0, errno == EINTR { continue }
            done += try FolderError.check(count)
        }
    }

    /// Calls `body` with the entries from `start` on (0, or where an entry said that the next one is), until it returns false.
    func list(from start: UInt64, _ body: (_ entry: dirent, _ name: String) -> Bool) throws(FolderError) {
        if listing == nil { listing = try openListing() }
        guard let listing else { return }
        if start != position || start == 0 {
            if start == 0 { rewinddir(listing) } else { seekdir(listing, Int(truncatingIfNeeded: start)) }
        }
        while true {
            position = .max
            errno = 0
            guard let entry = Glibc.readdir(listing) else {
                if errno != 0 { throw FolderError.last }
                return
            }
            // SAFETY: the host ends every name with a zero.
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: entry.pointee.d_name)) { String(validatingCString: $0) }
            }
            // A name that is no UTF-8 cannot be asked for either.
            guard let name else { continue }
            if !body(entry.pointee, name) { return }
            position = UInt64(bitPattern: Int64(entry.pointee.d_off))
        }
    }

    private func openListing() throws(FolderError) -> OpaquePointer {
        let own = try FolderError.check(fcntl(descriptor, F_DUPFD_CLOEXEC, 0))
        guard let listing = fdopendir(own) else {
            let error = FolderError.last
            close(own)
            throw error
        }
        return listing
    }
}
