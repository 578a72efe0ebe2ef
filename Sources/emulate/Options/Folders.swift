import EmuDevices
import EmuMachine

/// Readers of `--share`, `-fsdev` and `-virtfs`: folders of the host for the guest.
enum FolderOptions {
    private static let models = SharedFolder.Ownership.allCases.map(\.rawValue)

    private static let folder: [Property] = [
        Property("path", .text, "the folder"),
        Property("security_model", .choice(models), "owners of files: none (whoever runs emulate) or passthrough (the guest's) (default: none)"),
        Property("readonly", .bool, "the guest cannot write (default: off)"),
    ]

    static let properties = [Property("id", .text, "name for -device virtio-9p-device,fsdev=")] + folder
    private static let device = [Property("mount_tag", .text, "what the guest mounts")]

    /// A folder and, unless a `-device` is to be given for it, its device.
    struct Share {
        var folder: FolderConfig
        var device: DeviceConfig?
    }

    /// - Parameter index: number of folders before this one.
    static func share(_ use: OptionUse, index: Int) throws(CommandEnd) -> Share {
        var elements = PropertyList.split(use.value)
        var path = elements.removeFirst(), tag = index == 0 ? "share" : "share\(index)"
        // A colon in the path itself is told from a tag's by the slash that follows, or by an empty tag behind it.
        if let colon = path.lastIndex(of: ":"), !path[colon...].contains("/") {
            let given = String(path[path.index(after: colon)...])
            path = String(path[..<colon])
            if !given.isEmpty { tag = given }
        }
        let list = try PropertyList(elements: elements, use, folder.filter { $0.name != "path" }, of: use.option)
        return try share(use, id: "#share\(index)", path: path, tag: tag, list)
    }

    static func fsdev(_ use: OptionUse) throws(CommandEnd) -> Share {
        let list = try local(use, properties)
        guard let id = list["id"], !id.isEmpty else { throw use.failed("needs an id: -fsdev local,id=fs0,path=FOLDER") }
        return try share(use, id: id, path: list["path"] ?? "", tag: nil, list)
    }

    static func virtfs(_ use: OptionUse, index: Int) throws(CommandEnd) -> Share {
        let list = try local(use, properties + device)
        guard let tag = list["mount_tag"] else { throw use.failed("needs mount_tag=TAG, by which the guest mounts it") }
        return try share(use, id: list["id"] ?? "#virtfs\(index)", path: list["path"] ?? "", tag: tag, list)
    }

    private static func local(_ use: OptionUse, _ properties: [Property]) throws(CommandEnd) -> PropertyList {
        var elements = PropertyList.split(use.value)
        let kind = elements.removeFirst().replacingPrefix("fsdriver=", with: "")
        if kind == "help" || kind == "?" { throw .answered("Folder backends:\n" + columns([("  local", "a folder of this computer")])) }
        guard kind == "local" else { throw use.failed("unknown folder backend '\(kind)'; there is local") }
        return try PropertyList(elements: elements, use, properties, of: "\(use.option) local")
    }

    private static func share(_ use: OptionUse, id: String, path: String, tag: String?, _ list: PropertyList) throws(CommandEnd) -> Share {
        guard !path.isEmpty else { throw use.failed("needs a folder") }
        var folder = FolderConfig(id: id, path: path)
        folder.isReadOnly = list.bool("readonly") ?? false
        if let model = list["security_model"].flatMap(SharedFolder.Ownership.init(rawValue:)) { folder.ownership = model }
        guard let tag else { return Share(folder: folder) }
        var device = DeviceConfig(driver: "virtio-9p-device")
        device.properties = [.init(name: "fsdev", value: id), .init(name: "mount_tag", value: tag)]
        return Share(folder: folder, device: device)
    }
}
