import EmuBus
import Synchronization

/// A hart that can run on a thread of its own beside others.
public protocol ParallelHart: Hart {
    /// Runs on its own thread from now on, or takes turns again. While it is parked.
    var isParallel: Bool { get set }
    /// Somebody listens in who wants harts to take turns.
    var isObserved: Bool { get }
    /// Executes what made `run` return `.exclusive`, while no other hart runs.
    func runAlone()
    /// Host time (`HostClock`) at which a timer of the hart's own ends its wait for an interrupt; `UInt64.max` for never.
    var wakeTime: UInt64 { get }
}

/// What a hart on a thread of its own shares with the rest of the machine (docs/smp.md).
///
/// SAFETY: other threads touch `posted`, `mipLines`, `mipSoftware` and `hgeip` of its state, always as atomics; so does the hart where it changes them.
extension RVProcessor: ParallelHart {
    public var isParallel: Bool {
        get { h.pointee.isParallel }
        set {
            guard newValue != h.pointee.isParallel else { return }
            supervisorTimer.cancel()
            h.pointee.isParallel = newValue
            h.pointee.isAlone = !newValue
            h.pointee.reservedLength = 0
            supervisorTimerChanged()
        }
    }

    public var isObserved: Bool { h.pointee.isWatched }

    /// Makes the harts of a machine, which have caches of their own, ones that may run on threads.
    public static func makeParallel(_ harts: [RVProcessor], bus: AddressSpace) -> HartGroup {
        let group = HartGroup(posted: harts.map { hart in withUnsafeMutablePointer(to: &hart.h.pointee.posted) { $0 } })
        // The caches keep it.
        _ = CodeSharing(group: group, bus: bus, caches: harts.map(\.cache))
        for hart in harts { hart.join(group) }
        return group
    }

    public func runAlone() {
        h.pointee.isAlone = true
        h.pointee.reservedLength = 0
        _ = run(budget: RVReservation.cyclesAlone, clockBase: 0)
        h.pointee.reservedLength = 0
        h.pointee.isAlone = false
    }

    public var wakeTime: UInt64 {
        guard h.pointee.menvcfg & RVEnvironment.stce != 0 else { return .max }
        let ticks = compareSupervisorTimer()
        func left(_ interrupt: Int, _ ticks: UInt64) -> UInt64 { h.pointee.mie >> UInt64(interrupt) & 1 != 0 ? ticks : .max }
        let left = min(left(RVInterrupt.supervisorTimer, ticks.supervisor), left(RVInterrupt.guestTimer, ticks.guest))
        let (distance, isTooFar) = left.multipliedReportingOverflow(by: 1_000_000_000 / max(1, config.timebase))
        let (time, isBeyond) = HostClock.now().addingReportingOverflow(distance)
        return isTooFar || isBeyond ? .max : time
    }

    // MARK: At safe points

    /// Before a slice: what others have left, and the timer.
    @inline(never)
    func beginSlice() {
        takePosted()
        if h.pointee.isParallel, h.pointee.menvcfg & RVEnvironment.stce != 0 { supervisorTimerChanged() }
    }

    /// Takes over what other threads have left for this hart. Between blocks.
    func takePosted() {
        guard h.posted.pointee.load(ordering: .relaxed) != 0 else { return }
        let bits = h.posted.pointee.exchange(0, ordering: .sequentiallyConsistent)
        if bits & HartGroup.Posted.exit != 0 { h.pointee.request |= RVRequest.exit }
        if bits & HartGroup.Posted.mail != 0 { _ = cache.sharing?.readMail(cache, cache.member) }
        if bits & HartGroup.Posted.interrupt != 0 { supervisorTimerChanged() }
    }

    // MARK: Interrupts

    /// From any thread: an input's level.
    func setSharedInterrupt(_ number: Int, level: Bool) {
        let bit: UInt64 = 1 << UInt64(number)
        switch number {
        case RVInterrupt.machineSoftware, RVInterrupt.machineTimer, RVInterrupt.supervisorExternal, RVInterrupt.machineExternal:
            driveSharedLine(bit, level)
        case RVInterrupt.supervisorSoftware:
            if level { changeSharedInterrupts(clear: 0, set: bit) }
        case RVInterrupt.guestFiles + 1..<2 * RVInterrupt.guestFiles:
            let bit: UInt64 = 1 << UInt64(number - RVInterrupt.guestFiles)
            withUnsafeMutablePointer(to: &h.pointee.hgeip) { Self.change($0, clear: level ? 0 : bit, set: level ? bit : 0) }
        default: return
        }
        group?.post(HartGroup.Posted.interrupt, to: index)
    }

    func driveSharedLine(_ bit: UInt64, _ level: Bool) {
        withUnsafeMutablePointer(to: &h.pointee.mipLines) { Self.change($0, clear: level ? 0 : bit, set: level ? bit : 0) }
    }

    func changeSharedInterrupts(clear: UInt64, set: UInt64) {
        withUnsafeMutablePointer(to: &h.pointee.mipSoftware) { Self.change($0, clear: clear, set: set) }
    }

    /// SAFETY: `word` is a field of the state, which outlives the call; a 64-bit word is all an `Atomic<UInt64>` is.
    private static func change(_ word: UnsafeMutablePointer<UInt64>, clear: UInt64, set: UInt64) {
        let atomic = UnsafeMutableRawPointer(word).assumingMemoryBound(to: Atomic<UInt64>.self)
        if clear != 0 { _ = atomic.pointee.bitwiseAnd(~clear, ordering: .sequentiallyConsistent) }
        if set != 0 { _ = atomic.pointee.bitwiseOr(set, ordering: .sequentiallyConsistent) }
    }

    /// The board's mtime has jumped. From any thread.
    public func timeMoved() {
        if let group, h.pointee.isParallel { group.post(HartGroup.Posted.interrupt, to: index) } else { supervisorTimerChanged() }
    }

    // MARK: Stores

    /// `wroteMemory` where other harts run.
    func wroteSharedMemory(_ memory: MappedMemory, _ page: Int, _ physical: UInt64, _ size: Int, _ address: UInt64) {
        guard let sharing = cache.sharing else { return }
        // Whoever decodes the page marks it and then reads it again: either that sees this store, or this sees the mark.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if sharing.hasCode(memory, page: page) {
            if cache.book(memory).codeMap[page] & GuestRAM.codeMask(physical, UInt64(size)) != 0, cache.invalidate(physical, size) {
                h.pointee.request |= RVRequest.leaveBlock
            }
            sharing.codeWritten(physical, size, by: cache.member)
            guard sharing.unprotect(memory, page: page) else { return }
        }
        let entry = h.pointee.dataView.pointee.stores.entry(address)
        if entry.pointee.tag == address & TLBEntry.pageMask | TLBEntry.slow, sharing.allowsDirectStores(memory, page: page) {
            cache.noteDirectStores(memory, page: page, address, h.pointee.dataView)
            entry.pointee.tag &= ~TLBEntry.slow
        }
    }
}
