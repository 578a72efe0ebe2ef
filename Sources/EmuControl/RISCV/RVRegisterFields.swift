import EmuCPU

/// Control and status registers taken apart (privileged manual, the sections that define each).
enum RVRegisterFields {
    private struct Layout: Sendable {
        var name: String
        var high: Int
        var low: Int
        var meaning: @Sendable (UInt64) -> String = { _ in "" }
    }

    private static func bit(_ name: String, _ position: Int) -> Layout { Layout(name: name, high: position, low: position) }

    @Sendable private static func privilege(_ value: UInt64) -> String { ["U", "S", "reserved", "M"][Int(value & 3)] + "-mode" }
    @Sendable private static func unit(_ value: UInt64) -> String { ["off", "initial", "clean", "dirty"][Int(value & 3)] }
    @Sendable private static func width(_ value: UInt64) -> String { ["", "32 bits", "64 bits", "128 bits"][Int(value & 3)] }

    private static let status: [Layout] = [
        bit("SD", 63), bit("MPELP", 41), Layout(name: "SXL", high: 35, low: 34, meaning: width), Layout(name: "UXL", high: 33, low: 32, meaning: width),
        bit("SDT", 24), bit("SPELP", 23), bit("TSR", 22), bit("TW", 21), bit("TVM", 20), bit("MXR", 19), bit("SUM", 18), bit("MPRV", 17),
        Layout(name: "FS", high: 14, low: 13, meaning: unit), Layout(name: "MPP", high: 12, low: 11, meaning: privilege),
        Layout(name: "VS", high: 10, low: 9, meaning: unit), Layout(name: "SPP", high: 8, low: 8, meaning: privilege),
        bit("MPIE", 7), bit("SPIE", 5), bit("MIE", 3), bit("SIE", 1),
    ]
    /// Fields of mstatus that sstatus does not show.
    private static let machineOnly: Set<String> = ["MPELP", "SXL", "TSR", "TW", "TVM", "MPRV", "MPP", "MPIE", "MIE"]

    private static let interrupts: [Layout] = [
        bit("LCOF", 13), bit("ME", 11), bit("SE", 9), bit("MT", 7), bit("ST", 5), bit("MS", 3), bit("SS", 1),
    ]

    private static let environment: [Layout] = [
        bit("STCE", 63), bit("PBMTE", 62), bit("ADUE", 61), bit("CDE", 60), bit("DTE", 59), pointerMask, bit("CBZE", 7), bit("CBCFE", 6), Layout(name: "CBIE", high: 5, low: 4), bit("SSE", 3), bit("LPE", 2), bit("FIOM", 0),
    ]
    private static let pointerMask = Layout(name: "PMM", high: 33, low: 32) { ["no masking", "reserved", "7 bits", "16 bits"][Int($0 & 3)] }
    private static let security: [Layout] = [
        pointerMask, bit("MLPE", 10), bit("SSEED", 9), bit("USEED", 8), bit("RLB", 2), bit("MMWP", 1), bit("MML", 0),
    ]

    private static let floatControl: [Layout] = [
        Layout(name: "frm", high: 7, low: 5, meaning: rounding), bit("NV", 4), bit("DZ", 3), bit("OF", 2), bit("UF", 1), bit("NX", 0),
    ]
    @Sendable private static func rounding(_ value: UInt64) -> String { ["rne", "rtz", "rdn", "rup", "rmm", "reserved", "reserved", "dyn"][Int(value & 7)] }

    private static func layout(_ csr: RVCSR) -> [Layout] {
        switch csr {
        case .mstatus: return status
        case .sstatus: return status.filter { !machineOnly.contains($0.name) }
        case .mip, .sip: return interrupts.map { Layout(name: $0.name + "IP", high: $0.high, low: $0.low) }
        case .mie, .sie, .mideleg: return interrupts.map { Layout(name: $0.name + (csr == .mideleg ? "I" : "IE"), high: $0.high, low: $0.low) }
        case .menvcfg: return environment
        case .senvcfg: return environment.filter { $0.high < 59 }
        case .mseccfg: return security
        case .fcsr: return floatControl
        case .fflags: return Array(floatControl.dropFirst())
        case .frm: return [Layout(name: "frm", high: 2, low: 0, meaning: rounding)]
        case .mtvec, .stvec:
            return [
                Layout(name: "BASE", high: 63, low: 2) { "handler at \(hexText($0 << 2))" },
                Layout(name: "MODE", high: 1, low: 0) { $0 == 0 ? "direct" : "vectored" },
            ]
        case .satp:
            return [
                Layout(name: "MODE", high: 63, low: 60) { [0: "bare", 8: "Sv39", 9: "Sv48", 10: "Sv57"][$0] ?? "reserved" },
                Layout(name: "ASID", high: 59, low: 44), Layout(name: "PPN", high: 43, low: 0) { "root table at \(hexText($0 << 12))" },
            ]
        case .mcause, .scause:
            return [bit("Interrupt", 63), Layout(name: "Code", high: 62, low: 0)]
        case .medeleg:
            return (0..<16).reversed().compactMap { code in
                let name = RVCause.name(UInt64(code))
                return name.hasPrefix("exception ") ? nil : bit(name, code)
            }
        case .misa:
            return [Layout(name: "MXL", high: 63, low: 62, meaning: { $0 == 2 ? "64 bits" : "" })]
                + (0..<26).reversed().map { bit(String(UnicodeScalar(UInt8(65 + $0))), $0) }
        case .mcounteren, .scounteren, .mcountinhibit:
            return (3..<32).reversed().map { bit("HPM\($0)", $0) } + [bit("IR", 2), bit("TM", 1), bit("CY", 0)].filter { csr != .mcountinhibit || $0.name != "TM" }
        case .pmpcfg0, .pmpcfg2:
            let first = csr == .pmpcfg0 ? 0 : 8
            return (0..<8).reversed().map { entry in
                Layout(name: "pmp\(first + entry)cfg", high: 8 * entry + 7, low: 8 * entry, meaning: protection)
            }
        default: return []
        }
    }

    @Sendable private static func protection(_ value: UInt64) -> String {
        let mode = ["off", "TOR", "NA4", "NAPOT"][Int(value >> 3 & 3)]
        return "\(mode) \(value & 1 != 0 ? "r" : "-")\(value & 2 != 0 ? "w" : "-")\(value & 4 != 0 ? "x" : "-")\(value & 0x80 != 0 ? " locked" : "")"
    }

    /// The fields of `csr`; none for registers that are one number.
    static func fields(of csr: RVCSR, _ value: UInt64, _ cpu: RVProcessor) -> [RegisterField] {
        layout(csr).map { layout in
            let part = value >> UInt64(layout.low) & (~0 >> UInt64(63 - (layout.high - layout.low)))
            var meaning = layout.meaning(part)
            if layout.name == "Code" { meaning = RVCause.name(value) }
            return RegisterField(name: layout.name, high: layout.high, low: layout.low, value: part, meaning: meaning)
        }
    }
}
