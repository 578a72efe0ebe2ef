import EmuIR
import TestSupport
import Testing

@Suite struct ConstantEvaluatorTests {
    private static let top = Int64.min

    struct Row: Sendable {
        let op: Opcode
        let a, b, c, result: Int64
        init(_ op: Opcode, _ a: Int64, _ b: Int64 = 0, _ c: Int64 = 0, _ result: Int64) {
            (self.op, self.a, self.b, self.c, self.result) = (op, a, b, c, result)
        }
    }

    /// Worked out by hand from the definitions in the unprivileged manual.
    static let rows: [Row] = [
        Row(.mov, -7, 0, 0, -7),
        Row(.add, .max, 1, 0, top), Row(.add, -1, 1, 0, 0),
        Row(.addw, 0x7fff_ffff, 1, 0, -0x8000_0000), Row(.addw, 0x1_0000_0005, -6, 0, -1),
        Row(.sub, top, 1, 0, .max), Row(.subw, -0x8000_0000, 1, 0, 0x7fff_ffff),
        Row(.and, 0b1100, 0b1010, 0, 0b1000), Row(.or, 0b1100, 0b1010, 0, 0b1110), Row(.xor, 0b1100, 0b1010, 0, 0b0110),
        Row(.andn, 0b1100, 0b1010, 0, 0b0100), Row(.orn, 0b1100, 0b1010, 0, ~0b0010), Row(.xnor, 0b1100, 0b1010, 0, ~0b0110),
        Row(.shl, 1, 63, 0, top), Row(.shl, 3, 64, 0, 3), Row(.shl, 3, -63, 0, 6),
        Row(.shlw, 1, 31, 0, -0x8000_0000), Row(.shlw, 3, 32, 0, 3),
        Row(.shr, -1, 60, 0, 15), Row(.shr, top, 127, 0, 1),
        Row(.shrw, -1, 28, 0, 15), Row(.shrw, 0x8000_0000, 0, 0, -0x8000_0000), Row(.shrw, 0x1_8000_0000, 31, 0, 1),
        Row(.sar, top, 63, 0, -1), Row(.sar, -8, 65, 0, -4),
        Row(.sarw, 0x8000_0000, 31, 0, -1), Row(.sarw, 0x7000_0000, 28, 0, 7),
        Row(.rotl, top, 1, 0, 1), Row(.rotl, 1, 64, 0, 1), Row(.rotlw, 0x8000_0000, 1, 0, 1), Row(.rotlw, 0x4000_0000, 33, 0, -0x8000_0000),
        Row(.rotr, 1, 1, 0, top), Row(.rotr, 2, -63, 0, 1), Row(.rotrw, 1, 1, 0, -0x8000_0000), Row(.rotrw, 0x10, 36, 0, 1),
        Row(.mul, -3, 5, 0, -15), Row(.mul, top, 2, 0, 0), Row(.mulw, 0x8000_0000, 3, 0, -0x8000_0000), Row(.mulw, 0x1_0000, 0x1_0000, 0, 0),
        Row(.mulhs, top, top, 0, 0x4000_0000_0000_0000), Row(.mulhs, -1, 1, 0, -1), Row(.mulhs, -1, -1, 0, 0),
        Row(.mulhu, -1, -1, 0, -2), Row(.mulhu, top, 2, 0, 1),
        Row(.mulhsu, -1, -1, 0, -1), Row(.mulhsu, 1, -1, 0, 0), Row(.mulhsu, top, -1, 0, top), Row(.mulhsu, -2, 1, 0, -1),
        Row(.div, 7, -2, 0, -3), Row(.div, 7, 0, 0, -1), Row(.div, top, -1, 0, top),
        Row(.divu, -1, 2, 0, .max), Row(.divu, 5, 0, 0, -1), Row(.divu, top, -1, 0, 0),
        Row(.rem, 7, -2, 0, 1), Row(.rem, -7, 2, 0, -1), Row(.rem, 7, 0, 0, 7), Row(.rem, top, -1, 0, 0),
        Row(.remu, -1, 10, 0, 5), Row(.remu, -9, 0, 0, -9),
        Row(.divw, 0x8000_0000, 0xffff_ffff, 0, -0x8000_0000), Row(.divw, 9, 0x1_0000_0000, 0, -1), Row(.divw, -9, 2, 0, -4),
        Row(.divuw, -1, 1, 0, -1), Row(.divuw, 0xffff_fffe, 2, 0, 0x7fff_ffff), Row(.divuw, 4, 0, 0, -1),
        Row(.remw, 0x8000_0000, -1, 0, 0), Row(.remw, 0x1_8000_0001, 0, 0, -0x7fff_ffff), Row(.remw, -9, 2, 0, -1),
        Row(.remuw, -1, 16, 0, 15), Row(.remuw, 0x8000_0000, 0, 0, -0x8000_0000),
        Row(.min, -1, 1, 0, -1), Row(.max, -1, 1, 0, 1), Row(.minu, -1, 1, 0, 1), Row(.maxu, -1, 1, 0, -1),
        Row(.setlt, -1, 1, 0, 1), Row(.setlt, 1, 1, 0, 0), Row(.setltu, -1, 1, 0, 0), Row(.setltu, 1, -1, 0, 1),
        Row(.seteq, 4, 4, 0, 1), Row(.seteq, 4, 5, 0, 0), Row(.setne, 4, 4, 0, 0), Row(.setne, 4, 5, 0, 1),
        Row(.bitclear, -1, 63, 0, .max), Row(.bitclear, 3, 64, 0, 2), Row(.bitset, 0, 63, 0, top), Row(.bitset, 0, 65, 0, 2),
        Row(.bitflip, 5, 0, 0, 4), Row(.bitflip, 5, -63, 0, 7), Row(.bittest, top, 63, 0, 1), Row(.bittest, top, 62, 0, 0), Row(.bittest, 2, 65, 0, 1),
        Row(.clmul, 0b11, 0b11, 0, 0b101), Row(.clmul, top, 2, 0, 0), Row(.clmulh, top, 2, 0, 1), Row(.clmulh, top, top, 0, 0x4000_0000_0000_0000),
        Row(.clmulr, top, 1, 0, 1), Row(.clmulr, top, 3, 0, 3), Row(.clmulr, top, top, 0, top),
        Row(.zeroifeq, 9, 0, 0, 0), Row(.zeroifeq, 9, 2, 0, 9), Row(.zeroifne, 9, 0, 0, 9), Row(.zeroifne, 9, 2, 0, 0),
        Row(.shladd, 5, 100, 3, 140), Row(.shladd, 0x4000_0000_0000_0000, 1, 2, 1),
        Row(.shladduw, -1, 1, 0, 0x1_0000_0000), Row(.shladduw, 0x5_0000_0002, -1, 3, 15),
        Row(.sext8, 0x180, 0, 0, -0x80), Row(.sext16, 0x1_7fff, 0, 0, 0x7fff), Row(.sext32, 0xffff_ffff, 0, 0, -1),
        Row(.zext8, -1, 0, 0, 0xff), Row(.zext16, -1, 0, 0, 0xffff), Row(.zext32, -1, 0, 0, 0xffff_ffff),
        Row(.clz, 0, 0, 0, 64), Row(.clz, 1, 0, 0, 63), Row(.clzw, 0x1_0000_0000, 0, 0, 32), Row(.clzw, -1, 0, 0, 0),
        Row(.ctz, 0, 0, 0, 64), Row(.ctz, top, 0, 0, 63), Row(.ctzw, 0x1_0000_0000, 0, 0, 32), Row(.ctzw, 8, 0, 0, 3),
        Row(.popcnt, -1, 0, 0, 64), Row(.popcntw, -1, 0, 0, 32), Row(.popcntw, 0x7_0000_0003, 0, 0, 2),
        Row(.bswap, 0x0102_0304_0506_0708, 0, 0, 0x0807_0605_0403_0201), Row(.bswap, 0x80, 0, 0, top),
        Row(.brev8, 0x0102_0408_1020_40c0, 0, 0, Int64(bitPattern: 0x8040_2010_0804_0203)), Row(.brev8, 0x81, 0, 0, 0x81),
        Row(.xperm4, 0x0fed_cba9_8765_4321, 0x0123_4567_89ab_cdef, 0, 0x1234_5678_9abc_def0), Row(.xperm4, -1, 0x0f0f, 0, -1),
        Row(.xperm8, 0x0807_0605_0403_0201, 0x0001_0203_0405_0607, 0, 0x0102_0304_0506_0708), Row(.xperm8, -1, Int64(bitPattern: 0xff80_4010_0807_0801), 0, 0xff00ff),
        Row(.turnedSum, 1, TurnedSum(1, 2, 4).rawValue, 0, Int64(bitPattern: 0xd000_0000_0000_0000)), Row(.turnedSum, 16, TurnedSum(0, 64, 4, isShift: true).rawValue, 0, 1),
        Row(.turnedSumw, 1, TurnedSum(1, 2, 4).rawValue, 0, -0x3000_0000), Row(.turnedSumw, 0x1_0000_0010, TurnedSum(32, 0, 4, isShift: true).rawValue, 0, 1),
        Row(.orcb, 0x0100_2000_0000_0080, 0, 0, Int64(bitPattern: 0xff00_ff00_0000_00ff)),
    ]

    @Test(arguments: rows)
    func operationsGiveWhatTheManualSays(row: Row) {
        #expect(IRConstantEvaluator.evaluate(row.op, row.a, row.b, row.c) == row.result)
    }

    @Test func everyPureIntegerOperationIsEvaluatedAndNoOther() {
        for info in OpcodeInfo.table {
            let isPureInteger = info.isPure && !info.isGuarded && info.shape.syntax == .plain && info.opcode != .pc
            #expect((IRConstantEvaluator.evaluate(info.opcode, 1, 1, 1) != nil) == isPureInteger, "\(info.name)")
            if isPureInteger { #expect(Self.rows.contains { $0.op == info.opcode }, "\(info.name)") }
        }
    }

    @Test func operationsAgreeWithLongHandArithmetic() throws {
        var random = SplitMix(seed: 3)
        var values: [Int64] = [0, 1, -1, .max, .min, 0x7fff_ffff, -0x8000_0000, 0x8000_0000, 0xffff_ffff, 31, 32, 63, 64]
        for _ in 0..<12 { values.append(Int64(bitPattern: random.next()) >> Int64(random.next() % 64)) }
        for op in Opcode.allCases where IRConstantEvaluator.evaluate(op, 0, 0, 0) != nil {
            for _ in 0..<150 {
                let a = values[Int(random.next() % UInt64(values.count))]
                let b = values[Int(random.next() % UInt64(values.count))]
                let c = Int64(random.next() % 4)
                #expect(IRConstantEvaluator.evaluate(op, a, b, c) == ReferenceArithmetic.result(op, a, b, c), "\(op) \(a), \(b), \(c)")
            }
        }
    }

    @Test func relationsHoldAsTheirNamesSay() {
        let holding: [(Int64, Int64, [Relation])] = [
            (1, 1, [.eq, .ge, .geu]), (1, 2, [.ne, .lt, .ltu]), (-1, 1, [.ne, .lt, .geu]), (1, -1, [.ne, .ge, .ltu]),
        ]
        for (a, b, relations) in holding {
            for relation in Relation.allCases {
                #expect(relation.holds(a, b) == relations.contains(relation), "\(a) \(relation) \(b)")
                #expect(relation.inverted.holds(a, b) != relation.holds(a, b))
            }
        }
    }
}
