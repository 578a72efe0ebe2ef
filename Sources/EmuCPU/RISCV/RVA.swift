import CHost
import EmuIR

extension RVTable {
    /// Zalrsc: load-reserved and store-conditional.
    static let zalrsc: [RVInstruction] = [
        .init("lr.w", "00010 ar 00000 sssss 010 ddddd 0101111", .zalrsc, .loadReserved, .lr_w),
        .init("sc.w", "00011 ar ttttt sssss 010 ddddd 0101111", .zalrsc, .atomic, .sc_w),
        .init("lr.d", "00010 ar 00000 sssss 011 ddddd 0101111", .zalrsc, .loadReserved, .lr_d),
        .init("sc.d", "00011 ar ttttt sssss 011 ddddd 0101111", .zalrsc, .atomic, .sc_d),
    ]

    /// Zaamo: atomic memory operations.
    static let zaamo: [RVInstruction] = [
        .init("amoswap.w", "00001 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amoswap_w),
        .init("amoadd.w",  "00000 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amoadd_w),
        .init("amoxor.w",  "00100 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amoxor_w),
        .init("amoand.w",  "01100 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amoand_w),
        .init("amoor.w",   "01000 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amoor_w),
        .init("amomin.w",  "10000 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amomin_w),
        .init("amomax.w",  "10100 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amomax_w),
        .init("amominu.w", "11000 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amominu_w),
        .init("amomaxu.w", "11100 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amomaxu_w),
        .init("amoswap.d", "00001 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amoswap_d),
        .init("amoadd.d",  "00000 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amoadd_d),
        .init("amoxor.d",  "00100 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amoxor_d),
        .init("amoand.d",  "01100 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amoand_d),
        .init("amoor.d",   "01000 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amoor_d),
        .init("amomin.d",  "10000 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amomin_d),
        .init("amomax.d",  "10100 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amomax_d),
        .init("amominu.d", "11000 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amominu_d),
        .init("amomaxu.d", "11100 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amomaxu_d),
    ]
}

// MARK: Semantics

extension RVProcessor {
    /// LR, SC and AMO. Where harts take turns on one thread, a load followed by a store is indivisible and sequentially
    /// consistent, at least what any combination of aq and rl asks for; among harts on threads so is a host atomic. Misaligned addresses trap,
    /// but not those of AMOs inside 16 bytes with Zama16b; so does what is not RAM.
    func executeAtomic(_ op: RVOp, _ r: DecodedOp) -> Bool {
        let address = x[Int(r.rs1)]
        let operand = x[Int(r.rs2)]
        switch op {
        case .lr_w: return loadReserved(r, address, UInt32.self)
        case .lr_d: return loadReserved(r, address, UInt64.self)
        case .sc_w: return storeConditional(r, address, UInt32(truncatingIfNeeded: operand))
        case .sc_d: return storeConditional(r, address, operand)
        case .amoswap_b, .amoadd_b, .amoxor_b, .amoand_b, .amoor_b, .amomin_b, .amomax_b, .amominu_b, .amomaxu_b, .amocas_b:
            return atomic(op, r, address, UInt8(truncatingIfNeeded: operand))
        case .amoswap_h, .amoadd_h, .amoxor_h, .amoand_h, .amoor_h, .amomin_h, .amomax_h, .amominu_h, .amomaxu_h, .amocas_h:
            return atomic(op, r, address, UInt16(truncatingIfNeeded: operand))
        case .amocas_q:
            return compareAndSwapPair(r, address)
        case .amoswap_w, .amoadd_w, .amoxor_w, .amoand_w, .amoor_w, .amomin_w, .amomax_w, .amominu_w, .amomaxu_w, .amocas_w:
            return atomic(op, r, address, UInt32(truncatingIfNeeded: operand))
        default:
            return atomic(op, r, address, operand)
        }
    }

    /// Sign-extends a loaded value to XLEN.
    @inline(__always)
    private func extended<T: FixedWidthInteger & UnsignedInteger>(_ value: T) -> UInt64 {
        let unused = UInt64(64 - T.bitWidth)
        return UInt64(bitPattern: Int64(bitPattern: UInt64(value) &<< unused) &>> Int64(unused))
    }

    private func loadReserved<T: AtomicCell>(_ r: DecodedOp, _ address: UInt64, _: T.Type) -> Bool {
        let size = UInt64(MemoryLayout<T>.size)
        guard let host = atomicPointer(address, size, .load) else { return false }
        if h.pointee.isShared {
            orderBeforeLoadReserved(r)
            let value = host.load(as: T.self)
            reserveShared(UInt64(value), h.pointee.dataView.pointee.loads.physicalPage(address) | address & 0xfff, size)
            x[Int(r.rd)] = extended(value)
            return true
        }
        h.pointee.reservedAddress = h.pointee.dataView.pointee.loads.physicalPage(address) | address & 0xfff
        h.pointee.reservedLength = size
        h.pointee.reservedWrites = bus.foreignWrites
        x[Int(r.rd)] = extended(host.load(as: T.self))
        return true
    }

    private func storeConditional<T: AtomicCell>(_ r: DecodedOp, _ address: UInt64, _ value: T) -> Bool {
        let size = UInt64(MemoryLayout<T>.size)
        guard let host = atomicPointer(address, size, .store) else { return false }
        let physical = h.pointee.dataView.pointee.stores.physicalPage(address) | address & 0xfff
        if h.pointee.isShared {
            let stores = storeConditionalShared(value, host, physical, scAt: h.pointee.blockPC &+ UInt64(r.offset))
            if stores { didStoreAtomically(physical, Int(size), address) }
            x[Int(r.rd)] = stores ? 0 : 1
            return true
        }
        // Harts take turns, and `didSwitch` drops the reservation: no other hart can have stored in between. A device may have.
        let holds = h.pointee.reservedLength == size && h.pointee.reservedAddress == physical && h.pointee.reservedWrites == bus.foreignWrites
        h.pointee.reservedLength = 0
        if holds {
            host.storeBytes(of: value, as: T.self)
            didStoreAtomically(physical, Int(size), address)
        }
        x[Int(r.rd)] = holds ? 0 : 1
        return true
    }

    @inline(__always)
    private func atomic<T: AtomicCell>(_ op: RVOp, _ r: DecodedOp, _ address: UInt64, _ operand: T) -> Bool {
        let size = UInt64(MemoryLayout<T>.size)
        if h.pointee.addressTriggers != 0, triggerFires(address, size, .load) { return false }
        let isInGranule = config.extensions.contains(.zama16b) && address & 15 &+ size <= 16
        guard let host = atomicPointer(address, size, .store, mayBeMisaligned: isInGranule) else { return false }
        var old = host.loadUnaligned(as: T.self)
        if h.pointee.isShared {
            // Hosts, too, can do it at any address inside 16 bytes: x86 always could, AArch64 can since LSE2.
            while true {
                let (exchanged, original) = T.compareExchange(host, old, updated(op, r, old, operand))
                if exchanged { break }
                old = original
            }
        } else {
            host.storeBytes(of: updated(op, r, old, operand), as: T.self)
        }
        didStoreAtomically(h.pointee.dataView.pointee.stores.physicalPage(address) | address & 0xfff, MemoryLayout<T>.size, address)
        x[Int(r.rd)] = extended(old)
        return true
    }

    /// What an atomic memory operation stores where `old` was.
    @inline(__always)
    private func updated<T: AtomicCell>(_ op: RVOp, _ r: DecodedOp, _ old: T, _ operand: T) -> T {
        switch op {
        case .amoswap_b, .amoswap_h, .amoswap_w, .amoswap_d: operand
        case .amoadd_b, .amoadd_h, .amoadd_w, .amoadd_d: old &+ operand
        case .amoxor_b, .amoxor_h, .amoxor_w, .amoxor_d: old ^ operand
        case .amoand_b, .amoand_h, .amoand_w, .amoand_d: old & operand
        case .amoor_b, .amoor_h, .amoor_w, .amoor_d: old | operand
        case .amomin_b, .amomin_h, .amomin_w, .amomin_d: signedLess(old, operand) ? old : operand
        case .amomax_b, .amomax_h, .amomax_w, .amomax_d: signedLess(old, operand) ? operand : old
        case .amominu_b, .amominu_h, .amominu_w, .amominu_d: min(old, operand)
        case .amomaxu_b, .amomaxu_h, .amomaxu_w, .amomaxu_d: max(old, operand)
        // The remaining ones compare with rd and swap.
        default: old == T(truncatingIfNeeded: x[Int(r.rd & 31)]) ? operand : old
        }
    }

    @inline(__always)
    private func signedLess<T: FixedWidthInteger & UnsignedInteger>(_ a: T, _ b: T) -> Bool {
        let sign = T(1) << (T.bitWidth - 1)
        return a ^ sign < b ^ sign
    }

    /// amocas.q: 128 bits in register pairs; x0 as a pair's first register stands for zero (Zacas).
    private func compareAndSwapPair(_ r: DecodedOp, _ address: UInt64) -> Bool {
        if h.pointee.addressTriggers != 0, triggerFires(address, 16, .load) { return false }
        guard let host = atomicPointer(address, 16, .store) else { return false }
        let isSink = r.rd == 32
        let expected = isSink ? (0, 0) : (x[Int(r.rd)], x[Int(r.rd) + 1])
        let operand = r.rs2 == 0 ? (0, 0) : (x[Int(r.rs2)], x[Int(r.rs2) + 1])
        var old = (host.load(as: UInt64.self), host.load(fromByteOffset: 8, as: UInt64.self))
        if h.pointee.isShared {
            var found = host_uint128(low: expected.0, high: expected.1)
            _ = host_compare_exchange_16(host, &found, host_uint128(low: operand.0, high: operand.1))
            old = (found.low, found.high)
        } else if old == expected {
            host.storeBytes(of: operand.0, as: UInt64.self)
            host.storeBytes(of: operand.1, toByteOffset: 8, as: UInt64.self)
        }
        if old == expected {
            didStoreAtomically(h.pointee.dataView.pointee.stores.physicalPage(address) | address & 0xfff, 16, address)
        }
        if !isSink { (x[Int(r.rd)], x[Int(r.rd) + 1]) = old }
        return true
    }

    private func didStoreAtomically(_ physical: UInt64, _ size: Int, _ address: UInt64) {
        // A plain write tag means that the page holds no code.
        if h.pointee.dataView.pointee.stores.entry(address).pointee.tag & TLBEntry.slow == 0 { return }
        if let memory = bus.memory(at: physical, length: UInt64(size)) { wroteMemory(memory, physical, size, address) }
    }
}

// MARK: Translation

extension RVTranslator {
    /// The operations of A. Those on bytes and halfwords, and compare-and-swap, are interpreted.
    mutating func lowerA(_ op: RVOp, _ r: DecodedOp) {
        switch op {
        case .lr_w: reserve(.loadReserved32, r)
        case .lr_d: reserve(.loadReserved64, r)
        case .sc_w: storeReserved(.storeConditional32, r, size: 4)
        case .sc_d: storeReserved(.storeConditional64, r, size: 8)
        case .amoswap_w: atomic(.swap32, r)
        case .amoadd_w: atomic(.fetchAdd32, r)
        case .amoxor_w: atomic(.fetchXor32, r)
        case .amoand_w: atomic(.fetchAnd32, r)
        case .amoor_w: atomic(.fetchOr32, r)
        case .amomin_w: atomic(.fetchMin32, r)
        case .amomax_w: atomic(.fetchMax32, r)
        case .amominu_w: atomic(.fetchMinu32, r)
        case .amomaxu_w: atomic(.fetchMaxu32, r)
        case .amoswap_d: atomic(.swap64, r)
        case .amoadd_d: atomic(.fetchAdd64, r)
        case .amoxor_d: atomic(.fetchXor64, r)
        case .amoand_d: atomic(.fetchAnd64, r)
        case .amoor_d: atomic(.fetchOr64, r)
        case .amomin_d: atomic(.fetchMin64, r)
        case .amomax_d: atomic(.fetchMax64, r)
        case .amominu_d: atomic(.fetchMinu64, r)
        case .amomaxu_d: atomic(.fetchMaxu64, r)
        default: interpret()
        }
    }

    /// lr. Among harts on threads, one that begins no plain sequence, or waits for stores before it, is interpreted.
    private mutating func reserve(_ op: Opcode, _ r: DecodedOp) {
        if isShared {
            switch RVReservation.Sequence.of(r) {
            case .plain, .waiting: if r.imm & 1 != 0 { return interpret() }
            case .other, .unknown: return interpret()
            }
            emitMark(RVReservation.mark(ofLoadAt: r))
        }
        emit(op, destination(r.rd), source(r.rs1))
    }

    private mutating func storeReserved(_ op: Opcode, _ r: DecodedOp, size: UInt64) {
        if isShared { emitMark(RVReservation.mark(size: size, scAt: UInt64(UInt32(bitPattern: pageOffset)) &+ UInt64(r.offset))) }
        atomic(op, r)
    }

    private mutating func emitMark(_ mark: UInt64) {
        emit(.writeState, .none, .constant(Int64(RVProcessor.stateLayout.reservationMark)), .constant(Int64(mark)))
    }

    private mutating func atomic(_ op: Opcode, _ r: DecodedOp) { emit(op, destination(r.rd), source(r.rs1), source(r.rs2)) }
}
