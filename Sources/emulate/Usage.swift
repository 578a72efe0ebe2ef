/// Renders an option table for people.
extension OptionTable {
    /// Plain text for the terminal.
    package var text: String {
        sections.map { section in
            "\n\(section.title):\n" + columns(section.options.map { ("  " + $0.usage, $0.help) }, width: 24)
        }.joined()
    }

    /// The reference part of docs/emulate.md.
    package var markdown: String {
        sections.map { section in
            "### \(section.title)\n\n"
                + section.options.map { option in
                    let lines = option.help.split(separator: "\n")
                    return "- `\(option.usage)`: \(lines.first ?? "")\n" + lines.dropFirst().map { "  - \($0)\n" }.joined()
                }.joined()
        }.joined(separator: "\n")
    }
}

/// Lines of two columns, a name and what it means, as help shows them: 80 wide, the right column broken between words.
package func columns(_ rows: [(left: String, right: String)], width: Int = 30) -> String {
    let margin = String(repeating: " ", count: width)
    return rows.map { left, right in
        let lines = right.split(separator: "\n", omittingEmptySubsequences: false).flatMap { wrap($0, to: 80 - width) }
        let text = lines.map { margin + $0 + "\n" }.joined()
        return left.count < width ? left + text.dropFirst(left.count) : left + "\n" + text
    }.joined()
}

/// Breaks a line between words; what follows a break is indented by two.
private func wrap(_ line: Substring, to width: Int) -> [String] {
    var lines = [""]
    for word in line.split(separator: " ") {
        let last = lines[lines.count - 1]
        if last.isEmpty {
            lines[lines.count - 1] = String(word)
        } else if last.count + 1 + word.count <= width {
            lines[lines.count - 1] = last + " " + word
        } else {
            lines.append("  " + word)
        }
    }
    return lines
}
