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
                    return "- `\(option.usage)`\n" + lines.map { "  \($0)  \n" }.joined()
                }.joined()
        }.joined(separator: "\n")
    }
}
