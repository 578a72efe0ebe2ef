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
        bit("SD", 63), bit("MPELP", 41), bit("MPV", 39), bit("GVA", 38), Layout(name: "SXL", high: 35, low: 34, meaning: width), Layout(name: "UXL", high: 33, low: 32, meaning: width),
        bit("SDT", 24), bit("SPELP", 23), bit("TSR", 22), bit("TW", 21), bit("TVM", 20), bit("MXR", 19), bit("SUM", 18), bit("MPRV", 17),
        Layout(name: "FS", high: 14, low: 13, meaning: unit), Layout(name: "MPP", high: 12, low: 11, meaning: privilege),
        Layout(name: "VS", high: 10, low: 9, meaning: unit), Layout(name: "SPP", high: 8, low: 8, meaning: privilege),
        bit("MPIE", 7), bit("SPIE", 5), bit("MIE", 3), bit("SIE", 1),
    ]
    /// Fields of mstatus that sstatus does not show.
    private static let machineOnly: Set<String> = ["MPELP", "MPV", "GVA", "SXL", "TSR", "TW", "TVM", "MPRV", "MPP", "MPIE", "MIE"]

    private static let interrupts: [Layout] = [
        bit("LCOF", 13), bit("SGE", 12), bit("ME", 11), bit("VSE", 10), bit("SE", 9), bit("MT", 7), bit("VST", 6), bit("ST", 5), bit("MS", 3),
        bit("VSS", 2), bit("SS", 1),
    ]
    /// Of those, the hypervisor's.
    private static let hypervisors: Set<String> = ["SGE", "VSE", "VST", "VSS"]

    private static let hypervisorStatus: [Layout] = [
        Layout(name: "HUPMM", high: 49, low: 48), Layout(name: "VSXL", high: 33, low: 32, meaning: width), bit("VTSR", 22), bit("VTW", 21), bit("VTVM", 20),
        Layout(name: "VGEIN", high: 17, low: 12), bit("HU", 9), Layout(name: "SPVP", high: 8, low: 8, meaning: privilege), bit("SPV", 7), bit("GVA", 6),
        bit("VSBE", 5),
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

    private static func layout(_ csr: RVCSR, hasHypervisor: Bool) -> [Layout] {
        let interrupts = hasHypervisor ? interrupts : interrupts.filter { !hypervisors.contains($0.name) }
        switch csr {
        case .mstatus: return hasHypervisor ? status : status.filter { $0.name != "MPV" && $0.name != "GVA" }
        case .sstatus, .vsstatus: return status.filter { !machineOnly.contains($0.name) }
        case .mip, .sip, .vsip: return interrupts.filter { csr == .mip || !hypervisors.contains($0.name) }.map { Layout(name: $0.name + "IP", high: $0.high, low: $0.low) }
        case .hip, .hvip: return interrupts.filter { hypervisors.contains($0.name) }.map { Layout(name: $0.name + "IP", high: $0.high, low: $0.low) }
        case .hie: return interrupts.filter { hypervisors.contains($0.name) }.map { Layout(name: $0.name + "IE", high: $0.high, low: $0.low) }
        case .hideleg: return interrupts.filter { hypervisors.contains($0.name) && $0.name != "SGE" || $0.name == "LCOF" }.map { Layout(name: $0.name + "I", high: $0.high, low: $0.low) }
        case .hstatus: return hypervisorStatus
        case .mie, .sie, .vsie, .mideleg: return interrupts.filter { csr == .mie || csr == .mideleg || !hypervisors.contains($0.name) }.map { Layout(name: $0.name + (csr == .mideleg ? "I" : "IE"), high: $0.high, low: $0.low) }
        case .menvcfg: return environment
        case .henvcfg: return environment.filter { $0.name != "CDE" }
        case .senvcfg: return environment.filter { $0.high < 59 }
        case .mseccfg: return security
        case .fcsr: return floatControl
        case .fflags: return Array(floatControl.dropFirst())
        case .frm: return [Layout(name: "frm", high: 2, low: 0, meaning: rounding)]
        case .mtvec, .stvec, .vstvec:
            return [
                Layout(name: "BASE", high: 63, low: 2) { "handler at \(hexText($0 << 2))" },
                Layout(name: "MODE", high: 1, low: 0) { $0 == 0 ? "direct" : "vectored" },
            ]
        case .hgatp:
            return [
                Layout(name: "MODE", high: 63, low: 60) { [0: "bare", 8: "Sv39x4", 9: "Sv48x4", 10: "Sv57x4"][$0] ?? "reserved" },
                Layout(name: "VMID", high: 57, low: 44), Layout(name: "PPN", high: 43, low: 0) { "root table at \(hexText($0 << 12))" },
            ]
        case .satp, .vsatp:
            return [
                Layout(name: "MODE", high: 63, low: 60) { [0: "bare", 8: "Sv39", 9: "Sv48", 10: "Sv57"][$0] ?? "reserved" },
                Layout(name: "ASID", high: 59, low: 44), Layout(name: "PPN", high: 43, low: 0) { "root table at \(hexText($0 << 12))" },
            ]
        case .mcause, .scause, .vscause:
            return [bit("Interrupt", 63), Layout(name: "Code", high: 62, low: 0)]
        case .medeleg, .hedeleg:
            return (0..<(hasHypervisor ? 24 : 16)).reversed().compactMap { code in
                let name = RVCause.name(UInt64(code))
                return name.hasPrefix("exception ") ? nil : bit(name, code)
            }
        case .misa:
            return [Layout(name: "MXL", high: 63, low: 62, meaning: { $0 == 2 ? "64 bits" : "" })]
                + (0..<26).reversed().map { bit(String(UnicodeScalar(UInt8(65 + $0))), $0) }
        case .mcounteren, .hcounteren, .scounteren, .mcountinhibit:
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
        layout(csr, hasHypervisor: cpu.config.extensions.contains(.h)).map { layout in
            let part = value >> UInt64(layout.low) & (~0 >> UInt64(63 - (layout.high - layout.low)))
            var meaning = layout.meaning(part)
            if layout.name == "Code" { meaning = RVCause.name(value) }
            return RegisterField(name: layout.name, high: layout.high, low: layout.low, value: part, meaning: meaning)
        }
    }
}
