extension SymbolTable: SymbolLookup {
    public func address(of name: String) -> UInt64? { try? resolve(name) }

    public func symbol(at address: UInt64) -> SymbolPlace? {
        lookup(address).map { SymbolPlace(name: $0.symbol.displayName, offset: $0.offset, size: $0.symbol.size) }
    }

    public func names(withPrefix prefix: String, limit: Int) -> [String] { completions(of: prefix, limit: limit) }

    public func candidates(for typed: String) -> [String] { modules.flatMap { $0.file.index.candidates(for: typed) } }

    public func line(at address: UInt64) -> SourceLine? {
        // Compilers give line 0 to instructions that belong to no line.
        lineEntry(at: address).flatMap { $0.location.line == 0 ? nil : SourceLine(file: $0.location.file, line: $0.location.line) }
    }

    public func addresses(file: String, line: Int) -> [UInt64] {
        ((try? places(file: file, line: line)) ?? []).map(\.range.lowerBound)
    }
}
