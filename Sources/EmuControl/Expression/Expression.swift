/// An expression in C's operators over registers, symbols, memory and convenience variables.
///
/// Values are 64 bits wide; a type says how they are read from memory, compared, divided and shown.
public indirect enum Expression: Sendable {
    case number(UInt64, isSigned: Bool)
    /// A bare name: register, symbol or (after both) control register.
    case name(String)
    /// `$name`: register, control register or convenience variable.
    case variable(String)
    case unary(UnaryOperator, Expression)
    case binary(BinaryOperator, Expression, Expression)
    case conditional(Expression, Expression, Expression)
    case cast(ExpressionType, Expression)
    case dereference(Expression)
    case addressOf(Expression)
    case index(Expression, Expression)
    case assignment(BinaryOperator?, Expression, Expression)
}

public enum UnaryOperator: String, Sendable {
    case minus = "-", plus = "+", not = "!", complement = "~"
}

/// Operators of two operands, with C's precedence.
public enum BinaryOperator: String, CaseIterable, Sendable {
    case multiply = "*", divide = "/", modulo = "%"
    case add = "+", subtract = "-"
    case shiftLeft = "<<", shiftRight = ">>"
    case less = "<", greater = ">", lessOrEqual = "<=", greaterOrEqual = ">="
    case equal = "==", notEqual = "!="
    case and = "&", xor = "^", or = "|"
    case logicalAnd = "&&", logicalOr = "||"

    /// Higher binds tighter.
    var precedence: Int {
        switch self {
        case .multiply, .divide, .modulo: 10
        case .add, .subtract: 9
        case .shiftLeft, .shiftRight: 8
        case .less, .greater, .lessOrEqual, .greaterOrEqual: 7
        case .equal, .notEqual: 6
        case .and: 5
        case .xor: 4
        case .or: 3
        case .logicalAnd: 2
        case .logicalOr: 1
        }
    }
}

/// The type of a value.
public indirect enum ExpressionType: Equatable, Sendable {
    case integer(bytes: Int, isSigned: Bool)
    case pointer(ExpressionType)

    public static let unsigned = ExpressionType.integer(bytes: 8, isSigned: false)
    public static let signed = ExpressionType.integer(bytes: 8, isSigned: true)
    public static let boolean = ExpressionType.integer(bytes: 4, isSigned: true)

    var bytes: Int {
        switch self {
        case .integer(let bytes, _): bytes
        case .pointer: 8
        }
    }

    /// Takes part in C's arithmetic as a signed number.
    var isSigned: Bool {
        switch self {
        // Shorter unsigned types are promoted to int, which holds all their values.
        case .integer(let bytes, let isSigned): isSigned || bytes < 4
        case .pointer: false
        }
    }

    /// The value's low bytes, extended as the type says.
    func extended(_ bits: UInt64) -> UInt64 {
        guard case .integer(let bytes, let isSigned) = self, bytes < 8 else { return bits }
        let unused = UInt64(64 - 8 * bytes)
        let shifted = bits << unused
        return isSigned ? UInt64(bitPattern: Int64(bitPattern: shifted) >> Int64(unused)) : shifted >> unused
    }

    /// Names of types, several words written with one space.
    static let names: [String: ExpressionType] = {
        var names: [String: ExpressionType] = [:]
        for (bits, words) in [(8, ["char"]), (16, ["short"]), (32, ["int"]), (64, ["long", "long long", "ssize_t", "intptr_t"])] {
            let signed = ExpressionType.integer(bytes: bits / 8, isSigned: true), unsigned = ExpressionType.integer(bytes: bits / 8, isSigned: false)
            for name in words + ["s\(bits)", "i\(bits)", "int\(bits)_t"] { names[name] = signed }
            for name in words.map({ "unsigned " + $0 }) + ["u\(bits)", "uint\(bits)_t"] { names[name] = unsigned }
        }
        names["unsigned"] = .integer(bytes: 4, isSigned: false)
        names["void"] = .integer(bytes: 1, isSigned: false)
        names["size_t"] = .unsigned
        names["uintptr_t"] = .unsigned
        return names
    }()
}

/// A value with its type and, where it has one, its place.
public struct ExpressionValue: Equatable, Sendable {
    public enum Place: Equatable, Sendable {
        case memory(UInt64)
        case register(String)
        case convenience(String)
    }

    /// Extended to 64 bits.
    public var bits: UInt64
    public var type: ExpressionType
    public var place: Place?

    public init(_ bits: UInt64, _ type: ExpressionType = .unsigned, place: Place? = nil) {
        self.bits = type.extended(bits)
        self.type = type
        self.place = place
    }

    public var isTrue: Bool { bits != 0 }
}
