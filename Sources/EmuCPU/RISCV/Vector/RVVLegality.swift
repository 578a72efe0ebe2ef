/// Which encodings are reserved under a vtype, by the shape of the operation.
extension VectorContext {
    /// Every operand has SEW and LMUL.
    @inline(__always)
    func isPlain(_ r: DecodedOp) -> Bool { allows(group(r.rd), from: r) }

    /// The same but for vd, which is a mask.
    @inline(__always)
    func isComparison(_ r: DecodedOp) -> Bool { allows(VectorGroup(mask: r.rd), from: r) }

    /// vd has twice the width of the sources.
    @inline(__always)
    func isWidening(_ r: DecodedOp) -> Bool { allows(group(r.rd, width: width + 1), from: r) }

    /// The same where vd is a source too.
    @inline(__always)
    func isWideningAccumulation(_ r: DecodedOp) -> Bool {
        let d = group(r.rd, width: width + 1)
        return isWidening(r) && d.mayBeRead(with: group(r.rs2)) && (!r.isVectorVector || d.mayBeRead(with: group(r.rs1)))
    }

    /// vd and vs2 have twice the width of the second operand.
    @inline(__always)
    func isWide(_ r: DecodedOp) -> Bool {
        let (d, a) = (group(r.rd, width: width + 1), group(r.rs2, width: width + 1))
        return r.isVectorVector ? allows(d, a, group(r.rs1)) : allows(d, a)
    }

    /// vs2 has twice the width of the others.
    @inline(__always)
    func isNarrowing(_ r: DecodedOp) -> Bool {
        let a = group(r.rs2, width: width + 1)
        return r.isVectorVector ? allows(group(r.rd), a, group(r.rs1)) : allows(group(r.rd), a)
    }

    /// vs1 and vd are single elements of 2^`width` bytes; vd may be any register.
    func isReduction(_ r: DecodedOp, width: Int) -> Bool {
        let (a, b) = (group(r.rs2), VectorGroup(register: Int(r.rs1), width: width, emul: 0))
        return start == 0 && a.isLegal && b.isLegal && a.mayBeRead(with: b) && (!isMasked || a.mayBeRead(with: .mask) && b.mayBeRead(with: .mask))
    }

    /// The sources have SEW and LMUL.
    @inline(__always)
    private func allows(_ d: VectorGroup, from r: DecodedOp) -> Bool {
        r.isVectorVector ? allows(d, group(r.rs2), group(r.rs1)) : allows(d, group(r.rs2))
    }
}

extension VectorGroup {
    /// As the indices of an indexed access of `data`, which is the first of so many fields.
    func isIndexAllowed(_ data: VectorGroup, fields: Int, isStore: Bool) -> Bool {
        if register >= data.register + data.count * fields || data.register >= register + count { return true }
        // Both are sources of a store; a load may overwrite its indices like other destinations, but not those of its segments.
        return isStore ? width == data.width : fields == 1 && data.mayOverwrite(self)
    }
}
