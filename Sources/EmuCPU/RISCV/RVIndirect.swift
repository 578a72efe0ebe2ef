/// Smcsrind and Sscsrind: registers behind a selector; Smcdeleg and Ssccfg: counters that M-mode delegates, which are behind it
/// (privileged manual, chapters of those names). Ssqosid's register is here too: it names resources nobody rations.
enum RVIndirect {
    /// siselect must hold 0…0xfff; nothing here is selected beyond.
    static let selectMask: UInt64 = 0xfff
    /// siselect values of delegated counters: 0x40 + counter.
    static let counters: UInt64 = 0x40
}

/// Fields of srmcfg: RCID and MCID.
enum RVResources {
    static let mask: UInt64 = 0xfff | 0xfff << 16
}

extension RVProcessor {
    /// The register an alias gives access to now, nil for none; other registers are themselves.
    func selected(by csr: RVCSR) -> RVCSR? {
        switch csr {
        case .sireg, .sireg2: delegatedCounter(isConfiguration: csr == .sireg2)
        case .sireg3, .sireg4, .sireg5, .sireg6, .mireg, .mireg2, .mireg3, .mireg4, .mireg5, .mireg6: nil
        default: csr
        }
    }

    /// The counter siselect names, or what configures it, where M-mode has delegated it.
    private func delegatedCounter(isConfiguration: Bool) -> RVCSR? {
        let index = h.pointee.siselect &- RVIndirect.counters
        guard config.extensions.contains(.smcdeleg), index < 32, h.pointee.menvcfg & RVEnvironment.cde != 0, h.pointee.mcounteren >> index & 1 != 0 else { return nil }
        let number: UInt16
        switch index {
        case 0: number = (isConfiguration ? RVCSR.mcyclecfg : .mcycle).rawValue
        case 1: return nil
        case 2: number = (isConfiguration ? RVCSR.minstretcfg : .minstret).rawValue
        default: number = (isConfiguration ? RVCSR.mhpmevent3 : .mhpmcounter3).rawValue + UInt16(index) - 3
        }
        guard index < 3 || config.extensions.contains(.zihpm) else { return nil }
        return csrs[Int(number)]
    }

    /// What S-mode may not see of a register behind an alias: whether a counter runs in M-mode.
    private func hidden(_ csr: RVCSR) -> UInt64 {
        switch csr.rawValue {
        case RVCSR.mcyclecfg.rawValue, RVCSR.minstretcfg.rawValue, RVCSR.mhpmevent3.rawValue...RVCSR.mhpmevent31.rawValue: RVCounterEvent.inhibitMachine
        default: 0
        }
    }

    /// The value of an alias; 0 when it stands for nothing.
    func readAlias(_ csr: RVCSR) -> UInt64 { selected(by: csr).map { readCSR($0) & ~hidden($0) } ?? 0 }

    /// A CSR instruction on an alias of `csr`. Always true: what can trap has been asked.
    func executeAliased(_ op: RVOp, _ r: DecodedOp, _ csr: RVCSR, _ operand: UInt64, writes: Bool) -> Bool {
        let hidden = hidden(csr), whole = readCSR(csr), old = whole & ~hidden
        if writes {
            let new = op == .csrrw || op == .csrrwi ? operand : op == .csrrs || op == .csrrsi ? old | operand : old & ~operand
            write(csr, new & ~hidden | whole & hidden)
        }
        x[Int(r.rd)] = old
        return true
    }
}
