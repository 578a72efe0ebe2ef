import EmuBus

/// Sdtrig (debug specification, chapter of that name): four triggers that raise breakpoint exceptions, each of type mcontrol6 (addresses of
/// instructions, loads and stores), icount, itrigger or etrigger.
///
/// Left out, as the registers tell: actions other than the exception, data and opcode compares, sizes, hit bits, dmode, tcontrol. Of the two
/// ways to keep triggers out of trap handlers it is the first: none fires in M-mode while mstatus.MIE is clear, nor in S-mode or VS-mode while SIE
/// is, where breakpoints are delegated to it.
///
/// Pages a trigger may cover are asked for like those that memory protection cuts through: TLB entries that are looked at (`checked`), and
/// blocks of one instruction. Everything else is as fast as without triggers.
enum RVTrigger {
    static let count = 4
    /// tdata1 of a trigger that is off: type 15.
    static let disabled: UInt64 = 15 << 60
    static let typeShift: UInt64 = 60
    static let instructionCount: UInt64 = 3
    static let interrupt: UInt64 = 4
    static let exception: UInt64 = 5
    static let address: UInt64 = 6
    /// tinfo: version 1.0, types 3 to 6 and 15.
    static let info: UInt64 = 1 << 24 | 1 << 15 | 0x78

    // mcontrol6
    static let load: UInt64 = 1 << 0
    static let store: UInt64 = 1 << 1
    static let execute: UInt64 = 1 << 2
    static let match: UInt64 = 15 << 7
    static let matchShift: UInt64 = 7
    static let chain: UInt64 = 1 << 11
    // icount
    static let pending: UInt64 = 1 << 8
    static let countShift: UInt64 = 10
    static let countMask: UInt64 = 0x3fff << 10
    // textra64
    static let machineSelectShift: UInt64 = 48

    /// The bit of tdata1 that enables a trigger of `type` for a mode (`RVPrivilege.mode`).
    @inline(__always)
    static func enable(_ type: UInt64, _ mode: UInt8) -> UInt64 {
        if RVPrivilege.isGuest(mode) {
            // vu, with vs above it.
            let user: UInt64 = type == address ? 23 : type == instructionCount ? 25 : 11
            return 1 << (user + UInt64(RVPrivilege.privilege(mode)))
        }
        // u, with s and m above it.
        let user: UInt64 = type == address ? 3 : 6
        return 1 << (user + UInt64(mode))
    }

    /// The same for all.
    static func enables(_ type: UInt64, hasGuests: Bool) -> UInt64 {
        let (user, supervisor) = (RVPrivilege.user, RVPrivilege.supervisor)
        let own = enable(type, user) | enable(type, supervisor) | enable(type, RVPrivilege.machine)
        guard hasGuests else { return own }
        return own | enable(type, RVPrivilege.mode(user, isGuest: true)) | enable(type, RVPrivilege.mode(supervisor, isGuest: true))
    }

    /// The legal tdata1 nearest to `value`.
    static func legal(_ value: UInt64, hasGuests: Bool) -> UInt64 {
        let type = value >> typeShift
        let modes = enables(type, hasGuests: hasGuests)
        switch type {
        case address:
            // Equal, power-of-two range, from, below; another match becomes equal.
            let kind = value & match
            return type << typeShift | value & (modes | load | store | execute | chain) | (kind >> matchShift <= 3 ? kind : 0)
        case instructionCount: return type << typeShift | value & (modes | pending | countMask)
        case interrupt, exception: return type << typeShift | value & modes
        default: return disabled
        }
    }

    /// Fields of textra64: mhvalue, mhselect, sbytemask, svalue, sselect.
    static func legalExtra(_ value: UInt64, hasGuests: Bool) -> UInt64 {
        // mhselect: 0 or 4; with guests 3 and 7 alone mean nothing.
        let hasMachineSelect = hasGuests ? value >> machineSelectShift & 3 != 3 : value >> machineSelectShift & 3 == 0
        var result = value & (0x1fff << 51 | (hasMachineSelect ? 7 << machineSelectShift : 0) | 0xf << 36 | 0xffff_ffff << 2)
        let select = value & 3
        if select != 3 { result |= select }
        return result
    }
}

extension RVProcessor {
    private func type(_ index: Int) -> UInt64 { h.pointee.tdata1[index] >> RVTrigger.typeShift }

    /// The trigger is enabled for a mode, and the context is the one it wants.
    private func isEnabled(_ index: Int, _ mode: UInt8) -> Bool {
        h.pointee.tdata1[index] & RVTrigger.enable(type(index), mode) != 0 && contextMatches(h.pointee.tdata3[index])
    }

    private func contextMatches(_ extra: UInt64) -> Bool {
        // mhselect; where its low bits choose what is compared, its high bit is the lowest of what it is compared with.
        let wide = (extra >> 51) << 1 | extra >> (RVTrigger.machineSelectShift + 2) & 1
        switch extra >> RVTrigger.machineSelectShift & 7 {
        case 4: if h.pointee.mcontext & 0x1fff != extra >> 51 { return false }
        case 1, 5: if h.pointee.mcontext != wide { return false }
        case 2, 6: if h.pointee.hgatp >> RVGuestSpace.machineShift & RVGuestSpace.machineMask != wide { return false }
        default: break
        }
        let value = extra >> 2 & 0xffff_ffff
        switch extra & 3 {
        case 1:
            var compared: UInt64 = 0
            for byte in 0..<4 as Range<UInt64> where extra >> (36 + byte) & 1 == 0 { compared |= 0xff << (8 * byte) }
            return (h.pointee.scontext ^ value) & compared == 0
        case 2: return h.pointee.satp >> 44 & 0xffff == value & 0xffff
        default: return true
        }
    }

    /// A breakpoint exception may be raised now: a handler that could not be left again is not interrupted.
    private var mayFire: Bool {
        switch h.pointee.privilege {
        case RVPrivilege.machine: h.pointee.mstatus & RVStatus.mie != 0
        case RVPrivilege.supervisor:
            // SIE is that of the level in force.
            h.pointee.mstatus & RVStatus.sie != 0 || h.pointee.medeleg >> RVCause.breakpoint & 1 == 0
                || h.pointee.isGuest && h.pointee.hedeleg >> RVCause.breakpoint & 1 == 0
        default: true
        }
    }

    // MARK: Addresses

    /// Whether some trigger might match an access of that kind to a byte of the page at `page`. AMOs, which find their place as stores do, load, too.
    func triggersCover(_ page: UInt64, _ access: RVAccess) -> Bool {
        let kinds = access == .fetch ? RVTrigger.execute : RVTrigger.load | RVTrigger.store
        for index in 0..<RVTrigger.count where h.pointee.addressTriggers >> UInt32(index) & 1 != 0 {
            if h.pointee.tdata1[index] & kinds != 0, matches(index, page, 4096) { return true }
        }
        return false
    }

    /// Before an access: true, with the breakpoint exception raised, when a trigger fires.
    @inline(never)
    func triggerFires(_ address: UInt64, _ size: UInt64, _ access: RVAccess) -> Bool {
        guard mayFire else { return false }
        let kinds = kinds(access), mode = self.mode
        // A chain fires when all of its triggers match; the first without the bit is its last.
        var isChainMatched = true
        for index in 0..<RVTrigger.count {
            let isMatched = h.pointee.addressTriggers >> UInt32(index) & 1 != 0 && h.pointee.tdata1[index] & kinds != 0 && isEnabled(index, mode)
                && matches(index, address, size)
            isChainMatched = isChainMatched && isMatched
            let continues = type(index) == RVTrigger.address && h.pointee.tdata1[index] & RVTrigger.chain != 0
            if continues { continue }
            if isChainMatched { return !raise(RVCause.breakpoint, address) }
            isChainMatched = true
        }
        return false
    }

    private func kinds(_ access: RVAccess) -> UInt64 {
        switch access {
        case .load, .shadowLoad: RVTrigger.load
        case .store, .shadowStore: RVTrigger.store
        case .fetch: RVTrigger.execute
        }
    }

    /// Some byte of the range is what tdata2 describes.
    private func matches(_ index: Int, _ first: UInt64, _ size: UInt64) -> Bool {
        let value = h.pointee.tdata2[index], last = first &+ (size &- 1)
        switch h.pointee.tdata1[index] >> RVTrigger.matchShift & 15 {
        case 0: return first <= value && value <= last
        case 1:
            // The ones at the bottom and the zero above them are not compared.
            let spread = value ^ (value &+ 1)
            return first <= value | spread && value & ~spread <= last
        case 2: return last >= value
        default: return first < value
        }
    }

    // MARK: Instruction counts

    /// At the start of a slice: fires what is due, and returns the part of the budget after which a count ends in the present mode.
    func countedBudget(_ budget: Int) -> Int {
        countInstructions()
        firePendingCount()
        return min(budget, instructionsUntilTrigger() ?? budget)
    }

    private func instructionsUntilTrigger() -> Int? {
        var nearest: UInt64?
        for index in 0..<RVTrigger.count where h.pointee.countTriggers >> UInt32(index) & 1 != 0 && isEnabled(index, mode) {
            let left = (h.pointee.tdata1[index] & RVTrigger.countMask) >> RVTrigger.countShift
            if left != 0 { nearest = min(nearest ?? .max, left) }
        }
        return nearest.map { Int(truncatingIfNeeded: $0) }
    }

    /// Brings counts up to the present total; they have run in the present mode since the last time.
    /// - Parameters:
    ///   - pending: 1 when the instruction in hand, not yet in the total, counts, too.
    ///   - includingTrap: an interrupt, which is in no total, is being taken.
    func countInstructions(including pending: UInt64 = 0, includingTrap: Bool = false) {
        let total = h.pointee.totalCycles &+ pending
        let passed = Int64(bitPattern: total &- h.pointee.triggerCycles)
        guard passed > 0 || includingTrap else { return }
        if passed > 0 { h.pointee.triggerCycles = total }
        let count = UInt64(max(0, passed)) &+ (includingTrap ? 1 : 0)
        for index in 0..<RVTrigger.count where h.pointee.countTriggers >> UInt32(index) & 1 != 0 && isEnabled(index, mode) {
            let data = h.pointee.tdata1[index]
            let left = (data & RVTrigger.countMask) >> RVTrigger.countShift
            if left == 0 { continue }
            let rest = left > count ? left - count : 0
            h.pointee.tdata1[index] = data & ~RVTrigger.countMask | rest << RVTrigger.countShift | (rest == 0 ? RVTrigger.pending : 0)
        }
    }

    /// Before the next instruction: takes the breakpoint trap of a count that has ended, if there is one for the present mode.
    private func firePendingCount() {
        guard mayFire else { return }
        for index in 0..<RVTrigger.count where h.pointee.countTriggers >> UInt32(index) & 1 != 0 && isEnabled(index, mode) {
            guard h.pointee.tdata1[index] & RVTrigger.pending != 0 else { continue }
            h.pointee.tdata1[index] &= ~RVTrigger.pending
            findTriggers()
            return takeTrap(cause: RVCause.breakpoint, value: 0, pc: h.pointee.pc)
        }
    }

    /// The mode has changed: another number of instructions may be left, so the slice ends here.
    @inline(__always)
    func triggersChangeMode() { if h.pointee.countTriggers != 0 { h.pointee.request |= RVRequest.exit } }

    // MARK: Traps

    /// After a trap was entered at `handler`: a trigger for its cause fires before the first instruction there. The handler's own mode starts with
    /// interrupts disabled, so that only breakpoints that are M-mode's while the trap was S-mode's are possible.
    func fireTrapTrigger(_ cause: UInt64, from: UInt8) {
        guard mayFire, cause != RVCause.breakpoint else { return }
        let wanted = cause & RVCause.interrupt != 0 ? RVTrigger.interrupt : RVTrigger.exception
        for index in 0..<RVTrigger.count where type(index) == wanted && isEnabled(index, from) && h.pointee.tdata2[index] >> (cause & 63) & 1 != 0 {
            return takeTrap(cause: RVCause.breakpoint, value: 0, pc: h.pointee.pc)
        }
    }

    // MARK: Registers

    func readTrigger(_ csr: RVCSR) -> UInt64 {
        let selected = Int(h.pointee.tselect)
        switch csr {
        case .tselect: return h.pointee.tselect
        case .tdata1:
            if h.pointee.countTriggers != 0 { countInstructions() }
            return h.pointee.tdata1[selected]
        case .tdata2: return h.pointee.tdata2[selected]
        case .tdata3: return h.pointee.tdata3[selected]
        case .tinfo: return RVTrigger.info
        case .scontext: return h.pointee.scontext
        // mcontext and its alias hcontext.
        default: return h.pointee.mcontext
        }
    }

    private var hasGuests: Bool { config.extensions.contains(.h) }

    func writeTrigger(_ csr: RVCSR, _ value: UInt64) {
        let selected = Int(h.pointee.tselect)
        if h.pointee.countTriggers != 0 { countInstructions(including: 1) }
        switch csr {
        case .tselect: if value < UInt64(RVTrigger.count) { h.pointee.tselect = value }
        case .tdata1: h.pointee.tdata1[selected] = RVTrigger.legal(value, hasGuests: hasGuests)
        case .tdata2: h.pointee.tdata2[selected] = value
        case .tdata3: h.pointee.tdata3[selected] = RVTrigger.legalExtra(value, hasGuests: hasGuests)
        case .scontext: h.pointee.scontext = value & 0xffff_ffff
        case .mcontext, .hcontext: h.pointee.mcontext = value & (hasGuests ? 0x3fff : 0x1fff)
        default: break
        }
        let addresses = h.pointee.addressTriggers
        findTriggers()
        // Pages are asked for, or not any more.
        if addresses | h.pointee.addressTriggers != 0 { views.flushAll() }
        // The instruction that writes does not count.
        h.pointee.triggerCycles = h.pointee.totalCycles &+ 1
        triggersChangeMode()
    }

    /// Makes this part of a state that came from outside one that instructions could have left.
    func normalizeTransfersAndTriggers() {
        h.pointee.tselect &= UInt64(RVTrigger.count - 1)
        for index in 0..<RVTrigger.count { h.pointee.tdata1[index] = RVTrigger.legal(h.pointee.tdata1[index], hasGuests: hasGuests) }
        h.pointee.sctrdepth &= 1
        h.pointee.sctrstatus &= RVTransferControl.frozen | 31
        if !config.extensions.contains(.smrnmi) { h.pointee.mnstatus = RVNonMaskable.enabled }
    }

    /// Brings up to date which triggers there is anything to do for.
    func findTriggers() {
        h.pointee.addressTriggers = 0
        h.pointee.countTriggers = 0
        h.pointee.trapTriggers = false
        for index in 0..<RVTrigger.count {
            let data = h.pointee.tdata1[index], type = type(index)
            guard data & RVTrigger.enables(type, hasGuests: hasGuests) != 0 else { continue }
            if type == RVTrigger.address, data & (RVTrigger.load | RVTrigger.store | RVTrigger.execute) != 0 { h.pointee.addressTriggers |= 1 << UInt32(index) }
            if type == RVTrigger.interrupt || type == RVTrigger.exception { h.pointee.trapTriggers = true }
            if type == RVTrigger.instructionCount, data & (RVTrigger.countMask | RVTrigger.pending) != 0 { h.pointee.countTriggers |= 1 << UInt32(index) }
        }
    }
}
