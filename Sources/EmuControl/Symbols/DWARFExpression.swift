/// Evaluates DWARF expressions (DWARF 5, section 2.5) as far as call frame information uses them: arithmetic on registers and memory.
struct DWARFExpression {
    let registers: FrameRegisters
    let memory: any FrameMemory
    /// Distance between where the code was linked and where it is.
    let slide: UInt64
    private var stack: [UInt64] = []

    private static let stepLimit = 10_000
    private static let stackLimit = 1024

    init(registers: FrameRegisters, memory: any FrameMemory, slide: UInt64) {
        self.registers = registers
        self.memory = memory
        self.slide = slide
    }

    /// The value on top of the stack at the end, or nil when an operation is not known or cannot be done.
    mutating func evaluate(_ expression: SymbolBytes, initial: UInt64? = nil) -> UInt64? {
        stack = initial.map { [$0] } ?? []
        var cursor = SymbolCursor(expression)
        var steps = 0
        while !cursor.atEnd {
            steps += 1
            guard steps <= Self.stepLimit, stack.count <= Self.stackLimit, step(cursor.u8(), &cursor), !cursor.failed else { return nil }
        }
        return cursor.failed ? nil : stack.last
    }

    private mutating func step(_ opcode: UInt8, _ cursor: inout SymbolCursor) -> Bool {
        switch opcode {
        case 0x03: stack.append(cursor.u64() &+ slide)
        case 0x08: stack.append(UInt64(cursor.u8()))
        case 0x09: push(Int64(cursor.integer(Int8.self)))
        case 0x0a: stack.append(UInt64(cursor.u16()))
        case 0x0b: push(Int64(cursor.integer(Int16.self)))
        case 0x0c: stack.append(UInt64(cursor.u32()))
        case 0x0d: push(Int64(cursor.integer(Int32.self)))
        case 0x0e, 0x0f: stack.append(cursor.u64())
        case 0x10: stack.append(cursor.uleb())
        case 0x11: push(cursor.sleb())
        case 0x30...0x4f: stack.append(UInt64(opcode - 0x30))
        case 0x70...0x8f: return pushRegister(Int(opcode - 0x70), cursor.sleb())
        case 0x92: return pushRegister(Int(truncatingIfNeeded: cursor.uleb()), cursor.sleb())
        case 0x06: return load(8)
        case 0x94: return load(Int(cursor.u8()))
        case 0x96: break
        case 0x2f: return jump(&cursor, Int64(cursor.integer(Int16.self)))
        case 0x28:
            let distance = Int64(cursor.integer(Int16.self))
            guard let condition = stack.popLast() else { return false }
            return condition == 0 || jump(&cursor, distance)
        case 0x12...0x17: return shuffle(opcode, &cursor)
        case 0x19, 0x1f, 0x20, 0x23: return unary(opcode, &cursor)
        case 0x1a...0x1e, 0x21, 0x22, 0x24...0x27, 0x29...0x2e: return binary(opcode)
        default: return false
        }
        return true
    }

    private mutating func push(_ value: Int64) { stack.append(UInt64(bitPattern: value)) }

    private mutating func pushRegister(_ register: Int, _ offset: Int64) -> Bool {
        guard let value = registers[register] else { return false }
        stack.append(value &+ UInt64(bitPattern: offset))
        return true
    }

    private mutating func load(_ size: Int) -> Bool {
        guard [1, 2, 4, 8].contains(size), let address = stack.popLast(), let value = memory.read(address, size: size) else { return false }
        stack.append(value)
        return true
    }

    private func jump(_ cursor: inout SymbolCursor, _ distance: Int64) -> Bool {
        let target = Int64(cursor.position) + distance
        guard target >= 0 else { return false }
        cursor.seek(UInt64(target))
        return !cursor.failed
    }

    /// Copies and moves of stack entries.
    private mutating func shuffle(_ opcode: UInt8, _ cursor: inout SymbolCursor) -> Bool {
        let count = stack.count
        switch opcode {
        case 0x12, 0x14, 0x15:
            let depth = opcode == 0x12 ? 0 : opcode == 0x14 ? 1 : Int(cursor.u8())
            guard depth < count else { return false }
            stack.append(stack[count - 1 - depth])
        case 0x13: return stack.popLast() != nil
        case 0x16:
            guard count >= 2 else { return false }
            stack.swapAt(count - 1, count - 2)
        default:
            guard count >= 3 else { return false }
            stack.insert(stack.removeLast(), at: count - 3)
        }
        return true
    }

    private mutating func unary(_ opcode: UInt8, _ cursor: inout SymbolCursor) -> Bool {
        guard let value = stack.popLast() else { return false }
        switch opcode {
        case 0x19: stack.append(Int64(bitPattern: value).magnitude)
        case 0x1f: stack.append(0 &- value)
        case 0x20: stack.append(~value)
        default: stack.append(value &+ cursor.uleb())
        }
        return true
    }

    private mutating func binary(_ opcode: UInt8) -> Bool {
        guard let right = stack.popLast(), let left = stack.popLast() else { return false }
        let a = Int64(bitPattern: left)
        let b = Int64(bitPattern: right)
        func truth(_ value: Bool) -> UInt64 { value ? 1 : 0 }
        switch opcode {
        case 0x1a: stack.append(left & right)
        case 0x1b:
            let quotient = a.dividedReportingOverflow(by: b)
            guard b != 0 else { return false }
            push(quotient.partialValue)
        case 0x1c: stack.append(left &- right)
        case 0x1d:
            guard right != 0 else { return false }
            stack.append(left % right)
        case 0x1e: stack.append(left &* right)
        case 0x21: stack.append(left | right)
        case 0x22: stack.append(left &+ right)
        case 0x24: stack.append(right < 64 ? left << right : 0)
        case 0x25: stack.append(right < 64 ? left >> right : 0)
        case 0x26: push(a >> Int64(min(right, 63)))
        case 0x27: stack.append(left ^ right)
        case 0x29: stack.append(truth(a == b))
        case 0x2a: stack.append(truth(a >= b))
        case 0x2b: stack.append(truth(a > b))
        case 0x2c: stack.append(truth(a <= b))
        case 0x2d: stack.append(truth(a < b))
        default: stack.append(truth(a != b))
        }
        return true
    }
}
