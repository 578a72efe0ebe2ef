import EmuBus
import EmuCPU
import TestSupport
import Testing

/// Every field of every control and status register, written and read by instructions in M-mode; `CSRFields` says what fields there are.
@Suite struct CSRFieldTests {
    /// Makes every field one that can be written: what others depend on is open.
    private func open(_ hart: TestHart) {
        hart.cpu.reset()
        hart[.mstatus] = 0x6600
        hart[.mideleg] = .max
        hart[.menvcfg] = .max
        for csr in [RVCSR.mstateen0, .mstateen1, .mstateen2, .mstateen3] { hart[csr] = .max }
        hart[.senvcfg] = .max
        hart[.mcounteren] = .max
        hart[.mcountinhibit] = .max
    }

    /// Registers whose rest must hold something for a field to be seen: translation is on while satp's fields are written.
    private static let backgrounds: [RVCSR: UInt64] = [.satp: 8 << 60, .vsatp: 8 << 60, .hgatp: 8 << 60]

    @Test func fieldsHoldWhatTheManualSays() throws {
        let hart = try TestHart("max,smrnmi=on", openPMP: false)
        var fields: [String] = [], tested: [String] = []
        for csr in RVCSR.all {
            let all = CSRFields.all(of: csr)
            #expect(!all.isEmpty, "\(csr) has no fields in CSRFields")
            #expect(Set(all.map(\.name)).count == all.count && all.map { $0.mask.nonzeroBitCount }.reduce(0, +) == all.reduce(0 as UInt64) { $0 | $1.mask }.nonzeroBitCount, "\(csr): fields overlap")
            for field in all {
                fields.append("\(csr).\(field.name)\t\(field.rule.tester)")
                open(hart)
                let failure = failure(hart, csr, field)
                #expect(failure == nil, "\(csr).\(field.name) \(failure ?? "")")
                if failure == nil { tested.append("\(csr).\(field.name)") }
            }
            open(hart)
            if !csr.isReadOnly { checkRest(hart, csr, all) }
        }
        CoverageLog.write("fields", fields)
        CoverageLog.write("tested-fields", tested)
    }

    /// What a field does that it should not.
    private func failure(_ hart: TestHart, _ csr: RVCSR, _ field: CSRField) -> String? {
        let rest = (Self.backgrounds[csr] ?? 0) & ~field.mask
        func written(_ value: UInt64) -> UInt64? {
            // A counter register is read before it runs on.
            guard csr.isReadOnly || hart.csr(.csrrw, csr, rest | value << field.low & field.mask) != nil else { return nil }
            return (hart[csr] & field.mask) >> field.low
        }
        let ones = field.mask >> field.low
        switch field.rule {
        case .test: return nil
        case .constant(let value):
            for pattern in [0, ones] { if written(pattern) != value { return "is \(written(pattern).map(hex) ?? "absent"), not \(hex(value))" } }
        case .values(let legal):
            for value in legal { if written(value) != value { return "does not hold \(hex(value))" } }
            // Every other value leaves it at one of those.
            for value in 0...min(ones, 15) where !legal.contains(value) {
                guard let found = written(value), legal.contains(found) else { return "takes \(hex(value))" }
            }
        case .any:
            for pattern in [ones, 0, 0x5555_5555_5555_5555 & ones, 0xaaaa_aaaa_aaaa_aaaa & ones] {
                guard let found = written(pattern) else { return "cannot be accessed" }
                if found != pattern { return "is \(hex(found)) after \(hex(pattern))" }
            }
        }
        return nil
    }

    /// Bits that belong to no field cannot be set.
    private func checkRest(_ hart: TestHart, _ csr: RVCSR, _ fields: [CSRField]) {
        let unused = ~fields.reduce(0) { $0 | $1.mask }
        guard unused != 0, hart.csr(.csrrw, csr, (Self.backgrounds[csr] ?? 0) | unused) != nil else { return }
        #expect(hart[csr] & unused == 0, "\(csr): \(hex(hart[csr] & unused)) belongs to no field")
    }
}

extension CSRField.Rule {
    /// The test that shows what a field does, where it is not this suite.
    fileprivate var tester: String { if case .test(let name) = self { name } else { "" } }
}
