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
