/// The functions of one unit and what was inlined into them: the entries of `.debug_info` that have code.
final class DWARFFunctions {
    struct Scope {
        /// Offset of the entry in `.debug_info`.
        let entry: UInt64
        let isInlined: Bool
        /// Where the call was that inlining replaced; file number of the unit's line table.
        let callFile: UInt32
        let callLine: UInt32
        let callColumn: UInt32
        /// Range of `ranges`.
        let firstRange: Int32
        let endRange: Int32
        /// Position after the last scope inside this one: scopes are in the order of their entries, outer before inner.
        fileprivate(set) var end: Int32
    }

    private(set) var scopes: [Scope] = []
    private(set) var ranges: [DWARFRange] = []
    private var outermost = SymbolIntervals()
    private let unit: DWARFUnit

    /// Deeper nesting is damage.
    private static let depthLimit = 512

    init(_ unit: DWARFUnit) {
        self.unit = unit
        collect()
        var intervals: [SymbolIntervals.Range] = []
        var position = 0
        while position < scopes.count {
            for range in ranges[Int(scopes[position].firstRange)..<Int(scopes[position].endRange)] {
                intervals.append(SymbolIntervals.Range(range.start, range.end, position))
            }
            position = Int(scopes[position].end)
        }
        outermost = SymbolIntervals(intervals)
    }

    /// The attributes of an entry that say where its code is and where it was called.
    private struct Attributes {
        var low: DWARFValue?
        var high: DWARFValue?
        var ranges: DWARFValue?
        var sibling: UInt64?
        var callFile: UInt64 = 0
        var callLine: UInt64 = 0
        var callColumn: UInt64 = 0
    }

    private func collect() {
        let abbreviations = unit.abbreviations
        var cursor = unit.entries()
        // For each open entry the position of its scope, or -1.
        var open: [Int32] = []
        // Attributes without bytes of their own make entries that cost more than their size.
        var budget = 64 * cursor.remaining + 4096
        while !cursor.atEnd, budget > 0 {
            let entry = UInt64(cursor.position)
            let code = cursor.uleb()
            if code == 0 {
                guard let closed = open.popLast() else { continue }
                if closed >= 0 { scopes[Int(closed)].end = Int32(scopes.count) }
                if open.isEmpty { break }
                continue
            }
            guard let declaration = abbreviations.declaration(code) else { break }
            budget -= declaration.end - declaration.first
            var scope: Int32 = -1
            if declaration.tag == DWARFTag.subprogram || declaration.tag == DWARFTag.inlined {
                let attributes = read(declaration, &cursor)
                scope = append(entry, declaration.tag == DWARFTag.inlined, attributes)
            } else if DWARFTag.holdsNoCode(declaration.tag), declaration.hasChildren {
                let attributes = read(declaration, &cursor)
                if let sibling = attributes.sibling, sibling > UInt64(cursor.position) {
                    cursor.seek(sibling)
                    continue
                }
            } else {
                skip(declaration, &cursor)
            }
            if declaration.hasChildren {
                guard open.count < Self.depthLimit else { break }
                open.append(scope)
            }
        }
        // Those still open in a truncated unit.
        for scope in open where scope >= 0 { scopes[Int(scope)].end = Int32(scopes.count) }
    }

    private func read(_ declaration: DWARFAbbreviations.Declaration, _ cursor: inout SymbolCursor) -> Attributes {
        var result = Attributes()
        for index in declaration.first..<declaration.end {
            let specification = unit.abbreviations.specifications[index]
            let value = DWARFValue.read(specification.form, constant: specification.constant, unit.encoding, &cursor)
            switch specification.name {
            case DWARFAttribute.lowPC: result.low = value
            case DWARFAttribute.highPC: result.high = value
            case DWARFAttribute.ranges: result.ranges = value
            case DWARFAttribute.sibling: result.sibling = unit.reference(value)
            case DWARFAttribute.callFile: result.callFile = value.raw
            case DWARFAttribute.callLine: result.callLine = value.raw
            case DWARFAttribute.callColumn: result.callColumn = value.raw
            default: break
            }
        }
        return result
    }

    private func skip(_ declaration: DWARFAbbreviations.Declaration, _ cursor: inout SymbolCursor) {
        if declaration.size >= 0, unit.encoding.isUsual { return cursor.skip(UInt64(declaration.size)) }
        for index in declaration.first..<declaration.end {
            _ = DWARFValue.read(unit.abbreviations.specifications[index].form, unit.encoding, &cursor)
        }
    }

    /// The new scope's position, or -1 when the entry has no code: a declaration, an abstract instance.
    private func append(_ entry: UInt64, _ isInlined: Bool, _ attributes: Attributes) -> Int32 {
        let first = ranges.count
        // As many ranges as a unit may have; a hostile one could name one list in every entry.
        guard first < 1 << 22 else { return -1 }
        unit.appendRanges(low: attributes.low, high: attributes.high, ranges: attributes.ranges, limit: 1 << 14, to: &ranges)
        guard ranges.count > first, scopes.count < Int(Int32.max) else { return -1 }
        scopes.append(
            Scope(
                entry: entry, isInlined: isInlined, callFile: UInt32(clamping: attributes.callFile),
                callLine: UInt32(clamping: attributes.callLine), callColumn: UInt32(clamping: attributes.callColumn),
                firstRange: Int32(first), endRange: Int32(ranges.count), end: Int32(scopes.count + 1)))
        return Int32(scopes.count - 1)
    }

    /// Positions of the scopes that hold `address`, the function first, then what was inlined, outer before inner.
    func chain(at address: UInt64) -> [Int] {
        guard let function = outermost.id(at: address) else { return [] }
        var result = [function]
        var position = function + 1
        var end = Int(scopes[function].end)
        while position < end {
            let scope = scopes[position]
            if ranges[Int(scope.firstRange)..<Int(scope.endRange)].contains(where: { $0.contains(address) }) {
                // A function defined within another one is not inlined into it.
                if !scope.isInlined { result.removeAll() }
                result.append(position)
                end = Int(scope.end)
                position += 1
            } else {
                position = Int(scope.end)
            }
        }
        return result
    }

    /// The ranges of a scope; the first one is not always the one with the entry point.
    func ranges(of scope: Int) -> ArraySlice<DWARFRange> { ranges[Int(scopes[scope].firstRange)..<Int(scopes[scope].endRange)] }
}
