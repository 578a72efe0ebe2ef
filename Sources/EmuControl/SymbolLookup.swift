/// Names for addresses, as the debugger asks for them. What answers reads files, or a guest's memory; the session knows neither.
public protocol SymbolLookup: AnyObject {
    /// The address `name` stands for, nil when nobody knows it.
    func address(of name: String) -> UInt64?
    /// The symbol that covers `address` and how far into it that is; nil when none does.
    func symbol(at address: UInt64) -> SymbolPlace?
    /// Names that begin with `prefix`, at most `limit`, for completion.
    func names(withPrefix prefix: String, limit: Int) -> [String]
    /// Names like the one typed, for suggestions.
    func candidates(for typed: String) -> [String]
    /// The source line of the instruction at `address`.
    func line(at address: UInt64) -> SourceLine?
    /// Where code of a source line starts. `file` may be the end of a path.
    func addresses(file: String, line: Int) -> [UInt64]
}

extension Optional where Wrapped == any SymbolLookup {
    /// `0x80000000 <_start>`
    func addressText(_ address: UInt64) -> String { hexText(address) + (self?.symbol(at: address).map { " <\($0.text)>" } ?? "") }
}

/// An address as a distance from a symbol.
public struct SymbolPlace: Equatable, Sendable {
    /// As shown: demangled.
    public var name: String
    public var offset: UInt64
    /// Size of the symbol in bytes, 0 when unknown.
    public var size: UInt64

    public init(name: String, offset: UInt64, size: UInt64 = 0) {
        self.name = name
        self.offset = offset
        self.size = size
    }

    /// `main+0x4`
    public var text: String { offset == 0 ? name : "\(name)+0x\(String(offset, radix: 16))" }
}

/// A place in a source file.
public struct SourceLine: Equatable, Sendable {
    public var file: String
    /// 1-based.
    public var line: Int

    public init(file: String, line: Int) {
        self.file = file
        self.line = line
    }
}
