import CHost
import EmuBus
import Glibc

/// A file server for one shared folder: 9P2000.L (as Linux speaks it) without a transport. A request is a message, its answer another.
///
/// What the guest names are fids, numbers of its own; behind each is a `SharedNode`. Extended attributes are refused as unsupported.
package final class NinePServer {
    static let protocolVersion = "9P2000.L"
    /// Size, type and tag.
    static let headerSize = 7
    static let smallestMessage: UInt32 = 4096
    static let greatestMessage: UInt32 = 512 << 10
    /// Each holds a node, and a descriptor of its own while it is open.
    private static let greatestFidCount = 8192
    /// Names a walk may have (the protocol's MAXWELEM).
    private static let greatestWalk = 16

    /// What a fid stands for.
    final class Fid {
        var node: SharedNode
        /// Once opened: the descriptor and the flags it was opened with.
        fileprivate(set) var open: OpenFile?

        init(_ node: SharedNode) { self.node = node }
    }

    let folder: SharedFolder
    /// Greatest message both sides agreed on.
    var messageSize = greatestMessage
    private(set) var fids: [UInt32: Fid] = [:]

    package init(_ folder: SharedFolder) { self.folder = folder }

    /// Forgets every fid.
    func reset() {
        fids = [:]
        messageSize = Self.greatestMessage
    }

    // MARK: Messages

    /// Time a request may take beyond that of its buffers, in bytes; see `VirtioCore.spend`. The file system may have to look on the disk
    /// for anything, and wait for it to synchronise a file.
    static func cost(ofType type: UInt8) -> Int { type == NinePType.fsync.rawValue ? 4 << 20 : 64 << 10 }

    /// The reply to a request, header included.
    /// - Parameters:
    ///   - request: a whole message.
    ///   - room: bytes the reply may have, at least `headerSize` and four.
    package func answer(_ request: [UInt8], room: Int) -> [UInt8] {
        var header = NinePReader(request[...])
        let tag: UInt16, raw: UInt8
        do throws(FolderError) {
            _ = try header.integer(UInt32.self)
            raw = try header.integer()
            tag = try header.integer()
        } catch {
            return Self.failure(error, tag: .max)
        }
        do throws(FolderError) {
            guard let type = NinePType(rawValue: raw), type != .error else { throw FolderError(EOPNOTSUPP) }
            var reader = NinePReader(request[Self.headerSize...])
            var writer = NinePWriter()
            try perform(type, &reader, &writer, room: min(room, Int(messageSize)) - Self.headerSize)
            guard writer.bytes.count <= room - Self.headerSize else { throw FolderError(ENOBUFS) }
            return Self.message(raw &+ 1, tag: tag, writer.bytes)
        } catch {
            return Self.failure(error, tag: tag)
        }
    }

    private static func message(_ type: UInt8, tag: UInt16, _ body: [UInt8]) -> [UInt8] {
        var writer = NinePWriter()
        writer.put(UInt32(headerSize + body.count))
        writer.put(type)
        writer.put(tag)
        writer.put(body)
        return writer.bytes
    }

    private static func failure(_ error: FolderError, tag: UInt16) -> [UInt8] {
        var writer = NinePWriter()
        writer.put(UInt32(bitPattern: error.code))
        return message(NinePType.error.rawValue &+ 1, tag: tag, writer.bytes)
    }

    /// - Parameter room: bytes the reply's body may have.
    private func perform(_ type: NinePType, _ reader: inout NinePReader, _ writer: inout NinePWriter, room: Int) throws(FolderError) {
        switch type {
        case .version: try version(&reader, &writer)
        case .attach: try attach(&reader, &writer)
        case .walk: try walk(&reader, &writer)
        case .clunk: try clunk(&reader)
        // Requests are answered before the next one is looked at: there is never one to give up.
        case .flush: _ = try reader.integer(UInt16.self)
        case .auth, .xattrwalk, .xattrcreate, .error: throw FolderError(EOPNOTSUPP)
        case .statfs: try statfs(&reader, &writer)
        case .getattr: try getattr(&reader, &writer)
        case .setattr: try setattr(&reader)
        case .readlink: try readlink(&reader, &writer)
        case .lopen: try open(&reader, &writer)
        case .lcreate: try create(&reader, &writer)
        case .read: try read(&reader, &writer, room: room)
        case .write: try write(&reader, &writer)
        case .readdir: try readdir(&reader, &writer, room: room)
        case .fsync: try fsync(&reader)
        case .lock: try lock(&reader, &writer)
        case .getlock: try testLock(&reader, &writer)
        case .symlink: try symlink(&reader, &writer)
        case .mknod: try mknod(&reader, &writer)
        case .mkdir: try mkdir(&reader, &writer)
        case .link: try link(&reader)
        case .rename: try rename(&reader)
        case .renameat: try renameat(&reader)
        case .unlinkat: try unlinkat(&reader)
        case .remove: try remove(&reader)
        }
    }

    // MARK: Sessions and fids

    private func version(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        let size = try reader.integer(UInt32.self)
        let asked = try reader.text()
        // A session begins: what another one left is gone.
        reset()
        guard size >= Self.smallestMessage else { throw FolderError(EMSGSIZE) }
        messageSize = min(size, Self.greatestMessage)
        writer.put(messageSize)
        writer.put(asked == Self.protocolVersion ? asked : "unknown")
    }

    private func attach(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        let number = try reader.integer(UInt32.self)
        // No authentication, and one user: whose names come in does not matter.
        _ = try (reader.integer(UInt32.self), reader.text(), reader.text(), reader.integer(UInt32.self))
        try add(number, Fid(folder.root))
        writer.put(try identity(folder.root))
    }

    private func walk(_ reader: inout NinePReader, _ writer: inout NinePWriter) throws(FolderError) {
        let from = try fid(&reader)
        let number = try reader.integer(UInt32.self)
        let count = Int(try reader.integer(UInt16.self))
        guard count <= Self.greatestWalk else { throw FolderError(EINVAL) }
        var node = from.node
        var found: [NinePIdentity] = []
        for position in 0..<count {
            let name = try reader.text()
            do throws(FolderError) {
                node = try node.step(name)
                found.append(try identity(node))
            } catch {
                // Only a walk that fails at once is an error; else the reply says how far it came, and there is no new fid.
                if position == 0 { throw error }
                break
            }
        }
        if found.count == count {
            if fids[number] === from { fids[number] = Fid(node) } else { try add(number, Fid(node)) }
        }
        writer.put(UInt16(found.count))
        for each in found { writer.put(each) }
    }

    private func clunk(_ reader: inout NinePReader) throws(FolderError) {
        let number = try reader.integer(UInt32.self)
        guard fids.removeValue(forKey: number) != nil else { throw FolderError(EBADF) }
    }

    private func remove(_ reader: inout NinePReader) throws(FolderError) {
        let number = try reader.integer(UInt32.self)
        // The fid is gone whether the file goes or not.
        guard let fid = fids.removeValue(forKey: number) else { throw FolderError(EBADF) }
        try remove(fid.node)
    }

    private func add(_ number: UInt32, _ fid: Fid) throws(FolderError) {
        guard fids[number] == nil else { throw FolderError(EBADF) }
        guard fids.count < Self.greatestFidCount else { throw FolderError(EMFILE) }
        fids[number] = fid
    }

    func fid(_ reader: inout NinePReader) throws(FolderError) -> Fid {
        guard let fid = fids[try reader.integer(UInt32.self)] else { throw FolderError(EBADF) }
        return fid
    }

    /// The open file behind a fid.
    func openFile(_ reader: inout NinePReader) throws(FolderError) -> OpenFile {
        guard let file = try fid(&reader).open else { throw FolderError(EBADF) }
        return file
    }

    func setOpen(_ fid: Fid, _ file: OpenFile) { fid.open = file }

    func refuseIfReadOnly() throws(FolderError) {
        if folder.isReadOnly { throw FolderError(EROFS) }
    }

    func identity(_ node: SharedNode) throws(FolderError) -> NinePIdentity { identity(try node.facts()) }

    func identity(_ facts: stat) -> NinePIdentity {
        // Changes whenever contents do; 0 would mean that it is not known.
        let time = UInt64(bitPattern: Int64(facts.st_mtim.tv_sec)) &* 1_000_000_000 &+ UInt64(bitPattern: Int64(facts.st_mtim.tv_nsec))
        let version = UInt32(truncatingIfNeeded: time ^ time >> 32 ^ UInt64(bitPattern: Int64(facts.st_size)))
        return NinePIdentity(mode: facts.st_mode, version: max(version, 1), path: folder.identity(facts))
    }

    /// Puts a fid back as it was in a saved state. False when its file is not there any more.
    func restore(_ number: UInt32, path: [String], flags: Int32?) -> Bool {
        do throws(FolderError) {
            var node = folder.root
            for name in path { node = try node.step(name) }
            let fid = Fid(node)
            if let flags { fid.open = OpenFile(try node.open(flags), flags: flags) }
            try add(number, fid)
            return true
        } catch {
            return false
        }
    }
}
