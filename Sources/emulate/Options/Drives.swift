import EmuDevices
import EmuMachine

/// Readers of `-drive`, `-hda` and `-cdrom`.
enum DriveOptions {
    /// Properties that say how an image behaves, with the names they have on `-drive`.
    static let behaviour: [Property] = [
        Property("readonly", .bool, "the guest cannot write (default: off)"),
        Property("read-only", .bool, "the same as readonly"),
        Property(
            "discard", .choice(["ignore", "off", "unmap", "on"]),
            "unmap: what the guest discards gives its space back; ignore: it stays (default)"),
        Property("detect-zeroes", .choice(["off", "on", "unmap"]), "on: writes of zeroes become zero clusters; unmap: with discard=unmap holes (default: off)"),
        Property("cache.direct", .bool, "go past the host's page cache where the guest's buffers are aligned (default: off)"),
        Property("cache.no-flush", .bool, "ignore the guest's flushes (default: off)"),
        Property("aio", .choice(["threads"]), "how the host does it: on threads of its own (default)"),
        Property("lazy-refcounts", .bool, "qcow2: put off reference counts until the end (default: as the image says)"),
    ]

    static let properties: [Property] = [
        Property("file", .text, "the disk image or block device"),
        Property("format", .choice(DiskFormat.allCases.map(\.rawValue)), "format of the image (default: by its contents)"),
        Property(
            "if", .choice(DriveInterface.allCases.map(\.rawValue)),
            "virtio: a virtio-blk-pci disk of its own (default); none: only for a -device …,drive=; pflash: a bank of flash memory"),
        Property("unit", .number(0...1), "bank of flash memory (default: the first free one)"),
        Property("id", .text, "name for -device …,drive="),
        Property("snapshot", .bool, "drop what the guest writes when emulate ends (default: off)"),
        Property("media", .choice(["disk", "cdrom"]), "cdrom implies readonly (default: disk)"),
        Property(
            "cache", .choice(["writeback", "none", "writethrough", "directsync", "unsafe"]),
            "writeback: a guest's flush brings its writes to the disk (default); writethrough: every write goes there at once\n"
                + "none, directsync: the same with cache.direct=on; unsafe: flushes are ignored"),
        Property("file.locking", .choice(["auto", "on", "off"]), "off: other programs may have the image open for writing (default: auto, which is on)"),
        Property("force-share", .bool, "the same as file.locking=off; needs readonly"),
    ] + behaviour

    static func drive(_ use: OptionUse) throws(CommandEnd) -> DriveConfig {
        let list = try PropertyList(use, properties)
        guard let file = list["file"], !file.isEmpty else { throw use.failed("needs file=PATH") }
        var drive = DriveConfig(file: file)
        drive.format = list["format"].flatMap(DiskFormat.init)
        drive.interface = list["if"].flatMap(DriveInterface.init) ?? .virtio
        drive.id = list["id"]
        drive.unit = list.number("unit").map { Int($0) }
        if drive.unit != nil, drive.interface != .pflash { throw use.failed("unit is for if=pflash") }
        drive.isSnapshot = list.bool("snapshot") ?? false
        switch list["cache"] {
        case "none": drive.isDirect = true
        case "writethrough": drive.settings.writesThrough = true
        case "directsync":
            drive.isDirect = true
            drive.settings.writesThrough = true
        case "unsafe": drive.settings.ignoresFlushes = true
        default: break
        }
        drive.isOptical = list["media"] == "cdrom"
        drive.isReadOnly = drive.isOptical
        drive.isLocked = list["file.locking"] != "off"
        try apply(list, to: &drive, use)
        if list.bool("force-share") ?? false {
            guard drive.isReadOnly else { throw use.failed("force-share=on needs readonly=on") }
            drive.isLocked = false
        }
        if drive.interface == .none, drive.id == nil {
            throw use.failed("if=none needs an id, or nothing can use the drive: add id=hd0 and -device virtio-blk-pci,drive=hd0")
        }
        return drive
    }

    /// Takes over the properties of `behaviour`.
    static func apply(_ list: PropertyList, to drive: inout DriveConfig, _ use: OptionUse) throws(CommandEnd) {
        if let isReadOnly = list.bool("read-only") ?? list.bool("readonly") {
            guard isReadOnly || !drive.isReadOnly else { throw use.failed("read-only=off contradicts media=cdrom or the read-only=on of the node below; leave one of them out") }
            drive.isReadOnly = isReadOnly
        }
        if let discard = list["discard"] { drive.settings.discards = ["unmap", "on"].contains(discard) }
        if let detection = list["detect-zeroes"].flatMap(DiskSettings.ZeroDetection.init) { drive.settings.zeroDetection = detection }
        guard drive.settings.zeroDetection != .unmap || drive.settings.discards else { throw use.failed("detect-zeroes=unmap needs discard=unmap") }
        drive.isDirect = list.bool("cache.direct") ?? drive.isDirect
        drive.settings.ignoresFlushes = list.bool("cache.no-flush") ?? drive.settings.ignoresFlushes
        drive.lazyRefcounts = list.bool("lazy-refcounts") ?? drive.lazyRefcounts
    }
}
