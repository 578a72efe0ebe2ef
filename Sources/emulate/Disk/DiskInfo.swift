import EmuBus
import EmuDevices
import Glibc

extension DiskCommand {
    static let info: DiskVerb = DiskVerb(
        name: "info", summary: "Shows what an image is: format, sizes, backing file, snapshots.", operands: "FILE",
        options: [
            DiskArguments.format, DiskArguments.output, DiskArguments.force,
            Option(["backing-chain"], help: "show the images below it too") { arguments, _ in arguments.wholeChain = true },
        ]
    ) { arguments in
        let path = try info.operands(arguments, 1...1)[0]
        var options = arguments.imageOptions(isReadOnly: true, format: arguments.format)
        // An image can be looked at when its backing file is missing.
        options.opensBacking = arguments.wholeChain
        let image = try DiskImages.open(path, options)
        let images = arguments.wholeChain ? image.chain : [image]
        if arguments.isJSON {
            let objects = images.map { json($0, backingBase: $0.path) }
            return print((arguments.wholeChain ? DiskJSON.list(objects) : objects[0]).text() + "\n", arguments)
        }
        return print(images.map { text($0) }.joined(separator: "\n"), arguments)
    }

    private static func allocated(_ image: any DiskImage) -> UInt64 { (image.file as? HostFile)?.allocatedBytes ?? 0 }

    private static func text(_ image: any DiskImage) -> String {
        var lines = [
            "image: \(image.path)", "file format: \(image.format.rawValue)", "virtual size: \(DiskText.size(image.size)) (\(image.size) bytes)",
            "disk size: \(DiskText.size(allocated(image)))",
        ]
        guard let qcow2 = image as? Qcow2Image else { return lines.joined(separator: "\n") + "\n" }
        let header = qcow2.header
        lines.append("cluster_size: \(header.clusterSize)")
        if header.incompatible & Qcow2Header.Incompatible.dirty != 0 { lines.append("cleanly shut down: no") }
        if let backing = header.backingFile {
            let actual = DiskImages.resolve(backing, besides: image.path)
            lines.append("backing file: \(backing)" + (actual == backing ? "" : " (actual path: \(actual))"))
            if let format = header.backingFormat { lines.append("backing file format: \(format)") }
        }
        if !qcow2.snapshots.isEmpty { lines += ["Snapshot list:", snapshotTable(qcow2.snapshots)] }
        lines += ["Format specific information:"] + specifics(header).map { "    \($0.name.replacing("-", with: " ")): \($0.text)" }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func specifics(_ header: Qcow2Header) -> [(name: String, text: String, json: DiskJSON)] {
        func flag(_ name: String, _ value: Bool) -> (String, String, DiskJSON) { (name, value ? "true" : "false", .bool(value)) }
        let compat = ("compat", header.version == 2 ? "0.10" : "1.1", DiskJSON.text(header.version == 2 ? "0.10" : "1.1"))
        let compression = ("compression-type", header.compression.name, DiskJSON.text(header.compression.name))
        let bits = 1 << header.refcountOrder
        let counts = ("refcount-bits", String(bits), DiskJSON.number(bits))
        if header.version == 2 { return [compat, compression, counts] }
        return [
            compat, compression, flag("lazy-refcounts", header.compatible & Qcow2Header.Compatible.lazyRefcounts != 0), counts,
            flag("corrupt", header.incompatible & Qcow2Header.Incompatible.corrupt != 0), flag("extended-l2", header.hasExtendedL2),
        ]
    }

    private static func json(_ image: any DiskImage, backingBase: String) -> DiskJSON {
        var members: [(String, DiskJSON)] = []
        let header = (image as? Qcow2Image)?.header
        if let backing = header?.backingFile, let format = header?.backingFormat {
            _ = backing
            members.append(("backing-filename-format", .text(format)))
        }
        if let snapshots = (image as? Qcow2Image)?.snapshots, !snapshots.isEmpty {
            members.append(("snapshots", .list(snapshots.map(json))))
        }
        members += [("virtual-size", .number(image.size)), ("filename", .text(image.path))]
        if let header { members.append(("cluster-size", .number(header.clusterSize))) }
        members += [("format", .text(image.format.rawValue)), ("actual-size", .number(allocated(image)))]
        if let header {
            let data = specifics(header).map { ($0.name, $0.json) }
            members.append(("format-specific", .object([("type", .text("qcow2")), ("data", .object(data))])))
            if let backing = header.backingFile {
                members += [("full-backing-filename", .text(DiskImages.resolve(backing, besides: image.path))), ("backing-filename", .text(backing))]
            }
        }
        members.append(("dirty-flag", .bool((header?.incompatible ?? 0) & Qcow2Header.Incompatible.dirty != 0)))
        return .object(members)
    }

    private static func json(_ snapshot: Qcow2Snapshot) -> DiskJSON {
        var members: [(String, DiskJSON)] = []
        if let instructions = snapshot.instructions, instructions != .max { members.append(("icount", .number(instructions))) }
        members += [
            ("vm-clock-nsec", .number(snapshot.guestTime % 1_000_000_000)), ("name", .text(snapshot.name)), ("date-sec", .number(UInt64(snapshot.seconds))),
            ("date-nsec", .number(UInt64(snapshot.nanoseconds))), ("vm-clock-sec", .number(snapshot.guestTime / 1_000_000_000)), ("id", .text(snapshot.id)),
            ("vm-state-size", .number(snapshot.stateSize)),
        ]
        return .object(members)
    }

    /// The list of `snapshot -l` and `info`.
    static func snapshotTable(_ snapshots: [Qcow2Snapshot]) -> String {
        func left(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
        func right(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
        func two(_ number: UInt64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let heading = left("ID", 10) + left("TAG", 17) + right("VM SIZE", 8) + right("DATE", 20) + right("VM CLOCK", 13) + right("ICOUNT", 11)
        let rows = snapshots.map { snapshot in
            let milliseconds = snapshot.guestTime / 1_000_000 % 1000, seconds = snapshot.guestTime / 1_000_000_000
            let clock = "\(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60)).\(fixed(milliseconds))"
            let count = snapshot.instructions.flatMap { $0 == .max ? nil : String($0) } ?? ""
            return left(snapshot.id, 9) + " " + left(snapshot.name, 16) + " " + right(DiskText.size(snapshot.stateSize), 8) + right(date(snapshot.seconds), 20)
                + right(clock, 13) + right(count, 11)
        }
        return ([heading] + rows).joined(separator: "\n")
    }

    private static func fixed(_ milliseconds: UInt64) -> String {
        let text = String(milliseconds)
        return String(repeating: "0", count: 3 - text.count) + text
    }

    private static func date(_ seconds: UInt32) -> String {
        var time = time_t(seconds), parts = tm()
        localtime_r(&time, &parts)
        var text = [CChar](repeating: 0, count: 32)
        strftime(&text, text.count, "%Y-%m-%d %H:%M:%S", &parts)
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
