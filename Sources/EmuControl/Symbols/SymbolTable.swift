import EmuBus
import EmuMachine

/// What is wrong with a name or a place the user gave, in words to show.
public struct SymbolError: Error, CustomStringConvertible, Equatable, Sendable {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// The symbols of all files loaded, each with the distance between where it was linked and where it is in memory.
public final class SymbolTable {
    /// A file and where it is.
    public struct Module {
        public let file: SymbolFile
        /// Added (modulo 2⁶⁴) to linked addresses.
        public let slide: UInt64

        /// The linked address of what is at `address` in memory.
        public func linked(_ address: UInt64) -> UInt64 { address &- slide }
        /// The address in memory of what was linked at `address`.
        public func loaded(_ address: UInt64) -> UInt64 { address &+ slide }
    }

    /// The symbol an address belongs to.
    public struct Match {
        public let symbol: Symbol
        /// Bytes from the symbol to the address.
        public let offset: UInt64
        public let module: Module

        /// `name` or `name+0x10`, demangled.
        public var description: String { offset == 0 ? symbol.displayName : "\(symbol.displayName)+\(hex(offset))" }
    }

    /// A symbol by name, with its address in memory.
    public struct Place {
        public let symbol: Symbol
        public let address: UInt64
        public let module: Module
    }

    /// In the order they were added.
    public private(set) var modules: [Module] = []

    public init() {}

    /// Adds a file whose code is `slide` bytes (modulo 2⁶⁴) from where it was linked. Adding the same path again replaces it.
    public func add(_ file: SymbolFile, slide: UInt64 = 0) {
        remove(named: file.name)
        modules.append(Module(file: file, slide: slide))
    }

    /// Removes the file called `name`; false when there is none.
    @discardableResult
    public func remove(named name: String) -> Bool {
        let before = modules.count
        modules.removeAll { $0.file.name == name }
        return modules.count != before
    }

    /// Removes files that were written to since they were opened, whose contents cannot be trusted any more, and names them.
    public func removeChanged() -> [String] {
        let changed = modules.filter { !$0.file.isUnchanged }.map(\.file.name)
        for name in changed { remove(named: name) }
        return changed
    }

    public var isEmpty: Bool { modules.isEmpty }

    // MARK: By address

    /// The symbol that `address` belongs to: of several files' the one that begins last.
    public func lookup(_ address: UInt64) -> Match? {
        var best: Match?
        for module in modules {
            guard let symbol = module.file.symbol(at: module.linked(address)) else { continue }
            let offset = module.linked(address) &- symbol.address
            if let known = best, known.offset <= offset { continue }
            best = Match(symbol: symbol, offset: offset, module: module)
        }
        return best
    }

    /// The row of a line table that `address` belongs to, with addresses in memory.
    public func lineEntry(at address: UInt64) -> LineEntry? {
        for module in modules {
            if let entry = module.file.debugInfo?.line(at: module.linked(address)) { return moved(entry, module) }
        }
        return nil
    }

    private func moved(_ entry: LineEntry, _ module: Module) -> LineEntry? {
        let start = module.loaded(entry.range.lowerBound)
        let end = module.loaded(entry.range.upperBound)
        return start <= end ? LineEntry(location: entry.location, isStatement: entry.isStatement, range: start..<end) : nil
    }

    /// The functions that `address` belongs to, innermost first, with the places in them; from the symbol alone where there is no
    /// debugging information.
    public func scopes(at address: UInt64) -> [CodeScope] {
        for module in modules {
            if let found = module.file.debugInfo?.scopes(at: module.linked(address)), !found.isEmpty { return found }
        }
        guard let match = lookup(address) else { return [] }
        return [CodeScope(function: match.symbol.displayName, location: lineEntry(at: address)?.location, isInlined: false)]
    }

    /// The module whose file has code or symbols for `address`.
    public func module(at address: UInt64) -> Module? {
        if let match = lookup(address) { return match.module }
        return modules.first { $0.file.elf?.section(at: $0.linked(address)) != nil }
    }

    // MARK: By name

    /// All symbols called `name` as in the file or demangled, those of the first file first, global before local.
    public func places(named name: String) -> [Place] {
        modules.flatMap { module in
            module.file.symbols(named: name).map { Place(symbol: $0, address: module.loaded($0.address), module: module) }
        }
    }

    /// Address in memory of `name`.
    /// - Throws: `SymbolError` when there is none, with the nearest name there is, or when several files' or sources' symbols have the name.
    public func resolve(_ name: String) throws(SymbolError) -> UInt64 {
        var found = places(named: name)
        guard !found.isEmpty else {
            if modules.isEmpty { throw SymbolError("there is no symbol '\(name)': no symbols are loaded") }
            let candidates = modules.flatMap { $0.file.index.candidates(for: name) }
            throw SymbolError("there is no symbol '\(name)'" + didYouMean(name, among: candidates))
        }
        let global = found.filter { $0.symbol.binding != .local }
        if !global.isEmpty { found = global }
        let addresses = Set(found.map(\.address))
        guard addresses.count == 1, let only = addresses.first else {
            let list = addresses.sorted().prefix(8).map { hex($0) }.joined(separator: ", ")
            throw SymbolError("there are \(addresses.count) symbols '\(name)', at \(list)\(addresses.count > 8 ? ", …" : ""); give the address")
        }
        return only
    }

    /// Up to `limit` names that begin with `prefix`, ordered.
    public func completions(of prefix: String, limit: Int = 200) -> [String] {
        var result: Set<String> = []
        for module in modules { result.formUnion(module.file.index.names(withPrefix: prefix, limit: limit)) }
        return Array(result.sorted().prefix(limit))
    }

    // MARK: By line

    /// The places where code of a line begins, in memory: one for each function it belongs to or was inlined into. When the line has no
    /// code, those of the next line that has.
    /// - Parameter file: a source file's name, or the end of its path.
    /// - Throws: `SymbolError` when no such file or line has code.
    public func places(file: String, line: Int) throws(SymbolError) -> [LineEntry] {
        var found: [LineEntry] = []
        for module in modules {
            found += (module.file.debugInfo?.addresses(file: file, line: line) ?? []).compactMap { moved($0, module) }
        }
        // Several files may have the name; the nearest line with code is then one of them all.
        if let nearest = found.map(\.location.line).min() { return found.filter { $0.location.line == nearest } }
        if !sourceFiles(matching: file).isEmpty { throw SymbolError("'\(file)' has no code at or after line \(line)") }
        guard modules.contains(where: { $0.file.debugInfo != nil }) else {
            throw SymbolError("no line numbers are loaded; build the guest with -g and give its file with 'symbols'")
        }
        let sameName = sourceFiles(matching: SourcePath.baseName(file))
        guard sameName.isEmpty else {
            throw SymbolError("there is no source file '\(file)'; those of that name are \(sameName.prefix(8).joined(separator: ", "))")
        }
        let names = modules.flatMap { $0.file.debugInfo?.fileNames ?? [] }
        throw SymbolError("there is no source file '\(file)'" + didYouMean(file, among: names))
    }

    /// The paths of the source files that `file` may mean.
    public func sourceFiles(matching file: String) -> [String] {
        Array(Set(modules.flatMap { $0.file.debugInfo?.files(matching: file) ?? [] })).sorted()
    }

    /// Address in memory after the instructions that make the frame of the function at `address`.
    public func bodyAddress(ofFunctionAt address: UInt64) -> UInt64 {
        for module in modules {
            let linked = module.linked(address)
            let body = module.file.debugInfo?.bodyAddress(ofFunctionAt: linked) ?? linked
            if body != linked { return module.loaded(body) }
        }
        return address
    }
}
