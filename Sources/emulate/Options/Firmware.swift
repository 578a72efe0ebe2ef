import EmuBus
import EmuMachine

/// Readers of what is meant for firmware: `-boot`, `-fw_cfg`, `-smbios`, `-uuid`.
enum FirmwareOptions {
    static let bootProperties: [Property] = [
        Property("menu", .bool, "the firmware shows its menu (default: off)"),
        Property("splash-time", .number(0...65535), "milliseconds it waits for a key"),
        Property("reboot-timeout", .number(0...65535), "milliseconds after which a failed boot is tried again"),
        Property("strict", .bool, "only devices with bootindex= or of the kinds in order= are tried (default: off)"),
        Property("order", .text, "what it tries after devices with bootindex=: c disks, d optical disks, n networks"),
        Property("once", .text, "the same until the first reset"),
    ]

    static func boot(_ use: OptionUse) throws(CommandEnd) -> BootConfig {
        let list = try PropertyList(use, bootProperties, implied: "order")
        var boot = BootConfig()
        boot.hasMenu = list.bool("menu") ?? false
        boot.menuWait = list.number("splash-time").map { UInt16($0) }
        boot.retryDelay = list.number("reboot-timeout").map { UInt16($0) }
        boot.isStrict = list.bool("strict") ?? false
        boot.order = try bootKinds(list, "order", use) ?? ""
        boot.once = try bootKinds(list, "once", use)
        return boot
    }

    /// The letters of `order=` or `once=`. Floppy disks (a, b) may be named, as in QEMU, and are never there.
    private static func bootKinds(_ list: PropertyList, _ name: String, _ use: OptionUse) throws(CommandEnd) -> String? {
        guard let letters = list[name] else { return nil }
        guard !letters.isEmpty, letters.allSatisfy("abcdn".contains), Set(letters).count == letters.count else {
            throw use.failed("\(name)=\(letters): write each kind of device once: c disks, d optical disks, n networks")
        }
        return letters
    }

    static let fileProperties: [Property] = [
        Property("name", .text, "opt/… by convention"), Property("file", .text, "its contents"), Property("string", .text, "its contents, without a final zero"),
    ]

    static func file(_ use: OptionUse) throws(CommandEnd) -> FirmwareFile {
        let list = try PropertyList(use, fileProperties, implied: "name")
        guard let name = list["name"], !name.isEmpty else { throw use.failed("needs name=NAME") }
        switch (list["file"], list["string"]) {
        case (let path?, nil) where !path.isEmpty: return FirmwareFile(name: name, contents: .file(path))
        case (nil, let text?): return FirmwareFile(name: name, contents: .text(text))
        default: throw use.failed("needs either file=FILE or string=TEXT")
        }
    }

    /// `file=…`, or `type=N` and fields of that structure.
    static func smbios(_ use: OptionUse, _ config: inout MachineConfig) throws(CommandEnd) {
        let elements = PropertyList.split(use.value)
        if elements.contains(where: { $0.hasPrefix("file=") }) {
            let list = try PropertyList(use, [Property("file", .text, "a structure")])
            config.smbiosFiles.append(list["file"] ?? "")
            return
        }
        let types = SMBIOSFields.fields.keys.sorted()
        guard let text = elements.first(where: { $0.hasPrefix("type=") })?.dropFirst(5), let type = UInt8(text), let names = SMBIOSFields.fields[type] else {
            throw use.failed("needs file=FILE, or type=N with N one of \(types.map(String.init).joined(separator: ", "))")
        }
        let list = try PropertyList(
            use, [Property("type", .text, "structure"), Property("uefi", .bool, "accepted")] + names.map { Property($0, kind(of: $0), "") }, of: "type=\(type)")
        if type == 1, let uuid = list["uuid"] { config.uuid = try Self.uuid(use, uuid) }
        let fields = list.items.filter { !["type", "uuid", "uefi"].contains($0.name) }
        config.smbios.append(SMBIOSFields(type: type, properties: fields.map { DeviceConfig.Property(name: $0.name, value: $0.value) }))
    }

    private static func kind(of field: String) -> PropertyKind {
        ["speed", "max-speed", "current-speed"].contains(field) ? .number(0...65535) : .text
    }

    /// 16 bytes in the order of the text.
    static func uuid(_ use: OptionUse, _ text: String) throws(CommandEnd) -> [UInt8] {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.map(\.count) == [8, 4, 4, 4, 12], parts.allSatisfy({ $0.allSatisfy { $0.isASCII && $0.isHexDigit } }) else {
            throw use.failed("'\(text)' is not a UUID such as 4c4c4544-0042-4a10-8056-b7c04f313533")
        }
        let digits = Array(parts.joined())
        return stride(from: 0, to: 32, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0 }
    }
}
