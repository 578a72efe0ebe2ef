/// One line number program (DWARF 5, section 6.2; also versions 2 to 4): which source line each instruction comes from.
final class DWARFLineTable {
    struct Row {
        let address: UInt64
        let line: UInt32
        let file: UInt32
        let column: UInt16
        let flags: UInt8

        static let statement: UInt8 = 1, endSequence: UInt8 = 2, prologueEnd: UInt8 = 4

        var isStatement: Bool { flags & Self.statement != 0 }
        var endsSequence: Bool { flags & Self.endSequence != 0 }
        var endsPrologue: Bool { flags & Self.prologueEnd != 0 }
    }

    private let header: DWARFLineHeader
    /// All sequences one after the other, each ordered by address and ended by a row with `endsSequence`.
    let rows: [Row]
    /// Positions of the first and the last row of a sequence, which says where it ends.
    private let sequences: [(first: Int, last: Int)]
    private let intervals: SymbolIntervals

    /// - Parameter isCode: whether a sequence that begins at an address counts; those of discarded functions do not.
    init(_ header: DWARFLineHeader, isCode: (UInt64) -> Bool) {
        self.header = header
        var machine = Machine(header)
        machine.run()
        var sequences: [(first: Int, last: Int)] = []
        for (first, last) in machine.sequences where machine.rows[first].address < machine.rows[last].address && isCode(machine.rows[first].address) {
            sequences.append((first, last))
        }
        rows = machine.rows
        self.sequences = sequences
        intervals = SymbolIntervals(
            sequences.indices.map { SymbolIntervals.Range(machine.rows[sequences[$0].first].address, machine.rows[sequences[$0].last].address, $0) })
    }

    /// The row that covers `address`, with the address where the next one begins.
    func row(at address: UInt64) -> (row: Row, end: UInt64)? {
        guard let sequence = intervals.id(at: address) else { return nil }
        let (first, last) = sequences[sequence]
        var low = first
        var high = last
        // The last row that begins at or before the address; of several at one address the last one holds.
        while low < high {
            let middle = (low + high) / 2
            if rows[middle].address <= address { low = middle + 1 } else { high = middle }
        }
        guard low > first else { return nil }
        let row = rows[low - 1]
        return (row, rows[low].address)
    }

    /// Every sequence's rows.
    func forEachSequence(_ body: (ArraySlice<Row>) -> Void) {
        for (first, last) in sequences { body(rows[first...last]) }
    }

    /// Rows of the range in order, without ends of sequences.
    func rows(in range: DWARFRange) -> [Row] {
        guard let sequence = intervals.id(at: range.start) else { return [] }
        let (first, last) = sequences[sequence]
        return rows[first..<last].filter { range.contains($0.address) }
    }

    func path(_ file: UInt32) -> String? { header.path(Int(file)) }
}

/// The state machine that a line number program runs on.
private struct Machine {
    let header: DWARFLineHeader
    var rows: [DWARFLineTable.Row] = []
    var sequences: [(first: Int, last: Int)] = []
    private var cursor: SymbolCursor
    private var sequenceStart = 0
    private var isSorted = true

    private var address: UInt64 = 0
    private var operation: UInt64 = 0
    private var file: UInt64 = 1
    private var line: UInt64 = 1
    private var column: UInt64 = 0
    private var isStatement: Bool
    private var prologueEnd = false

    init(_ header: DWARFLineHeader) {
        self.header = header
        cursor = header.program
        isStatement = header.defaultIsStatement
        rows.reserveCapacity(cursor.remaining / 3)
    }

    mutating func run() {
        while !cursor.atEnd {
            let opcode = cursor.u8()
            if opcode >= header.opcodeBase {
                special(opcode &- header.opcodeBase)
            } else if opcode == 0 {
                extended()
            } else {
                standard(opcode)
            }
        }
    }

    private mutating func reset() {
        address = 0
        operation = 0
        file = 1
        line = 1
        column = 0
        isStatement = header.defaultIsStatement
        prologueEnd = false
        sequenceStart = rows.count
        isSorted = true
    }

    private mutating func advance(_ operations: UInt64) {
        if header.operationsPerInstruction == 1 {
            address &+= operations &* header.instructionLength
        } else {
            let total = operation &+ operations
            address &+= header.instructionLength &* (total / header.operationsPerInstruction)
            operation = total % header.operationsPerInstruction
        }
    }

    private mutating func append(_ extra: UInt8 = 0) {
        if let last = rows.last, rows.count > sequenceStart, last.address > address { isSorted = false }
        rows.append(
            DWARFLineTable.Row(
                address: address, line: UInt32(truncatingIfNeeded: line), file: UInt32(clamping: file), column: UInt16(clamping: column),
                flags: (isStatement ? DWARFLineTable.Row.statement : 0) | (prologueEnd ? DWARFLineTable.Row.prologueEnd : 0) | extra))
        prologueEnd = false
    }

    private mutating func special(_ adjusted: UInt8) {
        advance(UInt64(adjusted / header.lineRange))
        line &+= UInt64(bitPattern: Int64(header.lineBase) + Int64(adjusted % header.lineRange))
        append()
    }

    private mutating func standard(_ opcode: UInt8) {
        // A program may give a known opcode other operands; then only their number is known.
        guard header.hasUsualOperands(opcode) else {
            for _ in 0..<header.operandCounts[Int(opcode) - 1] { _ = cursor.uleb() }
            return
        }
        switch opcode {
        case 1: append()
        case 2: advance(cursor.uleb())
        case 3: line &+= UInt64(bitPattern: cursor.sleb())
        case 4: file = cursor.uleb()
        case 5: column = cursor.uleb()
        case 6: isStatement.toggle()
        case 8: advance(UInt64((255 - header.opcodeBase) / header.lineRange))
        case 9:
            address &+= UInt64(cursor.u16())
            operation = 0
        case 10: prologueEnd = true
        case 12: _ = cursor.uleb()
        default: break
        }
    }

    private mutating func extended() {
        let length = cursor.uleb()
        let start = cursor.position
        guard length > 0, length <= UInt64(cursor.remaining) else {
            if length > 0 { cursor.fail() }
            return
        }
        switch cursor.u8() {
        case 1:
            append(DWARFLineTable.Row.endSequence)
            // Only a program with addresses in order can be searched.
            if !isSorted { sortSequence() }
            sequences.append((sequenceStart, rows.count - 1))
            reset()
        case 2:
            address = cursor.unsigned(bytes: Int(length) - 1)
            operation = 0
        case 3: header.defineFile(&cursor)
        default: break
        }
        cursor.seek(UInt64(start) + length)
    }

    private mutating func sortSequence() {
        // Stable, with the end kept last at the highest address.
        let end = rows.removeLast()
        let sorted = rows[sequenceStart...].enumerated().sorted { ($0.element.address, $0.offset) < ($1.element.address, $1.offset) }
        rows.replaceSubrange(sequenceStart..., with: sorted.map(\.element))
        rows.append(end)
    }
}
