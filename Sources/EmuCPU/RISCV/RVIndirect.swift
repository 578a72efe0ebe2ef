/// Smcsrind and Sscsrind: registers behind a selector; Smcdeleg and Ssccfg: counters that M-mode delegates, which are behind it
/// (privileged manual, chapters of those names). What Smaia and Ssaia put there is in `RVInterruptArchitecture`. Ssqosid's register is here
/// too: it names resources nobody rations.
enum RVIndirect {
    /// miselect and siselect hold 0…0xfff; nothing here is selected beyond.
    static let selectMask: UInt64 = 0xfff
    /// siselect values of delegated counters: 0x40 + counter.
    static let counters: ClosedRange<UInt64> = 0x40...0x5F
    /// Of Ssaia: priorities of major interrupts, the interrupt file, and the first of the file's arrays, of which only even numbers exist with 64 bits.
    static let priorities: ClosedRange<UInt64> = 0x30...0x3F
    static let file: ClosedRange<UInt64> = 0x70...0xFF
    static let fileArrays: UInt64 = 0x80
}

/// Fields of srmcfg: RCID and MCID.
enum RVResources {
    static let mask: UInt64 = 0xfff | 0xfff << 16
}

extension RVProcessor {
    /// Whether the present privilege may access a selector, or an alias with what is selected now. An alias that stands for nothing traps.
    func indirectRegisterIsAccessible(_ csr: RVCSR) -> Bool {
        switch csr {
        case _ where csr != .siselect && isTransferAlias(csr): mayUseTransfers
        case .miselect: true
        case .siselect: stateEnabled(0, RVStateEnable.indirect)
        case .sireg, .sireg2:
            stateEnabled(0, RVStateEnable.indirect) && (selectsCounter ? delegatedCounter(csr) != nil : csr == .sireg && interruptRegisterIsAccessible(csr))
        case .mireg: interruptRegisterIsAccessible(csr)
        default: false
        }
    }

    /// An alias of S-mode behind which a control transfer record is.
    private func isTransferAlias(_ csr: RVCSR) -> Bool { csr.privilege == RVPrivilege.supervisor && selectsTransfer(h.pointee.siselect) }

    private var selectsCounter: Bool { RVIndirect.counters.contains(h.pointee.siselect) }

    /// The counter siselect names (behind sireg), or what configures it (behind sireg2), where M-mode has delegated it.
    private func delegatedCounter(_ alias: RVCSR) -> RVCSR? {
        let index = h.pointee.siselect &- RVIndirect.counters.lowerBound
        guard config.extensions.contains(.smcdeleg), h.pointee.menvcfg & RVEnvironment.cde != 0, h.pointee.mcounteren >> index & 1 != 0 else { return nil }
        let isConfiguration = alias == .sireg2
        let number: UInt16
        switch index {
        case 0: number = (isConfiguration ? RVCSR.mcyclecfg : .mcycle).rawValue
        case 1: return nil
        case 2: number = (isConfiguration ? RVCSR.minstretcfg : .minstret).rawValue
        default: number = (isConfiguration ? RVCSR.mhpmevent3 : .mhpmcounter3).rawValue + UInt16(index) - 3
        }
        guard config.extensions.contains(index < 3 ? .zicntr : .zihpm) else { return nil }
        return csrs[Int(number)]
    }

    /// What S-mode may not see of a register behind sireg2: whether a counter runs in M-mode.
    private func hidden(_ alias: RVCSR) -> UInt64 { alias == .sireg2 ? RVCounterEvent.inhibitMachine : 0 }

    /// A selector, or what an alias stands for: 0 when that is nothing.
    func readIndirectRegister(_ csr: RVCSR) -> UInt64 {
        switch csr {
        case .miselect: return h.pointee.miselect
        case .siselect: return h.pointee.siselect
        case _ where isTransferAlias(csr): return readTransfer(csr, h.pointee.siselect)
        case .sireg where !selectsCounter, .mireg: return readInterruptRegister(csr)
        case .sireg, .sireg2: return selectsCounter ? delegatedCounter(csr).map { readCSR($0) & ~hidden(csr) } ?? 0 : 0
        default: return 0
        }
    }

    func writeIndirectRegister(_ csr: RVCSR, _ value: UInt64) {
        switch csr {
        case .miselect: h.pointee.miselect = value & RVIndirect.selectMask
        case .siselect: h.pointee.siselect = value & RVIndirect.selectMask
        case _ where isTransferAlias(csr): writeTransfer(csr, h.pointee.siselect, value)
        case .sireg where !selectsCounter, .mireg: writeInterruptRegister(csr, value)
        default:
            guard selectsCounter, let counter = delegatedCounter(csr) else { return }
            let hidden = hidden(csr)
            write(counter, value & ~hidden | readCSR(counter) & hidden)
        }
    }
}
