import EmuBus
import EmuDevices
import EmuMachine
import Glibc

extension DiskCommand {
    static let create: DiskVerb = DiskVerb(
        name: "create", summary: "Makes an empty image.", operands: "FILE [SIZE]",
        options: [
            Option(["f"], "FORMAT", help: "raw or qcow2 (default: raw)") { arguments, use throws(CommandEnd) in arguments.format = try DiskArguments.readFormat(use) },
            DiskArguments.creation, DiskArguments.backing, DiskArguments.backingFormat, DiskArguments.quiet,
            Option(["u"], help: "do not look at the backing file; SIZE is needed then") { arguments, _ in arguments.ignoresBacking = true },
        ]
    ) { arguments in
        let words = try create.operands(arguments, 1...2)
        let path = words[0]
        var settings = arguments.settings(size: 0)
        var size = try words.dropFirst().first.map { try readSize($0, "disk create \(path)") } ?? arguments.created("size").flatMap { Values.size($0) }
        if let name = settings.backingFile, !arguments.ignoresBacking {
            settings.backingFormat = try checkBacking(name, settings.backingFormat, besides: path, size: &size)
        }
        guard let size else { throw DiskError("'\(path)' needs a size: emulate disk create \(path) 4G") }
        settings.size = (size + 511) / 512 * 512
        let format = arguments.format ?? .raw
        try makeImage(path, format, settings)
        return print("Formatting '\(path)', fmt=\(format.rawValue) size=\(settings.size)\n", arguments)
    }

    static func readSize(_ text: String, _ option: String) throws(CommandEnd) -> UInt64 {
        guard let size = Values.size(text), size <= 1 << 62 else { throw .failed(option, "'\(text)' is not a size such as 512M or 2G") }
        return size
    }

    /// Makes sure that a backing file can be one; returns its format. Takes its size where none was given.
    static func checkBacking(_ name: String, _ format: String?, besides path: String, size: inout UInt64?) throws -> String {
        guard let format else { throw DiskError("the backing file '\(name)' needs its format: add -F raw or -F qcow2") }
        guard let known = DiskFormat(rawValue: format) else { throw DiskError("backing format '\(format)' is not raw or qcow2") }
        var options = ImageOptions()
        // Somebody may be using it as a backing file right now.
        options.access = ImageAccess(isReadOnly: true, isLocked: false)
        options.format = known
        let backing = try DiskImages.open(DiskImages.resolve(name, besides: path), options)
        if size == nil { size = backing.size }
        return format
    }

    /// Creates the file and the image in it.
    static func makeImage(_ path: String, _ format: DiskFormat, _ settings: Qcow2Image.Settings) throws {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0o644)
        guard descriptor >= 0 else { throw DiskError("'\(path)' cannot be created: \(String(cString: strerror(errno)))") }
        let file = HostFile(descriptor: descriptor, name: "disk '\(path)'")
        try ImageLock.take(file, path: path, isWriter: true)
        switch format {
        case .qcow2: try Qcow2Image.create(file, settings)
        case .raw:
            guard settings.backingFile == nil else { throw DiskError("a raw image has no backing file; use -f qcow2") }
            try file.truncate(to: 0)
            try file.truncate(to: settings.size)
            switch settings.preallocation {
            case .off: break
            case .metadata: throw DiskError("preallocation=metadata is for qcow2; raw images have off, falloc and full")
            case .falloc: try file.reserve(at: 0, length: settings.size)
            case .full: try file.writeZeroes(at: 0, length: settings.size, mayUnmap: false)
            }
        }
    }

    static let resize: DiskVerb = DiskVerb(
        name: "resize", summary: "Changes the size of an image's disk.", operands: "FILE [+|-]SIZE",
        options: [
            DiskArguments.format, DiskArguments.quiet,
            Option(["shrink"], help: "needed to make it smaller: what is cut off is lost") { arguments, _ in arguments.shrinks = true },
            Option(["preallocation"], "MODE", help: "what is set aside of what is added: off, metadata, falloc, full (default: off)") { arguments, use throws(CommandEnd) in
                guard let mode = Qcow2Image.Preallocation(rawValue: use.value) else { throw use.failed("'\(use.value)' is not one of off, metadata, falloc, full") }
                arguments.preallocation = mode
            },
        ]
    ) { arguments in
        let words = try resize.operands(arguments, 2...2)
        let image = try DiskImages.open(words[0], arguments.imageOptions(isReadOnly: false, format: arguments.format))
        let amount = try readSize(words[1].hasPrefix("+") || words[1].hasPrefix("-") ? String(words[1].dropFirst()) : words[1], "disk resize")
        var size = amount
        if words[1].hasPrefix("+") { size = image.size + amount }
        if words[1].hasPrefix("-") {
            guard amount < image.size else { throw DiskError("'\(words[0])' has \(image.size) bytes only") }
            size = image.size - amount
        }
        size = (size + 511) / 512 * 512
        guard size >= image.size || arguments.shrinks else {
            throw DiskError("'\(words[0])' would become smaller, and what is behind byte \(size) would be lost; shrink what is on it first, then use --shrink")
        }
        if let qcow2 = image as? Qcow2Image {
            try qcow2.resize(to: size, preallocation: arguments.preallocation)
            try qcow2.close()
        } else {
            let old = image.size
            try image.file.truncate(to: size)
            if arguments.preallocation == .falloc, size > old { try image.file.reserve(at: old, length: size - old) }
            if arguments.preallocation == .full, size > old { try image.file.writeZeroes(at: old, length: size - old, mayUnmap: false) }
            try image.file.flush()
        }
        return print("Image resized.\n", arguments)
    }

    static let snapshot: DiskVerb = DiskVerb(
        name: "snapshot", summary: "Takes, lists, applies and deletes snapshots inside an image.", operands: "FILE",
        options: [
            Option(["l"], help: "list them (default)") { arguments, _ in arguments.snapshot = .list },
            Option(["c"], "NAME", help: "take one") { arguments, use in arguments.snapshot = .create(use.value) },
            Option(["a"], "NAME", help: "make the disk what it was then; what it is now is lost") { arguments, use in arguments.snapshot = .apply(use.value) },
            Option(["d"], "NAME", help: "delete one") { arguments, use in arguments.snapshot = .delete(use.value) },
            DiskArguments.quiet, DiskArguments.force,
        ]
    ) { arguments in
        let path = try snapshot.operands(arguments, 1...1)[0]
        let action = arguments.snapshot ?? .list
        let image = try DiskImages.open(path, arguments.imageOptions(isReadOnly: action == .list, format: nil))
        guard let qcow2 = image as? Qcow2Image else { throw DiskError("'\(path)' is a \(image.format.rawValue) image, which has no snapshots; only qcow2 has") }
        switch action {
        case .list: return qcow2.snapshots.isEmpty ? 0 : print("Snapshot list:\n" + snapshotTable(qcow2.snapshots) + "\n", arguments)
        case .create(let name):
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            try qcow2.createSnapshot(name, seconds: UInt32(truncatingIfNeeded: now.tv_sec), nanoseconds: UInt32(now.tv_nsec))
        case .apply(let name): try qcow2.applySnapshot(name)
        case .delete(let name): try qcow2.deleteSnapshot(name)
        }
        try qcow2.close()
        return 0
    }
}
