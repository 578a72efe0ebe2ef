extension RVTable {
    /// V: moving elements.
    static let vectorPermutation: [RVInstruction] =
        [
            [
                vectorUnary("vmv.x.s", 0x10, code: 0, .vmv_x_s, .mvv, to: .rd, mask: "1"), vectorMove("vmv.s.x", 0x10, .vmv_s_x, .mvx),
                vectorUnary("vfmv.f.s", 0x10, code: 0, .vfmv_f_s, .fvv, to: .fd, mask: "1"), vectorMove("vfmv.s.f", 0x10, .vfmv_s_f, .fvf),
            ],
            vector("vslideup", 0x0e, .vslideup, .ivx, .ivu), vector("vslidedown", 0x0f, .vslidedown, .ivx, .ivu),
            vector("vslide1up", 0x0e, .vslide1up, .mvx), vector("vslide1down", 0x0f, .vslide1down, .mvx),
            vector("vfslide1up", 0x0e, .vfslide1up, .fvf), vector("vfslide1down", 0x0f, .vfslide1down, .fvf),
            vector("vrgather", 0x0c, .vrgather, .ivv, .ivx, .ivu), vector("vrgatherei16", 0x0e, .vrgatherei16, .ivv),
            vector("vcompress", 0x17, .vcompress, .mvv, mask: "1", suffix: "vm"),
            [1, 2, 4, 8].map { vectorUnary("vmv\($0)r.v", 0x27, code: $0 - 1, .vmvr, .ivi, mask: "1") },
        ].flatMap { $0 }
}

/// "Vector Permutation Instructions".
extension RVProcessor {
    /// - Returns: false for a reserved encoding.
    func executeVectorPermutation(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        switch op {
        case .vmv_x_s:
            let value = element(r.rs2, c, 0)
            let unused = 64 - Int64(c.sew)
            x[Int(r.rd)] = UInt64(bitPattern: (Int64(bitPattern: value) << unused) >> unused)
        case .vmv_s_x:
            if c.start < c.vl { setElement(r.rd, c, 0, x[Int(r.rs1)]) }
        case .vfmv_f_s:
            guard isFloatAllowed, let box = floatBox(c) else { return false }
            f[Int(r.rd)] = element(r.rs2, c, 0) | box
            h.pointee.mstatus |= RVStatus.fs
        case .vfmv_s_f:
            guard isFloatAllowed, floatBox(c) != nil else { return false }
            if c.start < c.vl { setElement(r.rd, c, 0, floatScalar(r, bytes: 1 << c.width)) }
        default:
            if op == .vfslide1up || op == .vfslide1down { guard isFloatAllowed, floatBox(c) != nil else { return false } }
            guard isPermutationLegal(op, r, c) else { return false }
            switch c.width {
            case 0: permute(op, r, c, UInt8.self)
            case 1: permute(op, r, c, UInt16.self)
            case 2: permute(op, r, c, UInt32.self)
            default: permute(op, r, c, UInt64.self)
            }
        }
        return true
    }

    private func isPermutationLegal(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        let (d, a) = (c.group(r.rd), c.group(r.rs2))
        switch op {
        case .vslidedown, .vslide1down, .vfslide1down: return c.allows(d, a)
        case .vcompress:
            let mask = VectorGroup(mask: r.rs1)
            return c.start == 0 && c.allows(d, a) && !d.overlaps(a) && !d.overlaps(mask) && a.mayBeRead(with: mask)
        case .vrgather where r.isVectorVector, .vrgatherei16:
            let b = op == .vrgather ? c.group(r.rs1) : c.group(r.rs1, width: 1)
            return c.allows(d, a, b) && !d.overlaps(a) && !d.overlaps(b)
        default: return c.allows(d, a) && !d.overlaps(a)
        }
    }

    @inline(__always)
    private func permute<Element: FixedWidthInteger>(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext, _ type: Element.Type) {
        let (d, a) = (elements(r.rd, as: Element.self), elements(r.rs2, as: Element.self))
        let vlmax = c.vlmax
        switch op {
        case .vslideup:
            let offset = Int(min(vectorScalar(r, unsigned: true), UInt64(c.vl)))
            forActive(c) { if $0 >= offset { d[$0] = a[$0 &- offset] } }
        case .vslidedown:
            let offset = Int(min(vectorScalar(r, unsigned: true), UInt64(vlmax)))
            forActive(c) { d[$0] = $0 &+ offset < vlmax ? a[$0 &+ offset] : 0 }
        case .vslide1up, .vfslide1up:
            let (scalar, _) = secondOperand(r, as: Element.self)
            forActive(c) { d[$0] = $0 == 0 ? scalar.pointee : a[$0 &- 1] }
        case .vslide1down, .vfslide1down:
            let (scalar, _) = secondOperand(r, as: Element.self)
            forActive(c) { d[$0] = $0 == c.vl &- 1 ? scalar.pointee : a[$0 &+ 1] }
        case .vrgather where !r.isVectorVector:
            let index = vectorScalar(r, unsigned: true)
            let value = index < UInt64(vlmax) ? a[Int(index)] : 0
            forActive(c) { d[$0] = value }
        case .vrgather: gather(r, c, d, a, elements(r.rs1, as: Element.self))
        case .vrgatherei16: gather(r, c, d, a, elements(r.rs1, as: UInt16.self))
        default:
            var count = 0
            forActive(c) {
                guard maskBit(r.rs1, $0) else { return }
                d[count] = a[$0]
                count &+= 1
            }
        }
    }

    @inline(__always)
    private func gather<Element: FixedWidthInteger, Index: FixedWidthInteger>(
        _ r: DecodedOp, _ c: VectorContext, _ d: UnsafeMutablePointer<Element>, _ a: UnsafeMutablePointer<Element>, _ indices: UnsafeMutablePointer<Index>
    ) {
        let vlmax = UInt64(c.vlmax)
        forActive(c) {
            let index = UInt64(truncatingIfNeeded: indices[$0])
            d[$0] = index < vlmax ? a[Int(index)] : 0
        }
    }

    /// vmv1r.v … vmv8r.v: whole registers, whatever vl is.
    func executeVectorRegisterMove(_ r: DecodedOp) -> Bool {
        let count = Int(r.rs1) + 1
        guard h.pointee.vtype & Self.vtypeIllegal == 0, Int(r.rd | r.rs2) & (count - 1) == 0 else { return illegal(r) }
        // In elements of SEW.
        let start = Int(h.pointee.vstart) << Int(h.pointee.vtype >> 3 & 7)
        guard start < count * vlenb else { return illegal(r) }
        (v + Int(r.rd) * vlenb + start).copyMemory(from: v + Int(r.rs2) * vlenb + start, byteCount: count * vlenb - start)
        return finishVector()
    }
}
