import EmuBus

/// The interpreter: one loop over decoded blocks, one `switch` over the operations.
///
/// What is frequent is spelled out here and inlined; the rest is called by group. Everything that can leave a block early
/// (a trap, a store that changed code, an exit request) leaves through `outcome`, so that the accounting stands in one place.
///
/// SAFETY: register numbers come from the decoder and are at most 32 (31 for floating point), inside `RVHart`. `ip` stays inside its
/// block because every block is closed by a `blockEnd`, which never lets it advance. Host addresses come from `readable` and `writable` only.
extension RVProcessor {
    /// How control left a block.
    enum Outcome {
        /// Ran to the end: the next address follows.
        case ranOn
        /// A direct jump, to an address in the same page as often as not.
        case taken
        /// A computed jump.
        case computed
        /// The instruction at `ip` trapped.
        case trap
        /// The instruction at `ip` completed and set `RVHart.pc`, but the block must not run on.
        case leave
        /// The load or store at `ip` completed; the instruction after it comes next, but not in this block.
        case stopAfter
    }

    /// Where a conditional branch leads, and how.
    @inline(__always)
    private func branch(_ isTaken: Bool, _ ip: UnsafeMutablePointer<DecodedOp>, _ pc: UInt64) -> (next: UInt64, outcome: Outcome) {
        isTaken
            ? (pc &+ UInt64(bitPattern: Int64(ip.pointee.imm)), .taken)
            : (pc &+ UInt64(ip.pointee.offset) &+ ip.pointee.length, .ranOn)
    }

    /// Counts a block's execution; true once it has been executed often enough to be translated.
    @inline(__always)
    private func isHot(_ block: UnsafeMutablePointer<Block>) -> Bool {
        block.pointee.heat &-= 1
        return block.pointee.heat < 0
    }

    /// Runs blocks until the budget is used up or something asks to stop.
    @inline(never)
    func runBlocks() -> ExitReason {
        let h = h
        let x = x
        let alignmentMask: UInt64 = config.extensions.contains(.zca) ? 0 : 2
        var pc = h.pointee.pc
        var block: UnsafeMutablePointer<Block>
        // Cycles left once the block in hand has ended. `RVHart.remaining` is brought up to date only for those who look at it.
        var remaining = h.pointee.remaining
        let comparison = comparison
        let translates = cache.translates && comparison.map { $0.allowsTranslatedCode(self) } ?? true
        // The interpreter must execute the next block, translated or not.
        var mustInterpret = false
        // A computed jump inside a page leads to the next block.
        var hasJumped = false

        dispatch: while true {
            // Between blocks, with no successor known.
            if h.isRequested {
                h.pointee.pc = pc
                countCycles(remaining)
                if serveRequests() {
                    h.pointee.remaining = remaining
                    return .requested
                }
                pc = h.pointee.pc
                if h.pointee.request & RVRequest.landingPad != 0, remaining > 0, !landsOnPad(pc) {
                    remaining &-= 1
                    countCycles(remaining)
                    h.pointee.nonRetired &+= 1
                    takeTrap(cause: h.pointee.trapCause, value: h.pointee.trapValue, pc: pc)
                    pc = h.pointee.pc
                    continue dispatch
                }
            }
            if remaining <= 0 {
                h.pointee.pc = pc
                h.pointee.remaining = remaining
                return .budget
            }
            // Views change only in rare operations and traps, which all come back to here.
            let loads = (h.pointee.dataView.pointee.loads.entries, h.pointee.dataView.pointee.loads.mask)
            let stores = (h.pointee.dataView.pointee.stores.entries, h.pointee.dataView.pointee.stores.mask)
            let view = h.pointee.fetchView
            let jump = view.pointee.jumps + TLBView.jumpIndex(pc)
            if jump.pointee.key == pc ^ view.pointee.salt, let known = view.pointee.jumpBlocks[TLBView.jumpIndex(pc)], known.pointee.isValid {
                block = known
                if let code = known.pointee.hostCode { jump.pointee.code = UInt(bitPattern: code) }
            } else if let found = findBlock(pc) {
                block = found
            } else if h.pointee.request & RVRequest.exit != 0 {
                // A debugger stops before this instruction.
                continue dispatch
            } else {
                remaining &-= 1
                countCycles(remaining)
                h.pointee.nonRetired &+= 1
                takeTrap(cause: h.pointee.trapCause, value: h.pointee.trapValue, pc: pc)
                pc = h.pointee.pc
                continue dispatch
            }

            if hasJumped {
                hasJumped = false
                block.pointee.isJumpTarget = true
            }

            chained: while true {
                // One block, entered at its start.
                let count = Int(block.pointee.count)
                if translates, isHot(block), remaining >= count, !mustInterpret, let code = hostCode(of: block, at: pc) {
                    h.pointee.pc = pc
                    h.pointee.remaining = remaining
                    if let comparison {
                        let reason = runLockstep(block, code, comparison)
                        remaining = h.pointee.remaining
                        pc = h.pointee.pc
                        hasJumped = hasJumpedInPage
                        if let reason { return reason }
                        continue dispatch
                    }
                    let reason = runTranslated(code)
                    remaining = h.pointee.remaining
                    pc = h.pointee.pc
                    switch reason {
                    case .dispatch: break
                    case .computed: hasJumped = hasJumpedInPage
                    case .link: linkExit(to: pc)
                    case .budget: budgetExit()
                    case .bail:
                        pc = resumeBailed(&remaining)
                        mustInterpret = true
                    case .trap:
                        countCycles(remaining)
                        h.pointee.nonRetired &+= 1
                        takeTrap(cause: h.pointee.trapCause, value: h.pointee.trapValue, pc: pc)
                        pc = h.pointee.pc
                    case .wait: return .waiting
                    case .yield: return .yielded
                    }
                    continue dispatch
                }
                mustInterpret = false
                var ip = block.pointee.ops
                var end = ip + count
                remaining &-= count
                if remaining < 0 {
                    // The budget ends inside: run a copy of the block's first instructions.
                    let left = count &+ remaining
                    remaining = 0
                    if left == 0 {
                        h.pointee.pc = pc
                        h.pointee.remaining = 0
                        return .budget
                    }
                    end = beginPartial(block, left)
                    ip = end - left
                }
                var outcome = Outcome.ranOn
                var next: UInt64 = 0

                instructions: while true {
                    let rs1 = x[Int(ip.pointee.rs1)]
                    let imm = UInt64(bitPattern: Int64(ip.pointee.imm))
                    switch ip.pointee.rv {
                    case .lui:
                        x[Int(ip.pointee.rd)] = imm
                    case .auipc:
                        x[Int(ip.pointee.rd)] = pc &+ imm
                    case .addi:
                        x[Int(ip.pointee.rd)] = rs1 &+ imm
                    case .slti:
                        x[Int(ip.pointee.rd)] = Int64(bitPattern: rs1) < Int64(bitPattern: imm) ? 1 : 0
                    case .sltiu:
                        x[Int(ip.pointee.rd)] = rs1 < imm ? 1 : 0
                    case .xori:
                        x[Int(ip.pointee.rd)] = rs1 ^ imm
                    case .ori:
                        x[Int(ip.pointee.rd)] = rs1 | imm
                    case .andi:
                        x[Int(ip.pointee.rd)] = rs1 & imm
                    case .slli:
                        x[Int(ip.pointee.rd)] = rs1 &<< imm
                    case .srli:
                        x[Int(ip.pointee.rd)] = rs1 &>> imm
                    case .srai:
                        x[Int(ip.pointee.rd)] = UInt64(bitPattern: Int64(bitPattern: rs1) &>> Int64(bitPattern: imm))
                    case .addiw:
                        x[Int(ip.pointee.rd)] = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: rs1 &+ imm)))
                    case .slliw:
                        x[Int(ip.pointee.rd)] = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: UInt32(truncatingIfNeeded: rs1) &<< UInt32(truncatingIfNeeded: imm))))
                    case .srliw:
                        x[Int(ip.pointee.rd)] = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: UInt32(truncatingIfNeeded: rs1) &>> UInt32(truncatingIfNeeded: imm))))
                    case .sraiw:
                        x[Int(ip.pointee.rd)] = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: rs1) &>> Int32(truncatingIfNeeded: imm)))
                    case .add:
                        x[Int(ip.pointee.rd)] = rs1 &+ x[Int(ip.pointee.rs2)]
                    case .sub:
                        x[Int(ip.pointee.rd)] = rs1 &- x[Int(ip.pointee.rs2)]
                    case .sll:
                        x[Int(ip.pointee.rd)] = rs1 &<< x[Int(ip.pointee.rs2)]
                    case .slt:
                        x[Int(ip.pointee.rd)] = Int64(bitPattern: rs1) < Int64(bitPattern: x[Int(ip.pointee.rs2)]) ? 1 : 0
                    case .sltu:
                        x[Int(ip.pointee.rd)] = rs1 < x[Int(ip.pointee.rs2)] ? 1 : 0
                    case .xor:
                        x[Int(ip.pointee.rd)] = rs1 ^ x[Int(ip.pointee.rs2)]
                    case .srl:
                        x[Int(ip.pointee.rd)] = rs1 &>> x[Int(ip.pointee.rs2)]
                    case .sra:
                        x[Int(ip.pointee.rd)] = UInt64(bitPattern: Int64(bitPattern: rs1) &>> Int64(bitPattern: x[Int(ip.pointee.rs2)]))
                    case .or:
                        x[Int(ip.pointee.rd)] = rs1 | x[Int(ip.pointee.rs2)]
                    case .and:
                        x[Int(ip.pointee.rd)] = rs1 & x[Int(ip.pointee.rs2)]
                    case .addw:
                        x[Int(ip.pointee.rd)] = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: rs1 &+ x[Int(ip.pointee.rs2)])))
                    case .subw:
                        x[Int(ip.pointee.rd)] = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: rs1 &- x[Int(ip.pointee.rs2)])))
                    case .sllw:
                        x[Int(ip.pointee.rd)] = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: UInt32(truncatingIfNeeded: rs1) &<< UInt32(truncatingIfNeeded: x[Int(ip.pointee.rs2)]))))
                    case .srlw:
                        x[Int(ip.pointee.rd)] = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: UInt32(truncatingIfNeeded: rs1) &>> UInt32(truncatingIfNeeded: x[Int(ip.pointee.rs2)]))))
                    case .sraw:
                        x[Int(ip.pointee.rd)] = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: rs1) &>> Int32(truncatingIfNeeded: x[Int(ip.pointee.rs2)])))
                    case .mul:
                        x[Int(ip.pointee.rd)] = RVM.mul(rs1, x[Int(ip.pointee.rs2)])
                    case .mulh:
                        x[Int(ip.pointee.rd)] = RVM.mulh(rs1, x[Int(ip.pointee.rs2)])
                    case .mulhsu:
                        x[Int(ip.pointee.rd)] = RVM.mulhsu(rs1, x[Int(ip.pointee.rs2)])
                    case .mulhu:
                        x[Int(ip.pointee.rd)] = RVM.mulhu(rs1, x[Int(ip.pointee.rs2)])
                    case .div:
                        x[Int(ip.pointee.rd)] = RVM.div(rs1, x[Int(ip.pointee.rs2)])
                    case .divu:
                        x[Int(ip.pointee.rd)] = RVM.divu(rs1, x[Int(ip.pointee.rs2)])
                    case .rem:
                        x[Int(ip.pointee.rd)] = RVM.rem(rs1, x[Int(ip.pointee.rs2)])
                    case .remu:
                        x[Int(ip.pointee.rd)] = RVM.remu(rs1, x[Int(ip.pointee.rs2)])
                    case .mulw:
                        x[Int(ip.pointee.rd)] = RVM.mulw(rs1, x[Int(ip.pointee.rs2)])
                    case .divw:
                        x[Int(ip.pointee.rd)] = RVM.divw(rs1, x[Int(ip.pointee.rs2)])
                    case .divuw:
                        x[Int(ip.pointee.rd)] = RVM.divuw(rs1, x[Int(ip.pointee.rs2)])
                    case .remw:
                        x[Int(ip.pointee.rd)] = RVM.remw(rs1, x[Int(ip.pointee.rs2)])
                    case .remuw:
                        x[Int(ip.pointee.rd)] = RVM.remuw(rs1, x[Int(ip.pointee.rs2)])
                    case .add_uw:
                        x[Int(ip.pointee.rd)] = RVZba.add_uw(rs1, x[Int(ip.pointee.rs2)])
                    case .sh1add:
                        x[Int(ip.pointee.rd)] = RVZba.sh1add(rs1, x[Int(ip.pointee.rs2)])
                    case .sh2add:
                        x[Int(ip.pointee.rd)] = RVZba.sh2add(rs1, x[Int(ip.pointee.rs2)])
                    case .sh3add:
                        x[Int(ip.pointee.rd)] = RVZba.sh3add(rs1, x[Int(ip.pointee.rs2)])
                    case .sh1add_uw:
                        x[Int(ip.pointee.rd)] = RVZba.sh1add_uw(rs1, x[Int(ip.pointee.rs2)])
                    case .sh2add_uw:
                        x[Int(ip.pointee.rd)] = RVZba.sh2add_uw(rs1, x[Int(ip.pointee.rs2)])
                    case .sh3add_uw:
                        x[Int(ip.pointee.rd)] = RVZba.sh3add_uw(rs1, x[Int(ip.pointee.rs2)])
                    case .slli_uw:
                        x[Int(ip.pointee.rd)] = RVZba.slli_uw(rs1, imm)
                    case .andn:
                        x[Int(ip.pointee.rd)] = RVZbb.andn(rs1, x[Int(ip.pointee.rs2)])
                    case .orn:
                        x[Int(ip.pointee.rd)] = RVZbb.orn(rs1, x[Int(ip.pointee.rs2)])
                    case .xnor:
                        x[Int(ip.pointee.rd)] = RVZbb.xnor(rs1, x[Int(ip.pointee.rs2)])
                    case .max:
                        x[Int(ip.pointee.rd)] = RVZbb.max(rs1, x[Int(ip.pointee.rs2)])
                    case .maxu:
                        x[Int(ip.pointee.rd)] = RVZbb.maxu(rs1, x[Int(ip.pointee.rs2)])
                    case .min:
                        x[Int(ip.pointee.rd)] = RVZbb.min(rs1, x[Int(ip.pointee.rs2)])
                    case .minu:
                        x[Int(ip.pointee.rd)] = RVZbb.minu(rs1, x[Int(ip.pointee.rs2)])
                    case .rol:
                        x[Int(ip.pointee.rd)] = RVZbb.rol(rs1, x[Int(ip.pointee.rs2)])
                    case .ror:
                        x[Int(ip.pointee.rd)] = RVZbb.ror(rs1, x[Int(ip.pointee.rs2)])
                    case .rolw:
                        x[Int(ip.pointee.rd)] = RVZbb.rolw(rs1, x[Int(ip.pointee.rs2)])
                    case .rorw:
                        x[Int(ip.pointee.rd)] = RVZbb.rorw(rs1, x[Int(ip.pointee.rs2)])
                    case .clz:
                        x[Int(ip.pointee.rd)] = RVZbb.clz(rs1)
                    case .ctz:
                        x[Int(ip.pointee.rd)] = RVZbb.ctz(rs1)
                    case .cpop:
                        x[Int(ip.pointee.rd)] = RVZbb.cpop(rs1)
                    case .clzw:
                        x[Int(ip.pointee.rd)] = RVZbb.clzw(rs1)
                    case .ctzw:
                        x[Int(ip.pointee.rd)] = RVZbb.ctzw(rs1)
                    case .cpopw:
                        x[Int(ip.pointee.rd)] = RVZbb.cpopw(rs1)
                    case .sext_b:
                        x[Int(ip.pointee.rd)] = RVZbb.sext_b(rs1)
                    case .sext_h:
                        x[Int(ip.pointee.rd)] = RVZbb.sext_h(rs1)
                    case .zext_h:
                        x[Int(ip.pointee.rd)] = RVZbb.zext_h(rs1)
                    case .orc_b:
                        x[Int(ip.pointee.rd)] = RVZbb.orc_b(rs1)
                    case .rev8:
                        x[Int(ip.pointee.rd)] = RVZbb.rev8(rs1)
                    case .rori:
                        x[Int(ip.pointee.rd)] = RVZbb.ror(rs1, imm)
                    case .roriw:
                        x[Int(ip.pointee.rd)] = RVZbb.rorw(rs1, imm)
                    case .clmul:
                        x[Int(ip.pointee.rd)] = RVZbc.clmul(rs1, x[Int(ip.pointee.rs2)])
                    case .clmulh:
                        x[Int(ip.pointee.rd)] = RVZbc.clmulh(rs1, x[Int(ip.pointee.rs2)])
                    case .clmulr:
                        x[Int(ip.pointee.rd)] = RVZbc.clmulr(rs1, x[Int(ip.pointee.rs2)])
                    case .bclr:
                        x[Int(ip.pointee.rd)] = RVZbs.bclr(rs1, x[Int(ip.pointee.rs2)])
                    case .bclri:
                        x[Int(ip.pointee.rd)] = RVZbs.bclr(rs1, imm)
                    case .bext:
                        x[Int(ip.pointee.rd)] = RVZbs.bext(rs1, x[Int(ip.pointee.rs2)])
                    case .bexti:
                        x[Int(ip.pointee.rd)] = RVZbs.bext(rs1, imm)
                    case .binv:
                        x[Int(ip.pointee.rd)] = RVZbs.binv(rs1, x[Int(ip.pointee.rs2)])
                    case .binvi:
                        x[Int(ip.pointee.rd)] = RVZbs.binv(rs1, imm)
                    case .bset:
                        x[Int(ip.pointee.rd)] = RVZbs.bset(rs1, x[Int(ip.pointee.rs2)])
                    case .bseti:
                        x[Int(ip.pointee.rd)] = RVZbs.bset(rs1, imm)
                    case .czero_eqz:
                        x[Int(ip.pointee.rd)] = RVZicond.czero_eqz(rs1, x[Int(ip.pointee.rs2)])
                    case .czero_nez:
                        x[Int(ip.pointee.rd)] = RVZicond.czero_nez(rs1, x[Int(ip.pointee.rs2)])
                    case .mop:
                        x[Int(ip.pointee.rd)] = 0
                    case .fence:
                        if h.pointee.isShared { order(ip.pointee) }
                    case .hint:
                        break
                    case .lb:
                        outcome = load(Int8.self, rs1 &+ imm, loads, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .lh:
                        outcome = load(Int16.self, rs1 &+ imm, loads, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .lw:
                        outcome = load(Int32.self, rs1 &+ imm, loads, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .ld:
                        outcome = load(UInt64.self, rs1 &+ imm, loads, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .lbu:
                        outcome = load(UInt8.self, rs1 &+ imm, loads, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .lhu:
                        outcome = load(UInt16.self, rs1 &+ imm, loads, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .lwu:
                        outcome = load(UInt32.self, rs1 &+ imm, loads, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .sb:
                        outcome = store(UInt8.self, x[Int(ip.pointee.rs2)], rs1 &+ imm, stores, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .sh:
                        outcome = store(UInt16.self, x[Int(ip.pointee.rs2)], rs1 &+ imm, stores, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .sw:
                        outcome = store(UInt32.self, x[Int(ip.pointee.rs2)], rs1 &+ imm, stores, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .sd:
                        outcome = store(UInt64.self, x[Int(ip.pointee.rs2)], rs1 &+ imm, stores, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .fld:
                        outcome = loadFloat(UInt64.self, rs1 &+ imm, loads, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .flw:
                        outcome = loadFloat(UInt32.self, rs1 &+ imm, loads, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .flh:
                        outcome = loadFloat(UInt16.self, rs1 &+ imm, loads, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .fsd:
                        outcome = storeFloat(UInt64.self, rs1 &+ imm, stores, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .fsw:
                        outcome = storeFloat(UInt32.self, rs1 &+ imm, stores, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .fsh:
                        outcome = storeFloat(UInt16.self, rs1 &+ imm, stores, ip, noting: (pc, remaining, end))
                        if outcome != .ranOn { break instructions }
                    case .beq:
                        (next, outcome) = branch(rs1 == x[Int(ip.pointee.rs2)], ip, pc)
                        break instructions
                    case .bne:
                        (next, outcome) = branch(rs1 != x[Int(ip.pointee.rs2)], ip, pc)
                        break instructions
                    case .blt:
                        (next, outcome) = branch(Int64(bitPattern: rs1) < Int64(bitPattern: x[Int(ip.pointee.rs2)]), ip, pc)
                        break instructions
                    case .bge:
                        (next, outcome) = branch(Int64(bitPattern: rs1) >= Int64(bitPattern: x[Int(ip.pointee.rs2)]), ip, pc)
                        break instructions
                    case .bltu:
                        (next, outcome) = branch(rs1 < x[Int(ip.pointee.rs2)], ip, pc)
                        break instructions
                    case .bgeu:
                        (next, outcome) = branch(rs1 >= x[Int(ip.pointee.rs2)], ip, pc)
                        break instructions
                    case .jal:
                        next = pc &+ imm
                        outcome = .taken
                        if next & alignmentMask == 0 { x[Int(ip.pointee.rd)] = pc &+ UInt64(ip.pointee.offset) &+ ip.pointee.length }
                        break instructions
                    case .jalr:
                        next = (rs1 &+ imm) & ~1
                        outcome = .computed
                        if next & alignmentMask == 0 { x[Int(ip.pointee.rd)] = pc &+ UInt64(ip.pointee.offset) &+ ip.pointee.length }
                        break instructions
                    case .blockEnd:
                        next = pc &+ UInt64(ip.pointee.offset)
                        break instructions
                    default:
                        if ip.pointee.rv.isFloatingPoint {
                            if executeFloat(ip.pointee.rv, ip.pointee) { break }
                            outcome = .trap
                            break instructions
                        }
                        h.pointee.pc = pc &+ UInt64(ip.pointee.offset) &+ ip.pointee.length
                        switch noting((pc, remaining, end)).executeCold(ip) {
                        case .next: break
                        case .trap:
                            outcome = .trap
                            break instructions
                        case .leave:
                            outcome = .leave
                            break instructions
                        case .wait, .yield:
                            h.pointee.remaining = remaining &+ (end - ip - 1)
                            return h.pointee.waiting ? .waiting : .yielded
                        case .exclusive:
                            h.pointee.remaining = remaining &+ (end - ip - 1)
                            leaveForTurnAlone(ip)
                            return .yielded
                        }
                    }
                    ip += 1
                }

                // Where to go on.
                switch outcome {
                case .taken:
                    if next & alignmentMask != 0 { break }
                    if !h.isRequested, let successor = block.pointee.taken, successor.pointee.isPlain {
                        pc = next
                        block = successor
                        continue chained
                    }
                    if let successor = remaining > 0 ? successor(of: block, at: next, from: pc) : nil {
                        block.pointee.taken = successor
                        pc = next
                        block = successor
                        continue chained
                    }
                    pc = next
                    continue dispatch
                case .ranOn:
                    if !h.isRequested, let successor = block.pointee.next, successor.pointee.isPlain, remaining > 0 {
                        pc = next
                        block = successor
                        continue chained
                    }
                    if let successor = remaining > 0 ? successor(of: block, at: next, from: pc) : nil {
                        block.pointee.next = successor
                        pc = next
                        block = successor
                        continue chained
                    }
                    pc = next
                    continue dispatch
                case .computed:
                    if next & alignmentMask != 0 { break }
                    hasJumped = translates && (next ^ pc) & TLBEntry.pageMask == 0 && !Self.isReturn(ip.pointee)
                    pc = next
                    continue dispatch
                case .stopAfter:
                    remaining &+= end - ip - 1
                    pc = pc &+ UInt64(ip.pointee.offset) &+ ip.pointee.length
                    continue dispatch
                case .leave:
                    remaining &+= end - ip - 1
                    pc = h.pointee.pc
                    continue dispatch
                case .trap:
                    remaining &+= end - ip - 1
                    countCycles(remaining)
                    h.pointee.nonRetired &+= 1
                    takeTrap(cause: h.pointee.trapCause, value: h.pointee.trapValue, pc: pc &+ UInt64(ip.pointee.offset))
                    pc = h.pointee.pc
                    continue dispatch
                }
                // Only a jump to a misaligned address gets here: the jump itself traps.
                countCycles(remaining)
                h.pointee.nonRetired &+= 1
                takeTrap(cause: RVCause.fetchMisaligned, value: next, pc: pc &+ UInt64(ip.pointee.offset))
                pc = h.pointee.pc
                continue dispatch
            }
        }
    }
}
