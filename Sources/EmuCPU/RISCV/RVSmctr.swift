extension RVTable {
    /// Ssctr: forgetting all records.
    static let ssctr: [RVInstruction] = [
        .init("sctrclr", "0001000 00100 00000 000 00000 1110011", .all(.ssctr), .none, .sctrclr),
    ]
}

/// Fields of mctrctl and sctrctl (privileged manual, "Smctr"). Not there: RASEMU and cycle counts.
enum RVTransferControl {
    static let user: UInt64 = 1 << 0
    static let supervisor: UInt64 = 1 << 1
    static let machine: UInt64 = 1 << 2
    /// Traps to a mode that is not recorded itself.
    static let externalSupervisor: UInt64 = 1 << 8
    static let externalMachine: UInt64 = 1 << 9
    static let freezeOnBreakpoint: UInt64 = 1 << 11
    static let freezeOnOverflow: UInt64 = 1 << 12
    static let machineOnly = machine | externalMachine
    /// The bit that filters a type: it inhibits all but branches not taken, which it enables.
    static func filter(_ type: RVTransferType) -> UInt64 { 1 << (32 + type.rawValue) }
    static let writable: UInt64 = user | supervisor | machine | externalSupervisor | externalMachine | freezeOnBreakpoint | freezeOnOverflow | 0x3e << 32 | 0xff << 40
    /// sctrstatus
    static let frozen: UInt64 = 1 << 31
    /// siselect values of entries.
    static let entries: ClosedRange<UInt64> = 0x200...0x2FF
    /// Bits of an entry's metadata: TYPE.
    static let metadata: UInt64 = 0xf
}

/// What a record's TYPE says.
enum RVTransferType: UInt64 {
    case exception = 1, interrupt, trapReturn, branchNotTaken, branchTaken
    case indirectCall = 8, directCall, indirectJump, directJump, coroutineSwap, functionReturn, otherIndirectJump, otherDirectJump
}

/// Smctr and Ssctr: a buffer of the last 16 or 32 control transfers.
///
/// Code of a mode that is recorded has blocks of its own, in which jumps and branches are `transfer`, executed here (RVBlockBuilder.swift); in
/// other modes nothing is different.
extension RVProcessor {
    /// Records the buffer holds.
    private var depth: UInt64 { 16 << h.pointee.sctrdepth }

    private func isEnabled(_ privilege: UInt8) -> Bool { h.pointee.mctrctl & Self.transferBit(privilege) != 0 }

    static func transferBit(_ privilege: UInt8) -> UInt64 {
        switch privilege {
        case RVPrivilege.user: RVTransferControl.user
        case RVPrivilege.supervisor: RVTransferControl.supervisor
        default: RVTransferControl.machine
        }
    }

    // MARK: Jumps

    /// Jumps and branches, compressed ones included.
    static func isTransfer(_ op: RVOp) -> Bool {
        switch op {
        case .jal, .jalr, .beq, .bne, .blt, .bge, .bltu, .bgeu: true
        default: false
        }
    }

    /// Executes the jump or branch at `ip` and records it. False when it trapped.
    func executeTransfer(_ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        let r = decoder.decode(ip.pointee.raw)
        let source = h.pointee.blockPC &+ UInt64(ip.pointee.offset)
        let next = source &+ r.length
        let (a, b) = (x[Int(r.rs1)], x[Int(r.rs2)])
        let isTaken =
            switch r.rv {
            case .beq: a == b
            case .bne: a != b
            case .blt: Int64(bitPattern: a) < Int64(bitPattern: b)
            case .bge: Int64(bitPattern: a) >= Int64(bitPattern: b)
            case .bltu: a < b
            case .bgeu: a >= b
            default: true
            }
        guard isTaken else {
            record(.branchNotTaken, source, next)
            h.pointee.pc = next
            return true
        }
        let distance = UInt64(bitPattern: Int64(r.imm))
        let target = r.rv == .jalr ? (a &+ distance) & ~1 : source &+ distance
        guard target & ~instructionAddressMask & 2 == 0 else { return raise(RVCause.fetchMisaligned, target) }
        if r.rv == .jal || r.rv == .jalr { x[Int(r.rd)] = next }
        if h.pointee.fetchView.pointee.key.rights & RVRights.landingPads != 0, Self.expectsLandingPad(r) { expectLandingPad(true) }
        record(Self.transferType(r), source, target)
        h.pointee.pc = target
        return true
    }

    /// x1 and x5 are link registers ("Transfer Type Filtering").
    static func transferType(_ r: DecodedOp) -> RVTransferType {
        let links = r.rd == 1 || r.rd == 5, returns = r.rs1 == 1 || r.rs1 == 5
        let isDiscarded = RVTranslator.isDiscarded(r.rd)
        switch r.rv {
        case .jal: return links ? .directCall : isDiscarded ? .directJump : .otherDirectJump
        case .jalr:
            if links { return returns && r.rs1 != r.rd ? .coroutineSwap : .indirectCall }
            return returns ? .functionReturn : isDiscarded ? .indirectJump : .otherIndirectJump
        default: return .branchTaken
        }
    }

    // MARK: Traps

    /// A trap from `from` to `to` that is just being taken: freezes the buffer, or is recorded.
    func recordTrap(_ cause: UInt64, pc: UInt64, from: UInt8, to: UInt8, target: UInt64) {
        let control = h.pointee.mctrctl
        let isInterrupt = cause & RVCause.interrupt != 0
        let freezes = isInterrupt
            ? cause & 63 == UInt64(RVInterrupt.counterOverflow) && control & RVTransferControl.freezeOnOverflow != 0
            : cause == RVCause.breakpoint && control & RVTransferControl.freezeOnBreakpoint != 0
        if freezes {
            h.pointee.sctrstatus |= RVTransferControl.frozen
            return
        }
        let type = isInterrupt ? RVTransferType.interrupt : .exception
        if isEnabled(to) {
            // Where it came from is a recorded mode's to know only if that one is recorded, too.
            record(type, isEnabled(from) ? pc : 0, target)
        } else if isEnabled(from), recordsExternal(from, to) {
            append(type, pc, 0)
        }
    }

    /// Every mode the trap goes through on its way up agrees.
    private func recordsExternal(_ from: UInt8, _ to: UInt8) -> Bool {
        var needed = to == RVPrivilege.machine ? RVTransferControl.externalMachine : RVTransferControl.externalSupervisor
        if from == RVPrivilege.user { needed |= RVTransferControl.externalSupervisor }
        return h.pointee.mctrctl & needed == needed
    }

    /// A return from a trap; one into a mode that is not recorded does not tell where to.
    func recordTrapReturn(pc: UInt64, from: UInt8, to: UInt8, target: UInt64) {
        if isEnabled(from) { record(.trapReturn, pc, isEnabled(to) ? target : 0) }
    }

    // MARK: The buffer

    private func record(_ type: RVTransferType, _ source: UInt64, _ target: UInt64) {
        let isFiltered = h.pointee.mctrctl & RVTransferControl.filter(type) != 0
        if isFiltered == (type == .branchNotTaken) { append(type, source, target) }
    }

    private func append(_ type: RVTransferType, _ source: UInt64, _ target: UInt64) {
        guard h.pointee.sctrstatus & RVTransferControl.frozen == 0 else { return }
        let place = Int(truncatingIfNeeded: h.pointee.sctrstatus & (depth - 1))
        h.pointee.transfers[place] = source | 1
        h.pointee.transfers[32 + place] = target
        h.pointee.transfers[64 + place] = type.rawValue
        h.pointee.sctrstatus = h.pointee.sctrstatus & RVTransferControl.frozen | (UInt64(place) + 1) & (depth - 1)
    }

    func clearTransfers() { h.pointee.transfers = InlineArray(repeating: 0) }

    // MARK: Registers

    /// Where the register behind an alias lies; nil for those that are zero: entries beyond the depth, and aliases that mean nothing.
    private func place(_ csr: RVCSR) -> Int? {
        let entry = h.pointee.siselect &- RVTransferControl.entries.lowerBound
        let row = csr == .sireg ? 0 : csr == .sireg2 ? 32 : csr == .sireg3 ? 64 : -1
        guard entry < depth, row >= 0 else { return nil }
        return row + Int(truncatingIfNeeded: (h.pointee.sctrstatus &- entry &- 1) & (depth - 1))
    }

    var selectsTransfer: Bool { config.extensions.contains(.ssctr) && RVTransferControl.entries.contains(h.pointee.siselect) }

    func readTransfer(_ csr: RVCSR) -> UInt64 { place(csr).map { h.pointee.transfers[$0] } ?? 0 }

    func writeTransfer(_ csr: RVCSR, _ value: UInt64) {
        guard let place = place(csr) else { return }
        // Of targets bit 0 would say that they were mispredicted; nothing is predicted.
        h.pointee.transfers[place] = csr == .sireg ? value : csr == .sireg2 ? value & ~1 : value & RVTransferControl.metadata
    }

    func readTransferRegister(_ csr: RVCSR) -> UInt64 {
        switch csr {
        case .mctrctl: h.pointee.mctrctl
        case .sctrctl: h.pointee.mctrctl & ~RVTransferControl.machineOnly
        case .sctrstatus: h.pointee.sctrstatus
        default: h.pointee.sctrdepth
        }
    }

    func writeTransferRegister(_ csr: RVCSR, _ value: UInt64) {
        switch csr {
        case .mctrctl, .sctrctl:
            let writable = csr == .mctrctl ? RVTransferControl.writable : RVTransferControl.writable & ~RVTransferControl.machineOnly
            h.pointee.mctrctl = h.pointee.mctrctl & ~writable | value & writable
            modeRightsChanged()
        case .sctrstatus: h.pointee.sctrstatus = value & (RVTransferControl.frozen | (depth - 1))
        default:
            // 16 or 32 records; other depths leave the field as it was.
            guard value & 7 <= 1 else { return }
            h.pointee.sctrdepth = value & 7
            h.pointee.sctrstatus &= RVTransferControl.frozen | (depth - 1)
        }
    }
}
