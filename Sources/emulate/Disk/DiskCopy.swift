import EmuBus
import EmuDevices
import EmuMachine
import Glibc

extension DiskCommand {
    /// Bytes moved at once.
    private static let chunk: UInt64 = 2 << 20

    private static func progress(_ done: UInt64, _ all: UInt64, _ arguments: DiskArguments) {
        guard arguments.showsProgress, all > 0 else { return }
        var text = "    (\(DiskText.fixed(Double(done) * 100 / Double(all), 2))/100%)\r\(done == all ? "\n" : "")"
        text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    // MARK: Convert

    static let convert: DiskVerb = DiskVerb(
        name: "convert", summary: "Copies a disk into an image of another kind.", operands: "FILE OUTPUT",
        options: [
            DiskArguments.format,
            Option(["O"], "FORMAT", help: "format of the output (default: raw)") { arguments, use throws(CommandEnd) in arguments.otherFormat = try DiskArguments.readFormat(use) },
            DiskArguments.creation,
            Option(["c"], help: "compress (qcow2)") { arguments, _ in arguments.compresses = true },
            Option(["B", "b"], "FILE", help: "an image with the same contents below the output: only what differs from it is copied") { arguments, use in arguments.backing = use.value },
            DiskArguments.backingFormat,
            Option(["l"], "SNAPSHOT", help: "copy a snapshot inside the image: its name, or snapshot.id=ID, snapshot.name=NAME") { arguments, use in arguments.source = use.value },
            Option(["n"], help: "write into an image that is there already") { arguments, _ in arguments.keepsTarget = true },
            Option(["S"], "SIZE", help: "leave out runs of zeroes of this size; 0: none (default: 4k)") { arguments, use throws(CommandEnd) in arguments.sparseSize = try DiskArguments.readSize(use) },
            DiskArguments.progress, DiskArguments.quiet, DiskArguments.force,
        ]
    ) { arguments in
        let words = try convert.operands(arguments, 2...2)
        let source = try openSource(words[0], arguments)
        let format = arguments.otherFormat ?? .raw
        guard !arguments.compresses || format == .qcow2 else { throw DiskError("-c needs -O qcow2: raw images cannot be compressed") }
        var settings = arguments.settings(size: source.size)
        var base: (any DiskImage)?
        if let name = settings.backingFile {
            var size: UInt64? = source.size
            settings.backingFormat = try checkBacking(name, settings.backingFormat, besides: words[1], size: &size)
        }
        if !arguments.keepsTarget {
            try refuseSameFile(source, words[1])
            try makeImage(words[1], format, settings)
        }
        let target = try DiskImages.open(words[1], arguments.imageOptions(isReadOnly: false, format: format))
        guard target.size >= source.size else { throw DiskError("'\(words[1])' has \(target.size) bytes, too few for \(source.size)") }
        base = target.backing
        try copy(source, to: target, over: base, arguments)
        try target.close()
        return 0
    }

    private static func openSource(_ path: String, _ arguments: DiskArguments) throws -> any DiskImage {
        let image = try DiskImages.open(path, arguments.imageOptions(isReadOnly: true, format: arguments.format))
        guard var name = arguments.source else { return image }
        for prefix in ["snapshot.id=", "snapshot.name="] { name = name.replacingPrefix(prefix, with: "") }
        guard let qcow2 = image as? Qcow2Image else { throw DiskError("'\(path)' is a raw image, which has no snapshots") }
        return try qcow2.snapshotView(name)
    }

    private static func refuseSameFile(_ source: any DiskImage, _ path: String) throws {
        var target = stat()
        guard stat(path, &target) == 0 else { return }
        for image in source.chain {
            var own = stat()
            guard let file = image.file as? HostFile, fstat(file.descriptor, &own) == 0 else { continue }
            if own.st_ino == target.st_ino, own.st_dev == target.st_dev { throw DiskError("'\(path)' is read and written at once; write to another file") }
        }
    }

    private static func copy(_ source: any DiskImage, to target: any DiskImage, over base: (any DiskImage)?, _ arguments: DiskArguments) throws {
        let qcow2 = target as? Qcow2Image
        let unit = max(qcow2?.header.clusterSize ?? 4096, 4096)
        // Runs of zeroes this long are not written; with -S 0 everything is.
        let granule = arguments.sparseSize == 0 ? 0 : max(512, arguments.sparseSize / 512 * 512)
        let buffer = TransferBuffer(Int(chunk)), below = TransferBuffer(Int(chunk))
        var position: UInt64 = 0
        while position < source.size {
            progress(position, source.size, arguments)
            var length = min(chunk, source.size - position)
            // What nobody has is not read at all.
            let (_, extent) = try source.resolvedExtent(at: position, limit: source.size - position)
            if extent.kind == .unallocated || extent.kind == .zero, base == nil, !arguments.keepsTarget, granule > 0, extent.length >= unit || extent.length == source.size - position {
                position = min(source.size, extent.length == source.size - position ? source.size : (position + extent.length) / unit * unit)
                continue
            }
            length = min(length, chunk)
            let data = buffer.part(0..<Int(length))
            try source.perform(.read(offset: position, into: [data]))
            if let base { try readPadded(base, position, below.part(0..<Int(length))) }
            var done = 0
            while done < Int(length) {
                let piece = min(Int(unit), Int(length) - done)
                let part = UnsafeMutableRawBufferPointer(rebasing: data[done..<done + piece])
                let isBelow = base != nil && memcmp(part.baseAddress!, below.memory.baseAddress! + done, piece) == 0
                if !isBelow { try write(part, at: position + UInt64(done), to: target, qcow2, base != nil, granule, arguments) }
                done += piece
            }
            position += length
        }
        progress(source.size, source.size, arguments)
    }

    private static func readPadded(_ image: any DiskImage, _ offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer) throws(HostError) {
        let there = offset < image.size ? Int(min(image.size - offset, UInt64(buffer.count))) : 0
        if there > 0 { try image.perform(.read(offset: offset, into: [UnsafeMutableRawBufferPointer(rebasing: buffer[..<there])])) }
        UnsafeMutableRawBufferPointer(rebasing: buffer[there...]).initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// One piece, at most a cluster of the target.
    private static func write(
        _ part: UnsafeMutableRawBufferPointer, at offset: UInt64, to target: any DiskImage, _ qcow2: Qcow2Image?, _ hasBase: Bool, _ granule: UInt64,
        _ arguments: DiskArguments
    ) throws {
        if granule > 0, UnsafeRawBufferPointer(part).isZero {
            if hasBase || arguments.keepsTarget { try target.perform(.writeZeroes(offset: offset, length: UInt64(part.count), mayUnmap: true)) }
            return
        }
        if arguments.compresses, let qcow2 {
            let cluster = TransferBuffer(Int(qcow2.header.clusterSize), zeroed: true)
            cluster.memory.copyMemory(from: UnsafeRawBufferPointer(part))
            if offset % qcow2.header.clusterSize == 0, try qcow2.writeCompressed(offset, cluster.part(0..<Int(qcow2.header.clusterSize))) { return }
        }
        guard qcow2 == nil, granule > 0, granule < UInt64(part.count) else { return try target.perform(.write(offset: offset, from: [part])) }
        var done = 0
        while done < part.count {
            let piece = UnsafeMutableRawBufferPointer(rebasing: part[done..<min(part.count, done + Int(granule))])
            if !UnsafeRawBufferPointer(piece).isZero || arguments.keepsTarget { try target.perform(.write(offset: offset + UInt64(done), from: [piece])) }
            done += piece.count
        }
    }

    // MARK: Commit

    static let commit: DiskVerb = DiskVerb(
        name: "commit", summary: "Writes what an image has into the image below it.", operands: "FILE",
        options: [
            DiskArguments.format,
            Option(["b"], "BASE", help: "write into this image of the chain and past those between (implies -d)") { arguments, use in arguments.backing = use.value },
            Option(["d"], help: "leave FILE as it is instead of emptying it") { arguments, _ in arguments.keepsData = true },
            DiskArguments.progress, DiskArguments.quiet,
        ]
    ) { arguments in
        let path = try commit.operands(arguments, 1...1)[0]
        let top = try DiskImages.open(path, arguments.imageOptions(isReadOnly: false, format: arguments.format))
        let chain = top.chain
        guard chain.count > 1 else { throw DiskError("'\(path)' has no backing file to write to") }
        var depth = 1
        if let base = arguments.backing {
            guard let found = chain.firstIndex(where: { $0.path == base || $0.path.hasSuffix("/" + base) }), found > 0 else {
                throw DiskError("'\(base)' is not below '\(path)'; below it are \(chain.dropFirst().map { "'\($0.path)'" }.joined(separator: ", "))")
            }
            depth = found
        }
        try write(top, down: chain, depth, arguments)
        if !arguments.keepsData, arguments.backing == nil, let qcow2 = top as? Qcow2Image { try qcow2.empty() }
        try top.close()
        return print("Image committed.\n", arguments)
    }

    private static func write(_ top: any DiskImage, down chain: [any DiskImage], _ depth: Int, _ arguments: DiskArguments) throws {
        let base = chain[depth]
        guard let file = base.file as? HostFile else { throw DiskError("'\(base.path)' cannot be opened for writing") }
        try file.withWriteAccess(path: base.path) { writable throws(DiskError) in
            let target = try base.writable(through: writable)
            if top.size > target.size {
                if let qcow2 = target as? Qcow2Image {
                    try qcow2.resize(to: top.size)
                } else {
                    do throws(HostError) { try writable.truncate(to: top.size) } catch { throw DiskError("\(error)") }
                }
            }
            do throws(HostError) {
                let buffer = TransferBuffer(Int(chunk))
                var position: UInt64 = 0
                while position < top.size {
                    progress(position, top.size, arguments)
                    let (level, extent) = try top.resolvedExtent(at: position, limit: min(top.size - position, chunk))
                    if level < depth, extent.kind != .unallocated {
                        if extent.kind == .zero {
                            try target.perform(.writeZeroes(offset: position, length: extent.length, mayUnmap: true))
                        } else {
                            let part = buffer.part(0..<Int(extent.length))
                            try top.perform(.read(offset: position, into: [part]))
                            try target.perform(.write(offset: position, from: [part]))
                        }
                    }
                    position += extent.length
                }
                try target.close()
            } catch { throw DiskError("\(error)") }
        }
        try base.reload()
        progress(top.size, top.size, arguments)
    }

    // MARK: Compare

    static let compare: DiskVerb = DiskVerb(
        name: "compare", summary: "Tells whether two images show the same disk: exit code 0 if so, 1 if not, 2 for errors.", operands: "FILE1 FILE2",
        options: [
            DiskArguments.format,
            Option(["F"], "FORMAT", help: "format of FILE2 (default: by its contents)") { arguments, use throws(CommandEnd) in arguments.otherFormat = try DiskArguments.readFormat(use) },
            Option(["s"], help: "strict: different sizes and different allocation count as well") { arguments, _ in arguments.isStrict = true },
            DiskArguments.progress, DiskArguments.quiet, DiskArguments.force,
        ]
    ) { arguments in
        let words = try compare.operands(arguments, 2...2)
        let first = try DiskImages.open(words[0], arguments.imageOptions(isReadOnly: true, format: arguments.format))
        let second = try DiskImages.open(words[1], arguments.imageOptions(isReadOnly: true, format: arguments.otherFormat))
        func differ(_ text: String) -> Int32 { print(text + "\n", arguments) == 0 ? 1 : 2 }
        if arguments.isStrict, first.size != second.size { return differ("Strict mode: Image size mismatch!") }
        let one = TransferBuffer(Int(chunk)), other = TransferBuffer(Int(chunk))
        let end = max(first.size, second.size)
        var position: UInt64 = 0
        while position < end {
            progress(position, end, arguments)
            let length = min(chunk, end - position)
            let (a, b) = (try extent(first, position, length), try extent(second, position, length))
            let piece = min(length, a.length, b.length)
            if arguments.isStrict, (a.kind == .unallocated) != (b.kind == .unallocated) { return differ("Strict mode: Offset \(position) block status mismatch!") }
            if a.isZero && b.isZero {
                position += piece
                continue
            }
            try readPadded(first, position, one.part(0..<Int(piece)))
            try readPadded(second, position, other.part(0..<Int(piece)))
            if memcmp(one.memory.baseAddress!, other.memory.baseAddress!, Int(piece)) != 0 {
                var at = 0
                while one.memory[at] == other.memory[at] { at += 1 }
                return differ("Content mismatch at offset \(position + UInt64(at / 512 * 512))!")
            }
            position += piece
        }
        progress(end, end, arguments)
        var text = "Images are identical.\n"
        if first.size != second.size { text = "Warning: Image size mismatch!\n" + text }
        return print(text, arguments)
    }

    private static func extent(_ image: any DiskImage, _ offset: UInt64, _ limit: UInt64) throws(HostError) -> DiskExtent {
        guard offset < image.size else { return DiskExtent(kind: .unallocated, length: limit) }
        return try image.resolvedExtent(at: offset, limit: min(limit, image.size - offset)).extent
    }
}

extension DiskExtent {
    var isZero: Bool { kind == .zero || kind == .unallocated }
}
