import EmuCPU

extension VectorReference {
    /// Mask instructions and permutations; nil for others, false for a reserved encoding.
    mutating func executeMove(_ i: VectorFields) -> Bool? {
        let (old, body) = (self, vstart..<max(vstart, vl))
        let active = body.filter { !i.isMasked || old.mask(0, $0) }
        if i.suffix == "mm" {
            for index in body {
                let (a, b) = (old.mask(i.vs2, index), old.mask(i.vs1, index))
                let results = [
                    "vmandn": a && !b, "vmand": a && b, "vmor": a || b, "vmxor": a != b, "vmorn": a || !b, "vmnand": !(a && b), "vmnor": !(a || b), "vmxnor": a == b,
                ]
                setMask(i.vd, index, results[i.base] ?? false)
            }
            return true
        }
        let ones = active.filter { old.mask(i.vs2, $0) }
        switch i.base {
        case "vcpop", "vfirst":
            guard vstart == 0 else { return false }
            let value = i.base == "vcpop" ? ones.count : ones.first ?? -1
            if i.vd != 0 { x[i.vd] = UInt64(bitPattern: Int64(value)) }
        case "vmsbf", "vmsif", "vmsof":
            guard vstart == 0, i.vd != i.vs2, !(i.isMasked && i.vd == 0) else { return false }
            let first = ones.first ?? .max
            for index in active { setMask(i.vd, index, i.base == "vmsof" ? index == first : i.base == "vmsif" ? index <= first : index < first) }
        case "viota":
            guard vstart == 0, isLegal(operand(i.vd), [maskOperand(i.vs2)], masked: i.isMasked, mayOverlap: false) else { return false }
            for index in active { set(i.vd, index, sew, UInt64(ones.filter { $0 < index }.count)) }
        case "vid":
            guard isLegal(operand(i.vd), [], masked: i.isMasked) else { return false }
            for index in active { set(i.vd, index, sew, UInt64(index)) }
        case "vmv" where i.name == "vmv.x.s": if i.vd != 0 { x[i.vd] = Self.low(number(i.vs2, 0, sew, signed: true)) }
        case "vmv" where i.name == "vmv.s.x": if vstart < vl { set(i.vd, 0, sew, x[i.vs1]) }
        case "vfmv" where i.name == "vfmv.f.s":
            guard Self.format(sew) != nil else { return false }
            f[i.vd] = bits(i.vs2, 0, sew) | (sew == 64 ? 0 : UInt64.max << UInt64(sew))
        case "vfmv" where i.name == "vfmv.s.f":
            guard Self.format(sew) != nil else { return false }
            if vstart < vl { set(i.vd, 0, sew, scalar(i.vs1, sew)) }
        case "vmv1r", "vmv2r", "vmv4r", "vmv8r":
            let count = i.vs1 + 1
            guard i.vd % count == 0, i.vs2 % count == 0, vstart < count * vlenb * 8 / sew else { return false }
            for index in vstart..<max(vstart, count * vlenb * 8 / sew) { set(i.vd, index, sew, old.bits(i.vs2, index, sew)) }
        default: return permute(i, old, active)
        }
        return true
    }

    private mutating func permute(_ i: VectorFields, _ old: VectorReference, _ active: [Int]) -> Bool? {
        let (d, a) = (operand(i.vd), operand(i.vs2))
        let offset = i.isImmediate && i.base != "vrgatherei16" ? UInt64(i.vs1) : x[i.vs1]
        func source(_ index: UInt64) -> UInt64 { index < UInt64(vlmax) ? old.bits(i.vs2, Int(index), sew) : 0 }
        switch i.base {
        case "vslideup":
            guard isLegal(d, [a], masked: i.isMasked, mayOverlap: false) else { return false }
            for index in active where UInt64(index) >= offset { set(i.vd, index, sew, old.bits(i.vs2, index - Int(offset), sew)) }
        case "vslidedown":
            guard isLegal(d, [a], masked: i.isMasked) else { return false }
            for index in active { set(i.vd, index, sew, offset < UInt64(vlmax) ? source(offset + UInt64(index)) : 0) }
        case "vslide1up", "vfslide1up", "vslide1down", "vfslide1down":
            let (isFloat, isUp) = (i.base.hasPrefix("vf"), i.base.hasSuffix("up"))
            guard !isFloat || Self.format(sew) != nil, isLegal(d, [a], masked: i.isMasked, mayOverlap: !isUp) else { return false }
            for index in active {
                let isEnd = isUp ? index == 0 : index == vl - 1
                set(i.vd, index, sew, isEnd ? isFloat ? scalar(i.vs1, sew) : x[i.vs1] : old.bits(i.vs2, isUp ? index - 1 : index + 1, sew))
            }
        case "vrgather", "vrgatherei16":
            let width = i.base == "vrgather" ? sew : 16
            let b = i.hasVector ? [operand(i.vs1, times: Double(width) / Double(sew))] : []
            guard isLegal(d, [a] + b, masked: i.isMasked, mayOverlap: false) else { return false }
            for index in active { set(i.vd, index, sew, source(i.hasVector ? old.bits(i.vs1, index, width) : offset)) }
        case "vcompress":
            guard vstart == 0, isLegal(d, [a, maskOperand(i.vs1)], masked: false, mayOverlap: false) else { return false }
            for (position, index) in active.filter({ old.mask(i.vs1, $0) }).enumerated() { set(i.vd, position, sew, old.bits(i.vs2, index, sew)) }
        default: return nil
        }
        return true
    }
}
