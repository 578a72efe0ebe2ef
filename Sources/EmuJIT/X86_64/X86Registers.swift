/// A general-purpose register, rax to r15; the raw value is its number in instruction encodings.
///
/// Not an enumeration, because the names are then also found where a register *or memory* is wanted; they are declared below.
public struct X86Register: RawRepresentable, Hashable, CaseIterable, Sendable {
    public let rawValue: UInt8

    public init?(rawValue: UInt8) {
        guard rawValue < 16 else { return nil }
        self.rawValue = rawValue
    }

    fileprivate init(number: UInt8) { rawValue = number }

    /// In the order of their numbers.
    public static let allCases = (0..<16).map { X86Register(number: $0) }
}

/// A vector register, xmm0 to xmm15.
public struct XMMRegister: Hashable, Sendable {
    public let number: UInt8

    public init(_ number: UInt8) {
        precondition(number < 16)
        self.number = number
    }
}

/// What an index register is multiplied by in an address; the raw value is its encoding.
public enum X86Scale: UInt8, CaseIterable, Sendable {
    case by1, by2, by4, by8
}

/// A memory operand: `base + index * scale + displacement`.
public struct X86Memory: Hashable, Sendable {
    public var base: X86Register
    public var index: X86Register?
    public var scale: X86Scale
    /// Signed, in bytes; the shortest of no, 8-bit and 32-bit displacement is encoded.
    public var displacement: Int32

    public init(_ base: X86Register, _ displacement: Int32 = 0) {
        self.base = base
        index = nil
        scale = .by1
        self.displacement = displacement
    }

    /// - Parameter index: any register but rsp, which has no encoding as an index.
    public init(_ base: X86Register, index: X86Register, _ scale: X86Scale = .by1, _ displacement: Int32 = 0) {
        precondition(index != .rsp)
        self.base = base
        self.index = index
        self.scale = scale
        self.displacement = displacement
    }
}

/// A condition of jcc, setcc and cmovcc; the raw value is its encoding.
public enum X86Condition: UInt8, CaseIterable, Sendable {
    case o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g

    /// The condition that holds exactly when this one does not.
    public var inverted: X86Condition {
        switch self {
        case .o: .no
        case .no: .o
        case .b: .ae
        case .ae: .b
        case .e: .ne
        case .ne: .e
        case .be: .a
        case .a: .be
        case .s: .ns
        case .ns: .s
        case .p: .np
        case .np: .p
        case .l: .ge
        case .ge: .l
        case .le: .g
        case .g: .le
        }
    }
}

/// Operand size of an integer instruction; the raw value is the binary logarithm of the size in bytes.
///
/// As the processor does it: a `long` result clears the upper half of its register, `byte` and `word` results leave the rest as it was.
public enum X86Width: UInt8, CaseIterable, Sendable {
    case byte, word, long, quad
}

/// Format of a scalar floating-point instruction: the `ss` or the `sd` form.
public enum X86Float: UInt8, CaseIterable, Sendable {
    case single, double
}

// MARK: Operands

/// How an operand appears in the r/m field of an instruction.
public enum X86OperandEncoding: Sendable {
    case register(UInt8)
    case memory(X86Memory)
}

/// What may stand in the r/m field of an instruction.
public protocol X86Operand: Sendable {
    var encoding: X86OperandEncoding { get }
}

/// A general-purpose register or memory.
public protocol X86IntegerOperand: X86Operand {}

/// A vector register or memory.
public protocol X86VectorOperand: X86Operand {}

extension X86Register: X86IntegerOperand {
    public var encoding: X86OperandEncoding { .register(rawValue) }
}

extension XMMRegister: X86VectorOperand {
    public var encoding: X86OperandEncoding { .register(number) }
}

extension X86Memory: X86IntegerOperand, X86VectorOperand {
    public var encoding: X86OperandEncoding { .memory(self) }
}

extension X86IntegerOperand where Self == X86Register {
    public static var rax: X86Register { X86Register(number: 0) }
    public static var rcx: X86Register { X86Register(number: 1) }
    public static var rdx: X86Register { X86Register(number: 2) }
    public static var rbx: X86Register { X86Register(number: 3) }
    public static var rsp: X86Register { X86Register(number: 4) }
    public static var rbp: X86Register { X86Register(number: 5) }
    public static var rsi: X86Register { X86Register(number: 6) }
    public static var rdi: X86Register { X86Register(number: 7) }
    public static var r8: X86Register { X86Register(number: 8) }
    public static var r9: X86Register { X86Register(number: 9) }
    public static var r10: X86Register { X86Register(number: 10) }
    public static var r11: X86Register { X86Register(number: 11) }
    public static var r12: X86Register { X86Register(number: 12) }
    public static var r13: X86Register { X86Register(number: 13) }
    public static var r14: X86Register { X86Register(number: 14) }
    public static var r15: X86Register { X86Register(number: 15) }
}
