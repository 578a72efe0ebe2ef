import EmuMachine

/// The symbols of one file, by address and by name. Names stay in the file; only those asked for become strings.
final class SymbolIndex {
    private struct Record {
        let address: UInt64
        let size: UInt64
        /// Offset of the name in `names`.
        let name: UInt32
        let kind: Symbol.Kind
        let binding: Symbol.Binding
        /// A boundary or constant that names no place in memory is found by name only.
        let isPlace: Bool
    }

    private var records: [Record] = []
    private let names: SymbolBytes
    private let intervals: SymbolIntervals
    /// Positions ordered by name, then global first, then as in the file. Made on the first question by name.
    private lazy var byName: [Int32] = sortedByName()
    /// Display names of mangled symbols, without and with parameters. Made when a name is not found as written.
    private lazy var demangled: [String: [Int]] = demangledNames()

    var count: Int { records.count }

    // MARK: Sources

    init(_ elf: SymbolELF) {
        let tables = [SymbolELF.Section.symbolTable, SymbolELF.Section.dynamicSymbols].compactMap { type in
            elf.sections.first { $0.type == type && elf.sections.indices.contains($0.link) }
        }
        // .dynsym repeats what .symtab has; it counts where that was stripped.
        var records: [Record] = []
        var names = SymbolBytes.empty
        for table in tables where records.isEmpty {
            names = elf.rawContents(elf.sections[table.link])
            records = Self.read(elf, elf.rawContents(table), names)
        }
        self.records = records
        self.names = names
        intervals = Self.intervals(records) { address in
            elf.section(at: address).map { $0.address &+ $0.size }
        }
    }

    private static func read(_ elf: SymbolELF, _ table: SymbolBytes, _ names: SymbolBytes) -> [Record] {
        var result: [Record] = []
        result.reserveCapacity(table.count / 24)
        var cursor = SymbolCursor(table)
        while cursor.remaining >= 24 {
            let name = cursor.u32()
            let info = cursor.u8()
            cursor.skip(1)
            let section = cursor.u16()
            let address = cursor.u64()
            let size = cursor.u64()
            // Undefined, of a type that is no place (section, file, thread-local storage), or nameless.
            guard section != 0, info & 0xf <= 2 || info & 0xf == 10, name != 0 else { continue }
            let kind: Symbol.Kind = info & 0xf == 2 || info & 0xf == 10 ? .function : info & 0xf == 1 ? .object : .label
            if kind == .label, isMark(names, Int(name)) { continue }
            let binding: Symbol.Binding =
                switch info >> 4 {
                case 0: .local
                case 2: .weak
                default: .global
                }
            let isPlace = elf.section(at: address) != nil
            result.append(Record(address: address, size: size, name: name, kind: kind, binding: binding, isPlace: isPlace))
        }
        return result
    }

    /// True for mapping symbols ($x, $d, with suffixes; RISC-V ELF and AArch64 ELF, "Mapping Symbols") and assemblers' own labels (.L…).
    private static func isMark(_ names: SymbolBytes, _ offset: Int) -> Bool {
        guard let first: UInt16 = names.load(offset) else { return true }
        if first == 0x4c2e { return true }
        guard first == 0x7824 || first == 0x6424 else { return false }
        guard let next: UInt8 = names.load(offset + 2) else { return true }
        return next == 0 || next == UInt8(ascii: ".") || (first == 0x7824 && next == UInt8(ascii: "r"))
    }

    /// Symbols as nm(1) writes them, or a running kernel keeps them.
    /// - Parameter end: first address behind the program; the last symbol reaches no further.
    init(_ list: SymbolList, end: UInt64? = nil) {
        records = list.entries.map { entry in
            Record(
                address: entry.address, size: entry.size, name: entry.name, kind: Self.kind(entry.letter), binding: Self.binding(entry.letter),
                // Absolute symbols are constants; kernels hide addresses as zero from whom they do not trust.
                isPlace: entry.letter | 0x20 != UInt8(ascii: "a") && entry.address != 0)
        }
        names = HeapBytes(list.names).view
        intervals = Self.intervals(records) { address in end.map { max($0, address) } }
    }

    private static func kind(_ letter: UInt8) -> Symbol.Kind {
        switch UnicodeScalar(letter) {
        case "t", "T", "w", "W", "i": .function
        case "b", "B", "d", "D", "r", "R", "g", "G", "s", "S", "v", "V", "u": .object
        default: .label
        }
    }

    private static func binding(_ letter: UInt8) -> Symbol.Binding {
        switch UnicodeScalar(letter) {
        case "w", "W", "v", "V": .weak
        case "a"..."z": .local
        default: .global
        }
    }

    // MARK: By address

    /// - Parameter limit: first address after the section that holds an address.
    private static func intervals(_ records: [Record], limit: (UInt64) -> UInt64?) -> SymbolIntervals {
        let places = records.indices.filter { records[$0].isPlace }
        // Labels reach to the next symbol; symbols with sizes lie on top of them.
        let starts = places.map { records[$0].address }.sorted()
        var ranges: [SymbolIntervals.Range] = []
        ranges.reserveCapacity(places.count)
        var best: [UInt64: Int] = [:]
        for position in places where records[position].size == 0 {
            let address = records[position].address
            if let known = best[address], rank(records[known]) >= rank(records[position]) { continue }
            best[address] = position
        }
        var sized: [UInt64: Int] = [:]
        for position in places where records[position].size != 0 {
            let record = records[position]
            let end = record.address.addingReportingOverflow(record.size)
            // Aliases: several names for one range.
            if let known = sized[record.address], records[known].size == record.size, rank(records[known]) >= rank(record) { continue }
            sized[record.address] = position
            ranges.append(SymbolIntervals.Range(record.address, end.overflow ? .max : end.partialValue, position))
        }
        let covered = SymbolIntervals(ranges)
        for (address, position) in best where covered.id(at: address) == nil {
            var low = 0
            var high = starts.count
            while low < high {
                let middle = (low + high) / 2
                if starts[middle] <= address { low = middle + 1 } else { high = middle }
            }
            let next = low < starts.count ? starts[low] : UInt64.max
            ranges.append(SymbolIntervals.Range(address, min(next, limit(address) ?? next), position))
        }
        return SymbolIntervals(ranges)
    }

    /// Which of several names for one place to show.
    private static func rank(_ record: Record) -> Int {
        let kind =
            switch record.kind {
            case .function: 2
            case .object: 1
            case .label: 0
            }
        let binding =
            switch record.binding {
            case .global: 2
            case .weak: 1
            case .local: 0
            }
        return kind * 4 + binding
    }

    func position(at address: UInt64) -> Int? { intervals.id(at: address) }

    func symbol(_ position: Int) -> Symbol {
        let record = records[position]
        return Symbol(
            name: names.string(UInt64(record.name)) ?? "", address: record.address, size: record.size, kind: record.kind,
            binding: record.binding)
    }

    // MARK: By name

    private func sortedByName() -> [Int32] {
        var order = records.indices.map { Int32(truncatingIfNeeded: $0) }
        order.sort { left, right in
            let a = records[Int(left)]
            let b = records[Int(right)]
            let order = a.name == b.name ? 0 : names.compare(UInt64(a.name), with: UInt64(b.name))
            if order != 0 { return order < 0 }
            if (a.binding == .local) != (b.binding == .local) { return b.binding == .local }
            return left < right
        }
        return order
    }

    private func demangledNames() -> [String: [Int]] {
        var result: [String: [Int]] = [:]
        for prefix in Demangler.prefixes {
            for position in positions(withPrefix: prefix) {
                let shown = symbol(position).displayName
                result[shown, default: []].append(position)
                // ns::function(int) is also found as ns::function.
                if let parenthesis = shown.firstIndex(of: "("), parenthesis != shown.startIndex {
                    result[String(shown[..<parenthesis]), default: []].append(position)
                }
            }
        }
        return result
    }

    private func positions(_ text: String, prefix: Bool) -> ArraySlice<Int32> {
        let wanted = Array(text.utf8)
        func bound(after: Bool) -> Int {
            var low = 0
            var high = byName.count
            while low < high {
                let middle = (low + high) / 2
                let order = names.compare(UInt64(records[Int(byName[middle])].name), wanted, prefix: prefix)
                if order < 0 || (after && order == 0) { low = middle + 1 } else { high = middle }
            }
            return low
        }
        let start = bound(after: false)
        return byName[start..<max(start, bound(after: true))]
    }

    /// Positions of the symbols called `name`, as written in the file or as demangled.
    func positions(named name: String) -> [Int] {
        let found = positions(name, prefix: false).map { Int($0) }
        return found.isEmpty ? demangled[name] ?? [] : found
    }

    /// Positions of the symbols whose names begin with `prefix`, ordered by name.
    func positions(withPrefix prefix: String) -> [Int] { positions(prefix, prefix: true).map { Int($0) } }

    /// Up to `limit` different names that begin with `prefix`, ordered.
    func names(withPrefix prefix: String, limit: Int) -> [String] {
        var result: [String] = []
        for position in positions(prefix, prefix: true) {
            guard result.count < limit else { return result }
            let name = names.string(UInt64(records[Int(position)].name)) ?? ""
            if result.last != name { result.append(name) }
        }
        for name in demangled.keys.lazy.filter({ $0.hasPrefix(prefix) }).sorted().prefix(limit - result.count) { result.append(name) }
        return result
    }

    /// Names that could have been meant by `typed`: few enough to compare letter by letter.
    func candidates(for typed: String) -> [String] {
        var seen: Set<String> = []
        let length = typed.utf8.count
        for start in Set([String(typed.prefix(1)), "_" + typed.prefix(1)]) {
            for position in positions(start, prefix: true) {
                let offset = Int(records[Int(position)].name)
                guard let end = names.terminator(from: offset), abs(end - offset - length) <= 3 else { continue }
                seen.insert(names.text(offset, end))
                if seen.count >= 4000 { return seen.sorted() }
            }
        }
        return seen.sorted()
    }
}
