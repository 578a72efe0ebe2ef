/// The interpreter's loads and stores: a probe of the TLB in line, everything else by call.
///
/// SAFETY: register numbers come from the decoder and lie inside `RVHart`; host addresses come from `direct` only.
extension RVProcessor {
    /// Where execution stands, for those who are about to look at it.
    typealias Position = (pc: UInt64, remaining: Int, end: UnsafeMutablePointer<DecodedOp>)
    /// One of a view's tables, its length less one beside it.
    typealias ProbedTable = (entries: UnsafeMutablePointer<TLBEntry>, mask: UInt64)

    /// Stores where execution stands for those who are about to look at it.
    @inline(__always)
    func noting(_ position: Position) -> Self {
        h.pointee.blockPC = position.pc
        h.pointee.remaining = position.remaining
        h.pointee.blockEnd = position.end
        return self
    }

    /// Loads a `T`, extended to 64 bits as its sign says, into the register at `slot` of the hart's registers, `boxing` ORed to it.
    @inline(__always)
    private func load<T: FixedWidthInteger>(
        _: T.Type, into slot: Int, boxing: UInt64, _ address: UInt64, _ table: ProbedTable, _ ip: UnsafeMutablePointer<DecodedOp>,
        _ position: Position
    ) -> Outcome {
        let size = UInt64(T.bitWidth / 8)
        if let host = Self.direct(table.entries, table.mask, address, size) {
            x[slot] = UInt64(truncatingIfNeeded: host.loadUnaligned(as: T.self)) | boxing
            return .ranOn
        }
        guard let value = noting(position).loadSlow(address, size, ip) else { return .trap }
        x[slot] = UInt64(truncatingIfNeeded: T(truncatingIfNeeded: value)) | boxing
        return h.isRequested ? .stopAfter : .ranOn
    }

    /// `lb` to `lwu`: loads a `T` and extends it as its sign says.
    @inline(__always)
    func load<T: FixedWidthInteger>(
        _ type: T.Type, _ address: UInt64, _ table: ProbedTable, _ ip: UnsafeMutablePointer<DecodedOp>, noting position: Position
    ) -> Outcome {
        load(type, into: Int(ip.pointee.rd), boxing: 0, address, table, ip, position)
    }

    /// `flh` to `fld`: loads a `T`, NaN-boxed.
    @inline(__always)
    func loadFloat<T: FixedWidthInteger & UnsignedInteger>(
        _ type: T.Type, _ address: UInt64, _ table: ProbedTable, _ ip: UnsafeMutablePointer<DecodedOp>, noting position: Position
    ) -> Outcome {
        guard h.pointee.mstatus & RVStatus.fs != 0 else {
            _ = illegal(ip.pointee)
            return .trap
        }
        let outcome = load(type, into: 33 + Int(ip.pointee.rd), boxing: ~UInt64(T.max), address, table, ip, position)
        if outcome != .trap { h.pointee.mstatus |= RVStatus.fs }
        return outcome
    }

    /// `sb` to `sd`: stores the lower bits of `value`.
    @inline(__always)
    func store<T: FixedWidthInteger>(
        _: T.Type, _ value: UInt64, _ address: UInt64, _ table: ProbedTable, _ ip: UnsafeMutablePointer<DecodedOp>, noting position: Position
    ) -> Outcome {
        let size = UInt64(T.bitWidth / 8)
        if let host = Self.direct(table.entries, table.mask, address, size) {
            host.storeBytes(of: T(truncatingIfNeeded: value), as: T.self)
            return .ranOn
        }
        guard noting(position).storeSlow(address, size, value, ip) else { return .trap }
        return h.isRequested ? .stopAfter : .ranOn
    }

    /// `fsh` to `fsd`: stores the lower bits of a floating-point register, whatever is boxed in it.
    @inline(__always)
    func storeFloat<T: FixedWidthInteger>(
        _ type: T.Type, _ address: UInt64, _ table: ProbedTable, _ ip: UnsafeMutablePointer<DecodedOp>, noting position: Position
    ) -> Outcome {
        guard h.pointee.mstatus & RVStatus.fs != 0 else {
            _ = illegal(ip.pointee)
            return .trap
        }
        return store(type, x[33 + Int(ip.pointee.rs2)], address, table, ip, noting: position)
    }
}
