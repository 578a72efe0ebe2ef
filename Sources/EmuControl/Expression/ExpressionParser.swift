/// Reads expressions: a tokeniser and a precedence climber.
struct ExpressionParser {
    private enum Token: Equatable {
        case number(UInt64, isSigned: Bool)
        case name(String)
        case variable(String)
        case symbol(String)
        case end
    }

    private let text: String
    private var tokens: [Token] = []
    private var position = 0
    /// Assignments are refused in conditions, where `=` is a slip for `==`.
    private let allowsAssignment: Bool
    private var depth = 0
    /// Deeper nesting is nobody's intention, and would use up the stack.
    private static let depthLimit = 200
    /// Longer ones make trees as deep as they are long (`1+1+1+…`).
    private static let lengthLimit = 1000

    /// - Throws: `DebugError` that quotes the expression.
    static func parse(_ text: String, allowsAssignment: Bool = false) throws(DebugError) -> Expression {
        var parser = ExpressionParser(text: text, allowsAssignment: allowsAssignment)
        try parser.tokenise()
        let result = try parser.assignment()
        guard parser.current == .end else { throw parser.failure("'\(parser.written)' is not expected there") }
        return result
    }

    private init(text: String, allowsAssignment: Bool) {
        self.text = text
        self.allowsAssignment = allowsAssignment
    }

    private func failure(_ problem: String) -> DebugError { DebugError("expression '\(text)': \(problem)") }

    // MARK: Tokens

    private static let symbols = [
        "<<=", ">>=", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=",
        "*", "/", "%", "+", "-", "<", ">", "&", "^", "|", "!", "~", "(", ")", "[", "]", "{", "}", "?", ":", "=",
    ]

    private mutating func tokenise() throws(DebugError) {
        var rest = Substring(text)
        while let first = rest.first {
            if first.isWhitespace {
                rest.removeFirst()
            } else if first.isNumber {
                tokens.append(try number(&rest))
            } else if first == "'" {
                tokens.append(try character(&rest))
            } else if first == "$" {
                rest.removeFirst()
                let name = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
                rest = rest[name.endIndex...]
                tokens.append(.variable(String(name)))
            } else if first.isLetter || first == "_" || first == "." {
                let name = rest.prefix { $0.isLetter || $0.isNumber || "_.$@".contains($0) }
                rest = rest[name.endIndex...]
                // C++ and Swift names: parts joined by two colons.
                var whole = String(name)
                while rest.hasPrefix("::"), let next = rest.dropFirst(2).first, next.isLetter || next == "_" {
                    let part = rest.dropFirst(2).prefix { $0.isLetter || $0.isNumber || $0 == "_" }
                    whole += "::" + part
                    rest = rest[part.endIndex...]
                }
                tokens.append(.name(whole))
            } else if let symbol = Self.symbols.first(where: rest.hasPrefix) {
                tokens.append(.symbol(symbol))
                rest = rest.dropFirst(symbol.count)
            } else {
                throw failure("'\(first)' means nothing here")
            }
            if tokens.count > Self.lengthLimit { throw DebugError("the expression has more than \(Self.lengthLimit) words and signs") }
        }
    }

    private func number(_ rest: inout Substring) throws(DebugError) -> Token {
        let word = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        rest = rest[word.endIndex...]
        var digits = word.replacing("_", with: "").lowercased()
        var isUnsigned = false
        let isHexadecimal = digits.hasPrefix("0x")
        while let last = digits.last, last == "u" || last == "l" {
            isUnsigned = isUnsigned || last == "u"
            digits.removeLast()
        }
        let value: UInt64?
        if isHexadecimal {
            value = UInt64(digits.dropFirst(2), radix: 16)
        } else if digits.hasPrefix("0b") {
            value = UInt64(digits.dropFirst(2), radix: 2)
        } else if digits.count > 1, digits.hasPrefix("0") {
            value = UInt64(digits.dropFirst(), radix: 8)
        } else {
            value = UInt64(digits)
        }
        guard let value else { throw failure("'\(word)' is not a number of at most 64 bits") }
        return .number(value, isSigned: !isUnsigned && value <= UInt64(Int64.max))
    }

    private func character(_ rest: inout Substring) throws(DebugError) -> Token {
        let escapes: [Character: UInt8] = ["n": 10, "r": 13, "t": 9, "0": 0, "e": 27, "\\": 92, "'": 39]
        rest.removeFirst()
        var code = rest.popFirst().flatMap { $0 == "\\" ? nil : $0.unicodeScalars.first.map { UInt64($0.value) } }
        if code == nil, let escape = rest.popFirst() { code = escapes[escape].map(UInt64.init) }
        guard let code, rest.popFirst() == "'" else { throw failure("a character is written 'A' or '\\n'") }
        return .number(code, isSigned: true)
    }

    private var current: Token { position < tokens.count ? tokens[position] : .end }
    private func ahead(_ count: Int) -> Token { position + count < tokens.count ? tokens[position + count] : .end }

    private var written: String {
        switch current {
        case .number(let value, _): String(value)
        case .name(let name): name
        case .variable(let name): "$" + name
        case .symbol(let symbol): symbol
        case .end: "the end"
        }
    }

    private mutating func take(_ symbol: String) -> Bool {
        guard current == .symbol(symbol) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ symbol: String) throws(DebugError) {
        if !take(symbol) { throw failure("'\(symbol)' is expected instead of \(current == .end ? "the end" : "'\(written)'")") }
    }

    // MARK: Grammar

    private mutating func assignment() throws(DebugError) -> Expression {
        depth += 1
        defer { depth -= 1 }
        if depth > Self.depthLimit { throw failure("it is nested too deeply") }
        let left = try conditional()
        guard case .symbol(let symbol) = current, symbol.hasSuffix("="), !["==", "!=", "<=", ">="].contains(symbol) else { return left }
        guard allowsAssignment else { throw failure("'\(symbol)' would assign; write == to compare") }
        position += 1
        return .assignment(BinaryOperator(rawValue: String(symbol.dropLast())), left, try assignment())
    }

    private mutating func conditional() throws(DebugError) -> Expression {
        let condition = try binary(1)
        guard take("?") else { return condition }
        let first = try assignment()
        try expect(":")
        return .conditional(condition, first, try assignment())
    }

    private mutating func binary(_ minimum: Int) throws(DebugError) -> Expression {
        var left = try unary()
        while case .symbol(let symbol) = current, let found = BinaryOperator(rawValue: symbol), found.precedence >= minimum {
            position += 1
            left = .binary(found, left, try binary(found.precedence + 1))
        }
        return left
    }

    private mutating func unary() throws(DebugError) -> Expression {
        depth += 1
        defer { depth -= 1 }
        if depth > Self.depthLimit { throw failure("it is nested too deeply") }
        if case .symbol(let symbol) = current {
            if let found = UnaryOperator(rawValue: symbol) {
                position += 1
                return .unary(found, try unary())
            }
            if take("*") { return .dereference(try unary()) }
            if take("&") { return .addressOf(try unary()) }
            if symbol == "(", let type = try typeName(after: "(", closing: ")") { return .cast(type, try unary()) }
            // As GDB has it: {TYPE} ADDRESS.
            if symbol == "{" {
                guard let type = try typeName(after: "{", closing: "}") else { throw failure("a type is expected after '{'") }
                return .dereference(.cast(.pointer(type), try unary()))
            }
        }
        return try postfix()
    }

    /// A type between brackets; nil, with nothing consumed, when what follows is none.
    private mutating func typeName(after open: String, closing: String) throws(DebugError) -> ExpressionType? {
        let start = position
        guard take(open) else { return nil }
        var words: [String] = []
        while case .name(let word) = current {
            if !["const", "volatile", "signed", "struct"].contains(word) { words.append(word) } else if word == "signed" { words.append("") }
            position += 1
        }
        let name = words.filter { !$0.isEmpty }.joined(separator: " ")
        var type = ExpressionType.names[name] ?? (words == [""] ? ExpressionType.names["int"] : nil)
        // A register or symbol may be called like a short type; only a type is followed by a star or the bracket.
        while let inner = type, take("*") { type = .pointer(inner) }
        guard let type, take(closing) else {
            position = start
            return nil
        }
        return type
    }

    private mutating func postfix() throws(DebugError) -> Expression {
        var result = try primary()
        while take("[") {
            let index = try assignment()
            try expect("]")
            result = .index(result, index)
        }
        return result
    }

    private mutating func primary() throws(DebugError) -> Expression {
        let token = current
        switch token {
        case .number(let value, let isSigned):
            position += 1
            return .number(value, isSigned: isSigned)
        case .name(let name):
            position += 1
            return .name(name)
        case .variable(let name):
            position += 1
            return .variable(name)
        case .symbol("("):
            position += 1
            let inside = try assignment()
            try expect(")")
            return inside
        case .end: throw failure(tokens.isEmpty ? "it is empty" : "something is missing at its end")
        default: throw failure("'\(written)' is not expected there")
        }
    }
}
