/// What can stand where, for completion.
extension Debugger {
    private static let limit = 200

    /// Words that continue `word`, which follows `line`.
    func completions(after line: String, _ word: String) -> [String] {
        let before = line.trimmed
        if before.isEmpty { return CommandTable.all.flatMap(\.names).filter { $0.hasPrefix(word) }.sorted() }
        let words = before.split(whereSeparator: \.isWhitespace)
        guard let input = CommandInput(before), let command = try? Self.command(input.name) else { return [] }
        switch command.completion {
        case .nothing, .files: return []
        case .commands: return CommandTable.all.flatMap(\.names).filter { $0.hasPrefix(word) }.sorted()
        case .words(let known): return words.count == 1 ? known.filter { $0.hasPrefix(word) } : []
        case .breakpoints: return session.userBreakpoints.map { String($0.id) }.filter { $0.hasPrefix(word) }
        case .topics:
            if words.count == 1 { return InfoTable.topics.map(\.name).filter { $0.hasPrefix(word) }.sorted() }
            if words[1].hasPrefix("dev") { return session.machine.regions.map(\.device.name).filter { $0.hasPrefix(word) } }
            return names(word)
        case .registers, .expression, .place: return names(word)
        }
    }

    /// Registers, with a dollar if one was typed, and symbols.
    private func names(_ word: String) -> [String] {
        let isVariable = word.hasPrefix("$")
        let bare = isVariable ? String(word.dropFirst()) : word
        let registers = session.registers.flatMap { [$0.name] + $0.aliases }.filter { $0.hasPrefix(bare) }
        if isVariable { return (registers + session.variables.keys.filter { $0.hasPrefix(bare) }).sorted().map { "$" + $0 } }
        return (bare.isEmpty ? [] : registers.sorted()) + (session.symbols?.names(withPrefix: bare, limit: Self.limit) ?? [])
    }
}
