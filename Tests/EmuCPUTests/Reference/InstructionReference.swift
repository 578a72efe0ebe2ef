import EmuCPU

/// One hart in M-mode as the manuals speak of it, and the effect of one instruction on it, by name.
///
/// Nothing here comes from the emulator: operands are taken from the encoding by the manuals' formats, integers are computed as 128-bit
/// numbers or bit by bit, floating point by `FloatReference`, ciphers by `CryptoReference`.
struct InstructionReference {
    /// x0…x31, f0…f31.
    var x = [UInt64](repeating: 0, count: 32)
    var f = [UInt64](repeating: 0, count: 32)
    var pc: UInt64 = 0
    var privilege: UInt8 = 3
    /// fflags and frm.
    var flags: UInt8 = 0
    var rounding: UInt8 = 0
    /// The fields of mstatus that instructions change.
    var status: UInt64 = 0
    var mepc: UInt64 = 0
    var sepc: UInt64 = 0
    var mnepc: UInt64 = 0
    var mnstatus: UInt64 = 0
    var mscratch: UInt64 = 0
    /// vtype, vl and the length of a vector register in bits.
    var vtype: UInt64 = 1 << 63
    var vl: UInt64 = 0
    let vlen: UInt64
    /// Memory from `base` on.
    var memory: [UInt8] = []
    let base: UInt64
    /// What `lr` reserved: address and bytes.
    var reservation: (address: UInt64, size: Int)?

    init(base: UInt64, vlen: UInt64) {
        self.base = base
        self.vlen = vlen
    }

    /// How an instruction ends.
    enum Outcome: Equatable {
        case retired
        case trap(cause: UInt64, value: UInt64)
    }

    /// Operands of one encoding.
    struct Operands {
        /// The instruction it is; that of a compressed one is the one it expands to.
        var name: String
        var rd = 0, rs1 = 0, rs2 = 0, rs3 = 0
        /// An immediate, offset or shift amount.
        var immediate: Int64 = 0
        var bits: UInt32 = 0
        var length: UInt64 = 4

        /// The field at `low`, `width` bits.
        func field(_ low: UInt32, _ width: UInt32) -> UInt64 { UInt64(bits >> low & (1 << width - 1)) }
    }

    /// Executes an instance of a row; nil when this does not know the row.
    mutating func execute(_ name: String, _ bits: UInt32) -> Outcome? {
        // An encoding no instruction has.
        if name.hasPrefix("reserved ") { return .trap(cause: 2, value: UInt64(bits)) }
        guard let operands = name.hasPrefix("c.") ? Self.expanded(name, bits) : Self.operands(name, bits) else { return nil }
        let next = pc &+ operands.length
        let outcome = integer(operands) ?? memoryAccess(operands) ?? floatingPoint(operands) ?? system(operands)
        if outcome == .retired, !jumped { pc = next }
        jumped = false
        return outcome
    }

    /// The instruction in hand set the program counter.
    private var jumped = false

    mutating func jump(_ target: UInt64) {
        pc = target
        jumped = true
    }

    mutating func write(_ register: Int, _ value: UInt64) { if register != 0 { x[register] = value } }

    // MARK: Numbers

    static func signed(_ a: UInt64, _ width: Int = 64) -> Int128 {
        let value = Int128(a) & (1 << width - 1)
        return value >> (width - 1) == 0 ? value : value - 1 << width
    }

    static func unsigned(_ a: UInt64, _ width: Int = 64) -> Int128 { Int128(a) & (1 << width - 1) }

    /// The low 64 bits of a value wrapped and sign-extended to `width` bits.
    static func wrapped(_ value: Int128, _ width: Int = 64) -> UInt64 { UInt64(truncatingIfNeeded: signed(UInt64(truncatingIfNeeded: value), width)) }

    // MARK: Operands (unprivileged manual, "Base Instruction Formats", "Immediate Encoding Variants")

    private static func operands(_ name: String, _ bits: UInt32) -> Operands {
        var result = Operands(name: name, rd: Int(bits >> 7 & 31), rs1: Int(bits >> 15 & 31), rs2: Int(bits >> 20 & 31), rs3: Int(bits >> 27), bits: bits)
        switch bits & 0x7f {
        case 0x23, 0x27: result.immediate = scattered(bits, "31>11 30>10 29>9 28>8 27>7 26>6 25>5 11>4 10>3 9>2 8>1 7>0", signBit: 11)
        case 0x63: result.immediate = scattered(bits, "31>12 7>11 30>10 29>9 28>8 27>7 26>6 25>5 11>4 10>3 9>2 8>1", signBit: 12)
        case 0x37, 0x17: result.immediate = Int64(Int32(bitPattern: bits & ~0xfff))
        case 0x6f:
            result.immediate = scattered(
                bits, "31>20 19>19 18>18 17>17 16>16 15>15 14>14 13>13 12>12 20>11 30>10 29>9 28>8 27>7 26>6 25>5 24>4 23>3 22>2 21>1", signBit: 20)
        default: result.immediate = scattered(bits, "31>11 30>10 29>9 28>8 27>7 26>6 25>5 24>4 23>3 22>2 21>1 20>0", signBit: 11)
        }
        return result
    }

    /// A number put together from bits of an encoding: "12>5" says that bit 12 there is bit 5 of it.
    static func scattered(_ bits: UInt32, _ places: String, signBit: Int? = nil) -> Int64 {
        var result: Int64 = 0
        for place in places.split(separator: " ") {
            let numbers = place.split(separator: ">").compactMap { Int($0) }
            result |= Int64(bits >> UInt32(numbers[0]) & 1) << Int64(numbers[1])
        }
        guard let signBit else { return result }
        return result >> signBit & 1 == 1 ? result - 1 << (signBit + 1) : result
    }
}
