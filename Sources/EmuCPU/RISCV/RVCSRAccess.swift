/// CSR instructions: who may touch which register when, and how its value is read. Writing is in `RVCSRWrite`.
extension RVProcessor {
    /// Executes csrrw, csrrs, csrrc and their immediate forms (Zicsr). The caller has synchronised the cycle totals and the clock
    /// and moved `pc` past the instruction. False when the instruction trapped.
    package func executeCSR(_ op: RVOp, _ r: DecodedOp) -> Bool {
        let operand: UInt64
        switch op {
        case .csrrwi, .csrrsi, .csrrci: operand = UInt64(r.rs1)
        default: operand = x[Int(r.rs1)]
        }
        let replaces = op == .csrrw || op == .csrrwi
        let writes = replaces || r.rs1 != 0
        let number = UInt16(truncatingIfNeeded: r.imm & 0xfff), csr: RVCSR
        if h.pointee.isGuest {
            switch guestRegister(number, writing: writes) {
            case .register(let found): csr = found
            case .illegal: return illegal(r)
            case .virtual: return virtualInstruction(r)
            }
        } else {
            guard let found = accessibleCSR(number, writing: writes) else { return illegal(r) }
            csr = found
        }
        let old = h.pointee.isShared && Self.isSharedWithDevices(csr, writing: writes)
            ? bus.whileDevicesStand { access(csr, op, writes ? operand : nil) } : access(csr, op, writes ? operand : nil)
        if writes, let watch, watch.events.contains(.registerWrites) {
            report(.registerWrite(number: csr.rawValue, old: old, new: read(csr), pc: h.pointee.blockPC &+ UInt64(r.offset)))
        }
        x[Int(r.rd)] = old
        return true
    }

    /// `csrrw` of satp on the short way: nothing of it depends on time, as much of what `executeCSR` prepares for does. False, with nothing done, when
    /// a debugger wants to hear of it or it is not plainly allowed.
    @inline(__always)
    func switchAddressSpace(_ r: DecodedOp) -> Bool {
        let isIntercepted = h.pointee.isGuest ? h.pointee.hstatus & RVHypervisorStatus.vtvm != 0 : h.pointee.mstatus & RVStatus.tvm != 0
        guard h.pointee.csrLevel == UInt32(RVPrivilege.supervisor), !isIntercepted, csrs[Int(RVCSR.satp.rawValue)] != nil else { return false }
        let old = h.pointee.satp
        writeAddressTranslation(x[Int(r.rs1)])
        x[Int(r.rd)] = old
        return true
    }

    /// Reads `csr` and, if there is an operand, changes it as `op` does; returns what was read.
    private func access(_ csr: RVCSR, _ op: RVOp, _ operand: UInt64?) -> UInt64 {
        let old = csr == .seed ? pollSeed() : read(csr)
        guard let operand else { return old }
        switch op {
        case .csrrw, .csrrwi: write(csr, operand)
        case .csrrs, .csrrsi: write(csr, modifiable(csr, old) | operand)
        default: write(csr, modifiable(csr, old) & ~operand)
        }
        return old
    }

    /// Devices change the register, too, so that its value must not be old when the instruction writes it back, or lies outside of the
    /// hart's state.
    private static func isSharedWithDevices(_ csr: RVCSR, writing: Bool) -> Bool {
        switch csr {
        case .mireg, .sireg, .vsireg, .mtopei, .stopei, .vstopei: true
        case .mip, .sip, .mvip, .vsip: writing
        default: false
        }
    }

    /// What the set and clear instructions start from: the value read, but only the software half of mip.SEIP
    /// (privileged manual, "Machine Interrupt (mip and mie) Registers").
    private func modifiable(_ csr: RVCSR, _ value: UInt64) -> UInt64 {
        guard csr == .mip else { return value }
        let seip: UInt64 = 1 << RVInterrupt.supervisorExternal
        return value & ~seip | h.pointee.mipSoftware & seip
    }

    /// The register with this number if it exists and the present privilege may access it; with V = 0.
    private func accessibleCSR(_ number: UInt16, writing: Bool) -> RVCSR? {
        let privilege = h.pointee.privilege
        // The number says what privilege it takes and whether the register is read-only.
        guard let csr = csrs[Int(number)], privilege >= RVCSR.privilege(number), !writing || number >> 10 != 3 else { return nil }
        return isAccessible(csr, writing: writing, from: privilege, ignoringTVM: false) ? csr : nil
    }

    /// Whether `privilege`, with V = 0, may access a register that its number leaves to it.
    func isAccessible(_ csr: RVCSR, writing: Bool, from privilege: UInt8, ignoringTVM: Bool) -> Bool {
        switch csr {
        case .fflags, .frm, .fcsr:
            return h.pointee.mstatus & RVStatus.fs != 0
        case .vstart, .vxsat, .vxrm, .vcsr, .vl, .vtype, .vlenb:
            return h.pointee.mstatus & RVStatus.vs != 0
        case .ssp:
            if privilege == RVPrivilege.machine { return true }
            return (privilege == RVPrivilege.supervisor ? h.pointee.menvcfg : h.pointee.menvcfg & h.pointee.senvcfg) & RVEnvironment.sse != 0
        case .seed:
            return seedIsAccessible(writing: writing, from: privilege)
        case .satp:
            return ignoringTVM || privilege == RVPrivilege.machine || h.pointee.mstatus & RVStatus.tvm == 0
        case .stimecmp, .vstimecmp:
            // Below M-mode: menvcfg.STCE and mcounteren.TM.
            return privilege == RVPrivilege.machine || h.pointee.menvcfg & RVEnvironment.stce != 0 && h.pointee.mcounteren & 2 != 0
        case .senvcfg:
            return stateEnabled(0, RVStateEnable.environment)
        case .sstateen0, .sstateen1, .sstateen2, .sstateen3:
            return stateEnabled(Int(csr.rawValue & 3), RVStateEnable.stateEnable)
        case .siselect, .sireg, .sireg2, .sireg3, .sireg4, .sireg5, .sireg6, .mireg, .mireg2, .mireg3, .mireg4, .mireg5, .mireg6:
            return indirectRegisterIsAccessible(csr)
        case .stopei, .stopi, .mtopei:
            return interruptRegisterIsAccessible(csr)
        case .srmcfg:
            return stateEnabled(0, RVStateEnable.resources)
        case .sctrctl, .sctrstatus, .sctrdepth, .vsctrctl:
            return stateEnabled(0, RVStateEnable.transfers)
        case .scontext, .hcontext:
            return stateEnabled(0, RVStateEnable.context)
        case .scountinhibit:
            return h.pointee.menvcfg & RVEnvironment.cde != 0
        default:
            if csr.rawValue >> 5 == RVCSR.cycle.rawValue >> 5 { return counterEnabled(csr.counterIndex, privilege) }
            return csr.rawValue >> 8 & 3 != 2 || hypervisorRegisterIsAccessible(csr, from: privilege, ignoringTVM: ignoringTVM) ?? true
        }
    }

    /// mcounteren and scounteren: may `privilege` read counter `index`?
    private func counterEnabled(_ index: Int, _ privilege: UInt8) -> Bool {
        let mask: UInt64
        switch privilege {
        case RVPrivilege.machine: return true
        case RVPrivilege.supervisor: mask = h.pointee.mcounteren
        default: mask = h.pointee.mcounteren & h.pointee.scounteren
        }
        return mask >> UInt64(index) & 1 != 0
    }

    /// The value of `csr` as an M-mode read returns it; 0 when the hart lacks the register. No side effects.
    package func readCSR(_ csr: RVCSR) -> UInt64 {
        csrs[Int(csr.rawValue)] == nil ? 0 : asHost { read(csr) }
    }

    /// The same for a register the hart has.
    private func read(_ csr: RVCSR) -> UInt64 {
        let state = h
        switch csr {
        case .fflags: return UInt64(state.pointee.fflags)
        case .frm: return UInt64(state.pointee.frm)
        case .fcsr: return UInt64(state.pointee.frm) << 5 | UInt64(state.pointee.fflags)

        case .vstart: return state.pointee.vstart
        case .vxsat: return UInt64(state.pointee.vxsat)
        case .vxrm: return UInt64(state.pointee.vxrm)
        case .vcsr: return UInt64(state.pointee.vxrm) << 1 | UInt64(state.pointee.vxsat)
        case .vl: return state.pointee.vl
        case .vtype: return state.pointee.vtype
        case .vlenb: return UInt64(vlenb)

        case .cycle, .mcycle: return cycleCounter
        case .instret, .minstret: return retiredCounter
        case .time: return h.pointee.isGuest ? readTime() &+ h.pointee.htimedelta : readTime()

        case .sstatus: return h.pointee.isGuest ? Self.withSummary(guestStatus) : Self.withSummary(h.pointee.mstatus) & sstatusMask
        case .sie: return supervisorEnabled
        case .sip: return freshInterrupts() & state.pointee.mideleg & ~RVInterrupt.hypervisors | virtualPending
        case .stvec: return state.pointee.stvec
        case .scounteren: return state.pointee.scounteren
        case .senvcfg: return state.pointee.senvcfg
        // Every bit defined so far controls state this hart does not have (custom state, Zfinx's fcsr, jvt).
        case .sstateen0, .sstateen1, .sstateen2, .sstateen3: return 0
        case .sscratch: return state.pointee.sscratch
        case .sepc: return state.pointee.sepc
        case .scause: return state.pointee.scause
        case .stval: return state.pointee.stval
        case .stimecmp: return state.pointee.stimecmp
        case .satp: return state.pointee.satp
        case .scountovf: return overflowBits
        case .siselect, .miselect, .sireg, .sireg2, .sireg3, .sireg4, .sireg5, .sireg6, .mireg, .mireg2, .mireg3, .mireg4, .mireg5, .mireg6:
            return readIndirectRegister(csr)
        case .stopei, .stopi, .mvien, .mvip, .mtopei, .mtopi: return readInterruptRegister(csr)
        case .scountinhibit: return state.pointee.mcountinhibit & state.pointee.mcounteren
        case .srmcfg: return state.pointee.srmcfg
        case .mctrctl, .sctrctl, .vsctrctl, .sctrstatus, .sctrdepth: return readTransferRegister(csr)
        case .tselect, .tdata1, .tdata2, .tdata3, .tinfo, .scontext, .hcontext, .mcontext: return readTrigger(csr)
        case .mnscratch: return state.pointee.mnscratch
        case .mnepc: return state.pointee.mnepc
        case .mncause: return state.pointee.mncause
        case .mnstatus: return state.pointee.mnstatus

        case .ssp: return state.pointee.ssp
        // Only instructions that poll get anything.
        case .seed: return 0
        case .mseccfg: return state.pointee.mseccfg
        // Not a registered implementation: all zero, as the manual provides for.
        case .mvendorid, .marchid, .mimpid, .mconfigptr: return 0
        case .mhartid: return UInt64(index)
        case .mstatus: return Self.withSummary(h.pointee.mstatus)
        case .misa: return config.misa
        case .medeleg: return state.pointee.medeleg
        case .mideleg: return state.pointee.mideleg
        case .mie: return state.pointee.mie
        case .mip: return freshInterrupts()
        case .mtvec: return state.pointee.mtvec
        case .mcounteren: return state.pointee.mcounteren
        case .menvcfg: return state.pointee.menvcfg
        case .mstateen0: return state.pointee.mstateen[0]
        case .mstateen1: return state.pointee.mstateen[1]
        case .mstateen2: return state.pointee.mstateen[2]
        case .mstateen3: return state.pointee.mstateen[3]
        case .mcountinhibit: return state.pointee.mcountinhibit
        case .mcyclecfg: return state.pointee.mhpmevent[0]
        case .minstretcfg: return state.pointee.mhpmevent[2]
        case .mtval2: return state.pointee.mtval2
        case .mscratch: return state.pointee.mscratch
        case .mepc: return state.pointee.mepc
        case .mcause: return state.pointee.mcause
        case .mtval: return state.pointee.mtval
        case .pmpcfg0: return pmpConfiguration(firstEntry: 0)
        case .pmpcfg2: return pmpConfiguration(firstEntry: 8)
        default: return readNumberedCSR(csr)
        }
    }

    private func readNumberedCSR(_ csr: RVCSR) -> UInt64 {
        switch csr.rawValue {
        case RVCSR.pmpaddr0.rawValue...RVCSR.pmpaddr15.rawValue: return h.pointee.pmpaddr[Int(csr.rawValue & 15)]
        case RVCSR.mhpmevent3.rawValue...RVCSR.mhpmevent31.rawValue:
            synchroniseCounters()
            return h.pointee.mhpmevent[csr.counterIndex]
        case _ where csr.rawValue >> 8 & 3 == 2 || csr == .mtinst: return readHypervisorCSR(csr) ?? 0
        default:
            synchroniseCounters()
            return h.pointee.mhpmcounter[csr.counterIndex]
        }
    }

    /// mstatus, sstatus or vsstatus with SD, which says that FS or VS is dirty.
    static func withSummary(_ status: UInt64) -> UInt64 {
        status & RVStatus.fs == RVStatus.fs || status & RVStatus.vs == RVStatus.vs ? status | RVStatus.sd : status
    }

    /// Fields of mstatus that sstatus shows.
    var sstatusMask: UInt64 {
        RVStatus.sie | RVStatus.spie | RVStatus.ube | RVStatus.spp | RVStatus.vs | RVStatus.fs | RVStatus.xs | RVStatus.sum | RVStatus.mxr
            | RVStatus.spelp | RVStatus.sdt | RVStatus.uxl | RVStatus.sd
    }

    /// mip with STIP compared anew, so that a guest polling `time` and `sip` sees them agree.
    func freshInterrupts() -> UInt64 {
        if h.pointee.menvcfg & RVEnvironment.stce != 0 { compareSupervisorTimer() }
        return mip
    }

    /// vsip in the same way.
    var freshGuestPending: UInt64 {
        if h.pointee.henvcfg & RVEnvironment.stce != 0 { compareSupervisorTimer() }
        return guestPending
    }
}
