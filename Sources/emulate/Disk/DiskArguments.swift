import EmuBus
import EmuDevices
import EmuMachine

/// What an `emulate disk` verb was asked for; each verb takes some of the options.
struct DiskArguments {
    enum SnapshotAction: Equatable { case list, create(String), apply(String), delete(String) }

    var format: DiskFormat?
    /// `-O` of convert, `-F` of compare: the other image's.
    var otherFormat: DiskFormat?
    /// `-o`, as `name=value`.
    var creation: [(name: String, value: String)] = []
    var backing: String?
    var backingFormat: DiskFormat?
    var isJSON = false
    var isQuiet = false
    var showsProgress = false
    /// `-U`: look at an image that another program has open for writing.
    var isForced = false
    /// `-u`: do not look at the backing file.
    var ignoresBacking = false
    var wholeChain = false
    var repair: Qcow2Check.Repair?
    var compresses = false
    var keepsTarget = false
    var sparseSize: UInt64 = 4096
    /// `-l` of convert.
    var source: String?
    var snapshot: SnapshotAction?
    var shrinks = false
    var preallocation: Qcow2Image.Preallocation = .off
    var keepsData = false
    var isStrict = false
    var start: UInt64 = 0
    var length = UInt64.max
    var words: [String] = []

    typealias Row = Option<DiskArguments>

    /// Every option, by the name messages use.
    static let format = Row(["f"], "FORMAT", help: "format of the image: raw or qcow2 (default: by its contents)") { arguments, use throws(CommandEnd) in
        arguments.format = try readFormat(use)
    }
    static let output = Row(["output"], "human|json", help: "form of the output (default: human)") { arguments, use throws(CommandEnd) in
        guard ["human", "json"].contains(use.value) else { throw use.failed("'\(use.value)' is not one of human, json") }
        arguments.isJSON = use.value == "json"
    }
    static let quiet = Row(["q"], help: "print errors only") { arguments, _ in arguments.isQuiet = true }
    static let progress = Row(["p"], help: "show the progress on standard error") { arguments, _ in arguments.showsProgress = true }
    static let force = Row(["U", "force-share"], help: "look at the image even if another program has it open for writing") { arguments, _ in arguments.isForced = true }
    static let creation = Row(["o"], "NAME=VALUE[,…]", help: "properties of the new image ('-o help' lists them)") { arguments, use throws(CommandEnd) in
        if use.value == "help" || use.value == "?" { throw .answered("Properties of a new qcow2 image:\n" + columns(creationProperties.map { ("  " + $0.usage, $0.help) })) }
        arguments.creation += try PropertyList(use, creationProperties, of: "-o").items
    }
    static let backing = Row(["b"], "FILE", help: "the image shown where this one has no data (convert: also -B)") { arguments, use throws(CommandEnd) in
        arguments.backing = use.value
    }
    static let backingFormat = Row(["F"], "FORMAT", help: "format of the backing image") { arguments, use throws(CommandEnd) in
        arguments.backingFormat = try readFormat(use)
    }

    static let creationProperties: [Property] = [
        Property("size", .size(unit: 1), "size of the disk"),
        Property("backing_file", .text, "the image shown where this one has no data"),
        Property("backing_fmt", .choice(DiskFormat.allCases.map(\.rawValue)), "its format"),
        Property("cluster_size", .size(unit: 1), "512 to 2M, a power of two (default: 64K)"),
        Property("compat", .choice(["0.10", "v2", "1.1", "v3"]), "version of the format (default: 1.1)"),
        Property("compression_type", .choice(["zlib", "zstd"]), "for compressed clusters (default: zlib)"),
        Property("extended_l2", .bool, "clusters in 32 parts that are allocated by themselves (default: off)"),
        Property("lazy_refcounts", .bool, "put off reference counts until an image is closed (default: off)"),
        Property("preallocation", .choice(Qcow2Image.Preallocation.allCases.map(\.rawValue)), "what is set aside at once (default: off)"),
        Property("refcount_bits", .number(1...64), "width of reference counts, a power of two (default: 16)"),
    ]

    static func readFormat(_ use: OptionUse) throws(CommandEnd) -> DiskFormat {
        guard let format = DiskFormat(rawValue: use.value) else {
            let names = DiskFormat.allCases.map(\.rawValue)
            throw use.failed("'\(use.value)' is not one of \(names.joined(separator: ", "))" + didYouMean(use.value, among: names))
        }
        return format
    }

    static func readSize(_ use: OptionUse) throws(CommandEnd) -> UInt64 {
        guard let size = Values.size(use.value) else { throw use.failed("'\(use.value)' is not a size such as 512M or 2G") }
        return size
    }

    // MARK: Opening

    /// How the image itself is opened; with `-U` without locks.
    func imageOptions(isReadOnly: Bool, format: DiskFormat?) -> ImageOptions {
        var options = ImageOptions()
        options.access = ImageAccess(isReadOnly: isReadOnly, isLocked: !isForced)
        options.format = format
        options.opensBacking = !ignoresBacking
        return options
    }

    /// What `-o` says of a new image.
    func settings(size: UInt64) -> Qcow2Image.Settings {
        var settings = Qcow2Image.Settings(size: (size + 511) / 512 * 512)
        for (name, value) in creation {
            switch name {
            case "cluster_size": settings.clusterSize = Values.size(value) ?? 0
            case "compat": settings.version = ["0.10", "v2"].contains(value) ? 2 : 3
            case "compression_type": settings.compression = value == "zstd" ? .zstd : .zlib
            case "extended_l2": settings.extendedL2 = Values.bool(value) ?? false
            case "lazy_refcounts": settings.lazyRefcounts = Values.bool(value) ?? false
            case "preallocation": settings.preallocation = Qcow2Image.Preallocation(rawValue: value) ?? .off
            case "refcount_bits": settings.refcountBits = Values.number(value) ?? 0
            case "backing_file": settings.backingFile = value
            case "backing_fmt": settings.backingFormat = value
            default: break
            }
        }
        if let backing { settings.backingFile = backing }
        if let backingFormat { settings.backingFormat = backingFormat.rawValue }
        return settings
    }

    func created(_ name: String) -> String? { creation.last { $0.name == name }?.value }
}
