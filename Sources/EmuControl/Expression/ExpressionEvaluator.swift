/// What expressions are about.
protocol ExpressionContext {
    /// A register of the general or floating-point group, pc included.
    func register(_ name: String) -> ExpressionValue?
    /// A control register.
    func controlRegister(_ name: String) -> ExpressionValue?
    func symbol(_ name: String) -> UInt64?
    func convenience(_ name: String) -> ExpressionValue?
    /// Little-endian, zero-extended.
    func load(_ address: UInt64, bytes: Int) throws(DebugError) -> UInt64
    /// "; did you mean …?" for a name nobody knows.
    func suggestion(for name: String) -> String
    func assign(_ place: ExpressionValue.Place, _ value: ExpressionValue) throws(DebugError)
}

/// Computes what an expression says. Arithmetic wraps at 64 bits, as the machine's does.
struct ExpressionEvaluator {
    let context: any ExpressionContext

    func evaluate(_ expression: Expression) throws(DebugError) -> ExpressionValue {
        switch expression {
        case .number(let value, let isSigned): return ExpressionValue(value, isSigned ? .signed : .unsigned)
        case .name(let name): return try lookUp(name)
        case .variable(let name):
            guard let value = context.register(name) ?? context.controlRegister(name) ?? context.convenience(name) else {
                throw DebugError("there is no register or variable $\(name)\(context.suggestion(for: "$" + name))")
            }
            return value
        case .unary(let symbol, let operand): return unary(symbol, try evaluate(operand))
        case .binary(.logicalAnd, let left, let right):
            guard try evaluate(left).isTrue else { return ExpressionValue(0, .boolean) }
            return ExpressionValue(try evaluate(right).isTrue ? 1 : 0, .boolean)
        case .binary(.logicalOr, let left, let right):
            if try evaluate(left).isTrue { return ExpressionValue(1, .boolean) }
            return ExpressionValue(try evaluate(right).isTrue ? 1 : 0, .boolean)
        case .binary(let symbol, let left, let right): return try binary(symbol, try evaluate(left), try evaluate(right))
        case .conditional(let condition, let first, let second): return try evaluate(try evaluate(condition).isTrue ? first : second)
        case .cast(let type, let operand): return ExpressionValue(try evaluate(operand).bits, type)
        case .dereference(let operand): return try dereference(try evaluate(operand))
        case .addressOf(let operand):
            // A symbol's value is its address already.
            if case .name(let name) = operand, context.register(name) == nil, let address = context.symbol(name) { return ExpressionValue(address) }
            guard case .memory(let address)? = try evaluate(operand).place else { throw DebugError("only what lies in memory has an address") }
            return ExpressionValue(address)
        case .index(let base, let index): return try dereference(try binary(.add, try evaluate(base), try evaluate(index)))
        case .assignment(let symbol, let target, let source): return try assign(symbol, target, try evaluate(source))
        }
    }

    private func lookUp(_ name: String) throws(DebugError) -> ExpressionValue {
        if let value = context.register(name) { return value }
        if let address = context.symbol(name) { return ExpressionValue(address) }
        if let value = context.controlRegister(name) { return value }
        throw DebugError("there is no register or symbol '\(name)'\(context.suggestion(for: name))")
    }

    private func dereference(_ value: ExpressionValue) throws(DebugError) -> ExpressionValue {
        var type = ExpressionType.unsigned
        if case .pointer(let target) = value.type { type = target }
        return ExpressionValue(try context.load(value.bits, bytes: type.bytes), type, place: .memory(value.bits))
    }

    private func assign(_ symbol: BinaryOperator?, _ target: Expression, _ source: ExpressionValue) throws(DebugError) -> ExpressionValue {
        var place: ExpressionValue.Place?
        var old: ExpressionValue?
        // A variable comes into being when it is assigned.
        if case .variable(let name) = target, context.register(name) == nil, context.controlRegister(name) == nil {
            place = .convenience(name)
            old = context.convenience(name)
        } else {
            old = try evaluate(target)
            place = old?.place
        }
        guard let place else { throw DebugError("that cannot be assigned: write a register ($a0), memory (*(u32*)0x80000000) or a variable ($x)") }
        var value = source
        if let symbol {
            guard let old else { throw DebugError("the variable has no value yet") }
            value = try binary(symbol, old, source)
        }
        if case .memory = place, let type = old?.type { value = ExpressionValue(value.bits, type, place: place) }
        try context.assign(place, value)
        return value
    }

    private func unary(_ symbol: UnaryOperator, _ value: ExpressionValue) -> ExpressionValue {
        let type = value.type.isSigned ? ExpressionType.signed : .unsigned
        switch symbol {
        case .minus: return ExpressionValue(0 &- value.bits, type)
        case .plus: return ExpressionValue(value.bits, type)
        case .not: return ExpressionValue(value.isTrue ? 0 : 1, .boolean)
        case .complement: return ExpressionValue(~value.bits, type)
        }
    }

    private func binary(_ symbol: BinaryOperator, _ left: ExpressionValue, _ right: ExpressionValue) throws(DebugError) -> ExpressionValue {
        // Pointers move by the size of what they point to, and keep their type.
        if symbol == .add || symbol == .subtract {
            if case .pointer(let target) = left.type {
                let size = UInt64(target.bytes)
                if case .pointer = right.type { return ExpressionValue((left.bits &- right.bits) / size, .signed) }
                let distance = right.bits &* size
                return ExpressionValue(symbol == .add ? left.bits &+ distance : left.bits &- distance, left.type)
            }
            if case .pointer = right.type, symbol == .add { return try binary(.add, right, left) }
        }
        let isSigned = left.type.isSigned && right.type.isSigned
        let type = isSigned ? ExpressionType.signed : .unsigned
        let (a, b) = (left.bits, right.bits)
        let (x, y) = (Int64(bitPattern: a), Int64(bitPattern: b))
        func flag(_ value: Bool) -> ExpressionValue { ExpressionValue(value ? 1 : 0, .boolean) }
        switch symbol {
        case .multiply: return ExpressionValue(a &* b, type)
        case .divide, .modulo:
            guard b != 0 else { throw DebugError("division by zero") }
            if isSigned {
                // The one overflow gives what the machine gives.
                let result = x.dividedReportingOverflow(by: y).partialValue, rest = x.remainderReportingOverflow(dividingBy: y).partialValue
                return ExpressionValue(UInt64(bitPattern: symbol == .divide ? result : rest), type)
            }
            return ExpressionValue(symbol == .divide ? a / b : a % b, type)
        case .add: return ExpressionValue(a &+ b, type)
        case .subtract: return ExpressionValue(a &- b, type)
        case .shiftLeft: return ExpressionValue(b > 63 ? 0 : a << b, left.type.isSigned ? .signed : .unsigned)
        case .shiftRight:
            if left.type.isSigned { return ExpressionValue(UInt64(bitPattern: x >> Int64(min(b, 63))), .signed) }
            return ExpressionValue(b > 63 ? 0 : a >> b)
        case .less: return flag(isSigned ? x < y : a < b)
        case .greater: return flag(isSigned ? x > y : a > b)
        case .lessOrEqual: return flag(isSigned ? x <= y : a <= b)
        case .greaterOrEqual: return flag(isSigned ? x >= y : a >= b)
        case .equal: return flag(a == b)
        case .notEqual: return flag(a != b)
        case .and: return ExpressionValue(a & b, type)
        case .xor: return ExpressionValue(a ^ b, type)
        case .or: return ExpressionValue(a | b, type)
        case .logicalAnd: return flag(left.isTrue && right.isTrue)
        case .logicalOr: return flag(left.isTrue || right.isTrue)
        }
    }
}
