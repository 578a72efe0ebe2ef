import EmuCPU

/// Counts how often each instruction is executed, by its virtual address. Harts run slowly meanwhile.
public final class Coverage: Instrument {
    private static let pageMask: UInt64 = 0xfff
    /// Instructions begin at even addresses.
    private static let slots = 2048

    private var pages: [UInt64: [UInt64]] = [:]
    private var lastPage: UInt64?
    /// The counts of `lastPage`, which most instructions belong to.
    private var counts: [UInt64] = []

    init() {}

    package var wantsInstructions: Bool { true }
    package var watchedData: [HartWatch.Data] { [] }
    package var watchedEvents: HartWatch.Events { [] }
    package func observe(_ hart: any DebugHart, _ event: HartEvent) {}

    package func willExecute(_ hart: any DebugHart, pc: UInt64, physical: UInt64) {
        let page = pc & ~Self.pageMask
        if page != lastPage {
            store()
            counts = pages.removeValue(forKey: page) ?? [UInt64](repeating: 0, count: Self.slots)
            lastPage = page
        }
        counts[Int(pc & Self.pageMask) / 2] &+= 1
    }

    private func store() {
        if let lastPage { pages[lastPage] = counts }
        counts = []
        lastPage = nil
    }

    /// Forgets all counts.
    func clear() {
        pages = [:]
        counts = []
        lastPage = nil
    }

    /// How often the instruction at `address` was executed.
    public func count(at address: UInt64) -> UInt64 {
        let page = address & ~Self.pageMask
        let slot = Int(address & Self.pageMask) / 2
        return page == lastPage ? counts[slot] : pages[page]?[slot] ?? 0
    }

    /// The highest count in a range.
    private func greatestCount(_ range: Range<UInt64>) -> UInt64 {
        // A row of a damaged line table may claim any range.
        let end = range.lowerBound.addingReportingOverflow(Self.longestRow).overflow ? range.upperBound : min(range.upperBound, range.lowerBound + Self.longestRow)
        return stride(from: range.lowerBound, to: end, by: 2).reduce(0) { max($0, count(at: $1)) }
    }

    private static let longestRow: UInt64 = 1 << 16

    // MARK: Reports

    /// A function and how much of it was executed.
    public struct FunctionCoverage: Sendable, Equatable {
        public var name: String
        public var address: UInt64
        /// Times its first instruction was executed.
        public var calls: UInt64
        /// Instructions executed at least once, and all there are.
        public var executed: Int
        public var instructions: Int
    }

    /// Functions with code in them, by address; sizes that a file does not give reach up to the next symbol.
    func functions(_ symbols: SymbolTable, _ session: DebugSession) -> [FunctionCoverage] {
        var result: [FunctionCoverage] = []
        for module in symbols.modules {
            var last: UInt64?
            let code = module.file.symbols.filter { $0.kind != .object }.sorted { ($0.address, $1.size) < ($1.address, $0.size) }
            for (index, symbol) in code.enumerated() where symbol.address != last && (symbol.kind == .function || symbol.size > 0 || module.file.elf == nil) {
                last = symbol.address
                let next = code[index...].first { $0.address > symbol.address }?.address
                let size = symbol.size > 0 ? symbol.size : (next ?? symbol.address) &- symbol.address
                if let found = function(symbol.displayName, module.loaded(symbol.address), min(size, Self.largestFunction), session) { result.append(found) }
            }
        }
        return result.sorted { $0.address < $1.address }
    }

    private static let largestFunction: UInt64 = 1 << 20

    private func function(_ name: String, _ start: UInt64, _ size: UInt64, _ session: DebugSession) -> FunctionCoverage? {
        var result = FunctionCoverage(name: name, address: start, calls: count(at: start), executed: 0, instructions: 0)
        var offset: UInt64 = 0
        while offset < size {
            guard let instruction = session.instruction(at: start &+ offset) else { break }
            result.instructions += 1
            if count(at: start &+ offset) > 0 { result.executed += 1 }
            offset += instruction.length
        }
        return result.instructions > 0 ? result : nil
    }

    /// The counts of source lines as a tracefile of lcov (geninfo(1), FILES), for the files whose symbols have line tables.
    /// - Throws: `DebugError` when none has.
    func lcov(_ symbols: SymbolTable) throws(DebugError) -> String {
        var files: [String: SourceCoverage] = [:]
        var hasLines = false
        for module in symbols.modules {
            guard let info = module.file.debugInfo else { continue }
            info.forEachLine { entry in
                guard entry.location.line > 0, !entry.range.isEmpty else { return }
                hasLines = true
                let start = module.loaded(entry.range.lowerBound)
                let count = greatestCount(start..<max(start, module.loaded(entry.range.upperBound)))
                files[entry.location.file, default: SourceCoverage()].add(line: entry.location.line, count)
            }
            for symbol in module.file.symbols where symbol.kind == .function {
                guard let place = info.line(at: symbol.address)?.location, place.line > 0 else { continue }
                files[place.file, default: SourceCoverage()].add(function: symbol.displayName, line: place.line, count(at: module.loaded(symbol.address)))
            }
        }
        guard hasLines else {
            throw DebugError("coverage: no line numbers are loaded; build the guest with -g and give its file with 'symbols', or see 'coverage' for functions")
        }
        return files.sorted { $0.key < $1.key }.map { $1.lcov(file: $0) }.joined()
    }
}

/// What was executed of one source file.
private struct SourceCoverage {
    private var lines: [Int: UInt64] = [:]
    private var functions: [String: (line: Int, count: UInt64)] = [:]

    mutating func add(line: Int, _ count: UInt64) { lines[line] = max(lines[line] ?? 0, count) }

    mutating func add(function: String, line: Int, _ count: UInt64) {
        functions[Self.plain(function)] = (line, max(functions[Self.plain(function)]?.count ?? 0, count))
    }

    /// Without what ends a record.
    private static func plain(_ name: String) -> String { name.replacing("\n", with: "?").replacing("\r", with: "?") }

    func lcov(file: String) -> String {
        let ordered = functions.sorted { ($0.value.line, $0.key) < ($1.value.line, $1.key) }
        var text = "TN:\nSF:\(Self.plain(file))\n"
        text += ordered.map { "FN:\($0.value.line),\($0.key)\n" }.joined()
        text += ordered.map { "FNDA:\($0.value.count),\($0.key)\n" }.joined()
        text += "FNF:\(functions.count)\nFNH:\(functions.values.filter { $0.count > 0 }.count)\n"
        text += lines.sorted { $0.key < $1.key }.map { "DA:\($0.key),\($0.value)\n" }.joined()
        return text + "LF:\(lines.count)\nLH:\(lines.values.filter { $0 > 0 }.count)\nend_of_record\n"
    }
}
