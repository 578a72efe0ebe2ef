/// Draws a call tree: an SVG file that needs nothing else. Each box is a function, as wide as the cycles spent in it and what it called,
/// above its caller; its title tells the numbers. There is no script in it, and names are text and nothing more.
public struct FlameGraph {
    private static let width = 1200.0, rowHeight = 16.0, top = 40.0, margin = 10.0
    /// Narrower boxes are not drawn.
    private static let narrowest = 0.2
    private static let characterWidth = 6.6

    private let tree: CallTree
    private let title: String

    public init(tree: CallTree, title: String) {
        self.tree = tree
        self.title = title
    }

    /// The file's text.
    public var svg: String {
        var boxes = ""
        var depth = 0
        let scale = tree.total > 0 ? (Self.width - 2 * Self.margin) / Double(tree.total) : 0
        // Where each node begins, in cycles, and its row.
        var left: [(node: Int, start: UInt64, row: Int)] = [(0, 0, 0)]
        var drawn: [(node: Int, start: UInt64, row: Int)] = []
        while let box = left.popLast() {
            if Double(tree.nodes[box.node].total) * scale < Self.narrowest { continue }
            depth = max(depth, box.row)
            drawn.append(box)
            var start = box.start
            for child in tree.children(of: box.node) {
                left.append((child, start, box.row + 1))
                start &+= tree.nodes[child].total
            }
        }
        let height = Self.top + Double(depth + 1) * Self.rowHeight + Self.margin
        for box in drawn {
            boxes += self.box(
                box.node, x: Self.margin + Double(box.start) * scale, y: height - Self.margin - Double(box.row + 1) * Self.rowHeight,
                width: Double(tree.nodes[box.node].total) * scale)
        }
        return """
            <?xml version="1.0" encoding="UTF-8"?>
            <svg xmlns="http://www.w3.org/2000/svg" width="\(Int(Self.width))" height="\(Int(height))" viewBox="0 0 \(Int(Self.width)) \(Int(height))" font-family="monospace" font-size="11">
            <rect width="100%" height="100%" fill="#ffffff"/>
            <text x="\(Int(Self.width / 2))" y="24" font-size="15" text-anchor="middle">\(Self.escaped(title))</text>
            \(boxes)</svg>

            """
    }

    private func box(_ node: Int, x: Double, y: Double, width: Double) -> String {
        let name = tree.name(of: node)
        let count = tree.nodes[node].total
        let room = Int((width - 6) / Self.characterWidth)
        var text = ""
        if room >= 3 {
            let shown = name.count <= room ? name : name.prefix(room - 2) + ".."
            text = "<text x=\"\(Self.number(x + 3))\" y=\"\(Self.number(y + 12))\">\(Self.escaped(String(shown)))</text>"
        }
        return "<g><title>\(Self.escaped(name)) (\(count) cycles, \(tree.percent(count)))</title>"
            + "<rect x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" width=\"\(Self.number(width))\" height=\"\(Int(Self.rowHeight) - 1)\" "
            + "fill=\"\(Self.colour(name))\" rx=\"2\"/>\(text)</g>\n"
    }

    /// Two decimals.
    private static func number(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        let fraction = hundredths % 100
        return "\(hundredths / 100)." + (fraction < 10 ? "0" : "") + "\(fraction)"
    }

    /// A warm colour that is always the same for a name.
    private static func colour(_ name: String) -> String {
        var hash: UInt32 = 2_166_136_261
        for byte in name.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return "rgb(\(205 + hash % 50),\(80 + hash / 50 % 150),\(hash / 7500 % 55))"
    }

    /// Text that is nothing but text wherever it stands in an XML document; characters XML does not have become question marks.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case _ where scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) || scalar.value & 0xfffe == 0xfffe: result += "?"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
