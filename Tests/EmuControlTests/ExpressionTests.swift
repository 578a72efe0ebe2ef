import EmuControl
import TestSupport
import Testing

/// What expressions mean.
@Suite struct ExpressionTests {
    private let guest: DebugGuest

    init() throws {
        guest = try DebugGuest([0x1122_3344, 0x8899_aabb])
        try guest.begin()
        guest["a0"] = .max
        guest["sp"] = DebugGuest.ram
        guest["s1"] = 5
    }

    @Test("operators bind and associate as in C", arguments: [
        ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("10 - 4 - 3", 3), ("1 << 4 + 1", 32), ("7 & 3 == 3", 1), ("6 | 1 ^ 3 & 2", 7), ("!0 + 1", 2),
        ("~0 & 0xff", 255), ("1 ? 2 : 3", 2), ("0 ? 2 : 1 ? 4 : 5", 4), ("0 && 1 || 1", 1), ("100 / 7 % 4", 2), ("-8 >> 1 == -4", 1),
        ("-1 < 0", 1), ("-1 < 0u", 0), ("0xffffffffffffffff > 0", 1), ("'A' + 1", 66), ("010", 8), ("0b101", 5), ("1 << 64", 0), ("-7 / 2 == -3", 1),
    ] as [(String, UInt64)])
    func operators(_ text: String, _ value: UInt64) throws { #expect(try guest.session.evaluate(text).bits == value) }

    @Test("registers have their names with and without a dollar; the integer ones are signed", arguments: [
        ("$s1 + x9", 10), ("$a0 < 0", 1), ("(u32)$a0", 0xffff_ffff), ("(int)0x80000000 == -0x80000000", 1), ("$fp == s0", 1), ("$mhartid", 0), ("pc", 0x8000_0000),
    ] as [(String, UInt64)])
    func registers(_ text: String, _ value: UInt64) throws { #expect(try guest.session.evaluate(text).bits == value) }

    @Test("memory is read with the size and sign of its type", arguments: [
        ("*(u32*)sp", 0x1122_3344), ("*(u32*)(sp + 4)", 0x8899_aabb), ("*(i32*)(sp + 4)", 0xffff_ffff_8899_aabb), ("((u8*)$sp)[1]", 0x33),
        ("*((u16*)$sp + 1)", 0x1122), ("{unsigned char} $sp", 0x44), ("*$sp", 0x8899_aabb_1122_3344), ("&((u16*)$sp)[3] == sp + 6", 1),
    ] as [(String, UInt64)])
    func memory(_ text: String, _ value: UInt64) throws { #expect(try guest.session.evaluate(text).bits == value) }

    @Test("assignments write registers, memory and variables, and only where allowed")
    func assignment() throws {
        _ = try guest.session.evaluate("$s1 = 7", allowsAssignment: true)
        #expect(guest["s1"] == 7)
        _ = try guest.session.evaluate("*(u16*)$sp = 0xffff0001", allowsAssignment: true)
        #expect(try guest.session.readNumber(DebugGuest.ram, 4) == 0x1122_0001)
        _ = try guest.session.evaluate("$count = 3", allowsAssignment: true)
        _ = try guest.session.evaluate("$count += 4", allowsAssignment: true)
        #expect(try guest.session.evaluate("$count").bits == 7)
        #expect(throws: DebugError.self) { try guest.session.evaluate("$s1 = 8") }
        #expect(guest["s1"] == 7)
    }

    @Test("what is wrong is said", arguments: [
        ("1 +", "missing"), ("(1", "')'"), ("$a9", "did you mean"), ("nothing_here", "no register or symbol"), ("1 / 0", "division by zero"),
        ("*(u8*)1", "0x1"), ("08", "not a number"), ("", "empty"), ("1 2", "not expected"), ("5 = 6", "assign"), ("@", "means nothing"),
    ])
    func errors(_ text: String, _ part: String) {
        do throws(DebugError) {
            _ = try guest.session.evaluate(text, allowsAssignment: true)
            Issue.record("no error")
        } catch {
            #expect(error.description.contains(part), "\(error)")
        }
    }

    @Test("an expression nested without end is refused, not followed")
    func nesting() {
        #expect(throws: DebugError.self) { try guest.session.evaluate(String(repeating: "(", count: 100_000)) }
        #expect(throws: DebugError.self) { try guest.session.evaluate(String(repeating: "-", count: 100_000) + "1") }
        #expect(throws: DebugError.self) { try guest.session.evaluate(String(repeating: "1+", count: 100_000) + "1") }
    }
}
