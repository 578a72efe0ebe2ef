import EmuMachine

/// How to find a register's value in the caller (DWARF 5, section 6.4.1).
enum RegisterRule {
    case undefined, sameValue
    /// Saved at the CFA plus an offset.
    case offset(Int64)
    /// The CFA plus an offset itself.
    case valueOffset(Int64)
    case register(Int)
    /// Saved at the address an expression gives; the value it gives.
    case expression(SymbolBytes), valueExpression(SymbolBytes)
}

/// The rules that hold at one address of a function.
struct CallFrameRow {
    enum CFA {
        case register(Int, Int64)
        case expression(SymbolBytes)
    }

    /// Canonical frame address: where the caller's stack pointer was at the call.
    var cfa: CFA?
    var rules: [Int: RegisterRule] = [:]
    /// Column of the return address.
    var link = 0
    /// True for the frame of an interrupted function, whose address is no call's return address.
    var isTrap = false
}

/// The call frame information of a file: `.eh_frame` (Linux Standard Base, "Exception Frames") and `.debug_frame` (DWARF 5, section 6.4).
public final class CallFrameTable {
    /// One of the two sections.
    private struct Part {
        let bytes: SymbolBytes
        /// Where the section is linked, for addresses relative to themselves.
        let address: UInt64
        let isExceptionFrame: Bool
    }

    /// A common information entry: what several functions' entries share.
    private struct Common {
        var encoding = DWARFEncoding.usual
        var codeFactor: UInt64 = 1
        var dataFactor: Int64 = 1
        var link = 0
        var pointerEncoding: UInt8 = 0
        var hasAugmentation = false
        var isTrap = false
        var instructions: SymbolCursor
    }

    private struct Entry {
        let part: Int
        let common: UInt64
        let start: UInt64
        let instructions: SymbolCursor
    }

    private let parts: [Part]
    private var entries: [Entry] = []
    private var intervals = SymbolIntervals()
    private var commons: [Int: [UInt64: Common?]] = [:]

    /// Nil when the file has no call frame information.
    init?(_ elf: SymbolELF) {
        parts = [(".eh_frame", true), (".debug_frame", false)].compactMap { name, isExceptionFrame in
            guard let section = elf.sections.first(where: { $0.name == name }) ?? elf.sections.first(where: { $0.name == ".z" + name.dropFirst() })
            else { return nil }
            let bytes = elf.contents(name)
            return bytes.count > 0 ? Part(bytes: bytes, address: section.address, isExceptionFrame: isExceptionFrame) : nil
        }
        guard !parts.isEmpty else { return nil }
        var ranges: [SymbolIntervals.Range] = []
        for part in parts.indices { scan(part, DWARFSections(elf), &ranges) }
        intervals = SymbolIntervals(ranges)
    }

    // MARK: Entries

    private func scan(_ index: Int, _ sections: DWARFSections, _ ranges: inout [SymbolIntervals.Range]) {
        let part = parts[index]
        var cursor = SymbolCursor(part.bytes)
        while !cursor.atEnd {
            var encoding = DWARFEncoding.usual
            guard let length = cursor.unitLength(&encoding) else { return }
            // Zero ends the section, or what one object file put there.
            if length == 0 { continue }
            let start = UInt64(cursor.position)
            var entry = SymbolCursor(part.bytes, start, start + length)
            cursor.skip(length)
            let identifier = entry.unsigned(bytes: part.isExceptionFrame ? 4 : encoding.offsetSize)
            let isCommon = part.isExceptionFrame ? identifier == 0 : identifier == (encoding.offsetSize == 4 ? 0xffff_ffff : .max)
            guard !isCommon else { continue }
            let common = part.isExceptionFrame ? start &- identifier : identifier
            guard let shared = self.common(index, common),
                let first = pointer(&entry, shared.pointerEncoding, shared, part),
                let size = pointer(&entry, shared.pointerEncoding & 0xf, shared, part)
            else { continue }
            if shared.hasAugmentation { entry.skip(entry.uleb()) }
            guard !entry.failed, sections.isCode(first), entries.count < Int(Int32.max) else { continue }
            ranges.append(SymbolIntervals.Range(first, first &+ size, entries.count))
            entries.append(Entry(part: index, common: common, start: first, instructions: entry))
        }
    }

    private func common(_ part: Int, _ offset: UInt64) -> Common? {
        if let known = commons[part]?[offset] { return known }
        let result = readCommon(parts[part], offset)
        commons[part, default: [:]][offset] = .some(result)
        return result
    }

    private func readCommon(_ part: Part, _ offset: UInt64) -> Common? {
        var outer = SymbolCursor(part.bytes, offset)
        var encoding = DWARFEncoding.usual
        guard let length = outer.unitLength(&encoding) else { return nil }
        var cursor = SymbolCursor(part.bytes, UInt64(outer.position), UInt64(outer.position) + length)
        let identifier = cursor.unsigned(bytes: part.isExceptionFrame ? 4 : encoding.offsetSize)
        guard part.isExceptionFrame ? identifier == 0 : identifier == (encoding.offsetSize == 4 ? 0xffff_ffff : .max) else { return nil }
        let version = cursor.u8()
        guard version == 1 || version == 3 || version == 4 else { return nil }
        let augmentation = Array(cursor.string().utf8)
        if version == 4 {
            encoding.addressSize = Int(cursor.u8())
            guard cursor.u8() == 0 else { return nil }
        }
        guard encoding.addressSize == 4 || encoding.addressSize == 8 else { return nil }
        var result = Common(encoding: encoding, instructions: cursor)
        result.codeFactor = cursor.uleb()
        result.dataFactor = cursor.sleb()
        result.link = version == 1 ? Int(cursor.u8()) : Int(truncatingIfNeeded: cursor.uleb())
        if augmentation.first == UInt8(ascii: "z") {
            result.hasAugmentation = true
            let size = cursor.uleb()
            let start = UInt64(cursor.position)
            for letter in augmentation.dropFirst() {
                switch letter {
                case UInt8(ascii: "R"): result.pointerEncoding = cursor.u8()
                case UInt8(ascii: "P"): _ = pointer(&cursor, cursor.u8(), result, part)
                case UInt8(ascii: "L"): _ = cursor.u8()
                case UInt8(ascii: "S"): result.isTrap = true
                default: break
                }
            }
            cursor.seek(start &+ size)
        } else if !augmentation.isEmpty {
            // Without a length what follows cannot be skipped.
            return nil
        }
        guard !cursor.failed else { return nil }
        result.instructions = cursor
        return result
    }

    /// A pointer in one of the encodings of exception frames; nil for one that needs the running program or is damaged.
    private func pointer(_ cursor: inout SymbolCursor, _ encoding: UInt8, _ common: Common, _ part: Part) -> UInt64? {
        let place = part.address &+ UInt64(cursor.position)
        let value: UInt64
        switch encoding & 0xf {
        case 0: value = cursor.unsigned(bytes: common.encoding.addressSize)
        case 1: value = cursor.uleb()
        case 2: value = UInt64(cursor.u16())
        case 3: value = UInt64(cursor.u32())
        case 4: value = cursor.u64()
        case 9: value = UInt64(bitPattern: cursor.sleb())
        case 0xa: value = UInt64(bitPattern: Int64(cursor.integer(Int16.self)))
        case 0xb: value = UInt64(bitPattern: Int64(cursor.integer(Int32.self)))
        case 0xc: value = cursor.u64()
        default: return nil
        }
        guard !cursor.failed else { return nil }
        switch encoding & 0xf0 {
        case 0: return value
        case 0x10: return place &+ value
        default: return nil
        }
    }

    // MARK: Rules

    /// The rules at a linked address; nil when no entry covers it or its instructions are damaged.
    func row(at address: UInt64) -> CallFrameRow? {
        guard let index = intervals.id(at: address) else { return nil }
        let entry = entries[index]
        guard let common = common(entry.part, entry.common) else { return nil }
        let part = parts[entry.part]
        var machine = CallFrameMachine(
            codeFactor: common.codeFactor, dataFactor: common.dataFactor, link: common.link, isTrap: common.isTrap, location: entry.start,
            target: address
        ) { [self] cursor in pointer(&cursor, common.pointerEncoding, common, part) }
        return machine.run(common.instructions, entry.instructions)
    }
}

/// Executes call frame instructions (DWARF 5, section 6.4.2) up to an address.
private struct CallFrameMachine {
    let codeFactor: UInt64
    let dataFactor: Int64
    let target: UInt64
    let readAddress: (inout SymbolCursor) -> UInt64?
    private var location: UInt64
    private var row = CallFrameRow()
    private var initial: [Int: RegisterRule] = [:]
    private var remembered: [(CallFrameRow.CFA?, [Int: RegisterRule])] = []

    private static let stackLimit = 256

    init(
        codeFactor: UInt64, dataFactor: Int64, link: Int, isTrap: Bool, location: UInt64, target: UInt64,
        readAddress: @escaping (inout SymbolCursor) -> UInt64?
    ) {
        self.codeFactor = codeFactor
        self.dataFactor = dataFactor
        self.target = target
        self.readAddress = readAddress
        self.location = location
        row.link = link
        row.isTrap = isTrap
    }

    mutating func run(_ common: SymbolCursor, _ own: SymbolCursor) -> CallFrameRow? {
        var cursor = common
        guard execute(&cursor) else { return nil }
        initial = row.rules
        cursor = own
        return execute(&cursor) ? row : nil
    }

    /// False when an instruction is unknown or damaged: what follows it cannot be read.
    private mutating func execute(_ cursor: inout SymbolCursor) -> Bool {
        while !cursor.atEnd {
            let opcode = cursor.u8()
            let low = opcode & 0x3f
            switch opcode >> 6 {
            case 1: if advance(UInt64(low)) { return true }
            case 2: row.rules[Int(low)] = .offset(factored(cursor.uleb()))
            case 3: row.rules[Int(low)] = initial[Int(low)]
            default:
                switch low {
                case 0x01:
                    guard let address = readAddress(&cursor) else { return false }
                    if address > target { return true }
                    location = address
                case 0x02: if advance(UInt64(cursor.u8())) { return true }
                case 0x03: if advance(UInt64(cursor.u16())) { return true }
                case 0x04: if advance(UInt64(cursor.u32())) { return true }
                case 0x1d: if advance(cursor.u64()) { return true }
                default: guard other(low, &cursor) else { return false }
                }
            }
        }
        return !cursor.failed
    }

    /// Moves on; true when the address asked for is before the next row.
    private mutating func advance(_ delta: UInt64) -> Bool {
        let next = location.addingReportingOverflow(delta &* codeFactor)
        if next.overflow || next.partialValue > target { return true }
        location = next.partialValue
        return false
    }

    private func factored(_ value: UInt64) -> Int64 { Int64(bitPattern: value) &* dataFactor }

    private func register(_ cursor: inout SymbolCursor) -> Int { Int(truncatingIfNeeded: cursor.uleb()) }

    private func block(_ cursor: inout SymbolCursor) -> SymbolBytes { cursor.slice(cursor.uleb()) }

    private mutating func other(_ opcode: UInt8, _ cursor: inout SymbolCursor) -> Bool {
        switch opcode {
        case 0x00: break
        case 0x05: row.rules[register(&cursor)] = .offset(factored(cursor.uleb()))
        case 0x06:
            let register = register(&cursor)
            row.rules[register] = initial[register]
        case 0x07: row.rules[register(&cursor)] = .undefined
        case 0x08: row.rules[register(&cursor)] = .sameValue
        case 0x09: row.rules[register(&cursor)] = .register(register(&cursor))
        case 0x0a:
            guard remembered.count < Self.stackLimit else { return false }
            remembered.append((row.cfa, row.rules))
        case 0x0b:
            guard let (cfa, rules) = remembered.popLast() else { return false }
            row.cfa = cfa
            row.rules = rules
        case 0x0c:
            let register = register(&cursor)
            row.cfa = .register(register, Int64(bitPattern: cursor.uleb()))
        case 0x0d:
            guard case .register(_, let offset) = row.cfa else { return false }
            row.cfa = .register(register(&cursor), offset)
        case 0x0e:
            guard case .register(let register, _) = row.cfa else { return false }
            row.cfa = .register(register, Int64(bitPattern: cursor.uleb()))
        case 0x0f: row.cfa = .expression(block(&cursor))
        case 0x10: row.rules[register(&cursor)] = .expression(block(&cursor))
        case 0x11: row.rules[register(&cursor)] = .offset(cursor.sleb() &* dataFactor)
        case 0x12:
            let register = register(&cursor)
            row.cfa = .register(register, cursor.sleb() &* dataFactor)
        case 0x13:
            guard case .register(let register, _) = row.cfa else { return false }
            row.cfa = .register(register, cursor.sleb() &* dataFactor)
        case 0x14: row.rules[register(&cursor)] = .valueOffset(factored(cursor.uleb()))
        case 0x15: row.rules[register(&cursor)] = .valueOffset(cursor.sleb() &* dataFactor)
        case 0x16: row.rules[register(&cursor)] = .valueExpression(block(&cursor))
        // Signing of return addresses (AArch64), which `UnwindArchitecture.returnAddress` undoes; size of arguments (GNU).
        case 0x2c, 0x2d: break
        case 0x2e: _ = cursor.uleb()
        case 0x2f: row.rules[register(&cursor)] = .offset(0 &- factored(cursor.uleb()))
        default: return false
        }
        return !cursor.failed
    }
}
