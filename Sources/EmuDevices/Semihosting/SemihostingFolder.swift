import Glibc

/// The one folder of the host a program may reach by semihosting: "/" and every relative path mean what is in it. Symbolic links are not followed.
struct SemihostingFolder {
    let folder: SharedFolder

    /// What a path leads to: a name in a folder that exists.
    private struct Place {
        let parent: SharedNode
        let name: String
    }

    private func place(_ path: String) throws(FolderError) -> Place {
        var components = path.split(separator: "/").filter { $0 != "." }.map(String.init)
        guard let name = components.popLast(), name != "..", !path.hasSuffix("/") else { throw FolderError(EISDIR) }
        try SharedNode.check(name)
        var parent = folder.root
        for component in components { parent = try parent.step(component) }
        return Place(parent: parent, name: name)
    }

    /// ISO C's modes of fopen in the order of their numbers, without `b`.
    private static let modes: [Int32] = [
        O_RDONLY, O_RDWR, O_WRONLY | O_CREAT | O_TRUNC, O_RDWR | O_CREAT | O_TRUNC, O_WRONLY | O_CREAT | O_APPEND, O_RDWR | O_CREAT | O_APPEND,
    ]

    /// - Parameter mode: 0…11 (SYS_OPEN).
    func open(_ path: String, mode: Int) throws(FolderError) -> OpenFile {
        let flags = Self.modes[mode / 2]
        if flags != O_RDONLY { try refuseIfReadOnly() }
        let place = try place(path)
        if flags & O_CREAT != 0 {
            let made = openat(place.parent.descriptor, place.name, flags | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, folder.mode(0o666) & ~Self.creationMask)
            if made >= 0 { return OpenFile(made, flags: flags) }
            guard errno == EEXIST else { throw FolderError.last }
        }
        let node = try place.parent.step(place.name)
        guard try node.facts().st_mode & S_IFMT != S_IFDIR else { throw FolderError(EISDIR) }
        return OpenFile(try node.open(flags & ~O_CREAT), flags: flags)
    }

    /// The host applies its own mask, too; nothing new is ever writable for others.
    private static let creationMask: mode_t = 0o022

    func remove(_ path: String) throws(FolderError) {
        try refuseIfReadOnly()
        let place = try place(path)
        _ = try FolderError.check(unlinkat(place.parent.descriptor, place.name, 0))
    }

    func rename(_ old: String, _ new: String) throws(FolderError) {
        try refuseIfReadOnly()
        let from = try place(old), to = try place(new)
        _ = try FolderError.check(renameat(from.parent.descriptor, from.name, to.parent.descriptor, to.name))
    }

    private func refuseIfReadOnly() throws(FolderError) {
        if folder.isReadOnly { throw FolderError(EROFS) }
    }
}
