extension RVTable {
    /// Ssctr: forgetting all records.
    static let ssctr: [RVInstruction] = [
        .init("sctrclr", "0001000 00100 00000 000 00000 1110011", .all(.ssctr), .none, .sctrclr),
    ]
}

/// Fields of mctrctl, sctrctl and vsctrctl (privileged manual, "Smctr"). Not there: RASEMU and cycle counts.
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

    /// Some mode is recorded, or traps may freeze the buffer.
    @inline(__always)
    var isRecording: Bool { h.pointee.mctrctl | h.pointee.vsctrctl != 0 }

    /// What configures the recording of a mode (`RVPrivilege.mode`): guests' modes have a register of their own.
    private func control(_ mode: UInt8) -> UInt64 { RVPrivilege.isGuest(mode) ? h.pointee.vsctrctl : h.pointee.mctrctl }

    func isRecorded(_ mode: UInt8) -> Bool {
        switch RVPrivilege.privilege(mode) {
        case RVPrivilege.user: control(mode) & RVTransferControl.user != 0
        case RVPrivilege.supervisor: control(mode) & RVTransferControl.supervisor != 0
        default: control(mode) & RVTransferControl.machine != 0
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
            record(.branchNotTaken, source, next, control(mode))
            h.pointee.pc = next
            return true
        }
        let distance = UInt64(bitPattern: Int64(r.imm))
        let target = r.rv == .jalr ? (a &+ distance) & ~1 : source &+ distance
        guard target & ~instructionAddressMask & 2 == 0 else { return raise(RVCause.fetchMisaligned, target) }
        if r.rv == .jal || r.rv == .jalr { x[Int(r.rd)] = next }
        if h.pointee.fetchView.pointee.key.rights & RVRights.landingPads != 0, Self.expectsLandingPad(r) { expectLandingPad(true) }
        record(Self.transferType(r), source, target, control(mode))
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

    /// A trap from mode `from` to mode `to` that is just being taken: freezes the buffer, or is recorded.
    func recordTrap(_ cause: UInt64, pc: UInt64, from: UInt8, to: UInt8, target: UInt64) {
        let freezing = control(to)
        let isInterrupt = cause & RVCause.interrupt != 0
        let freezes = isInterrupt
            ? cause & 63 == UInt64(RVInterrupt.counterOverflow) && freezing & RVTransferControl.freezeOnOverflow != 0
            : cause == RVCause.breakpoint && freezing & RVTransferControl.freezeOnBreakpoint != 0
        if freezes {
            h.pointee.sctrstatus |= RVTransferControl.frozen
            return
        }
        let type = isInterrupt ? RVTransferType.interrupt : .exception
        if isRecorded(to) {
            // Where it came from is a recorded mode's to know only if that one is recorded, too.
            record(type, isRecorded(from) ? pc : 0, target, filters(from, to))
        } else if isRecorded(from), recordsExternal(from, to) {
            append(type, pc, 0)
        }
    }

    /// Which types are recorded where V changes is the guest's to say ("Virtualization Mode Transitions").
    private func filters(_ from: UInt8, _ to: UInt8) -> UInt64 { control(RVPrivilege.isGuest(from) ? from : to) }

    /// Every mode the trap goes through on its way up agrees ("External Trap Enable Requirements").
    private func recordsExternal(_ from: UInt8, _ to: UInt8) -> Bool {
        let isFromGuest = RVPrivilege.isGuest(from), isFromUser = RVPrivilege.privilege(from) == RVPrivilege.user
        if isFromGuest, isFromUser, h.pointee.vsctrctl & RVTransferControl.externalSupervisor == 0 { return false }
        if RVPrivilege.isGuest(to) { return true }
        var needed = to == RVPrivilege.machine ? RVTransferControl.externalMachine : RVTransferControl.externalSupervisor
        if isFromGuest || isFromUser { needed |= RVTransferControl.externalSupervisor }
        return h.pointee.mctrctl & needed == needed
    }

    /// A return from a trap, from mode `from` to mode `to`; one into a mode that is not recorded does not tell where to.
    func recordTrapReturn(pc: UInt64, from: UInt8, to: UInt8, target: UInt64) {
        if isRecorded(from) { record(.trapReturn, pc, isRecorded(to) ? target : 0, filters(from, to)) }
    }

    // MARK: The buffer

    private func record(_ type: RVTransferType, _ source: UInt64, _ target: UInt64, _ control: UInt64) {
        let isFiltered = control & RVTransferControl.filter(type) != 0
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
    /// - Parameters:
    ///   - csr: sireg…sireg6 or vsireg…vsireg6, behind which the same entries are.
    ///   - selector: what siselect or vsiselect holds.
    private func place(_ csr: RVCSR, _ selector: UInt64) -> Int? {
        let entry = selector &- RVTransferControl.entries.lowerBound
        let row: Int
        switch csr {
        case .sireg, .vsireg: row = 0
        case .sireg2, .vsireg2: row = 32
        case .sireg3, .vsireg3: row = 64
        default: return nil
        }
        return entry < depth ? row + Int(truncatingIfNeeded: (h.pointee.sctrstatus &- entry &- 1) & (depth - 1)) : nil
    }

    func selectsTransfer(_ selector: UInt64) -> Bool { config.extensions.contains(.ssctr) && RVTransferControl.entries.contains(selector) }

    /// mstateen0 leaves the entries behind a selector to the present privilege.
    var mayUseTransfers: Bool { stateEnabled(0, RVStateEnable.indirect) && stateEnabled(0, RVStateEnable.transfers) }

    func readTransfer(_ csr: RVCSR, _ selector: UInt64) -> UInt64 { place(csr, selector).map { h.pointee.transfers[$0] } ?? 0 }

    func writeTransfer(_ csr: RVCSR, _ selector: UInt64, _ value: UInt64) {
        guard let place = place(csr, selector) else { return }
        // Of targets bit 0 would say that they were mispredicted; nothing is predicted.
        h.pointee.transfers[place] = place < 32 ? value : place < 64 ? value & ~1 : value & RVTransferControl.metadata
    }

    func readTransferRegister(_ csr: RVCSR) -> UInt64 {
        switch csr {
        case .mctrctl: h.pointee.mctrctl
        case .sctrctl: h.pointee.mctrctl & ~RVTransferControl.machineOnly
        case .vsctrctl: h.pointee.vsctrctl
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
        case .vsctrctl:
            h.pointee.vsctrctl = value & RVTransferControl.writable & ~RVTransferControl.machineOnly
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
