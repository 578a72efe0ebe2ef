/// Reads `bytes` (up to 8) bytes at guest address `address` as the trapped mode would, little-endian.
/// On a fault `trap` names it; its value is the first byte that failed.
func guestLoad(_ address: UInt64, bytes: UInt64, _ trap: inout ProbedTrap) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<bytes {
        value |= guest_load8(address &+ index, &trap) << (index &* 8)
        if trap.cause != .max { return 0 }
    }
    return value
}

/// The instruction at the trapped pc, all ones in the upper half cleared for a compressed one.
func guestInstruction(_ frame: TrapFrame, _ trap: inout ProbedTrap) -> UInt32 {
    let low = guest_fetch16(frame.pc, &trap)
    guard trap.cause == .max, low & 3 == 3 else { return UInt32(truncatingIfNeeded: low) }
    let high = guest_fetch16(frame.pc &+ 2, &trap)
    return UInt32(truncatingIfNeeded: low | high << 16)
}

/// Performs an instruction the hart lacks. Returns false if it is none the firmware knows: then it is S mode's affair.
/// A fault met on the way replaces `trap`.
func emulateIllegalInstruction(_ frame: TrapFrame, _ hart: HartPointer, _ trap: inout TrapCause) -> Bool {
    var instruction = UInt32(truncatingIfNeeded: trap.value)
    if instruction == 0 {
        // mtval need not hold the instruction.
        var fault = ProbedTrap()
        instruction = guestInstruction(frame, &fault)
        if fault.cause != .max {
            // The page went away under the instruction: fetching it again reports that.
            trap = TrapCause(cause: fetchCause(fault.cause), value: fault.value)
            return false
        }
    }
    let system: UInt32 = 0x73
    let function = instruction >> 12 & 7
    // CSRRS, CSRRC and their immediate forms without a value to write only read.
    guard instruction & 0x7f == system, function & 3 >= 2, instruction >> 15 & 31 == 0,
        let value = counterValue(UInt64(instruction >> 20), frame, hart)
    else { return false }
    frame[UInt64(instruction >> 7 & 31)] = value
    frame.pc &+= 4
    return true
}

/// The user-level counter `csr` where the hart has the counter but not its unprivileged view, and the trapped mode may
/// read it.
private func counterValue(_ csr: UInt64, _ frame: TrapFrame, _ hart: HartPointer) -> UInt64? {
    guard csr >= 0xc00, csr < 0xc20 else { return nil }
    let number = csr - 0xc00
    let features = hart.pointee.features
    if frame.previousMode == PrivilegeMode.user, read_scounteren() >> number & 1 == 0 { return nil }
    if number == 1 {
        guard !features.hasTime || features.counterEnable >> 1 & 1 == 0, hart.pointee.timeRegister != 0 else { return nil }
        return mmio_read64(hart.pointee.timeRegister)
    }
    guard features.counterEnable >> number & 1 == 0, features.counters >> number & 1 != 0 else { return nil }
    return read_mhpmcounter(number)
}

/// The fetch exception of the same sort as a load exception.
private func fetchCause(_ loadCause: UInt64) -> UInt64 {
    switch loadCause {
    case Exception.loadPage: Exception.fetchPage
    case Exception.guestLoadPage: Exception.guestFetchPage
    default: Exception.fetchAccess
    }
}

/// What a scalar load or store does.
private struct MemoryAccess {
    enum Register {
        case integer
        case float
    }

    var isStore: Bool
    var register: UInt64
    var kind: Register = .integer
    /// 2, 4 or 8.
    var bytes: UInt64
    var isSigned = false
    var instructionLength: UInt64 = 4

    /// Decodes a load or store; nil for anything else (atomics, vectors and pairs among them).
    init?(_ instruction: UInt32) {
        if instruction & 3 == 3 {
            self.init(word: UInt64(instruction))
        } else {
            self.init(compressed: UInt64(instruction & 0xffff))
            instructionLength = 2
        }
    }

    private init?(word: UInt64) {
        let function = word >> 12 & 7
        let destination = word >> 7 & 31
        let source = word >> 20 & 31
        switch (word & 0x7f, function) {
        case (0x03, 1...3), (0x03, 5...6):
            self.init(isStore: false, register: destination, bytes: 1 << (function & 3), isSigned: function < 4)
        case (0x23, 1...3):
            self.init(isStore: true, register: source, bytes: 1 << function)
        case (0x07, 1...3):
            self.init(isStore: false, register: destination, kind: .float, bytes: 1 << function)
        case (0x27, 1...3):
            self.init(isStore: true, register: source, kind: .float, bytes: 1 << function)
        default:
            return nil
        }
    }

    private init?(compressed half: UInt64) {
        let short = 8 + (half >> 2 & 7)
        let destination = half >> 7 & 31
        let source = half >> 2 & 31
        switch (half & 3, half >> 13) {
        case (0, 1): self.init(isStore: false, register: short, kind: .float, bytes: 8)
        case (0, 2): self.init(isStore: false, register: short, bytes: 4, isSigned: true)
        case (0, 3): self.init(isStore: false, register: short, bytes: 8)
        case (0, 5): self.init(isStore: true, register: short, kind: .float, bytes: 8)
        case (0, 6): self.init(isStore: true, register: short, bytes: 4)
        case (0, 7): self.init(isStore: true, register: short, bytes: 8)
        case (2, 1): self.init(isStore: false, register: destination, kind: .float, bytes: 8)
        case (2, 2): self.init(isStore: false, register: destination, bytes: 4, isSigned: true)
        case (2, 3): self.init(isStore: false, register: destination, bytes: 8)
        case (2, 5): self.init(isStore: true, register: source, kind: .float, bytes: 8)
        case (2, 6): self.init(isStore: true, register: source, bytes: 4)
        case (2, 7): self.init(isStore: true, register: source, bytes: 8)
        case (0, 4):
            // Zcb: c.lhu, c.lh, c.sh.
            switch half >> 10 & 7 {
            case 1: self.init(isStore: false, register: short, bytes: 2, isSigned: half >> 6 & 1 != 0)
            case 3 where half >> 6 & 1 == 0: self.init(isStore: true, register: short, bytes: 2)
            default: return nil
            }
        default: return nil
        }
    }

    private init(isStore: Bool, register: UInt64, kind: Register = .integer, bytes: UInt64, isSigned: Bool = false) {
        self.isStore = isStore
        self.register = register
        self.kind = kind
        self.bytes = bytes
        self.isSigned = isSigned
    }
}

/// Performs a misaligned load or store byte by byte. Returns false if the trap (possibly another one by then) is to be
/// passed to S mode.
func emulateMisaligned(_ frame: TrapFrame, _ hart: HartPointer, _ trap: inout TrapCause) -> Bool {
    var fault = ProbedTrap()
    let instruction = guestInstruction(frame, &fault)
    if fault.cause != .max {
        trap = TrapCause(cause: fetchCause(fault.cause), value: fault.value)
        return false
    }
    guard let access = MemoryAccess(instruction) else { return false }
    let address = trap.value
    if access.isStore {
        let value = registerValue(access, frame, hart)
        for index in 0..<access.bytes {
            guest_store8(address &+ index, value >> (index &* 8), &fault)
            if fault.cause != .max { break }
        }
    } else {
        let value = guestLoad(address, bytes: access.bytes, &fault)
        if fault.cause == .max { setRegister(access, value, frame, hart) }
    }
    if fault.cause != .max {
        trap = TrapCause(cause: fault.cause, value: fault.value)
        return false
    }
    frame.pc &+= access.instructionLength
    return true
}

private func registerValue(_ access: MemoryAccess, _ frame: TrapFrame, _ hart: HartPointer) -> UInt64 {
    switch access.kind {
    case .integer: frame[access.register]
    case .float:
        hart.pointee.features.hasDouble ? read_double_bits(access.register) : read_single_bits(access.register)
    }
}

private func setRegister(_ access: MemoryAccess, _ value: UInt64, _ frame: TrapFrame, _ hart: HartPointer) {
    let unused = 64 - access.bytes * 8
    switch access.kind {
    case .integer:
        let shifted = value << unused
        frame[access.register] =
            access.isSigned ? UInt64(bitPattern: Int64(bitPattern: shifted) >> Int64(unused)) : value
    case .float:
        // A narrower value is boxed in ones.
        let boxed = unused == 0 ? value : value | UInt64.max << (access.bytes * 8)
        if hart.pointee.features.hasDouble {
            write_double_bits(access.register, boxed)
        } else {
            write_single_bits(access.register, boxed)
        }
        frame.status |= MachineStatus.floatDirty
    }
}
