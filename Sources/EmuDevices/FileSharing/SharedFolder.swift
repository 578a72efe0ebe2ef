import CHost
import EmuBus
import Glibc

/// A host call on a shared folder failed; the guest is told the host's error number.
struct FolderError: Error {
    let code: Int32

    init(_ code: Int32) { self.code = code }

    /// What the last host call left in errno.
    static var last: FolderError { FolderError(errno) }

    /// The result of a host call, unless it is negative.
    static func check<T: SignedInteger>(_ result: T) throws(FolderError) -> T {
        guard result >= 0 else { throw last }
        return result
    }
}

/// A folder of the host that a guest may use, and nothing around it.
public final class SharedFolder {
    /// How the guest's owners and modes reach the host.
    public enum Ownership: String, CaseIterable, Sendable {
        /// Files belong to whoever runs the emulator; changes of owner succeed and do nothing; no set-id bits.
        case none
        /// Owners and modes are the host's; that takes the right to change them.
        case passthrough
    }

    public let isReadOnly: Bool
    public let ownership: Ownership
    let root: SharedNode
    private let device: dev_t
    private let count = SharedNode.Count()
    /// Most files the guest may refer to at a time, the folders on the way to them included.
    package var nodeLimit: Int {
        get { count.limit }
        set { count.limit = newValue }
    }

    /// - Throws: when `path` is no folder that may be entered.
    public init(path: String, isReadOnly: Bool, ownership: Ownership) throws(HostError) {
        let descriptor = host_folder_root(path)
        guard descriptor >= 0 else { throw HostError("opening the folder \(path)", errno) }
        let root = SharedNode(descriptor: descriptor, name: "", parent: nil, count)
        guard let facts = try? root.facts() else { throw HostError("looking at the folder \(path)", errno) }
        self.root = root
        self.isReadOnly = isReadOnly
        self.ownership = ownership
        device = facts.st_dev
    }

    /// A file's number, the same for all its names: the host's inode, marked with the device where that is not the folder's own.
    func identity(_ facts: stat) -> UInt64 {
        facts.st_dev == device ? UInt64(facts.st_ino) : UInt64(facts.st_ino) ^ UInt64(truncatingIfNeeded: facts.st_dev) &* 0x9e37_79b9_7f4a_7c15
    }

    /// The permissions a new file gets, of those the guest asked for.
    func mode(_ asked: UInt32) -> mode_t { mode_t(truncatingIfNeeded: asked) & (ownership == .none ? 0o1777 : 0o7777) }
}

/// A file of a shared folder, by itself and not by a path: it stays what it is when names change.
///
/// Every step goes from a node to one name in it, and symbolic links are never followed here (the guest does that, within what it sees),
/// so no request can lead out of the folder.
final class SharedNode {
    /// Names the file only (O_PATH).
    let descriptor: Int32
    /// Its name in its parent when it was reached.
    let name: String
    /// A node keeps those on the way to it, each with its descriptor.
    let parent: SharedNode?
    /// Steps from the root.
    private let depth: Int
    private let count: Count

    /// The nodes of one folder.
    final class Count {
        fileprivate var live = 0
        var limit = 8192
    }

    /// Deepest a node may lie: letting go of one lets go of those above it, one within the other.
    private static let greatestDepth = 255

    /// - Parameter descriptor: the node's from now on.
    init(descriptor: Int32, name: String, parent: SharedNode?, _ count: Count) {
        self.descriptor = descriptor
        self.name = name
        self.parent = parent
        self.count = count
        depth = parent.map { $0.depth + 1 } ?? 0
        count.live += 1
    }

    deinit {
        count.live -= 1
        close(descriptor)
    }

    /// What `name` is in this folder; ".." stops at the root.
    func step(_ name: String) throws(FolderError) -> SharedNode {
        if name == ".." { return parent ?? self }
        try Self.check(name)
        try checkRoom()
        return child(try FolderError.check(host_folder_step(descriptor, name)), name)
    }

    /// The node of something in this folder; the caller has asked for room.
    func child(_ descriptor: Int32, _ name: String) -> SharedNode { SharedNode(descriptor: descriptor, name: name, parent: self, count) }

    /// Makes sure that there may be one more node, in this folder.
    func checkRoom() throws(FolderError) {
        guard depth < Self.greatestDepth else { throw FolderError(ENAMETOOLONG) }
        guard count.live < count.limit else { throw FolderError(EMFILE) }
    }

    /// Only a single component may be looked up, made or removed.
    static func check(_ name: String) throws(FolderError) {
        guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")), !name.utf8.contains(0) else { throw FolderError(EINVAL) }
        guard name.utf8.count <= 255 else { throw FolderError(ENAMETOOLONG) }
    }

    func facts() throws(FolderError) -> stat {
        var facts = stat()
        _ = try FolderError.check(fstat(descriptor, &facts))
        return facts
    }

    /// What the host says of `name` in this folder, which takes no node.
    func facts(of name: String) throws(FolderError) -> stat {
        var facts = stat()
        _ = try FolderError.check(fstatat(descriptor, name, &facts, AT_SYMLINK_NOFOLLOW))
        return facts
    }

    /// Opens the file. Devices, sockets and pipes are the guest's own affair, never the host's.
    func open(_ flags: Int32) throws(FolderError) -> Int32 {
        let kind = try facts().st_mode & S_IFMT
        guard kind == S_IFREG || kind == S_IFDIR else { throw FolderError(kind == S_IFLNK ? ELOOP : ENXIO) }
        return try FolderError.check(host_folder_open(descriptor, flags))
    }

    /// The way here from the root.
    var path: [String] { (parent?.path ?? []) + (parent == nil ? [] : [name]) }

    /// The descriptor as a path, for calls that know no other way. SAFETY (of the host): it leads to the very file, symbolic links included.
    var descriptorPath: String { "/proc/self/fd/\(descriptor)" }
}
