/// The parts of a hart's state that are no registers, for debuggers and tests. CSRs: `readCSR` and `writeCSR`.
extension RVProcessor {
    package var pc: UInt64 {
        get { h.pointee.pc }
        set { h.pointee.pc = newValue & instructionAddressMask }
    }

    /// 0 = U, 1 = S, 3 = M.
    package var privilege: UInt8 {
        get { h.pointee.privilege }
        set {
            if newValue == RVPrivilege.machine { setVirtualization(false) }
            h.pointee.privilege = newValue
            viewChanged()
            updateInterruptRequest()
        }
    }

    /// Virtualisation mode V.
    package var isGuest: Bool {
        get { h.pointee.isGuest }
        set {
            setVirtualization(newValue && config.extensions.contains(.h) && h.pointee.privilege != RVPrivilege.machine)
            viewChanged()
            updateInterruptRequest()
        }
    }

    /// Privilege and virtualisation mode in one number: `RVPrivilege.mode`.
    package var mode: UInt8 { RVPrivilege.mode(h.pointee.privilege, isGuest: h.pointee.isGuest) }

    /// Sitting in `wfi`, whether or not an interrupt has become pending since.
    package var isInWFI: Bool { h.pointee.waiting }

    /// The exception the last instruction that trapped has raised.
    package var raised: (cause: UInt64, value: UInt64) { (h.pointee.trapCause, h.pointee.trapValue) }

    /// True when the run loop is going to look for an interrupt.
    package var requestsInterrupt: Bool { h.pointee.request & RVRequest.interrupt != 0 }

    /// The view keys that data accesses and fetches use.
    package var viewKeys: (data: TLBViewKey, fetch: TLBViewKey) { (h.pointee.dataView.pointee.key, h.pointee.fetchView.pointee.key) }

    /// Advances the cycle totals as running would: `cycles` of which `nonRetired` retired no instruction.
    package func count(cycles: UInt64, nonRetired: UInt64 = 0) {
        h.pointee.totalCycles &+= cycles
        h.pointee.nonRetired &+= nonRetired
    }
}

extension RVProcessor {
    /// A hash over all that decides what the hart does next, counters and the clock excepted. Only to be compared within a process.
    package var stateDigest: Int {
        var hasher = Hasher()
        // SAFETY: all ranges lie in the saved part of the state. The slot behind x31 holds what was written to x0, and what is behind the
        // vector registers in use is zero.
        let state = UnsafeRawBufferPointer(start: h, count: Self.savedSize)
        func combine(_ range: Range<Int>) { hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: state[range])) }
        let swallowed = 32 * MemoryLayout<UInt64>.stride
        let vectors = MemoryLayout<RVHart>.offset(of: \.v) ?? swallowed, behind = MemoryLayout<RVHart>.offset(of: \.pc) ?? swallowed
        combine(0..<swallowed)
        combine(swallowed + MemoryLayout<UInt64>.stride..<vectors)
        if config.extensions.contains(.v) { combine(vectors..<vectors + 32 * vlenb) }
        combine(behind..<(MemoryLayout<RVHart>.offset(of: \.mhpmevent) ?? behind))
        return hasher.finalize()
    }

    /// `readCSR` without comparing stimecmp anew, so that looking at a guest does not change what it does next.
    package func inspectCSR(_ csr: RVCSR) -> UInt64 {
        switch csr {
        case .mip: mip
        case .sip: mip & h.pointee.mideleg & ~RVInterrupt.hypervisors | virtualPending
        case .hip: mip & RVInterrupt.hypervisors
        case .vsip: guestPending
        default: readCSR(csr)
        }
    }
}
