import EmuBus

/// Expressions over the guest's state.
extension DebugSession {
    /// Computes `text`; assignments are carried out when allowed.
    public func evaluate(_ text: String, allowsAssignment: Bool = false) throws(DebugError) -> ExpressionValue {
        let expression = try ExpressionParser.parse(text, allowsAssignment: allowsAssignment)
        return try ExpressionEvaluator(context: SessionContext(self, hart)).evaluate(expression)
    }

    /// Computes an expression parsed before.
    public func evaluate(_ expression: Expression) throws(DebugError) -> ExpressionValue {
        try ExpressionEvaluator(context: SessionContext(self, hart)).evaluate(expression)
    }

    /// An address of code: `*EXPRESSION`, an expression, a symbol, or `FILE:LINE`.
    public func location(_ text: String) throws(DebugError) -> UInt64 {
        let trimmed = text.trimmed
        if trimmed.isEmpty { throw DebugError("a place is needed: a symbol, *ADDRESS or FILE:LINE") }
        if trimmed.hasPrefix("*") { return try evaluate(String(trimmed.dropFirst())).bits }
        if let colon = trimmed.lastIndex(of: ":"), let line = Int(trimmed[trimmed.index(after: colon)...]), !trimmed[..<colon].hasSuffix(":") {
            let file = String(trimmed[..<colon])
            guard let symbols else { throw DebugError("no symbols are loaded, so nothing is known of \(file)") }
            guard let first = symbols.addresses(file: file, line: line).first else { throw DebugError("no code is known for line \(line) of \(file)") }
            return first
        }
        return try evaluate(trimmed).bits
    }

    /// `address`, or when it is a function's and no line is known for it, the first behind it with a line: compilers leave room for
    /// patches before a function's first line. Nil when there is none.
    func firstWithLine(_ address: UInt64) -> UInt64? {
        guard let symbols else { return nil }
        let reach: UInt64 = symbols.symbol(at: address)?.offset == 0 ? 16 : 0
        return stride(from: 0, through: reach, by: 2).lazy.map { address &+ $0 }.first { symbols.line(at: $0) != nil }
    }

    /// Remembers a value for `$`, `$1`, …; returns its number.
    public func record(_ value: ExpressionValue) -> Int {
        history.append(value)
        return history.count
    }
}

/// One hart's registers, the session's symbols and memory, for the evaluator.
struct SessionContext: ExpressionContext {
    private let session: DebugSession
    private let hart: any DebugHart

    init(_ session: DebugSession, _ hart: any DebugHart) {
        self.session = session
        self.hart = hart
    }

    func register(_ name: String) -> ExpressionValue? {
        guard let found = hart.register(named: name), found.group != .system else { return nil }
        let isPC = found.group == .general && found.name == "pc"
        let value = isPC ? session.pcInQuestion ?? hart.value(of: found) : hart.value(of: found)
        return ExpressionValue(value, found.isPointer ? .unsigned : .signed, place: .register(found.name))
    }

    func controlRegister(_ name: String) -> ExpressionValue? {
        guard let found = hart.register(named: name), found.group == .system else { return nil }
        return ExpressionValue(hart.value(of: found), .unsigned, place: .register(found.name))
    }

    func symbol(_ name: String) -> UInt64? { session.symbols?.address(of: name) }

    func convenience(_ name: String) -> ExpressionValue? {
        if name.isEmpty { return session.history.last }
        if let number = Int(name) { return session.history.indices.contains(number - 1) ? session.history[number - 1] : nil }
        switch name {
        case "old": if let access = session.accessInQuestion { return access.old.map { ExpressionValue($0) } }
        case "new": if let access = session.accessInQuestion { return access.new.map { ExpressionValue($0) } }
        case "hart": return ExpressionValue(UInt64(hart.index), .signed)
        default: break
        }
        return session.variables[name]
    }

    func load(_ address: UInt64, bytes: Int) throws(DebugError) -> UInt64 {
        // Memory is the hart's own, not the selected one's.
        let selected = session.selected
        session.selected = hart.index
        defer { session.selected = selected }
        return try session.readNumber(address, bytes)
    }

    func suggestion(for name: String) -> String {
        let isVariable = name.hasPrefix("$")
        let registers = hart.registers.flatMap { [$0.name] + $0.aliases }
        if isVariable { return didYouMean(String(name.dropFirst()), among: registers + session.variables.keys) { "$\($0)" } }
        return didYouMean(name, among: registers + (session.symbols?.candidates(for: name) ?? []))
    }

    func assign(_ place: ExpressionValue.Place, _ value: ExpressionValue) throws(DebugError) {
        switch place {
        case .memory(let address):
            try session.writeMemory(address, (0..<value.type.bytes).map { UInt8(truncatingIfNeeded: value.bits >> UInt64(8 * $0)) })
        case .register(let name): try session.write(try session.register(name), value.bits)
        case .convenience(let name):
            guard let first = name.first, !first.isNumber else { throw DebugError("$\(name) is a value shown before and cannot be assigned") }
            session.variables[name] = ExpressionValue(value.bits, value.type)
        }
    }
}

extension String {
    /// Without white space at its ends.
    var trimmed: String {
        var text = Substring(self)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
