import EmuBus

/// From a guest address to a decoded block.
extension RVProcessor {
    /// The block to enter at guest address `pc`; nil when fetching traps, with the trap noted, or when a debugger wants to stop
    /// here, with an exit requested.
    @inline(never)
    func findBlock(_ pc: UInt64) -> UnsafeMutablePointer<Block>? {
        cache.counts.pointee.jumpCacheMisses &+= 1
        guard let block = locateBlock(pc) else { return nil }
        if block.pointee.isWatched, stopsBefore(pc, block.pointee.physicalPC) { return nil }
        return block
    }

    /// The block at guest address `pc`, decoded if need be; nil when fetching traps, with the trap noted.
    package func locateBlock(_ pc: UInt64) -> UnsafeMutablePointer<Block>? {
        // In the middle of a comparison, blocks and TLB entries stay what they are.
        if cache.isFull, comparison?.journal.isRecording != true { cache.flushAll() }
        guard let physical = translate(pc, 2, .fetch) else { return nil }
        let view = h.pointee.fetchView
        let mode = blockMode
        let isChecked = view.pointee.fetches.entry(pc).pointee.tag & TLBEntry.checked != 0
        if Log.isEnabled(.execution, at: pc) { Log.write(.execution, "hart \(index): block \(hex(pc))") }
        if let block = cache.find(physical, mode: mode, secondPage: { self.translate((pc | 0xfff) &+ 1, 2, .fetch).map { $0 & TLBEntry.pageMask } }) {
            if isChecked {
                // Links made before memory protection cut through the page know nothing of it.
                block.pointee.taken = nil
                block.pointee.next = nil
            }
            if !isChecked || mayFetch(pc, Int(block.pointee.byteLength)) { remember(block, pc, !isChecked); return block }
        }
        guard let block = build(pc, physical, mode: mode, limit: isChecked ? 1 : Self.maximumBlock) else { return nil }
        remember(block, pc, !isChecked)
        return block
    }

    /// Every halfword of a range lies where fetching is allowed. (Only asked for pages that memory protection covers in part.)
    private func mayFetch(_ pc: UInt64, _ length: Int) -> Bool {
        for offset in stride(from: 0, to: length, by: 2) where translate(pc &+ UInt64(offset), 2, .fetch) == nil { return false }
        return true
    }

    /// Puts a block into the jump cache, unless entering it needs checks each time or the log wants to see each entry.
    private func remember(_ block: UnsafeMutablePointer<Block>, _ pc: UInt64, _ isPlain: Bool) {
        guard isPlain, !block.pointee.crossesPage, !block.pointee.isWatched, !Log.isEnabled([.execution, .noChaining]) else { return }
        let view = h.pointee.fetchView
        view.pointee.jumps[TLBView.jumpIndex(pc)] = JumpCacheEntry(key: pc ^ view.pointee.salt, code: cache.jumpCode(block))
        view.pointee.jumpBlocks[TLBView.jumpIndex(pc)] = block
    }

    /// Decodes from `physical` up to a jump, the end of the page or `limit` instructions.
    private func build(_ pc: UInt64, _ physical: UInt64, mode: UInt8, limit: Int) -> UnsafeMutablePointer<Block>? {
        while true {
            cache.willDecode(physical)
            guard let decoded = decode(pc, physical, mode: mode, limit: limit) else { return nil }
            // Another hart may have written there meanwhile.
            guard cache.confirms(physical, decoded.byteLength, secondPage: decoded.secondPage), !cache.isShared || isStill(physical, decoded) else { continue }
            return cache.insert(
                physical, mode: mode, UnsafeBufferPointer(start: scratch, count: decoded.count + 1), byteLength: decoded.byteLength, secondPage: decoded.secondPage)
        }
    }

    /// A run of instructions in `scratch`, closed by a `blockEnd` that is not counted.
    private struct Decoded {
        var count: Int
        var byteLength: Int
        var secondPage: UInt64
    }

    /// Memory still holds the instructions in `scratch`.
    private func isStill(_ physical: UInt64, _ decoded: Decoded) -> Bool {
        let page = physical & TLBEntry.pageMask
        guard let code = bus.codeMemory(at: page, length: UInt64(GuestRAM.pageSize))?.pointer(to: page) else { return false }
        let start = Int(physical & 0xfff)
        for index in 0..<decoded.count {
            let position = start + Int(scratch[index].offset), bits = scratch[index].raw
            guard code.loadUnaligned(fromByteOffset: position, as: UInt16.self) == UInt16(truncatingIfNeeded: bits) else { return false }
            if scratch[index].length == 2 { continue }
            let high =
                position + 2 < GuestRAM.pageSize
                ? code.loadUnaligned(fromByteOffset: position + 2, as: UInt16.self)
                : bus.loadCode(decoded.secondPage, as: UInt16.self)
            guard high == UInt16(truncatingIfNeeded: bits >> 16) else { return false }
        }
        return true
    }

    private func decode(_ pc: UInt64, _ physical: UInt64, mode: UInt8, limit: Int) -> Decoded? {
        let page = physical & TLBEntry.pageMask
        guard let memory = bus.codeMemory(at: page, length: UInt64(GuestRAM.pageSize)) else {
            Log.write(.guestErrors, "hart \(index): instruction fetch from \(hex(physical)), which is not memory")
            _ = raise(RVCause.fetchAccess, pc)
            return nil
        }
        let code = UnsafeRawPointer(memory.pointer(to: page))
        let start = Int(physical & 0xfff)
        var position = start
        var count = 0
        var secondPage: UInt64 = 0
        let hasBoundaries = cache.hasBoundaries
        let limit = cache.watchesEverything ? 1 : limit
        while count < limit && position < GuestRAM.pageSize {
            if hasBoundaries, count > 0, cache.boundaries.contains(page | UInt64(position)) { break }
            var bits = UInt32(code.loadUnaligned(fromByteOffset: position, as: UInt16.self))
            if bits & 3 == 3 {
                if position + 4 <= GuestRAM.pageSize {
                    bits = code.loadUnaligned(fromByteOffset: position, as: UInt32.self)
                    // A limit means that memory protection cuts through the page, perhaps through this instruction.
                    if limit == 1, translate(pc &+ 2, 2, .fetch) == nil { return nil }
                } else {
                    // A straddling instruction gets a block of its own.
                    if count > 0 { break }
                    let tail = (pc | 0xfff) &+ 1
                    guard let second = translate(tail, 2, .fetch) else { return nil }
                    guard let next = bus.codeMemory(at: second, length: 2) else {
                        _ = raise(RVCause.fetchAccess, tail)
                        return nil
                    }
                    bits |= UInt32(next.pointer(to: second).loadUnaligned(as: UInt16.self)) << 16
                    secondPage = second
                }
            }
            var op = decoder.decode(bits)
            let offset = position - start
            if cache.isShared, op.rv == .lr_w || op.rv == .lr_d {
                op = RVReservation.annotate(op, next: position + Int(op.length), decoder) { next in
                    guard next + 2 <= GuestRAM.pageSize else { return nil }
                    let low = UInt32(code.loadUnaligned(fromByteOffset: next, as: UInt16.self))
                    if low & 3 != 3 { return low }
                    return next + 4 <= GuestRAM.pageSize ? code.loadUnaligned(fromByteOffset: next, as: UInt32.self) : nil
                }
            }
            op.offset = UInt16(truncatingIfNeeded: offset)
            switch op.rv {
            case .beq, .bne, .blt, .bge, .bltu, .bgeu, .jal, .auipc: op.imm &+= Int32(truncatingIfNeeded: offset)
            default: break
            }
            if mode != 0 {
                if mode & BlockMode.recording != 0, Self.isTransfer(op.rv) {
                    op.op = RVOp.transfer.rawValue
                } else if mode & BlockMode.landingPads != 0, Self.expectsLandingPad(op) {
                    op.op = RVOp.jalr_lp.rawValue
                }
            }
            scratch[count] = op
            count += 1
            position += Int(op.length)
            if Log.isEnabled(.guestCode, at: pc &+ UInt64(offset)) { logDecoded(op, pc &+ UInt64(offset)) }
            if secondPage != 0 || Self.endsBlock(op) { break }
        }
        scratch[count] = DecodedOp(.blockEnd)
        scratch[count].offset = UInt16(truncatingIfNeeded: position - start)
        return Decoded(count: count, byteLength: position - start, secondPage: secondPage)
    }

    /// True for instructions after which the next one cannot simply follow.
    static func endsBlock(_ op: DecodedOp) -> Bool {
        switch op.rv {
        case .beq, .bne, .blt, .bge, .bltu, .bgeu, .jal, .jalr, .jalr_lp, .transfer, .ecall, .ebreak, .mret, .sret, .mnret, .sctrclr, .wfi, .wrs_nto, .wrs_sto, .pause,
            .sfence_vma, .sinval_vma, .sfence_w_inval, .sfence_inval_ir, .hfence_vvma, .hfence_gvma, .hinval_vvma, .hinval_gvma, .fence_i, .illegal:
            return true
        case .csrrw, .csrrwi:
            return RVPlainCSR.writable(op.imm) == nil
        case .csrrs, .csrrc, .csrrsi, .csrrci:
            return op.rs1 != 0 && RVPlainCSR.writable(op.imm) == nil
        default:
            return false
        }
    }

    /// A jump through ra or t0 that keeps no link is a return (unprivileged manual, "Unconditional Jumps", return-address stack hints).
    static func isReturn(_ r: DecodedOp) -> Bool { RVTranslator.isDiscarded(r.rd) && (r.rs1 == 1 || r.rs1 == 5) }

    @inline(never)
    private func logDecoded(_ op: DecodedOp, _ address: UInt64) {
        Log.write(.guestCode, "\(hex(address)):  \(disassembler.text(bits: op.raw, address: address).text)")
    }
}
