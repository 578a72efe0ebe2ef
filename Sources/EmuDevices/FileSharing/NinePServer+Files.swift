import CHost
import Glibc

/// Opening, reading, writing, listing and locking.
extension NinePServer {
    /// The flags of Linux's open that mean something here, and the host's for them.
    private static let openFlags: [(guest: UInt32, host: Int32)] = [
        (0o1000, O_TRUNC), (0o2000, O_APPEND), (0o10000, O_DSYNC), (0o4010000, O_SYNC), (0o200000, O_DIRECTORY),
    ]

    private func hostFlags(_ flags: UInt32) throws(FolderError) -> Int32 {
        guard flags & 3 != 3 else { throw FolderError(EINVAL) }
        if flags & 3 != 0 || flags & 0o1000 != 0 { try refuseIfReadOnly() }
        var host = [O_RDONLY, O_WRONLY, O_RDWR][Int(flags & 3)]
        for each in Self.openFlags where flags & each.guest == each.guest { host |= each.host }
        return host
    }

    /// Bytes of data a read or write may carry beside its fields.
    private var ioUnit: UInt32 { messageSize - 24 }

    func open(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        let fid = try fid(&reader)
        let flags = try hostFlags(try reader.integer())
        guard fid.open == nil else { throw FolderError(EBUSY) }
        setOpen(fid, OpenFile(try fid.node.open(flags), flags: flags))
        writer.put(try identity(fid.node))
        writer.put(ioUnit)
    }

    /// Makes a file in the folder a fid stands for; the fid then is the file, opened.
    func create(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        let fid = try fid(&reader)
        let name = try reader.text()
        let asked = try reader.integer(UInt32.self)
        let mode = try reader.integer(UInt32.self), group = try reader.integer(UInt32.self)
        try refuseIfReadOnly()
        try SharedNode.check(name)
        let flags = try hostFlags(asked)
        guard fid.open == nil else { throw FolderError(EBUSY) }
        try fid.node.checkRoom()
        var descriptor = openat(fid.node.descriptor, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, folder.mode(mode))
        let isNew = descriptor >= 0
        if !isNew, errno == EEXIST, asked & 0o200 == 0 { descriptor = try fid.node.step(name).open(flags) }
        let file = OpenFile(try FolderError.check(descriptor), flags: flags)
        let node = fid.node.child(try FolderError.check(host_folder_node(file.descriptor)), name)
        if isNew { try own(node, group) }
        fid.node = node
        setOpen(fid, file)
        writer.put(try identity(node))
        writer.put(ioUnit)
    }

    func read(_ reader: inout NinePReader, _ writer: inout NinePWriter, room: Int) throws(FolderError) {
        let file = try openFile(&reader)
        let offset = try offset(&reader), wanted = try reader.integer(UInt32.self)
        let count = max(0, min(Int(wanted), room - 4))
        var got = 0
        let data = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            // SAFETY: at most `count` bytes are read, and as many as were are initialised.
            repeat { got = pread(file.descriptor, buffer.baseAddress, count, offset) } while got < 0 && errno == EINTR
            initialized = max(0, got)
        }
        _ = try FolderError.check(got)
        writer.put(UInt32(data.count))
        writer.put(data)
    }

    func write(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        let file = try openFile(&reader)
        let offset = try offset(&reader), count = try reader.integer(UInt32.self)
        let data = try reader.take(Int(count))
        try refuseIfReadOnly()
        var done = 0
        data.withUnsafeBytes { bytes in
            repeat { done = pwrite(file.descriptor, bytes.baseAddress, bytes.count, offset) } while done < 0 && errno == EINTR
        }
        writer.put(UInt32(try FolderError.check(done)))
    }

    /// A position in a file.
    private func offset(_ reader: inout NinePReader) throws(FolderError) -> off_t {
        guard let offset = off_t(exactly: try reader.integer(UInt64.self)) else { throw FolderError(EINVAL) }
        return offset
    }

    func readdir(_ reader: inout NinePReader, _ writer: inout NinePWriter, room: Int) throws(FolderError) {
        let fid = try fid(&reader)
        guard let file = fid.open else { throw FolderError(EBADF) }
        let start = try reader.integer(UInt64.self), wanted = try reader.integer(UInt32.self)
        let limit = min(Int(wanted), room - 4)
        var list = NinePWriter()
        let device = try fid.node.facts().st_dev
        try file.list(from: start) { entry, name in
            // qid, offset of the next entry, type, name.
            guard list.bytes.count + NinePIdentity.size + 8 + 1 + 2 + name.utf8.count <= limit else { return false }
            var facts = stat()
            facts.st_dev = device
            facts.st_ino = entry.d_ino
            list.put(NinePIdentity(mode: mode_t(entry.d_type) << 12, version: 0, path: folder.identity(facts)))
            list.put(UInt64(bitPattern: Int64(entry.d_off)))
            list.put(entry.d_type)
            list.put(name)
            return true
        }
        writer.put(UInt32(list.bytes.count))
        writer.put(list.bytes)
    }

    func fsync(_ reader: inout NinePReader) throws(FolderError) {
        let file = try openFile(&reader)
        // Linux before 2.6.39 sent no second field.
        let dataOnly = (try? reader.integer(UInt32.self)) ?? 0
        var result: Int32
        repeat { result = dataOnly != 0 ? fdatasync(file.descriptor) : Glibc.fsync(file.descriptor) } while result != 0 && errno == EINTR
        _ = try FolderError.check(result)
    }

    // MARK: Locks

    private enum LockStatus {
        static let success: UInt8 = 0
        static let blocked: UInt8 = 1
    }

    func lock(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        let file = try openFile(&reader)
        let type = try reader.integer(UInt8.self)
        _ = try reader.integer(UInt32.self)
        let lock = try lockRange(&reader, type: type)
        var status = LockStatus.success
        if withUnsafePointer(to: lock, { host_folder_lock(file.descriptor, $0) }) != 0 {
            guard errno == EAGAIN || errno == EACCES else { throw FolderError.last }
            status = LockStatus.blocked
        }
        writer.put(status)
    }

    func testLock(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        let file = try openFile(&reader)
        let type = try reader.integer(UInt8.self)
        var lock = try lockRange(&reader, type: type)
        let client = try reader.text()
        _ = try FolderError.check(host_folder_test_lock(file.descriptor, &lock))
        writer.put(UInt8(truncatingIfNeeded: lock.type))
        writer.put(UInt64(bitPattern: lock.start))
        writer.put(UInt64(bitPattern: lock.length))
        writer.put(UInt32(bitPattern: lock.owner))
        writer.put(client)
    }

    private func lockRange(_ reader: inout NinePReader, type: UInt8) throws(FolderError) -> host_folder_lock {
        let start = try reader.integer(UInt64.self), length = try reader.integer(UInt64.self), owner = try reader.integer(UInt32.self)
        guard type <= 2, let start = Int64(exactly: start), let length = Int64(exactly: length) else { throw FolderError(EINVAL) }
        return host_folder_lock(type: Int16(type), start: start, length: length, owner: Int32(bitPattern: owner))
    }
}
