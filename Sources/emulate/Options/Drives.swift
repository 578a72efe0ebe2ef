import EmuMachine

/// Readers of `-drive`, `-hda` and `-cdrom`.
enum DriveOptions {
    static let properties: [Property] = [
        Property("file", .text, "the disk image or block device"),
        Property("format", .choice(DriveFormat.allCases.map(\.rawValue)), "format of the image (default: raw)"),
        Property(
            "if", .choice(DriveInterface.allCases.map(\.rawValue)),
            "virtio: a virtio-blk-pci disk of its own (default); none: only for a -device …,drive="),
        Property("id", .text, "name for -device …,drive="),
        Property("readonly", .bool, "the guest cannot write (default: off)"),
        Property("read-only", .bool, "the same as readonly"),
        Property("snapshot", .bool, "drop what the guest writes when emulate ends (default: off)"),
        Property("media", .choice(["disk", "cdrom"]), "cdrom implies readonly (default: disk)"),
        Property("cache", .choice(["writeback"]), "writeback: a guest's flush brings its writes to the disk (default)"),
    ]

    static func drive(_ use: OptionUse) throws(CommandEnd) -> DriveConfig {
        let list = try PropertyList(use, properties)
        guard let file = list["file"], !file.isEmpty else { throw use.failed("needs file=PATH") }
        var drive = DriveConfig(file: file)
        drive.format = list["format"].flatMap(DriveFormat.init) ?? .raw
        drive.interface = list["if"].flatMap(DriveInterface.init) ?? .virtio
        drive.id = list["id"]
        drive.isReadOnly = list.bool("read-only") ?? list.bool("readonly") ?? (list["media"] == "cdrom")
        drive.isSnapshot = list.bool("snapshot") ?? false
        if drive.interface == .none, drive.id == nil {
            throw use.failed("if=none needs an id, or nothing can use the drive: add id=hd0 and -device virtio-blk-pci,drive=hd0")
        }
        return drive
    }
}
