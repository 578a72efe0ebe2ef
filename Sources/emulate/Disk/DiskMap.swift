import EmuBus
import EmuDevices

extension DiskCommand {
    private struct MapEntry {
        var start: UInt64
        var length: UInt64
        var depth: Int
        var kind: DiskExtent.Kind
        var offset: UInt64?
        var path: String

        var isZero: Bool { kind == .zero || kind == .unallocated }

        func continues(_ next: MapEntry) -> Bool {
            depth == next.depth && kind == next.kind && (offset.map { $0 + length } == next.offset)
        }
    }

    static let map: DiskVerb = DiskVerb(
        name: "map", summary: "Shows where the data of a disk lies in its image and the images below it.", operands: "FILE",
        options: [
            DiskArguments.format, DiskArguments.output, DiskArguments.force,
            Option(["start-offset", "s"], "OFFSET", help: "first byte of interest (default: 0)") { arguments, use throws(CommandEnd) in
                arguments.start = try DiskArguments.readSize(use)
            },
            Option(["max-length", "l"], "LENGTH", help: "bytes of interest (default: all)") { arguments, use throws(CommandEnd) in
                arguments.length = try DiskArguments.readSize(use)
            },
        ]
    ) { arguments in
        let path = try map.operands(arguments, 1...1)[0]
        let image = try DiskImages.open(path, arguments.imageOptions(isReadOnly: true, format: arguments.format))
        var entries: [MapEntry] = []
        let paths = image.chain.map(\.path)
        var position = arguments.start
        let end = arguments.length < image.size - min(position, image.size) ? position + arguments.length : image.size
        while position < end {
            let (depth, extent) = try image.resolvedExtent(at: position, limit: end - position)
            let new = MapEntry(start: position, length: extent.length, depth: depth, kind: extent.kind, offset: extent.fileOffset, path: paths[depth])
            if let last = entries.last, last.continues(new) || (last.kind == new.kind && last.depth == new.depth && last.offset == nil && new.offset == nil) {
                entries[entries.count - 1].length += new.length
            } else {
                entries.append(new)
            }
            position += extent.length
        }
        return print(arguments.isJSON ? json(entries) : try text(entries), arguments)
    }

    private static func json(_ entries: [MapEntry]) -> String {
        "[" + entries.map { entry in
            // A raw image has all its bytes, holes included.
            let isPresent = entry.kind != .unallocated
            var text = "{ \"start\": \(entry.start), \"length\": \(entry.length), \"depth\": \(entry.depth), \"present\": \(isPresent), \"zero\": \(entry.isZero), "
                + "\"data\": \(!entry.isZero)"
            if let offset = entry.offset { text += ", \"offset\": \(offset)" }
            return text + "}"
        }.joined(separator: ",\n") + "]\n"
    }

    private static func text(_ entries: [MapEntry]) throws -> String {
        func left(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
        var lines = [left("Offset", 16) + left("Length", 16) + left("Mapped to", 16) + "File"]
        for entry in entries where !entry.isZero {
            guard let offset = entry.offset else { throw DiskError("'\(entry.path)' has compressed clusters, which lie nowhere one to one; use --output=json") }
            func hexadecimal(_ value: UInt64) -> String { value == 0 ? "0" : "0x" + String(value, radix: 16) }
            lines.append(left(hexadecimal(entry.start), 16) + left(hexadecimal(entry.length), 16) + left(hexadecimal(offset), 16) + entry.path)
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
