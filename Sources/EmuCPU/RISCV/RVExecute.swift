import EmuBus

/// Around the interpreter's loop: slices, requests, and the operations too rare to be spelled out in it.
extension RVProcessor: Hart {
    public var cycles: UInt64 { h.pointee.totalCycles }
    public var retired: UInt64 { h.pointee.totalCycles &- h.pointee.nonRetired }

    public func run(budget: Int, clockBase: UInt64) -> ExitReason {
        // A counter about to overflow ends the slice early, so that its interrupt is on time.
        var budget = min(budget, cyclesUntilOverflow() ?? budget)
        if h.pointee.countTriggers != 0 { budget = countedBudget(budget) }
        if h.pointee.isShared { beginSlice() }
        h.pointee.sliceBudget = budget
        h.pointee.remaining = budget
        h.pointee.sliceStart = h.pointee.totalCycles
        h.pointee.clockBase = clockBase
        if h.pointee.waiting {
            if isWaiting { return .waiting }
            h.pointee.waiting = false
        }
        h.pointee.dataView.pointee.loads.growIfCrowded()
        h.pointee.dataView.pointee.stores.growIfCrowded()
        csrLevelChanged()
        var reason = runBlocks()
        if h.pointee.wantsAlone {
            // The instruction in hand has not been executed.
            h.pointee.wantsAlone = false
            h.pointee.remaining &+= 1
            reason = .exclusive
        }
        countCycles(h.pointee.remaining)
        counterOverflowCheck()
        return reason
    }

    public func requestExit() {
        if let group { return group.post(HartGroup.Posted.exit, to: index) }
        h.pointee.request |= RVRequest.exit
    }

    public func didSwitch() { h.pointee.reservedLength = 0 }

    /// The bytes of `RVHart`'s saved part, in the host's (little-endian) layout.
    public func encodedState() -> [UInt8] {
        // Nothing reads what was written to x0, and translated code does not keep it.
        h.pointee.x[32] = 0
        return Array(UnsafeRawBufferPointer(start: h, count: Self.savedSize))
    }

    public func restoreState(_ bytes: [UInt8]) throws {
        guard bytes.count == Self.savedSize else {
            throw RVStateError(description: "hart \(index): saved state has \(bytes.count) bytes, this version's has \(Self.savedSize)")
        }
        // Every bit pattern of a saved field is harmless but those of the privilege, the one Bool, an odd pc, and a vtype or vl the registers
        // are too short for.
        guard let privilege = MemoryLayout<RVHart>.offset(of: \.privilege), let waiting = MemoryLayout<RVHart>.offset(of: \.waiting),
            [RVPrivilege.user, RVPrivilege.supervisor, RVPrivilege.machine].contains(bytes[privilege]), bytes[waiting] <= 1 else {
            throw RVStateError(description: "hart \(index): saved state is damaged")
        }
        UnsafeMutableRawPointer(h).copyMemory(from: bytes, byteCount: bytes.count)
        h.pointee.pc &= instructionAddressMask
        normalizeVectorState()
        normalizeTransfersAndTriggers()
        normalizeVirtualization()
        rebuildDerivedState()
    }

    /// Everything before the first run-time field.
    static let savedSize = MemoryLayout<RVHart>.offset(of: \RVHart.request) ?? 0

    // MARK: Between and inside blocks

    /// Handles what `request` asks for, with `pc` stored; true when `run` must return.
    @inline(never)
    func serveRequests() -> Bool {
        if h.pointee.isShared { takePosted() }
        if h.pointee.request & RVRequest.exit != 0 {
            h.pointee.request &= ~(RVRequest.exit | RVRequest.leaveBlock)
            return true
        }
        h.pointee.request &= ~RVRequest.leaveBlock
        if watch?.holdsInterrupts != true {
            if hasNonMaskable {
                takeNonMaskable()
            } else if let next = nextInterrupt() {
                takeTrap(cause: next.cause, value: 0, pc: h.pointee.pc, level: next.level)
            }
            if h.pointee.request & RVRequest.exit != 0 {
                h.pointee.request &= ~RVRequest.exit
                return true
            }
        }
        return false
    }

    /// The block after `block` when it lies in the same page, so that the link can be kept in the block itself.
    @inline(never)
    func successor(of block: UnsafeMutablePointer<Block>, at next: UInt64, from pc: UInt64) -> UnsafeMutablePointer<Block>? {
        guard !h.isRequested, (next ^ pc) & TLBEntry.pageMask == 0, block.pointee.isValid,
            !block.pointee.crossesPage, !Log.isEnabled([.execution, .noChaining]), !cache.isFull else { return nil }
        guard let found = locateBlock(next), !found.pointee.crossesPage, !found.pointee.isWatched,
            h.pointee.fetchView.pointee.fetches.entry(next).pointee.tag & TLBEntry.checked == 0 else { return nil }
        return found
    }

    /// Copies the first `count` instructions of a block for a budget that ends inside it; returns the `blockEnd` that closes them.
    @inline(never)
    func beginPartial(_ block: UnsafeMutablePointer<Block>, _ count: Int) -> UnsafeMutablePointer<DecodedOp> {
        scratch.update(from: block.pointee.ops, count: count)
        scratch[count] = DecodedOp(.blockEnd)
        scratch[count].offset = block.pointee.ops[count].offset
        return scratch + count
    }

    /// Brings `totalCycles` and the virtual clock up to the instruction at `ip`, which has not counted yet.
    @inline(__always)
    func synchronise(_ ip: UnsafeMutablePointer<DecodedOp>) {
        let done = UInt64(h.pointee.sliceBudget - h.pointee.remaining - (h.pointee.blockEnd - ip))
        h.pointee.totalCycles = h.pointee.sliceStart &+ done
        if events.mode == .virtual {
            events.advanceVirtual(to: h.pointee.clockBase &+ done &* config.nanosecondsPerCycle)
        }
    }

    /// Brings `totalCycles` up to `remaining` cycles before the end of the slice; counters limited to a privilege mode must
    /// know the total before a trap changes the mode.
    @inline(__always)
    func countCycles(_ remaining: Int) {
        h.pointee.totalCycles = h.pointee.sliceStart &+ UInt64(truncatingIfNeeded: h.pointee.sliceBudget &- remaining)
    }

    // MARK: TLB fast path

    // SAFETY: a tag equals a page's address only if `fill` found that whole page in guest memory and put the distance to it into
    // `addend`; the masked index stays inside the view's table; an access whose last byte lies in another page does not match.

    /// Host address for an access of `size` bytes when the table allows it directly; page-crossing accesses never match.
    @inline(__always)
    static func direct(
        _ entries: UnsafeMutablePointer<TLBEntry>, _ mask: UInt64, _ address: UInt64, _ size: UInt64
    ) -> UnsafeMutableRawPointer? {
        let entry = entries + Int(truncatingIfNeeded: address >> 12 & mask)
        guard (address &+ (size &- 1)) & TLBEntry.pageMask == entry.pointee.tag else { return nil }
        return UnsafeMutableRawPointer(bitPattern: UInt(truncatingIfNeeded: address &+ entry.pointee.addend))
    }

    // MARK: Rare operations

    /// How a rare operation ended.
    enum ColdOutcome {
        case next, trap, leave, wait, yield
        /// Not executed: it must be when no other hart runs.
        case exclusive
    }

    /// Executes the operation at `ip`; `h.pc` already holds the following address and may be changed by jumps out of traps.
    @inline(never)
    func executeCold(_ ip: UnsafeMutablePointer<DecodedOp>) -> ColdOutcome {
        let r = ip.pointee
        switch r.rv {
        case .csrrw where r.imm & 0xfff == Int32(RVCSR.satp.rawValue) && switchAddressSpace(r):
            return .leave
        case .csrrw, .csrrs, .csrrc, .csrrwi, .csrrsi, .csrrci:
            synchronise(ip)
            guard executeCSR(r.rv, r) else { return .trap }
            // A block runs on after what has no consequences for what follows; see `endsBlock`.
            return ip + 1 == h.pointee.blockEnd || h.isRequested ? .leave : .next
        case .ecall, .mret, .sret, .mnret, .sctrclr, .sfence_vma, .sinval_vma, .sfence_w_inval, .sfence_inval_ir,
            .hfence_vvma, .hfence_gvma, .hinval_vvma, .hinval_gvma:
            // None of them asks what time it is.
            countCycles(h.pointee.remaining &+ (h.pointee.blockEnd - ip))
            return executePrivileged(r.rv, r) ? .leave : .trap
        case .wfi, .ebreak:
            synchronise(ip)
            guard executePrivileged(r.rv, r) else { return .trap }
            return h.pointee.waiting ? .wait : .leave
        case .wrs_nto, .wrs_sto:
            return executePrivileged(r.rv, r) ? .yield : .trap
        case .pause:
            return .yield
        case .fence:
            if h.pointee.isShared { order(r) }
            return .next
        case .fence_i:
            // Stores to code drop it at once; all that is left to do is to fetch again.
            return .leave
        case .cbo_clean, .cbo_flush, .cbo_inval, .cbo_zero:
            return after(watch == nil ? executeCacheBlock(r.rv, r) : executeCacheBlockWatched(r, ip))
        case .lr_w, .sc_w, .amoswap_w, .amoadd_w, .amoxor_w, .amoand_w, .amoor_w, .amomin_w, .amomax_w, .amominu_w, .amomaxu_w,
            .lr_d, .sc_d, .amoswap_d, .amoadd_d, .amoxor_d, .amoand_d, .amoor_d, .amomin_d, .amomax_d, .amominu_d, .amomaxu_d,
            .amoswap_b, .amoadd_b, .amoxor_b, .amoand_b, .amoor_b, .amomin_b, .amomax_b, .amominu_b, .amomaxu_b, .amocas_b,
            .amoswap_h, .amoadd_h, .amoxor_h, .amoand_h, .amoor_h, .amomin_h, .amomax_h, .amominu_h, .amomaxu_h, .amocas_h,
            .amocas_w, .amocas_d, .amocas_q:
            if h.pointee.isShared, !mayExecuteAmongOthers(r, ip) { return .exclusive }
            return after(watch == nil ? executeAtomic(r.rv, r) : executeAtomicWatched(r, ip))
        case _ where r.rv.isGuestAccess:
            return after(executeGuestAccess(ip))
        case .jalr_lp:
            return executeGuardedJump(r) ? .leave : .trap
        case .transfer:
            return executeTransfer(ip) ? .leave : .trap
        case .sspush, .sspopchk, .ssrdp, .ssamoswap_w, .ssamoswap_d:
            return after(executeShadowStack(r.rv, r))
        case .pack, .packh, .packw, .brev8, .xperm4, .xperm8, .aes64es, .aes64esm, .aes64ds, .aes64dsm, .aes64im, .aes64ks1i, .aes64ks2,
            .sha256sum0, .sha256sum1, .sha256sig0, .sha256sig1, .sha512sum0, .sha512sum1, .sha512sig0, .sha512sig1,
            .sm4ed, .sm4ks, .sm3p0, .sm3p1:
            x[Int(r.rd)] = Self.cryptography(r.rv, x[Int(r.rs1)], x[Int(r.rs2)], r.imm)
            return .next
        case _ where r.rv.isVector:
            return after(executeVector(ip))
        default:
            // Everything else but `illegal` the loop handles itself.
            _ = illegal(r)
            return .trap
        }
    }

    /// The result of an instruction of Zbk, Zkn or Zks with `a` in rs1 and `b` in rs2.
    private static func cryptography(_ op: RVOp, _ a: UInt64, _ b: UInt64, _ immediate: Int32) -> UInt64 {
        switch op {
        case .pack: RVZbk.pack(a, b)
        case .packh: RVZbk.packh(a, b)
        case .packw: RVZbk.packw(a, b)
        case .brev8: RVZbk.brev8(a)
        case .xperm4: RVZbk.xperm4(a, b)
        case .xperm8: RVZbk.xperm8(a, b)
        case .aes64es: RVAES.aes64es(a, b)
        case .aes64esm: RVAES.aes64esm(a, b)
        case .aes64ds: RVAES.aes64ds(a, b)
        case .aes64dsm: RVAES.aes64dsm(a, b)
        case .aes64im: RVAES.aes64im(a)
        case .aes64ks1i: RVAES.aes64ks1i(a, round: UInt64(truncatingIfNeeded: immediate))
        case .aes64ks2: RVAES.aes64ks2(a, b)
        case .sha256sum0: RVSHA.sha256sum0(a)
        case .sha256sum1: RVSHA.sha256sum1(a)
        case .sha256sig0: RVSHA.sha256sig0(a)
        case .sha256sig1: RVSHA.sha256sig1(a)
        case .sha512sum0: RVSHA.sha512sum0(a)
        case .sha512sum1: RVSHA.sha512sum1(a)
        case .sha512sig0: RVSHA.sha512sig0(a)
        case .sha512sig1: RVSHA.sha512sig1(a)
        case .sm4ed: RVShangMi.sm4ed(a, b, byte: UInt32(truncatingIfNeeded: immediate))
        case .sm4ks: RVShangMi.sm4ks(a, b, byte: UInt32(truncatingIfNeeded: immediate))
        case .sm3p0: RVShangMi.sm3p0(a)
        default: RVShangMi.sm3p1(a)
        }
    }

    /// An operation that may have rewritten code stops its block.
    @inline(__always)
    private func after(_ done: Bool) -> ColdOutcome {
        done ? (h.isRequested ? .leave : .next) : .trap
    }
}

/// Saved bytes that are not a hart's.
struct RVStateError: Error, CustomStringConvertible {
    let description: String
}
