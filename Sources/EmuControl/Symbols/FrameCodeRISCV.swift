/// Reads RISC-V functions for the instructions that compilers make and remove frames with.
enum FrameCodeRISCV {
    /// What one instruction does to the frame.
    private enum Effect {
        case none
        /// The stack pointer moves; is set relative to the frame pointer; the frame pointer is set relative to the stack pointer.
        case move(Int64), stackFromFrame(Int64), frameFromStack(Int64)
        /// The stack pointer gets a register's value added or subtracted.
        case moveBy(register: Int, sign: Int64)
        case save(Int, Int64), restore(Int)
        /// A register gets a constant; an amount added.
        case constant(Int, Int64), add(Int, Int64)
        /// Where it may, or must, go on from here, relative to the instruction.
        case branch(Int64), jump(Int64)
        /// A return, or a jump to nobody knows where.
        case leave
    }

    /// - Parameter code: from the function's first instruction up to the program counter.
    /// - Returns: the frame when the program counter is reached.
    @Sendable
    static func analyse(_ code: [UInt8]) -> FrameState? {
        var state = FrameState()
        // The frame in its full size: what holds after code that leaves the function early, unless a branch led there.
        var full = state
        var atTarget: [Int: FrameState] = [:]
        var constants: [Int: Int64] = [:]
        var position = 0
        while position + 2 <= code.count {
            if let known = atTarget[position] { state = known }
            let start = position
            let half = UInt32(code[position]) | UInt32(code[position + 1]) << 8
            let effect: Effect
            if half & 3 == 3 {
                guard position + 4 <= code.count else { break }
                effect = full32(half | UInt32(code[position + 2]) << 16 | UInt32(code[position + 3]) << 24)
                position += 4
            } else {
                effect = compressed(half)
                position += 2
            }
            switch effect {
            case .branch(let distance):
                if distance > 0 { atTarget[start + Int(distance)] = state }
            case .jump(let distance):
                if distance > 0 { atTarget[start + Int(distance)] = state }
                state = full
            case .leave: state = full
            case .constant(let register, let value): constants[register] = value
            case .add(let register, let amount): constants[register] = constants[register].map { $0 &+ amount }
            case .moveBy(let register, let sign):
                guard let amount = constants[register] else { break }
                state.frameSize -= sign * amount
                full = state
            default: if apply(effect, &state) { full = state }
            }
        }
        return atTarget[position] ?? state
    }

    /// True for a step in making the frame.
    private static func apply(_ effect: Effect, _ state: inout FrameState) -> Bool {
        switch effect {
        case .move(let amount):
            state.frameSize -= amount
            return amount < 0
        case .stackFromFrame(let amount):
            if let framePointer = state.framePointer { state.frameSize = -(framePointer + amount) }
        case .frameFromStack(let amount):
            state.framePointer = amount - state.frameSize
            return true
        case .save(let register, let offset):
            // The first store is the save; a later one to the stack may be anything.
            guard state.saved[register] == nil else { return false }
            state.saved[register] = offset - state.frameSize
            return true
        case .restore(let register):
            state.saved[register] = nil
            if register == 8 { state.framePointer = nil }
        default: break
        }
        return false
    }

    /// `count` bits from `from` on, moved to `to`.
    private static func bits(_ word: UInt32, _ from: UInt32, _ count: UInt32, to: UInt32) -> Int64 {
        Int64((word >> from & (1 << count - 1)) << to)
    }

    private static func full32(_ word: UInt32) -> Effect {
        let destination = Int(word >> 7 & 31)
        let source = Int(word >> 15 & 31)
        let other = Int(word >> 20 & 31)
        let function = word >> 12 & 7
        let immediate = Int64(Int32(bitPattern: word) >> 20)
        switch word & 0x7f {
        // addi, addiw
        case 0x13 where function == 0, 0x1b where function == 0: return addition(destination, source, immediate)
        case 0x37: return .constant(destination, Int64(Int32(bitPattern: word & 0xffff_f000)))
        // add, sub
        case 0x33 where function == 0 && destination == 2 && source == 2: return .moveBy(register: other, sign: word >> 25 == 0 ? 1 : -1)
        // ld, sd
        case 0x03 where function == 3 && source == 2: return .restore(destination)
        case 0x23 where function == 3 && source == 2:
            return .save(other, Int64(Int32(bitPattern: word & 0xfe00_0000) >> 20) | Int64(destination))
        case 0x63:
            let distance = bits(word, 8, 4, to: 1) | bits(word, 25, 6, to: 5) | bits(word, 7, 1, to: 11)
            return .branch(distance - bits(word, 31, 1, to: 12))
        // jal and jalr that do not come back
        case 0x6f where destination == 0:
            let distance = bits(word, 21, 10, to: 1) | bits(word, 20, 1, to: 11) | bits(word, 12, 8, to: 12)
            return .jump(distance - bits(word, 31, 1, to: 20))
        case 0x67 where destination == 0: return .leave
        default: return .none
        }
    }

    private static func compressed(_ half: UInt32) -> Effect {
        let register = Int(half >> 7 & 31)
        let small = Int64(half >> 2 & 31) - (half & 0x1000 == 0 ? 0 : 32)
        switch (half & 3, half >> 13) {
        // c.addi4spn; c.addi, c.addiw; c.li
        case (0, 0):
            let amount = bits(half, 11, 2, to: 4) | bits(half, 7, 4, to: 6) | bits(half, 6, 1, to: 2) | bits(half, 5, 1, to: 3)
            return amount == 0 ? .none : addition(Int(half >> 2 & 7) + 8, 2, amount)
        case (1, 0), (1, 1): return addition(register, register, small)
        case (1, 2): return .constant(register, small)
        // c.addi16sp, c.lui
        case (1, 3):
            let amount = bits(half, 6, 1, to: 4) | bits(half, 2, 1, to: 5) | bits(half, 5, 1, to: 6) | bits(half, 3, 2, to: 7)
            return register == 2 ? .move(half & 0x1000 == 0 ? amount : amount - 512) : .constant(register, small << 12)
        // c.ldsp, c.sdsp
        case (2, 3): return .restore(register)
        case (2, 7): return .save(Int(half >> 2 & 31), bits(half, 10, 3, to: 3) | bits(half, 7, 3, to: 6))
        // c.jr; c.mv to the stack pointer leaves the frame pointer to go by; c.add
        case (2, 4):
            if half >> 2 & 31 == 0 { return half & 0x1000 == 0 ? .leave : .none }
            return half & 0x1000 != 0 && register == 2 ? .moveBy(register: Int(half >> 2 & 31), sign: 1) : .none
        // c.j
        case (1, 5):
            let near = bits(half, 3, 3, to: 1) | bits(half, 11, 1, to: 4) | bits(half, 2, 1, to: 5) | bits(half, 7, 1, to: 6)
            let far = bits(half, 6, 1, to: 7) | bits(half, 9, 2, to: 8) | bits(half, 8, 1, to: 10)
            return .jump((near | far) - bits(half, 12, 1, to: 11))
        // c.beqz, c.bnez
        case (1, 6), (1, 7):
            let near = bits(half, 3, 2, to: 1) | bits(half, 10, 2, to: 3) | bits(half, 2, 1, to: 5) | bits(half, 5, 2, to: 6)
            return .branch(near - bits(half, 12, 1, to: 8))
        default: return .none
        }
    }

    private static func addition(_ destination: Int, _ source: Int, _ amount: Int64) -> Effect {
        switch (destination, source) {
        case (2, 2): .move(amount)
        case (2, 8): .stackFromFrame(amount)
        case (8, 2): .frameFromStack(amount)
        case (_, 0): .constant(destination, amount)
        case (_, destination): .add(destination, amount)
        default: .none
        }
    }
}
