import CHost
import Glibc

/// Attributes, and making, renaming and removing names.
extension NinePServer {
    // MARK: Attributes

    /// Bits of what a getattr reply holds: everything `stat` knows.
    private static let basicAttributes: UInt64 = 0x7ff

    func getattr(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        let facts = try fid(&reader).node.facts()
        _ = try reader.integer(UInt64.self)
        writer.put(Self.basicAttributes)
        writer.put(identity(facts))
        writer.put(UInt32(facts.st_mode))
        writer.put(facts.st_uid)
        writer.put(facts.st_gid)
        for value in [
            UInt64(facts.st_nlink), UInt64(facts.st_rdev), UInt64(bitPattern: Int64(facts.st_size)), UInt64(bitPattern: Int64(facts.st_blksize)),
            UInt64(bitPattern: Int64(facts.st_blocks)),
        ] { writer.put(value) }
        for time in [facts.st_atim, facts.st_mtim, facts.st_ctim] {
            writer.put(Int64(time.tv_sec))
            writer.put(Int64(time.tv_nsec))
        }
        // Time of birth, generation and data version are not told.
        for _ in 0..<4 { writer.put(UInt64(0)) }
    }

    private enum Change {
        static let mode: UInt32 = 0x1
        static let owner: UInt32 = 0x2
        static let group: UInt32 = 0x4
        static let size: UInt32 = 0x8
        static let accessTime: UInt32 = 0x10
        static let modificationTime: UInt32 = 0x20
        static let givenAccessTime: UInt32 = 0x80
        static let givenModificationTime: UInt32 = 0x100
    }

    func setattr(_ reader: inout NinePReader) throws(FolderError) {
        let node = try fid(&reader).node
        let valid = try reader.integer(UInt32.self), mode = try reader.integer(UInt32.self)
        let owner = try reader.integer(UInt32.self), group = try reader.integer(UInt32.self), size = try reader.integer(UInt64.self)
        var times: [(seconds: UInt64, nanoseconds: UInt64)] = []
        for _ in 0..<2 { times.append((try reader.integer(), try reader.integer())) }
        try refuseIfReadOnly()
        let path = node.descriptorPath
        if valid & Change.mode != 0 { _ = try FolderError.check(chmod(path, folder.mode(mode))) }
        if valid & (Change.owner | Change.group) != 0, folder.ownership == .passthrough {
            let kept = UInt32.max
            _ = try FolderError.check(
                host_folder_chown(node.descriptor, valid & Change.owner != 0 ? owner : kept, valid & Change.group != 0 ? group : kept))
        }
        if valid & Change.size != 0 {
            guard try node.facts().st_mode & S_IFMT == S_IFREG, let size = off_t(exactly: size) else { throw FolderError(EINVAL) }
            _ = try FolderError.check(truncate(path, size))
        }
        guard valid & (Change.accessTime | Change.modificationTime) != 0 else { return }
        func time(_ which: UInt32, given: UInt32, _ time: (seconds: UInt64, nanoseconds: UInt64)) -> timespec {
            guard valid & which != 0 else { return timespec(tv_sec: 0, tv_nsec: Self.timeIsKept) }
            guard valid & given != 0 else { return timespec(tv_sec: 0, tv_nsec: Self.timeIsNow) }
            return timespec(tv_sec: Int(truncatingIfNeeded: time.seconds), tv_nsec: min(Int(clamping: time.nanoseconds), 999_999_999))
        }
        let both = [
            time(Change.accessTime, given: Change.givenAccessTime, times[0]),
            time(Change.modificationTime, given: Change.givenModificationTime, times[1]),
        ]
        _ = try FolderError.check(utimensat(AT_FDCWD, path, both, 0))
    }

    /// UTIME_NOW and UTIME_OMIT.
    private static let timeIsNow = 1 << 30 - 1
    private static let timeIsKept = 1 << 30 - 2

    func statfs(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        var space = host_folder_space()
        _ = try FolderError.check(host_folder_space(try fid(&reader).node.descriptor, &space))
        // V9FS_MAGIC
        writer.put(0x0102_1997 as UInt32)
        writer.put(space.block_size)
        for value in [space.blocks, space.free_blocks, space.available_blocks, space.files, space.free_files, space.identity] { writer.put(value) }
        writer.put(space.name_length)
    }

    func readlink(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        let node = try fid(&reader).node
        var text = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = text.withUnsafeMutableBytes { host_folder_readlink(node.descriptor, $0.baseAddress, $0.count) }
        guard let target = String(validating: text.prefix(Int(try FolderError.check(count))), as: UTF8.self) else { throw FolderError(EILSEQ) }
        writer.put(target)
    }

    // MARK: Making

    /// Gives a new file to the guest's user where owners are the host's.
    func own(_ node: SharedNode, _ group: UInt32) throws(FolderError) {
        guard folder.ownership == .passthrough else { return }
        _ = try FolderError.check(host_folder_chown(node.descriptor, .max, group))
    }

    /// The folder a new name goes into, and the name.
    private func place(_ reader: inout NinePReader) throws(FolderError) -> (folder: SharedNode, name: String) {
        let node = try fid(&reader).node
        let name = try reader.text()
        try refuseIfReadOnly()
        try SharedNode.check(name)
        return (node, name)
    }

    /// The same for what gets a node of its own: nothing is made that then could not be named.
    private func newPlace(_ reader: inout NinePReader) throws(FolderError) -> (folder: SharedNode, name: String) {
        let place = try place(&reader)
        try place.folder.checkRoom()
        return place
    }

    private func finish(_ place: (folder: SharedNode, name: String), _ group: UInt32, _ writer: inout NinePWriter) throws(FolderError) {
        let node = try place.folder.step(place.name)
        try own(node, group)
        writer.put(try identity(node))
    }

    func mkdir(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        let place = try newPlace(&reader)
        let mode = try reader.integer(UInt32.self), group = try reader.integer(UInt32.self)
        _ = try FolderError.check(mkdirat(place.folder.descriptor, place.name, folder.mode(mode)))
        try finish(place, group, &writer)
    }

    func symlink(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        let place = try newPlace(&reader)
        let target = try reader.text(), group = try reader.integer(UInt32.self)
        guard !target.isEmpty, !target.utf8.contains(0) else { throw FolderError(EINVAL) }
        _ = try FolderError.check(symlinkat(target, place.folder.descriptor, place.name))
        try finish(place, group, &writer)
    }

    /// Files, pipes and sockets; a device of the host is not the guest's to make.
    func mknod(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        let place = try newPlace(&reader)
        let mode = try reader.integer(UInt32.self)
        _ = try (reader.integer(UInt32.self), reader.integer(UInt32.self))
        let group = try reader.integer(UInt32.self)
        let kind = mode_t(truncatingIfNeeded: mode) & S_IFMT
        guard [0, S_IFREG, S_IFIFO, S_IFSOCK].contains(kind) else { throw FolderError(EPERM) }
        _ = try FolderError.check(mknodat(place.folder.descriptor, place.name, kind | folder.mode(mode), 0))
        try finish(place, group, &writer)
    }

    func link(_ reader: inout NinePReader) throws(FolderError) {
        let target = try fid(&reader).node
        let node = try fid(&reader).node
        let name = try reader.text()
        try refuseIfReadOnly()
        try SharedNode.check(name)
        _ = try FolderError.check(host_folder_link(node.descriptor, target.descriptor, name))
    }

    // MARK: Renaming and removing

    func renameat(_ reader: inout NinePReader) throws(FolderError) {
        let from = try place(&reader), to = try place(&reader)
        _ = try FolderError.check(Glibc.renameat(from.folder.descriptor, from.name, to.folder.descriptor, to.name))
    }

    func rename(_ reader: inout NinePReader) throws(FolderError) {
        let fid = try fid(&reader)
        let to = try newPlace(&reader)
        let parent = try parentStillNaming(fid.node)
        _ = try FolderError.check(Glibc.renameat(parent.descriptor, fid.node.name, to.folder.descriptor, to.name))
        fid.node = try to.folder.step(to.name)
    }

    func unlinkat(_ reader: inout NinePReader) throws(FolderError) {
        let place = try place(&reader)
        let flags = try reader.integer(UInt32.self)
        _ = try FolderError.check(Glibc.unlinkat(place.folder.descriptor, place.name, flags & 0x200 != 0 ? AT_REMOVEDIR : 0))
    }

    func remove(_ node: SharedNode) throws(FolderError) {
        try refuseIfReadOnly()
        let parent = try parentStillNaming(node)
        let isFolder = try node.facts().st_mode & S_IFMT == S_IFDIR
        _ = try FolderError.check(Glibc.unlinkat(parent.descriptor, node.name, isFolder ? AT_REMOVEDIR : 0))
    }

    /// The folder a node was reached in, if the name still is the node's there.
    private func parentStillNaming(_ node: SharedNode) throws(FolderError) -> SharedNode {
        guard let parent = node.parent else { throw FolderError(EBUSY) }
        let facts = try node.facts(), now = try parent.facts(of: node.name)
        guard facts.st_ino == now.st_ino, facts.st_dev == now.st_dev else { throw FolderError(ESTALE) }
        return parent
    }
}
