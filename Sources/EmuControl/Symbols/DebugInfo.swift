import EmuMachine

/// A place in a source file.
public struct SourceLocation: Equatable, Sendable {
    /// As the compiler knew it, with the directories that lead to it.
    public let file: String
    /// From 1; 0 for code that belongs to no line.
    public let line: Int
    /// From 1; 0 when not known.
    public let column: Int

    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }
}

/// A row of a line table.
public struct LineEntry: Equatable, Sendable {
    public let location: SourceLocation
    /// True where a statement begins, which is a good place for a breakpoint.
    public let isStatement: Bool
    /// The instructions of the row, as linked.
    public let range: Range<UInt64>
}

/// A function that an address belongs to, itself or by inlining.
public struct CodeScope: Equatable, Sendable {
    /// As the source has it, demangled; nil when the file does not say.
    public let function: String?
    /// The place in this function.
    public let location: SourceLocation?
    /// True when the function's code was merged into the next scope's.
    public let isInlined: Bool
}

/// The debugging information of one file (DWARF 2 to 5): source lines, functions and inlining. Addresses are as linked.
///
/// Opening reads the units' headers. Line tables and functions are decoded unit by unit when an address in them is asked for, and the
/// least needed are dropped when there are many.
public final class DebugInfo {
    private let sections: DWARFSections
    private let units: [DWARFUnit]
    private let unitByAddress: SymbolIntervals
    private var lineHeaders: [UInt64: DWARFLineHeader?] = [:]
    private var lineTables = BoundedCache<UInt64, DWARFLineTable>(limit: 8 << 20)
    private var functions = BoundedCache<Int, DWARFFunctions>(limit: 4 << 20)
    private var names: [UInt64: String] = [:]
    /// Units with a line table by the last component of the files it names. Made on the first question by file.
    private lazy var unitsByFile: [String: [Int]] = indexFiles()

    /// Nil when the file has no debugging information.
    init?(_ elf: SymbolELF) {
        let sections = DWARFSections(elf)
        var cursor = SymbolCursor(sections.info)
        guard !cursor.atEnd else { return nil }
        var units: [DWARFUnit] = []
        while !cursor.atEnd {
            let start = cursor.position
            if let unit = DWARFUnit(sections, &cursor) { units.append(unit) } else if cursor.position == start { break }
        }
        self.sections = sections
        self.units = units
        var ranges: [SymbolIntervals.Range] = []
        var silent: [Int] = []
        for position in units.indices where units[position].mayHaveCode {
            let code = units[position].codeRanges()
            if code.isEmpty { silent.append(position) }
            for range in code { ranges.append(SymbolIntervals.Range(range.start, range.end, position)) }
        }
        if !silent.isEmpty { ranges += Self.addressRanges(sections, units, Set(silent)) }
        unitByAddress = SymbolIntervals(ranges)
    }

    /// `.debug_aranges` (DWARF 5, section 6.1.2) of the units that do not say themselves where their code is.
    private static func addressRanges(_ sections: DWARFSections, _ units: [DWARFUnit], _ wanted: Set<Int>) -> [SymbolIntervals.Range] {
        let position = Dictionary(wanted.map { (units[$0].offset, $0) }, uniquingKeysWith: { first, _ in first })
        var result: [SymbolIntervals.Range] = []
        var cursor = SymbolCursor(sections.addressRanges)
        while !cursor.atEnd {
            var encoding = DWARFEncoding.usual
            let header = cursor.position
            guard let length = cursor.unitLength(&encoding) else { break }
            var set = SymbolCursor(cursor.bytes, UInt64(cursor.position), UInt64(cursor.position) + length)
            cursor.skip(length)
            set.skip(2)
            let unit = set.unsigned(bytes: encoding.offsetSize)
            let size = Int(set.u8())
            set.skip(1)
            guard size == 4 || size == 8, let unit = position[unit] else { continue }
            // Tuples are aligned to their size, counted from the header.
            let misaligned = (set.position - header) % (size * 2)
            if misaligned != 0 { set.skip(UInt64(size * 2 - misaligned)) }
            while !set.atEnd {
                let start = set.unsigned(bytes: size)
                let bytes = set.unsigned(bytes: size)
                guard start != 0 || bytes != 0, !set.failed else { break }
                if sections.isCode(start) { result.append(SymbolIntervals.Range(start, start &+ bytes, unit)) }
            }
        }
        return result
    }

    // MARK: Parts, decoded on demand

    private func lineHeader(_ unit: DWARFUnit) -> DWARFLineHeader? {
        guard let offset = unit.lineTable else { return nil }
        if let known = lineHeaders[offset] { return known }
        let header = DWARFLineHeader(unit, offset)
        lineHeaders[offset] = header
        return header
    }

    private func lineTable(_ unit: DWARFUnit) -> DWARFLineTable? {
        guard let offset = unit.lineTable, let header = lineHeader(unit) else { return nil }
        return lineTables.value(offset, cost: { $0.rows.count }) { DWARFLineTable(header, isCode: sections.isCode) }
    }

    private func functions(_ position: Int) -> DWARFFunctions {
        functions.value(position, cost: { $0.scopes.count + $0.ranges.count }) { DWARFFunctions(units[position]) }
    }

    /// The unit whose entries hold the one at `offset`.
    private func unit(ofEntry offset: UInt64) -> DWARFUnit? {
        var low = 0
        var high = units.count
        while low < high {
            let middle = (low + high) / 2
            if units[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        guard low > 0, offset < units[low - 1].end, offset >= units[low - 1].firstEntry else { return nil }
        return units[low - 1]
    }

    // MARK: Names

    /// The name of the function that an entry describes, or that it is an instance of.
    private func functionName(_ entry: UInt64) -> String? {
        if let known = names[entry] { return known.isEmpty ? nil : known }
        let name = findName(entry) ?? ""
        names[entry] = name
        return name.isEmpty ? nil : name
    }

    private func findName(_ entry: UInt64) -> String? {
        var entry = entry
        var plain: String?
        // An inlined instance refers to its abstract instance, that to the declaration in a class.
        for _ in 0..<8 {
            guard let unit = unit(ofEntry: entry) else { break }
            var cursor = unit.entries(from: entry)
            guard let declaration = unit.abbreviations.declaration(cursor.uleb()) else { break }
            var next: UInt64?
            for index in declaration.first..<declaration.end {
                let specification = unit.abbreviations.specifications[index]
                let value = DWARFValue.read(specification.form, constant: specification.constant, unit.encoding, &cursor)
                guard !cursor.failed else { break }
                switch specification.name {
                case DWARFAttribute.linkageName, DWARFAttribute.mipsLinkageName:
                    if let name = unit.string(value) { return Demangler.demangle(name) }
                case DWARFAttribute.name: plain = plain ?? unit.string(value)
                case DWARFAttribute.origin, DWARFAttribute.specification: next = unit.reference(value)
                default: break
                }
            }
            guard let target = next else { break }
            entry = target
        }
        return plain
    }

    // MARK: By address

    /// The row of the line table that `address` belongs to.
    public func line(at address: UInt64) -> LineEntry? {
        guard let position = unitByAddress.id(at: address), let table = lineTable(units[position]), let (row, end) = table.row(at: address) else {
            return nil
        }
        return entry(row, end, table)
    }

    private func entry(_ row: DWARFLineTable.Row, _ end: UInt64, _ table: DWARFLineTable) -> LineEntry? {
        guard let path = table.path(row.file) else { return nil }
        return LineEntry(
            location: SourceLocation(file: path, line: Int(row.line), column: Int(row.column)), isStatement: row.isStatement,
            range: row.address..<max(end, row.address))
    }

    /// The functions that `address` belongs to, innermost first: every one but the last was inlined into the next.
    public func scopes(at address: UInt64) -> [CodeScope] {
        guard let position = unitByAddress.id(at: address) else { return [] }
        let functions = functions(position)
        let header = lineHeader(units[position])
        var place = line(at: address)?.location
        var result: [CodeScope] = []
        for index in functions.chain(at: address).reversed() {
            let scope = functions.scopes[index]
            result.append(CodeScope(function: functionName(scope.entry), location: place, isInlined: scope.isInlined))
            place = header?.path(Int(scope.callFile)).map {
                SourceLocation(file: $0, line: Int(scope.callLine), column: Int(scope.callColumn))
            }
        }
        return result
    }

    /// The ranges of the function (not what is inlined into it) that holds `address`.
    public func functionRanges(at address: UInt64) -> [Range<UInt64>] {
        guard let position = unitByAddress.id(at: address) else { return [] }
        let functions = functions(position)
        guard let scope = functions.chain(at: address).first else { return [] }
        return functions.ranges(of: scope).map { $0.start..<$0.end }
    }

    /// The source file and directory of the compilation that `address` belongs to.
    public func compileUnit(at address: UInt64) -> (name: String, directory: String)? {
        unitByAddress.id(at: address).map { (units[$0].name, units[$0].directory) }
    }

    /// Where the body of the function that begins at `address` starts: after the instructions that make its frame.
    /// `address` itself when the line table does not tell.
    public func bodyAddress(ofFunctionAt address: UInt64) -> UInt64 {
        guard let position = unitByAddress.id(at: address), let table = lineTable(units[position]),
            let range = functions(position).chain(at: address).first.flatMap({ scope in
                functions(position).ranges(of: scope).first { $0.contains(address) }
            })
        else { return address }
        let rows = table.rows(in: DWARFRange(start: address, end: range.end))
        if let marked = rows.first(where: \.endsPrologue) { return marked.address }
        // Compilers that mark no end begin a second row for the function's first statement.
        guard let second = rows.first(where: { $0.address > address && $0.isStatement && $0.line != 0 }) else { return address }
        return second.address
    }

    // MARK: By line

    /// Calls `body` with every row of every line table.
    func forEachLine(_ body: (LineEntry) -> Void) {
        var seen: Set<UInt64> = []
        for unit in units {
            // Units may share a table.
            guard let offset = unit.lineTable, seen.insert(offset).inserted, let table = lineTable(unit) else { continue }
            table.forEachSequence { rows in
                for index in rows.indices.dropLast() {
                    if let entry = entry(rows[index], rows[index + 1].address, table) { body(entry) }
                }
            }
        }
    }

    private func indexFiles() -> [String: [Int]] {
        var result: [String: [Int]] = [:]
        var seen: Set<UInt64> = []
        for position in units.indices {
            // Units may share a table.
            guard let offset = units[position].lineTable, seen.insert(offset).inserted, let header = lineHeader(units[position]) else { continue }
            for number in header.fileNumbers {
                guard let name = header.baseName(number), result[name]?.last != position else { continue }
                result[name, default: []].append(position)
            }
        }
        return result
    }

    private func numbers(_ header: DWARFLineHeader, _ file: String) -> Set<UInt32> {
        let base = SourcePath.baseName(file)
        return Set(
            header.fileNumbers.filter { header.baseName($0) == base && header.path($0).map { SourcePath.matches($0, file) } == true }
                .map { UInt32(truncatingIfNeeded: $0) })
    }

    /// The paths of the source files that `file` may mean: a name, or the end of a path.
    public func files(matching file: String) -> [String] {
        var result: Set<String> = []
        for position in unitsByFile[SourcePath.baseName(file)] ?? [] {
            guard let header = lineHeader(units[position]) else { continue }
            for number in numbers(header, file) { if let path = header.path(Int(number)) { result.insert(path) } }
        }
        return result.sorted()
    }

    /// Last components of all source files' names, ordered.
    public var fileNames: [String] { unitsByFile.keys.sorted() }

    /// The places where code of a line begins: one for each function it belongs to or was inlined into.
    ///
    /// When the line has no code the next one that has any is taken, as `line` of the result tells.
    public func addresses(file: String, line: Int) -> [LineEntry] {
        var best = Int.max
        var found: [LineEntry] = []
        for position in unitsByFile[SourcePath.baseName(file)] ?? [] {
            guard let header = lineHeader(units[position]) else { continue }
            let wanted = numbers(header, file)
            guard !wanted.isEmpty, let table = lineTable(units[position]) else { continue }
            table.forEachSequence { rows in
                var previous: DWARFLineTable.Row?
                for index in rows.indices.dropLast() {
                    let row = rows[index]
                    defer { previous = row }
                    guard row.isStatement, wanted.contains(row.file), row.line >= UInt32(clamping: line), Int(row.line) <= best else { continue }
                    // A row that only continues the line, in the middle of it.
                    if let previous, previous.file == row.file, previous.line == row.line, Int(row.line) == best { continue }
                    guard let entry = entry(row, rows[index + 1].address, table) else { continue }
                    if Int(row.line) < best { found.removeAll() }
                    best = Int(row.line)
                    found.append(entry)
                }
            }
        }
        return firstOfEachScope(found)
    }

    /// A line's code may be in several pieces; a debugger stops at the first one of each function or inlined instance.
    private func firstOfEachScope(_ entries: [LineEntry]) -> [LineEntry] {
        var seen: Set<UInt64> = []
        return entries.sorted { $0.range.lowerBound < $1.range.lowerBound }.filter { entry in
            let address = entry.range.lowerBound
            guard let position = unitByAddress.id(at: address) else { return true }
            let functions = functions(position)
            guard let scope = functions.chain(at: address).last else { return true }
            return seen.insert(functions.scopes[scope].entry).inserted
        }
    }
}

/// Values that can be made again, up to a total cost; beyond it all are dropped.
struct BoundedCache<Key: Hashable, Value> {
    private var values: [Key: Value] = [:]
    private var total = 0
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    mutating func value(_ key: Key, cost: (Value) -> Int, make: () -> Value) -> Value {
        if let known = values[key] { return known }
        let made = make()
        let added = cost(made)
        if total + added > limit {
            values.removeAll()
            total = 0
        }
        total += added
        values[key] = made
        return made
    }
}
