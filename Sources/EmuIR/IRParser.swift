/// Why a text is no unit.
public struct IRTextError: Error, Hashable, Sendable, CustomStringConvertible {
    /// From 1.
    public let line: Int
    public let reason: String

    public var description: String { "line \(line): \(reason)" }
}

extension IRUnit {
    /// Reads the text form that `description` writes. Empty lines, and what follows a `#`, are skipped.
    ///
    /// Only the form is checked here: `verify()` says whether the unit makes sense.
    public init(text: String) throws(IRTextError) {
        var parser = IRParser()
        var line = 0
        for bytes in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            line += 1
            do throws(Malformed) {
                try parser.read(Cursor(bytes))
            } catch {
                throw IRTextError(line: line, reason: error.reason)
            }
        }
        do throws(Malformed) {
            self = try parser.finish()
        } catch {
            throw IRTextError(line: line, reason: error.reason)
        }
    }
}

private struct Malformed: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}

/// Reads words and marks from one line.
private struct Cursor {
    private let bytes: [UInt8]
    private var position = 0

    init(_ line: Substring.UTF8View) {
        bytes = Array(line.prefix { $0 != UInt8(ascii: "#") })
        skipSpace()
    }

    var atEnd: Bool { position == bytes.count }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0d].contains(bytes[position]) { position += 1 }
    }

    /// What follows, for messages.
    private var rest: String { atEnd ? "the end of the line" : "\"" + String(decoding: bytes[position...], as: UTF8.self) + "\"" }

    /// Letters, digits and dots; empty when something else follows.
    mutating func word() -> String {
        let start = position
        while position < bytes.count, Self.isWord(bytes[position]) { position += 1 }
        defer { skipSpace() }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    mutating func accept(_ mark: String) -> Bool {
        guard bytes[position...].starts(with: mark.utf8) else { return false }
        position += mark.utf8.count
        skipSpace()
        return true
    }

    mutating func expect(_ mark: String) throws(Malformed) {
        guard accept(mark) else { throw Malformed("expected \"\(mark)\" before \(rest)") }
    }

    func expectEnd() throws(Malformed) {
        guard atEnd else { throw Malformed("unexpected \(rest)") }
    }

    /// Decimal or, after `0x`, hexadecimal; after `-`, negative.
    mutating func number<Value: FixedWidthInteger>(_ what: String, as type: Value.Type) throws(Malformed) -> Value {
        let before = rest
        let sign = accept("-") ? "-" : ""
        let digits = word()
        let isHexadecimal = digits.hasPrefix("0x")
        guard let value = Value(sign + (isHexadecimal ? String(digits.dropFirst(2)) : digits), radix: isHexadecimal ? 16 : 10) else {
            throw Malformed("expected \(what) of \(Value.bitWidth) bits before \(before)")
        }
        return value
    }

    /// A register, a temp or a constant.
    mutating func operand() throws(Malformed) -> Operand {
        var ahead = self
        let word = ahead.word()
        let digits = word.dropFirst()
        guard let kind = word.first, "xftv".contains(kind) else { return .constant(try number("an operand", as: Int64.self)) }
        var operand: Operand?
        switch kind {
        case "x": operand = UInt8(digits, radix: 10).map(Operand.integer)
        case "f": operand = UInt8(digits, radix: 10).map(Operand.float)
        case "v": operand = UInt8(digits, radix: 10).map(Operand.vector)
        default: operand = UInt16(digits, radix: 10).map(Operand.temp)
        }
        guard let operand else { throw Malformed("\"\(word)\" is no register or temp") }
        self = ahead
        return operand
    }

    /// ` + 16` or ` - 16`.
    mutating func displacement() throws(Malformed) -> Int32 {
        let isNegative = accept("-")
        if !isNegative { try expect("+") }
        let magnitude = try number("a displacement", as: Int64.self)
        guard magnitude >= 0, let displacement = Int32(exactly: isNegative ? -magnitude : magnitude) else {
            throw Malformed("the displacement does not fit 32 bits")
        }
        return displacement
    }
}

private struct IRParser {
    private static let opcodes: [String: Opcode] = .init(uniqueKeysWithValues: Opcode.allCases.map { ($0.info.name.description, $0) })

    private var started = false
    private var blocks: [IRBlock] = []
    /// The block being read has its terminator: its last line was one.
    private var isTerminated = true

    mutating func read(_ line: Cursor) throws(Malformed) {
        var line = line
        if line.atEnd { return }
        if !started {
            guard line.word() == "unit" else { throw Malformed("a unit starts with \"unit\"") }
            try line.expectEnd()
            started = true
            return
        }
        var ahead = line
        if ahead.word() == "block" {
            guard isTerminated else { throw Malformed("the block before this one has no terminator") }
            try readBlock(ahead)
        } else {
            try readLine(line)
        }
    }

    func finish() throws(Malformed) -> IRUnit {
        guard started else { throw Malformed("a unit starts with \"unit\"") }
        guard isTerminated else { throw Malformed("the last block has no terminator") }
        return IRUnit(
            blocks: blocks.map { block in
                var block = block
                block.tempCount = max(block.tempCount, block.tempsNamed)
                return block
            })
    }

    private mutating func readBlock(_ line: Cursor) throws(Malformed) {
        var line = line
        let offset = try line.number("an offset", as: GuestOffset.self)
        guard line.word() == "count" else { throw Malformed("expected \"count\" after the offset") }
        let count = try line.number("a count", as: Int.self)
        var temps = 0
        if !line.atEnd {
            guard line.word() == "temps" else { throw Malformed("expected \"temps\" or nothing after the count") }
            temps = try line.number("a count", as: Int.self)
        }
        try line.expectEnd()
        blocks.append(IRBlock(offset: offset, guestCount: count, terminator: .interpret, terminatorGuest: 0, tempCount: temps))
        isTerminated = false
    }

    private mutating func readLine(_ line: Cursor) throws(Malformed) {
        var line = line
        let guest = try line.number("the position of a guest instruction", as: UInt16.self)
        try line.expect(":")
        guard !blocks.isEmpty else { throw Malformed("an instruction before the first block") }
        guard !isTerminated else { throw Malformed("an instruction after the terminator") }
        if let (terminator, expected) = try Self.terminator(line) {
            blocks[blocks.count - 1].terminator = terminator
            blocks[blocks.count - 1].expected = expected
            blocks[blocks.count - 1].terminatorGuest = guest
            isTerminated = true
        } else {
            var instruction = try Self.instruction(line)
            instruction.guest = guest
            blocks[blocks.count - 1].instructions.append(instruction)
        }
    }

    /// A terminator and where it is expected to go; nil when the line starts otherwise.
    private static func terminator(_ line: Cursor) throws(Malformed) -> (Terminator, expected: [GuestOffset])? {
        var line = line
        let name = line.word()
        let terminator: Terminator
        var expected: [GuestOffset] = []
        switch name {
        case "jump":
            try line.expect("->")
            terminator = .jump(try line.number("an offset", as: GuestOffset.self))
        case "indirect", "return":
            let target = try line.operand()
            terminator = .indirect(target, displacement: try line.displacement(), isReturn: name == "return")
            if line.accept("->") {
                repeat { expected.append(try line.number("an offset", as: GuestOffset.self)) } while line.accept(",")
            }
        case "interpret.last":
            terminator = .interpret
        default:
            guard name.hasPrefix("branch.") else { return nil }
            guard let relation = Relation.allCases.first(where: { "branch.\($0)" == name }) else { throw Malformed("\"\(name)\" is no branch") }
            let a = try line.operand()
            try line.expect(",")
            let b = try line.operand()
            try line.expect("->")
            let taken = try line.number("an offset", as: GuestOffset.self)
            try line.expect(",")
            terminator = .branch(relation, a, b, taken: taken, next: try line.number("an offset", as: GuestOffset.self))
        }
        try line.expectEnd()
        return (terminator, expected)
    }

    private static func instruction(_ line: Cursor) throws(Malformed) -> Instruction {
        var line = line
        var ahead = line
        var destination = Operand.none
        if !ahead.word().isEmpty, ahead.accept("=") {
            destination = try line.operand()
            try line.expect("=")
        }
        var name = line.word()
        var rights: ProbeRights?
        for bits in Int64(1)...7 where name == "probe." + ProbeRights(rawValue: bits).text {
            name = "probe"
            rights = ProbeRights(rawValue: bits)
        }
        let indexWidth = Self.indexWidth(&name)
        let segment = Self.segment(&name)
        let shape = VectorShape(of: &name)
        guard let opcode = opcodes[name], opcode.info.isVector == (shape != nil) else {
            throw Malformed(name.isEmpty ? "expected an instruction" : "\"\(name)\" is no instruction")
        }
        var instruction = Instruction(opcode, destination, vector: shape ?? .none, guest: 0)
        let places = opcode.info.shape
        guard (places.dst == .unused) == (destination == .none) else {
            throw Malformed(destination == .none ? "\(name) needs a destination" : "\(name) has no destination")
        }
        switch places.syntax {
        case .plain:
            try readSources(&line, into: &instruction, shape: places)
        case .load:
            try readAddress(&line, into: &instruction)
            if places.c != .unused {
                guard line.word() == "by" else { throw Malformed("expected \"by\" behind the displacement") }
                instruction.c = try line.operand()
            }
            try line.expect("]")
            instruction.b = try via(&line)
        case .store:
            try readAddress(&line, into: &instruction)
            try line.expect("]")
            try line.expect("=")
            instruction.b = try line.operand()
            instruction.c = try via(&line)
        case .probe:
            guard let rights else { throw Malformed("probe needs rights: probe.r, probe.w or probe.rw") }
            try readAddress(&line, into: &instruction)
            try line.expect(",")
            instruction.b = try line.operand()
            try line.expect("]")
            instruction.c = .constant(rights.rawValue)
        }
        if shape != nil { try readCondition(&line, into: &instruction) }
        if let indexWidth { instruction.vector.indexWidth = indexWidth }
        if let segment { (instruction.vector.fields, instruction.vector.fieldSize) = segment }
        try line.expectEnd()
        return instruction
    }

    /// Fields of a segment and log2 of their registers, which are taken from the end of an operation's name.
    private static func segment(_ name: inout String) -> (fields: Int, size: Int)? {
        guard let last = name.split(separator: ".").last, last.first == "f", case let numbers = last.dropFirst().split(separator: "x").compactMap({ Int($0) }),
            numbers.count == 2, 2...8 ~= numbers[0], [1, 2, 4].contains(numbers[1]) else { return nil }
        name.removeLast(last.count + 1)
        return (numbers[0], numbers[1].trailingZeroBitCount)
    }

    /// log2 of the bytes of an index, which is taken from the end of an operation's name.
    private static func indexWidth(_ name: inout String) -> UInt8? {
        guard let last = name.split(separator: ".").last, last.first == "i", let bits = Int(last.dropFirst()), [8, 16, 32, 64].contains(bits),
            name.contains(".indexed.") else { return nil }
        name.removeLast(last.count + 1)
        return UInt8(bits.trailingZeroBitCount - 3)
    }

    /// Behind a vector operation: what it needs.
    private static func readCondition(_ line: inout Cursor, into instruction: inout Instruction) throws(Malformed) {
        instruction.vector.traits = .anyType
        while !line.atEnd {
            switch line.word() {
            case "masked": instruction.vector.traits.insert(.masked)
            case "shortening": instruction.vector.traits.insert(.shortening)
            case "when":
                instruction.vector.type = try line.number("a type", as: UInt8.self)
                instruction.vector.traits.remove(.anyType)
            default: throw Malformed("expected \"masked\", \"shortening\", \"when\" or the end of the line")
            }
        }
    }

    private static func readSources(_ line: inout Cursor, into instruction: inout Instruction, shape: OpcodeShape) throws(Malformed) {
        guard shape.a != .unused else { return }
        instruction.a = try line.operand()
        guard shape.b != .unused else { return }
        try line.expect(",")
        instruction.b = try line.operand()
        guard shape.c != .unused else { return }
        try line.expect(",")
        instruction.c = try line.operand()
    }

    private static func readAddress(_ line: inout Cursor, into instruction: inout Instruction) throws(Malformed) {
        try line.expect("[")
        instruction.a = try line.operand()
        instruction.displacement = try line.displacement()
    }

    private static func via(_ line: inout Cursor) throws(Malformed) -> Operand {
        var ahead = line
        if line.atEnd || ["masked", "when"].contains(ahead.word()) { return .none }
        guard line.word() == "via" else { throw Malformed("expected \"via\" or the end of the line") }
        return try line.operand()
    }
}

extension VectorShape {
    /// What `text` says, which is taken from the end of an operation's name; nil where there is none.
    fileprivate init?(of name: inout String) {
        let parts = name.split(separator: ".")
        guard parts.count > 3, case let shape = parts.suffix(3), zip(shape, "enr").allSatisfy({ $0.first == $1 }) else { return nil }
        let numbers = shape.flatMap { $0.dropFirst().split { "of".contains($0) } }.compactMap { UInt16($0, radix: 10) }
        guard let bits = numbers.first, let size = numbers.last, 3...4 ~= numbers.count, bits >= 8, size >= 8, bits.nonzeroBitCount == 1,
            size.nonzeroBitCount == 1 else { return nil }
        self.init(
            width: UInt8(bits.trailingZeroBitCount - 3), registerSize: UInt8(size.trailingZeroBitCount - 3), type: 0, count: numbers[1],
            greatest: numbers.count == 4 ? numbers[2] : nil)
        name = parts.dropLast(3).joined(separator: ".")
    }
}
