import EmuBus
import Synchronization

/// Reservations of harts on threads (docs/smp.md, "lr and sc").
///
/// No store tells which reservations it breaks: that would slow down every one of them. Instead an lr finds out which of two cases it is in.
///
/// - *Plain sequence*: from the lr on, nothing but integer arithmetic and branches up to the sc (the constrained loops of the manual, and more).
///   As nothing is accessed in between, the lr might as well have happened right before the sc: it is enough that memory
///   then holds the value that was loaded, which a compare-and-exchange finds out.
/// - Anything else: lr and what follows are executed alone, while no other hart runs, until the sc or for `cyclesAlone` cycles.
///
/// `RVHart.reservedLength` holds the size alone (executed alone), or one of the marks made here: size, kind and the page offset of the sc.
package enum RVReservation {
    /// Cycles an lr and what follows it get while the others stand still.
    static let cyclesAlone = 256
    /// Instructions after an lr in which its sc is looked for.
    private static let longestSequence = 16

    static let sizeMask: UInt64 = 0xff
    private static let offsetShift: UInt64 = 8
    private static let plain: UInt64 = 1 << 24
    /// Followed by wrs.nto or wrs.sto: nothing but waiting is going to be done with the reservation.
    private static let waits: UInt64 = 1 << 25

    /// What an sc of `size` bytes at `pc` expects of the reservation when it ends a plain sequence.
    static func mark(size: UInt64, scAt pc: UInt64) -> UInt64 { plain | (pc & 0xfff) << offsetShift | size }

    /// What follows an lr, in `imm` of its `DecodedOp`: bits 4 and 5; for a plain sequence bits 8…19 hold the page offset of the sc.
    package enum Sequence: Int32 {
        /// It goes on in another page: to be found out when it is executed.
        case unknown = 0
        case plain = 0x10
        case waiting = 0x20
        case other = 0x30

        static let mask: Int32 = 0x30
        package static func of(_ r: DecodedOp) -> Sequence { Sequence(rawValue: r.imm & mask) ?? .unknown }
    }

    /// The mark an lr of a plain or waiting sequence makes.
    static func mark(ofLoadAt r: DecodedOp) -> UInt64 {
        let size: UInt64 = r.rv == .lr_d ? 8 : 4
        return Sequence.of(r) == .plain ? plain | UInt64(UInt32(bitPattern: r.imm) >> 8 & 0xfff) << offsetShift | size : waits | size
    }

    /// `r`, an lr, with `imm` saying what follows it.
    /// - Parameters:
    ///   - next: page offset, from 0, of the instruction after it. What lies beyond 4095 is in the next page.
    ///   - fetch: 32 bits of code at an offset; nil where they are not known.
    package static func annotate(_ r: DecodedOp, next: Int, _ decoder: RVDecoder, fetch: (Int) -> UInt32?) -> DecodedOp {
        var result = r
        let size = r.rv
        var position = next
        result.imm |= Sequence.other.rawValue
        for _ in 0..<longestSequence {
            guard let bits = fetch(position) else {
                result.imm = result.imm & ~Sequence.mask
                return result
            }
            let op = decoder.decode(bits)
            switch op.rv {
            case .sc_w where size == .lr_w && op.rs1 == r.rs1, .sc_d where size == .lr_d && op.rs1 == r.rs1:
                result.imm = result.imm & ~Sequence.mask | Sequence.plain.rawValue | Int32(position & 0xfff) << 8
                return result
            case .wrs_nto, .wrs_sto:
                result.imm = result.imm & ~Sequence.mask | Sequence.waiting.rawValue
                return result
            default:
                guard isPlain(op.rv) else { return result }
            }
            position += Int(op.length)
        }
        return result
    }

    /// Integer arithmetic and conditional branches: nothing that accesses memory or can trap.
    private static func isPlain(_ op: RVOp) -> Bool {
        switch op.rawValue {
        case RVOp.beq.rawValue...RVOp.bgeu.rawValue, RVOp.addi.rawValue...RVOp.sraw.rawValue, RVOp.mul.rawValue...RVOp.remuw.rawValue,
            RVOp.add_uw.rawValue...RVOp.czero_nez.rawValue: true
        default: op == .lui || op == .auipc || op == .hint
        }
    }
}

extension RVProcessor {
    // MARK: lr and sc among others

    /// False when `r`, an atomic operation, must be executed alone and other harts may run. Sets `reservationMark` for an lr.
    func mayExecuteAmongOthers(_ r: DecodedOp, _ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        guard r.rv == .lr_w || r.rv == .lr_d, !h.pointee.isAlone else { return true }
        if h.pointee.distrust != 0 {
            h.pointee.distrust = 0
            return false
        }
        var lr = r
        if RVReservation.Sequence.of(r) == .unknown {
            let pc = h.pointee.blockPC &+ UInt64(r.offset)
            lr = RVReservation.annotate(r, next: Int(pc & 0xfff) + Int(r.length), decoder) { fetch((pc & TLBEntry.pageMask) &+ UInt64($0)) }
        }
        switch RVReservation.Sequence.of(lr) {
        case .plain, .waiting:
            h.pointee.reservationMark = RVReservation.mark(ofLoadAt: lr)
            return true
        case .other, .unknown: return false
        }
    }

    /// Code at a guest address without executing it; nil when it cannot be fetched.
    func fetch(_ address: UInt64) -> UInt32? {
        func half(_ address: UInt64) -> UInt32? {
            translate(address, 2, .fetch).flatMap { bus.loadCode($0, as: UInt16.self) }.map { UInt32($0) }
        }
        guard let low = half(address) else { return nil }
        return low & 3 == 3 ? half(address &+ 2).map { low | $0 << 16 } : low
    }

    /// Makes the instruction at `ip` the next one, which has counted already.
    func leaveForTurnAlone(_ ip: UnsafeMutablePointer<DecodedOp>) {
        h.pointee.pc = h.pointee.blockPC &+ UInt64(ip.pointee.offset)
        h.pointee.wantsAlone = true
    }

    func reserveShared(_ value: UInt64, _ physical: UInt64, _ size: UInt64) {
        if h.pointee.isAlone { h.pointee.distrust = 0 }
        h.pointee.reservedAddress = physical
        h.pointee.reservedLength = h.pointee.isAlone ? size : h.pointee.reservationMark
        h.pointee.reservedValue = value
        h.pointee.reservedWrites = bus.foreignWrites
    }

    /// sc to `host`; true when it stored.
    func storeConditionalShared<T: AtomicCell>(_ value: T, _ host: UnsafeMutableRawPointer, _ physical: UInt64, scAt pc: UInt64) -> Bool {
        let size = UInt64(MemoryLayout<T>.size)
        let held = h.pointee.reservedLength
        h.pointee.reservedLength = 0
        // A turn alone is over.
        if h.pointee.isAlone, h.pointee.isParallel { h.pointee.request |= RVRequest.exit }
        guard h.pointee.reservedAddress == physical, held & RVReservation.sizeMask == size else { return false }
        if held == RVReservation.mark(size: size, scAt: pc) {
            return T.compareExchange(host, T(truncatingIfNeeded: h.pointee.reservedValue), value).exchanged
        }
        if held == size, h.pointee.isAlone {
            guard h.pointee.reservedWrites == bus.foreignWrites else { return false }
            host.storeBytes(of: value, as: T.self)
            return true
        }
        // It came another way: the next time, alone.
        h.pointee.distrust = 1
        return false
    }

    // MARK: Order

    /// `fence` between threads, as far as the host's order of accesses (x86: TSO) leaves something to be done.
    func order(_ r: DecodedOp) {
        if Self.ordersStoresBeforeLoads(r) { atomicMemoryFence(ordering: .sequentiallyConsistent) }
        if Self.ordersInput(r) { HostClock.fence() }
    }

    /// `order` does something.
    static func isNeeded(fence r: DecodedOp) -> Bool { ordersStoresBeforeLoads(r) || ordersInput(r) }

    /// A store before it and a load after it. fm 1000 is fence.tso, which leaves those unordered.
    private static func ordersStoresBeforeLoads(_ r: DecodedOp) -> Bool {
        let bits = UInt32(bitPattern: r.imm)
        return bits >> 4 & 0b0101 != 0 && bits & 0b1010 != 0 && bits >> 8 & 0xf != 8
    }

    /// Input after it: reads of the time are that. Input before it has taken a device's lock, which orders everything.
    private static func ordersInput(_ r: DecodedOp) -> Bool {
        let bits = UInt32(bitPattern: r.imm)
        return bits >> 4 & 0b0111 != 0 && bits & 0b1000 != 0 && bits >> 8 & 0xf != 8
    }

    /// lr with rl: earlier stores come first, as with `fence`.
    func orderBeforeLoadReserved(_ r: DecodedOp) {
        if r.imm & 1 != 0, !h.pointee.isAlone { atomicMemoryFence(ordering: .sequentiallyConsistent) }
    }
}

/// An unsigned integer that the host reads and writes in guest memory at once. The library overloads its operations for each width, so that no
/// generic extension can stand for the four below.
protocol AtomicCell: FixedWidthInteger, UnsignedInteger {
    /// Stores `desired` if memory holds `expected`.
    /// SAFETY: `place`, here and below, is guest memory and aligned for the type, or lies within 16 aligned bytes (Zama16b), where hosts can do it as well.
    static func compareExchange(_ place: UnsafeMutableRawPointer, _ expected: Self, _ desired: Self) -> (exchanged: Bool, original: Self)
    /// Stores `value` at once.
    static func store(_ value: Self, to place: UnsafeMutableRawPointer)
}

extension UInt8: AtomicCell {
    static func compareExchange(_ place: UnsafeMutableRawPointer, _ expected: Self, _ desired: Self) -> (exchanged: Bool, original: Self) {
        place.assumingMemoryBound(to: Atomic<Self>.self).pointee.compareExchange(expected: expected, desired: desired, ordering: .sequentiallyConsistent)
    }
    static func store(_ value: Self, to place: UnsafeMutableRawPointer) {
        place.assumingMemoryBound(to: Atomic<Self>.self).pointee.store(value, ordering: .relaxed)
    }
}

extension UInt16: AtomicCell {
    static func compareExchange(_ place: UnsafeMutableRawPointer, _ expected: Self, _ desired: Self) -> (exchanged: Bool, original: Self) {
        place.assumingMemoryBound(to: Atomic<Self>.self).pointee.compareExchange(expected: expected, desired: desired, ordering: .sequentiallyConsistent)
    }
    static func store(_ value: Self, to place: UnsafeMutableRawPointer) {
        place.assumingMemoryBound(to: Atomic<Self>.self).pointee.store(value, ordering: .relaxed)
    }
}

extension UInt32: AtomicCell {
    static func compareExchange(_ place: UnsafeMutableRawPointer, _ expected: Self, _ desired: Self) -> (exchanged: Bool, original: Self) {
        place.assumingMemoryBound(to: Atomic<Self>.self).pointee.compareExchange(expected: expected, desired: desired, ordering: .sequentiallyConsistent)
    }
    static func store(_ value: Self, to place: UnsafeMutableRawPointer) {
        place.assumingMemoryBound(to: Atomic<Self>.self).pointee.store(value, ordering: .relaxed)
    }
}

extension UInt64: AtomicCell {
    static func compareExchange(_ place: UnsafeMutableRawPointer, _ expected: Self, _ desired: Self) -> (exchanged: Bool, original: Self) {
        place.assumingMemoryBound(to: Atomic<Self>.self).pointee.compareExchange(expected: expected, desired: desired, ordering: .sequentiallyConsistent)
    }
    static func store(_ value: Self, to place: UnsafeMutableRawPointer) {
        place.assumingMemoryBound(to: Atomic<Self>.self).pointee.store(value, ordering: .relaxed)
    }
}
