import EmuBus
import EmuIR
import EmuJIT

/// Between the interpreter's loop and translated code: entering it, the helpers it calls, and what its exits mean.
///
/// SAFETY: helpers get the state pointer that `enter` was called with, whose `processor` outlives the call, and the address of a `Block`
/// and a position in it, both put into the code when it was compiled from that block; code is dropped before its blocks are.
extension RVProcessor {
    // MARK: Entering

    /// Runs translated code until it leaves. `h.pc` is the address it stands for and `h.remaining` the budget; both are up to date afterwards.
    /// - Parameter jumps: a jump cache to use in place of the view's; translated code is then left at every trap as well.
    @inline(__always)
    func runTranslated(_ code: UnsafeRawPointer, jumps: UnsafeMutablePointer<JumpCacheEntry>? = nil) -> CodeExit {
        h.pointee.pageBase = h.pointee.pc & TLBEntry.pageMask
        loadViews()
        if let jumps { h.pointee.jumps = jumps }
        h.pointee.mayGoOn = jumps == nil ? 1 : 0
        h.pointee.leave = Self.stay
        noteVectorConfiguration()
        let reason = cache.enter(UnsafeMutableRawPointer(h), code)
        if h.pointee.floatLive != 0 {
            foldFloatFlags()
            h.pointee.floatLive = 0
        }
        cache.counts.pointee.exits[Int(reason & 7)] &+= 1
        return CodeExit(rawValue: reason) ?? .dispatch
    }

    /// Copies of the present views what translated code looks at.
    @inline(__always)
    private func loadViews() {
        let data = h.pointee.dataView
        h.pointee.loads = data.pointee.loads.entries
        h.pointee.loadMask = data.pointee.loads.mask &* UInt64(MemoryLayout<TLBEntry>.stride)
        h.pointee.loadPages = data.pointee.loads.physical
        h.pointee.storePages = data.pointee.stores.physical
        h.pointee.stores = data.pointee.stores.entries
        h.pointee.storeMask = data.pointee.stores.mask &* UInt64(MemoryLayout<TLBEntry>.stride)
        let view = h.pointee.fetchView
        h.pointee.jumps = view.pointee.jumps
        h.pointee.jumpSalt = view.pointee.salt
        if h.pointee.windowChanges != views.changes || h.pointee.windowView != data { emptyWindows() }
    }

    /// Values of `leave`: translated code goes on after the helper's call, returns to the dispatcher, or goes on at `pc`.
    private static let stay: UInt32 = 0
    private static let exit: UInt32 = 1
    private static let goOn: UInt32 = 2

    // MARK: Translating

    /// The translated code of a block that is worth it, made if need be; nil when the interpreter must run it.
    @inline(never)
    func hostCode(of block: UnsafeMutablePointer<Block>, at pc: UInt64) -> UnsafeRawPointer? {
        // Asked again at the next run.
        block.pointee.heat = 0
        if let code = block.pointee.hostCode { return code }
        guard let host = cache.hostCode, block.pointee.isValid, isTranslatable(block, pc) else {
            block.pointee.heat = .max
            return nil
        }
        let started = HostClock.now()
        if config.extensions.contains(.v) { block.pointee.assumption = vectorConfiguration }
        var translator = makeTranslator()
        var unit = IRUnit(blocks: [translator.translate(block)])
        guard host.install(&unit, [block], at: pc & TLBEntry.pageMask, hart: index, started: started) else {
            block.pointee.heat = .max
            return nil
        }
        return block.pointee.hostCode
    }

    /// Code that may be entered without asking anybody, and jumped to from its own page.
    private func isTranslatable(_ block: UnsafeMutablePointer<Block>, _ pc: UInt64) -> Bool {
        !block.pointee.crossesPage && !block.pointee.isWatched && !Log.isEnabled(.execution)
            && h.pointee.fetchView.pointee.fetches.entry(pc).pointee.tag & TLBEntry.checked == 0
    }

    /// After `CodeExit.link`: lets the jump go straight to the translated code at `pc` next time, if there is any.
    @inline(never)
    func linkExit(to pc: UInt64) {
        guard let host = cache.hostCode, !h.isRequested, !cache.isFull, !Log.isEnabled(.noChaining), let block = locateBlock(pc), block.pointee.hostCode != nil, isTranslatable(block, pc) else { return }
        host.link(unit: Int(truncatingIfNeeded: h.pointee.exitUnit), link: Int(h.pointee.exitSite), to: block)
    }

    /// After `CodeExit.budget`: compiles the loop around the block in hand when time is spent there.
    @inline(never)
    func budgetExit() {
        guard let host = cache.hostCode, !Log.isEnabled(.noChaining), let hot = host.sample(unit: h.pointee.exitUnit, position: h.pointee.exitSite) else { return }
        let started = HostClock.now()
        let page = hot.pointee.physicalPC & TLBEntry.pageMask
        // The budget ends where a block is entered.
        if config.extensions.contains(.v) { hot.pointee.assumption = vectorConfiguration }
        var translator = makeTranslator()
        var jumpTargets: [GuestOffset] = []
        let mode = hot.pointee.mode
        cache.forEachBlock(inPage: page) { if $0.pointee.isJumpTarget && $0.pointee.mode == mode { jumpTargets.append(GuestOffset(truncatingIfNeeded: $0.pointee.physicalPC & 0xfff)) } }
        let loop = LoopFinder(around: GuestOffset(truncatingIfNeeded: hot.pointee.physicalPC & 0xfff), jumpTargets: jumpTargets) { offset in
            // Only code that runs often enough to have been translated, so that nothing new is decoded here.
            guard (0..<4096).contains(offset), let block = cache.find(page | UInt64(offset), mode: mode, secondPage: { nil }), block.pointee.hostCode != nil else { return nil }
            return (block, translator.translate(block))
        }
        guard let loop, loop.nodes.allSatisfy({ $0.block.pointee.loops < HostCodeCache.greatestLoops }) else { return }
        var unit = IRUnit(blocks: loop.nodes.map(\.ir))
        _ = host.install(&unit, loop.nodes.map(\.block), loop: loop, at: h.pointee.pc & TLBEntry.pageMask, hart: index, started: started)
    }

    /// A translator of blocks for this hart.
    func makeTranslator() -> RVTranslator {
        let backend = cache.hostCode?.backend
        return RVTranslator(config: config, isShared: cache.isShared, hasVectors: backend?.hasVectors ?? false, hasCiphers: backend?.hasCiphers ?? false)
    }

    /// The configuration of the vector unit as translated code compares it.
    var vectorConfiguration: UInt32 {
        guard h.pointee.mstatus & RVStatus.vs == RVStatus.vs, h.pointee.vtype & Self.vtypeIllegal == 0, h.pointee.vstart == 0 else { return 0 }
        return VectorShape.key(type: UInt8(truncatingIfNeeded: h.pointee.vtype), length: UInt32(truncatingIfNeeded: h.pointee.vl))
    }

    /// Something may have changed the configuration: a vector instruction, whether or not it trapped, a write to a CSR, or V.
    @inline(__always)
    func noteVectorConfiguration() { h.pointee.vectorKey = vectorConfiguration }

    /// The interpreter has executed the vector instruction at `ip` for translated code. If that was made for another configuration, which it
    /// has from where its block is entered, it learns of it.
    private func noteAssumption(_ ip: UnsafeMutablePointer<DecodedOp>, _ block: UnsafeMutableRawPointer) {
        let block = block.assumingMemoryBound(to: Block.self)
        guard h.pointee.vectorKey != 0, h.pointee.vectorKey != block.pointee.assumption else { return }
        var earlier = block.pointee.ops
        while earlier <= ip {
            if earlier.pointee.rv.rawValue >= RVOp.vsetvli.rawValue && earlier.pointee.rv.rawValue <= RVOp.vsetvl.rawValue { return }
            earlier += 1
        }
        cache.hostCode?.assumptionFailed(block)
    }

    /// What steady probes remember was true for another view, or before pages were forgotten or protected.
    @inline(never)
    private func emptyWindows() {
        for position in 0..<Int(h.pointee.filledWindowCount) { h.pointee.windows[4 * Int(h.pointee.filledWindows[position]) + 1] = 0 }
        h.pointee.filledWindowCount = 0
        h.pointee.windowChanges = views.changes
        h.pointee.windowView = h.pointee.dataView
    }

    /// After `CodeExit.computed`: the jump did not leave its page.
    var hasJumpedInPage: Bool { h.pointee.exitReason == CodeExit.computed.rawValue && h.pointee.pc & TLBEntry.pageMask == h.pointee.pageBase }

    /// After `CodeExit.bail`: the address of the instruction to go on at, and the budget given back.
    func resumeBailed(_ remaining: inout Int) -> UInt64 {
        // The block's address travels in exitUnit, the instruction's position in exitSite.
        guard let block = UnsafeMutablePointer<Block>(bitPattern: UInt(h.pointee.exitUnit)) else { return h.pointee.pc }
        let site = Site(rawValue: h.pointee.exitSite)
        let position = site.guest
        remaining &+= Int(block.pointee.count) &- position
        if site.op == .probe {
            cache.hostCode?.probeFailed(block, cycles: h.pointee.sliceStart &+ UInt64(truncatingIfNeeded: h.pointee.sliceBudget &- remaining))
        }
        return h.pointee.pageBase &+ (block.pointee.physicalPC & 0xfff) &+ UInt64(block.pointee.ops[position].offset)
    }

    // MARK: Floating point

    /// MXCSR bits: sticky flags (IE DE ZE OE UE PE), all exceptions masked, rounding control.
    private static let controlMasked: UInt32 = 0x1f80
    private static let controlRounding: UInt32 = 13

    /// Adds the flags the host has accrued for the guest to fflags.
    func foldFloatFlags() {
        let control = h.pointee.floatControl
        h.pointee.floatControl = control & ~0x3f
        var flags: UInt8 = 0
        if control & 0x01 != 0 { flags |= FloatFlags.invalid.rawValue }
        if control & 0x04 != 0 { flags |= FloatFlags.divideByZero.rawValue }
        if control & 0x08 != 0 { flags |= FloatFlags.overflow.rawValue }
        if control & 0x10 != 0 { flags |= FloatFlags.underflow.rawValue }
        if control & 0x20 != 0 { flags |= FloatFlags.inexact.rawValue }
        h.pointee.fflags |= flags
    }

    /// True when translated floating-point code may run: the state is on and dirty already, and the host knows the rounding mode.
    func enableFloat() -> Bool {
        guard h.pointee.mstatus & RVStatus.fs == RVStatus.fs else { return false }
        let rounding: UInt32
        switch RoundingMode(rawValue: h.pointee.frm) {
        case .rne: rounding = 0
        case .rdn: rounding = 1
        case .rup: rounding = 2
        case .rtz: rounding = 3
        default: return false
        }
        h.pointee.floatControl = Self.controlMasked | rounding << Self.controlRounding
        h.pointee.floatLive = 1
        return true
    }

    // MARK: Helpers

    /// In the order of `HelperCall`.
    static let helperAddresses: InlineArray<5, UInt> = {
        let load: @convention(c) (UnsafeMutableRawPointer, UInt64, UInt64, UnsafeMutableRawPointer) -> UInt64 = {
            RVProcessor.of($0)._withUnsafeGuaranteedRef { [address = $1, site = $2, block = $3] in $0.translatedLoad(address, site, block) }
        }
        let store: @convention(c) (UnsafeMutableRawPointer, UInt64, UInt64, UnsafeMutableRawPointer) -> UInt64 = {
            RVProcessor.of($0)._withUnsafeGuaranteedRef { [address = $1, site = $2, block = $3] in $0.translatedStore(address, site, block) }
        }
        let interpret: @convention(c) (UnsafeMutableRawPointer, UInt64, UInt64, UnsafeMutableRawPointer) -> UInt64 = {
            RVProcessor.of($0)._withUnsafeGuaranteedRef { [site = $2, block = $3] in $0.translatedInterpret(site, block) }
        }
        let probe: @convention(c) (UnsafeMutableRawPointer, UInt64, UInt64, UnsafeMutableRawPointer) -> UInt64 = {
            RVProcessor.of($0)._withUnsafeGuaranteedRef { [address = $1, site = $2, block = $3] in $0.translatedProbe(address, site, block) }
        }
        let enable: @convention(c) (UnsafeMutableRawPointer) -> UInt64 = {
            RVProcessor.of($0)._withUnsafeGuaranteedRef { $0.enableFloat() ? 1 : 0 }
        }
        return [
            unsafeBitCast(load, to: UInt.self), unsafeBitCast(store, to: UInt.self), unsafeBitCast(interpret, to: UInt.self),
            unsafeBitCast(probe, to: UInt.self), unsafeBitCast(enable, to: UInt.self),
        ]
    }()

    private static func of(_ state: UnsafeMutableRawPointer) -> Unmanaged<RVProcessor> {
        // SAFETY: `processor` is set before any code can run and points to the object that owns `state`.
        Unmanaged.fromOpaque(state.assumingMemoryBound(to: RVHart.self).pointee.processor.unsafelyUnwrapped)
    }

    /// Notes where translated code stands, as the interpreter does; returns the instruction in hand.
    @inline(__always)
    private func note(_ site: UInt64, _ block: UnsafeMutableRawPointer) -> UnsafeMutablePointer<DecodedOp> {
        let block = block.assumingMemoryBound(to: Block.self)
        h.pointee.blockPC = h.pointee.pageBase &+ (block.pointee.physicalPC & 0xfff)
        h.pointee.blockEnd = block.pointee.ops + Int(block.pointee.count)
        return block.pointee.ops + Site(rawValue: UInt32(truncatingIfNeeded: site)).guest
    }

    /// Goes on after the instruction at `ip`, which is not where its block would: somebody waits.
    private func goOn(after ip: UnsafeMutablePointer<DecodedOp>) {
        h.pointee.remaining &+= h.pointee.blockEnd - ip - 1
        h.pointee.pc = h.pointee.blockPC &+ UInt64(ip.pointee.offset) &+ ip.pointee.length
        goOn()
    }

    private func leave(_ reason: CodeExit) {
        h.pointee.exitReason = reason.rawValue
        h.pointee.leave = Self.exit
    }

    /// Goes on at `h.pc`, where something else may be in force than before, or in the handler of an interrupt; without leaving translated code
    /// if nobody is waiting for anything else.
    private func goOn() {
        guard h.pointee.mayGoOn != 0 else { return leave(.dispatch) }
        if h.isRequested {
            guard h.isRequestedInterrupt else { return leave(.dispatch) }
            countCycles(h.pointee.remaining)
            if serveRequests() { h.pointee.request |= RVRequest.exit }
            if h.isRequested { return leave(.dispatch) }
        }
        if h.pointee.floatLive != 0 {
            foldFloatFlags()
            h.pointee.floatLive = 0
        }
        loadViews()
        h.pointee.leave = Self.goOn
    }

    /// Leaves translated code before the instruction in hand, which the interpreter must execute alone.
    private func bail(_ site: UInt64, _ block: UnsafeMutableRawPointer) -> UInt64 {
        h.pointee.exitUnit = UInt64(UInt(bitPattern: block))
        h.pointee.exitSite = UInt32(truncatingIfNeeded: site)
        interruptComparison()
        leave(.bail)
        return 0
    }

    private func trap(_ ip: UnsafeMutablePointer<DecodedOp>) -> UInt64 {
        h.pointee.pc = h.pointee.blockPC &+ UInt64(ip.pointee.offset)
        h.pointee.remaining &+= h.pointee.blockEnd - ip - 1
        guard h.pointee.mayGoOn != 0 else {
            leave(.trap)
            return 0
        }
        countCycles(h.pointee.remaining)
        h.pointee.nonRetired &+= 1
        takeTrap(cause: h.pointee.trapCause, value: h.pointee.trapValue, pc: h.pointee.pc)
        if ip.pointee.rv.isVector { noteVectorConfiguration() }
        goOn()
        return 0
    }

    private func translatedLoad(_ address: UInt64, _ site: UInt64, _ block: UnsafeMutableRawPointer) -> UInt64 {
        let place = Site(rawValue: UInt32(truncatingIfNeeded: site))
        if let source = refillMissed(address, place.accessBytes, .load) { return place.extended(Self.load(source, place.accessBytes)) }
        let ip = note(site, block)
        if comparison != nil, accessIsUnrepeatable(address, .load) { return bail(site, block) }
        guard let bits = loadSlow(address, place.accessBytes, ip) else { return trap(ip) }
        let value = place.extended(bits)
        if h.isRequested {
            // The instruction is complete, but the next one must not follow unseen: write its register here.
            switch ip.pointee.rv {
            case .flw, .fld: f[Int(ip.pointee.rd)] = value
            case .flh: f[Int(ip.pointee.rd)] = value | 0xffff_ffff_ffff_0000
            default: x[Int(ip.pointee.rd)] = value
            }
            goOn(after: ip)
        }
        return value
    }

    private func translatedStore(_ address: UInt64, _ site: UInt64, _ block: UnsafeMutableRawPointer) -> UInt64 {
        let size = Site(rawValue: UInt32(truncatingIfNeeded: site)).accessBytes
        if let target = refillMissed(address, size, .store) {
            Self.store(h.pointee.storeValue, size, to: target)
            return 0
        }
        let ip = note(site, block)
        if comparison != nil, accessIsUnrepeatable(address, .store) { return bail(site, block) }
        guard storeSlow(address, size, h.pointee.storeValue, ip) else { return trap(ip) }
        if h.isRequested { goOn(after: ip) }
        return 0
    }

    /// Fills the TLB for a page several accesses are about to share; a fault is left to the access itself. Only for the page and the kind of
    /// the first of them, which is certain to happen: no page must be marked accessed or dirty for an access that may not be reached.
    private func translatedProbe(_ address: UInt64, _ site: UInt64, _ block: UnsafeMutableRawPointer) -> UInt64 {
        let op = Site(rawValue: UInt32(truncatingIfNeeded: site)).op ?? .load64, ip = note(site, block)
        let access: RVAccess = op.info.shape.syntax == .store ? .store : .load
        guard (accessAddress(ip) ^ address) & TLBEntry.pageMask == 0, !ip.pointee.rv.isVector || accessesFirstElement(ip.pointee) else { return 0 }
        if comparison != nil, accessIsUnrepeatable(address, access) || ip.pointee.rv.isVector && isUnrepeatable(ip.pointee) { return 0 }
        guard translate(address, 1, access) != nil else { return 0 }
        if comparison != nil { openForProbe(address) }
        return 1
    }

    /// A vector load or store is certain to access its first element, if that does not trap.
    private func accessesFirstElement(_ r: DecodedOp) -> Bool {
        h.pointee.vectorKey != 0 && (r.rv == .vlr || r.rv == .vsr || r.raw >> 25 & 1 != 0 && h.pointee.vl > 0)
    }

    /// Where the load or store at `ip`, which has not been executed yet, goes.
    func accessAddress(_ ip: UnsafeMutablePointer<DecodedOp>) -> UInt64 {
        // Of vectors it is the mask bit.
        x[Int(ip.pointee.rs1)] &+ (ip.pointee.rv.isVector ? 0 : UInt64(bitPattern: Int64(ip.pointee.imm)))
    }

    private func translatedInterpret(_ site: UInt64, _ block: UnsafeMutableRawPointer) -> UInt64 {
        let ip = note(site, block)
        if comparison != nil, isUnrepeatable(ip.pointee) { return bail(site, block) }
        if h.pointee.floatLive != 0 { foldFloatFlags() }
        if ip.pointee.rv.isFloatingPoint {
            if !executeFloat(ip.pointee.rv, ip.pointee) { return trap(ip) }
            return 0
        }
        h.pointee.pc = h.pointee.blockPC &+ UInt64(ip.pointee.offset) &+ ip.pointee.length
        let left = h.pointee.blockEnd - ip - 1
        switch executeCold(ip) {
        case .next:
            noteVectorConfiguration()
            if ip.pointee.rv.isVector { noteAssumption(ip, block) }
            return 0
        case .trap: return trap(ip)
        case .leave:
            h.pointee.remaining &+= left
            if ip.pointee.rv.isVector || ip.pointee.rv.isCSRAccess { noteVectorConfiguration() }
            goOn()
        case .wait, .yield:
            h.pointee.remaining &+= left
            leave(h.pointee.waiting ? .wait : .yield)
        case .exclusive:
            h.pointee.remaining &+= left
            leaveForTurnAlone(ip)
            leave(.yield)
        }
        return 0
    }
}
