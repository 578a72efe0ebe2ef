import EmuMachine

/// A name for an address, as a file gives it.
public struct Symbol: Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        case function, object
        /// A label: an entry point in assembly, a linker's boundary.
        case label
    }

    public enum Binding: Equatable, Sendable {
        case local, global, weak
    }

    /// As in the file: mangled where the language mangles.
    public let name: String
    /// As linked, without a slide.
    public let address: UInt64
    /// In bytes; 0 when the file does not say.
    public let size: UInt64
    public let kind: Kind
    public let binding: Binding

    /// The name as the source has it, where it can be demangled.
    public var displayName: String { Demangler.demangle(name) }
}

/// The names, line tables and unwind information of one linked program: an ELF file, or a list of names such as Linux's `System.map`.
///
/// The file is mapped and decoded as far as questions need it; opening a kernel of several hundred megabytes costs what its symbol table
/// costs. Nothing in a damaged or hostile file does more than make answers missing.
public final class SymbolFile {
    /// What the user called it.
    public let name: String
    /// Nil for a list of names.
    public var machine: ELFMachine? { elf?.machine }
    /// Address of the first instruction; nil for a list of names.
    public var entry: UInt64? { elf?.entry }
    let elf: SymbolELF?
    let index: SymbolIndex
    private let mapping: MappedFile?
    /// Debugging information, decoded on demand; nil when the file has none.
    public private(set) lazy var debugInfo: DebugInfo? = elf.flatMap { DebugInfo($0) }

    /// `.eh_frame` and `.debug_frame`, read on the first question; nil when the file has neither.
    public private(set) lazy var callFrames: CallFrameTable? = elf.flatMap { CallFrameTable($0) }

    /// Opens the file at `path`.
    public static func open(_ path: String) throws(ImageError) -> SymbolFile {
        let mapping = try MappedFile(path: path)
        return try SymbolFile(mapping.view, name: path, mapping: mapping)
    }

    /// Reads a file that is in memory.
    public convenience init(_ contents: [UInt8], name: String) throws(ImageError) {
        try self.init(HeapBytes(contents).view, name: name, mapping: nil)
    }

    private init(_ contents: SymbolBytes, name: String, mapping: MappedFile?) throws(ImageError) {
        var contents = contents
        if contents.load(0, as: UInt16.self) == 0x8b1f {
            guard let inside = HeapBytes.gunzip(contents) else { throw ImageError("its gzip data is damaged") }
            contents = inside
        }
        self.name = name
        self.mapping = mapping
        if SymbolELF.isELF(contents) {
            let elf = try SymbolELF(contents)
            self.elf = elf
            index = SymbolIndex(elf)
        } else {
            elf = nil
            guard let list = SymbolList(text: contents) else {
                throw ImageError("it is neither an ELF file nor a list of symbols as nm(1) writes it (such as System.map)")
            }
            index = SymbolIndex(list)
        }
    }

    /// Symbols that come from no file.
    /// - Parameter end: first address behind the program.
    init(_ list: SymbolList, name: String, end: UInt64?) {
        self.name = name
        elf = nil
        mapping = nil
        index = SymbolIndex(list, end: end)
    }

    /// False when the file was written to since it was opened: what it says may no longer fit, and must not be asked for.
    public var isUnchanged: Bool { mapping?.isUnchanged ?? true }

    /// All symbols, in the order of the file.
    public var symbols: some RandomAccessCollection<Symbol> { (0..<index.count).lazy.map { [index] in index.symbol($0) } }
    /// How many symbols there are.
    public var symbolCount: Int { index.count }

    /// The symbol whose range holds `address` (as linked): the innermost one with a size, or else the nearest label before it.
    public func symbol(at address: UInt64) -> Symbol? { index.position(at: address).map(index.symbol) }

    /// The symbols called `name`, global ones first, then in the order of the file.
    public func symbols(named name: String) -> [Symbol] { index.positions(named: name).map(index.symbol) }

    /// Up to `length` bytes at the linked `address` as the file has them.
    public func contents(at address: UInt64, _ length: Int) -> [UInt8]? { elf?.memory(at: address, length)?.array }
}
