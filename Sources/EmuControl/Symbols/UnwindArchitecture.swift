import EmuMachine

/// A guest's memory, read without changing anything. Addresses are those the guest's code uses.
public protocol FrameMemory {
    /// The little-endian integer of 1, 2, 4 or 8 bytes at `address`, or nil when nothing can be read there.
    func read(_ address: UInt64, size: Int) -> UInt64?
    /// `count` bytes from `address`, or nil when not all of them can be read.
    func bytes(_ address: UInt64, _ count: Int) -> [UInt8]?
}

extension FrameMemory {
    public func bytes(_ address: UInt64, _ count: Int) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(count)
        while result.count < count {
            let place = address &+ UInt64(result.count)
            let size = count - result.count >= 8 && place % 8 == 0 ? 8 : 1
            guard let value = read(place, size: size) else { return nil }
            for byte in 0..<size { result.append(UInt8(truncatingIfNeeded: value >> UInt64(byte * 8))) }
        }
        return result
    }
}

/// A function's registers: the program counter, and the others by their DWARF numbers, as far as they are known.
public struct FrameRegisters: Equatable, Sendable {
    public var pc: UInt64
    private var values: [Int: UInt64]

    public init(pc: UInt64, _ values: [Int: UInt64] = [:]) {
        self.pc = pc
        self.values = values
    }

    /// The value of a register by its DWARF number; nil when it was lost.
    public subscript(register: Int) -> UInt64? {
        get { values[register] }
        set { values[register] = newValue }
    }

    /// Registers whose values are known, by their DWARF numbers.
    public var known: [Int: UInt64] { values }
}

/// What unwinding needs to know of a processor and its calling convention. Registers are given by their DWARF numbers.
public struct UnwindArchitecture: Sendable {
    public let stackPointer: Int
    public let framePointer: Int
    /// Where a call leaves the return address.
    public let link: Int
    /// Registers that a function gives back as it found them.
    public let preserved: Set<Int>
    /// Where a frame pointer leads, relative to it: the return address, the caller's frame pointer, the caller's stack pointer.
    let savedLink: Int64
    let savedFramePointer: Int64
    let frameTop: Int64
    /// Makes an address of what a register or the stack holds as a return address.
    let returnAddress: @Sendable (UInt64) -> UInt64
    /// What a function's instructions up to the program counter have done to the frame.
    let analyse: @Sendable (_ code: [UInt8]) -> FrameState?
    /// Registers that an operating system's entry code saved in memory.
    let trapFrames: [TrapFrameLayout]

    /// RISC-V (RISC-V ELF psABI, "DWARF Register Numbers" and "Frame Pointer Convention").
    public static let riscv = UnwindArchitecture(
        stackPointer: 2, framePointer: 8, link: 1, preserved: Set([2, 3, 4, 8, 9] + Array(18...27) + [40, 41] + Array(50...59)),
        savedLink: -8, savedFramePointer: -16, frameTop: 0, returnAddress: { $0 & ~1 }, analyse: FrameCodeRISCV.analyse,
        trapFrames: [.linuxRISCV])

    /// AArch64 (DWARF for the Arm 64-bit Architecture; Procedure Call Standard, "The Frame Pointer").
    public static let aarch64 = UnwindArchitecture(
        stackPointer: 31, framePointer: 29, link: 30, preserved: Set(Array(18...29) + [31] + Array(72...79)),
        savedLink: 8, savedFramePointer: 0, frameTop: 16,
        // Pointer authentication puts a signature into the bits above the address; bit 55 tells which half it belongs to.
        returnAddress: { $0 & 1 << 55 == 0 ? $0 & 0x0000_ffff_ffff_ffff : $0 | 0xffff_0000_0000_0000 },
        analyse: FrameCodeAArch64.analyse, trapFrames: [])

    /// The architecture of a file's code; nil when it is not known.
    public init?(_ machine: ELFMachine) {
        switch machine.value {
        case 243: self = .riscv
        case 183: self = .aarch64
        default: return nil
        }
    }

    private init(
        stackPointer: Int, framePointer: Int, link: Int, preserved: Set<Int>, savedLink: Int64, savedFramePointer: Int64, frameTop: Int64,
        returnAddress: @escaping @Sendable (UInt64) -> UInt64, analyse: @escaping @Sendable ([UInt8]) -> FrameState?,
        trapFrames: [TrapFrameLayout]
    ) {
        self.stackPointer = stackPointer
        self.framePointer = framePointer
        self.link = link
        self.preserved = preserved
        self.savedLink = savedLink
        self.savedFramePointer = savedFramePointer
        self.frameTop = frameTop
        self.returnAddress = returnAddress
        self.analyse = analyse
        self.trapFrames = trapFrames
    }
}

/// Where an operating system's entry code keeps what it interrupted: at the stack pointer of the functions named.
struct TrapFrameLayout: Sendable {
    let functions: Set<String>
    /// The one of them that traps lead to: at its first instruction nothing is saved yet.
    let entry: String
    /// Offset of the interrupted program counter.
    let pc: UInt64
    /// Offsets of registers by their DWARF numbers.
    let registers: [Int: UInt64]

    /// `struct pt_regs` of Linux: the program counter, then x1 to x31.
    static let linuxRISCV = TrapFrameLayout(
        functions: ["handle_exception", "ret_from_exception"], entry: "handle_exception", pc: 0,
        registers: Dictionary(uniqueKeysWithValues: (1...31).map { ($0, UInt64($0) * 8) }))
}

/// A function's frame as its instructions tell: for code without unwind information.
struct FrameState: Equatable, Sendable {
    /// Bytes the stack pointer is below the caller's.
    var frameSize: Int64 = 0
    /// Where registers were saved, relative to the caller's stack pointer, by DWARF number.
    var saved: [Int: Int64] = [:]
    /// The frame pointer's distance from the caller's stack pointer, once it was set.
    var framePointer: Int64?
}
