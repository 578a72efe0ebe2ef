import EmuCPU

/// Fields of a vector instruction, by its row.
struct VectorFields {
    let name: String
    /// The name up to the dot, and what follows the last dot.
    let base: String
    let suffix: String
    let vd, vs1, vs2: Int
    let isMasked: Bool
    /// The amount of `vror.vi`.
    let rotation: Int

    init(_ row: RVInstruction, _ bits: UInt32) {
        name = row.name
        base = row.name.split(separator: ".").first.map(String.init) ?? ""
        suffix = row.name.split(separator: ".").last.map(String.init) ?? ""
        vd = Int(bits >> 7 & 31)
        vs1 = Int(bits >> 15 & 31)
        vs2 = Int(bits >> 20 & 31)
        isMasked = bits >> 25 & 1 == 0
        rotation = Int(bits >> 26 & 1) << 5 | vs1
    }

    /// The second operand is a vector.
    var hasVector: Bool { suffix.hasSuffix("v") || suffix.hasSuffix("vm") || suffix.hasSuffix("vs") || suffix.hasSuffix("mm") }
    var isImmediate: Bool { suffix.contains("i") }
}

extension VectorReference {
    typealias Binary = @Sendable (inout VectorReference, Int128, Int128) -> Int128

    /// Formula of an operation on vs2 and the second operand, and whether they are signed.
    static let binaries: [String: (a: Bool, b: Bool, formula: Binary)] = [
        "vadd": (true, true, { $1 + $2 }), "vsub": (true, true, { $1 - $2 }), "vrsub": (true, true, { $2 - $1 }),
        "vminu": (false, false, { $1 < $2 ? $1 : $2 }), "vmin": (true, true, { $1 < $2 ? $1 : $2 }),
        "vmaxu": (false, false, { $1 > $2 ? $1 : $2 }), "vmax": (true, true, { $1 > $2 ? $1 : $2 }),
        "vand": (true, true, { $1 & $2 }), "vor": (true, true, { $1 | $2 }), "vxor": (true, true, { $1 ^ $2 }),
        "vsll": (false, false, { $1 << ($2 % Int128($0.sew)) }), "vsrl": (false, false, { $1 >> ($2 % Int128($0.sew)) }),
        "vsra": (true, false, { $1 >> ($2 % Int128($0.sew)) }),
        "vandn": (false, false, { $1 & ~$2 }), "vwsll": (false, false, { $1 << ($2 % Int128(2 * $0.sew)) }),
        "vrol": (false, false, { $1 << ($2 % Int128($0.sew)) | $1 >> (Int128($0.sew) - $2 % Int128($0.sew)) }),
        "vror": (false, false, { $1 >> ($2 % Int128($0.sew)) | $1 << (Int128($0.sew) - $2 % Int128($0.sew)) }),
        "vmul": (true, true, { $1 * $2 }), "vmulh": (true, true, { ($1 * $2) >> Int128($0.sew) }),
        "vmulhu": (false, false, { Int128((UInt128($1) * UInt128($2)) >> UInt128($0.sew)) }), "vmulhsu": (true, false, { ($1 * $2) >> Int128($0.sew) }),
        "vdivu": (false, false, { $2 == 0 ? -1 : $1 / $2 }), "vdiv": (true, true, { $2 == 0 ? -1 : $1 / $2 }),
        "vremu": (false, false, { $2 == 0 ? $1 : $1 % $2 }), "vrem": (true, true, { $2 == 0 ? $1 : $1 % $2 }),
        "vwaddu": (false, false, { $1 + $2 }), "vwadd": (true, true, { $1 + $2 }), "vwsubu": (false, false, { $1 - $2 }), "vwsub": (true, true, { $1 - $2 }),
        "vwmulu": (false, false, { $1 * $2 }), "vwmulsu": (true, false, { $1 * $2 }), "vwmul": (true, true, { $1 * $2 }),
        "vnsrl": (false, false, { $1 >> ($2 % Int128(2 * $0.sew)) }), "vnsra": (true, false, { $1 >> ($2 % Int128(2 * $0.sew)) }),
        "vsaddu": (false, false, { $0.clipped($1 + $2, signed: false) }), "vsadd": (true, true, { $0.clipped($1 + $2, signed: true) }),
        "vssubu": (false, false, { $0.clipped($1 - $2, signed: false) }), "vssub": (true, true, { $0.clipped($1 - $2, signed: true) }),
        "vaaddu": (false, false, { $0.roundoff($1 + $2, 1) }), "vaadd": (true, true, { $0.roundoff($1 + $2, 1) }),
        "vasubu": (false, false, { $0.roundoff($1 - $2, 1) }), "vasub": (true, true, { $0.roundoff($1 - $2, 1) }),
        "vsmul": (true, true, { $0.clipped($0.roundoff($1 * $2, $0.sew - 1), signed: true) }),
        "vssrl": (false, false, { $0.roundoff($1, Int($2 % Int128($0.sew))) }), "vssra": (true, false, { $0.roundoff($1, Int($2 % Int128($0.sew))) }),
        "vnclipu": (false, false, { $0.clipped($0.roundoff($1, Int($2 % Int128(2 * $0.sew))), signed: false) }),
        "vnclip": (true, false, { $0.clipped($0.roundoff($1, Int($2 % Int128(2 * $0.sew))), signed: true) }),
    ]

    /// Formula of vd, vs2 and the second operand.
    static let accumulations: [String: (a: Bool, b: Bool, formula: @Sendable (Int128, Int128, Int128) -> Int128)] = [
        "vmacc": (true, true, { $0 + $1 * $2 }), "vnmsac": (true, true, { $0 - $1 * $2 }),
        "vmadd": (true, true, { $0 * $2 + $1 }), "vnmsub": (true, true, { $1 - $0 * $2 }),
        "vwmaccu": (false, false, { $0 + $1 * $2 }), "vwmacc": (true, true, { $0 + $1 * $2 }),
        "vwmaccsu": (false, true, { $0 + $1 * $2 }), "vwmaccus": (true, false, { $0 + $1 * $2 }),
    ]

    static let relations: [String: (signed: Bool, holds: @Sendable (Int128, Int128) -> Bool)] = [
        "vmseq": (true, { $0 == $1 }), "vmsne": (true, { $0 != $1 }), "vmsltu": (false, { $0 < $1 }), "vmslt": (true, { $0 < $1 }),
        "vmsleu": (false, { $0 <= $1 }), "vmsle": (true, { $0 <= $1 }), "vmsgtu": (false, { $0 > $1 }), "vmsgt": (true, { $0 > $1 }),
    ]

    static let reductions: [String: (signed: Bool, formula: @Sendable (Int128, Int128) -> Int128)] = [
        "vredsum": (true, { $0 + $1 }), "vredand": (false, { $0 & $1 }), "vredor": (false, { $0 | $1 }), "vredxor": (false, { $0 ^ $1 }),
        "vredminu": (false, { $0 < $1 ? $0 : $1 }), "vredmin": (true, { $0 < $1 ? $0 : $1 }),
        "vredmaxu": (false, { $0 > $1 ? $0 : $1 }), "vredmax": (true, { $0 > $1 ? $0 : $1 }),
        "vwredsumu": (false, { $0 + $1 }), "vwredsum": (true, { $0 + $1 }),
    ]

    /// The second operand of element `index`.
    func second(_ i: VectorFields, _ index: Int, signed: Bool) -> Int128 {
        if i.hasVector { return number(i.vs1, index, sew, signed: signed) }
        if !i.isImmediate { return Self.number(x[i.vs1], sew, signed: signed) }
        // Shift amounts and positions are unsigned; other immediates are sign-extended to SEW first.
        if i.base == "vror" { return Int128(i.rotation) }
        let isAmount = ["vsll", "vsrl", "vsra", "vssrl", "vssra", "vnsrl", "vnsra", "vnclip", "vnclipu", "vwsll"].contains(i.base)
        if isAmount { return Int128(i.vs1) }
        let extended = UInt64(bitPattern: Int64(i.vs1 < 16 ? i.vs1 : i.vs1 - 32))
        return Self.number(extended, sew, signed: signed)
    }

    /// Integer and fixed-point instructions; nil for others, false for a reserved encoding.
    mutating func executeInteger(_ i: VectorFields) -> Bool? {
        let (old, active) = (self, (vstart..<max(vstart, vl)).filter { [self] in !i.isMasked || mask(0, $0) })
        let b = i.hasVector ? [operand(i.vs1)] : []
        if let operation = Self.binaries[i.base] {
            let isWide = i.suffix.hasPrefix("w")
            let (dTimes, aTimes) = (i.base.hasPrefix("vw") ? 2.0 : 1, isWide ? 2.0 : 1)
            guard isLegal(operand(i.vd, times: dTimes), [operand(i.vs2, times: aTimes)] + b, masked: i.isMasked) else { return false }
            for index in active {
                let a = old.number(i.vs2, index, sew * Int(aTimes), signed: operation.a)
                set(i.vd, index, sew * Int(dTimes), Self.low(operation.formula(&self, a, old.second(i, index, signed: operation.b))))
            }
            return true
        }
        if let operation = Self.accumulations[i.base] {
            let times = i.base.hasPrefix("vw") ? 2 : 1
            let d = operand(i.vd, times: Double(times))
            guard isLegal(d, [operand(i.vs2)] + b, masked: i.isMasked), areReadable([d, operand(i.vs2)] + b, masked: false) else { return false }
            for index in active {
                let a = old.number(i.vs2, index, sew, signed: operation.a)
                set(i.vd, index, sew * times, Self.low(operation.formula(old.number(i.vd, index, sew * times, signed: true), a, old.second(i, index, signed: operation.b))))
            }
            return true
        }
        if let relation = Self.relations[i.base] {
            guard isLegal(maskOperand(i.vd), [operand(i.vs2)] + b, masked: i.isMasked) else { return false }
            for index in active {
                setMask(i.vd, index, relation.holds(old.number(i.vs2, index, sew, signed: relation.signed), old.second(i, index, signed: relation.signed)))
            }
            return true
        }
        if let reduction = Self.reductions[i.base] {
            let width = i.base.hasPrefix("vw") ? 2 * sew : sew
            let scalar = Operand(register: i.vs1, width: width, emul: 1)
            guard vstart == 0, width <= 64, operand(i.vs2).isLegal, areReadable([operand(i.vs2), scalar], masked: i.isMasked) else { return false }
            if vl == 0 { return true }
            let start = number(i.vs1, 0, width, signed: reduction.signed)
            set(i.vd, 0, width, Self.low(active.reduce(start) { reduction.formula($0, old.number(i.vs2, $1, sew, signed: reduction.signed)) }))
            return true
        }
        return executeCarry(i, old, b)
    }

    /// Instructions with v0 as an operand, moves and extensions.
    private mutating func executeCarry(_ i: VectorFields, _ old: VectorReference, _ b: [Operand]) -> Bool? {
        let body = vstart..<max(vstart, vl)
        switch i.base {
        case "vadc", "vsbc", "vmadc", "vmsbc":
            let writesMask = i.base.hasPrefix("vm")
            guard isLegal(writesMask ? maskOperand(i.vd) : operand(i.vd), [operand(i.vs2)] + b, masked: i.isMasked) else { return false }
            for index in body {
                let carry: Int128 = i.isMasked && old.mask(0, index) ? 1 : 0
                let (first, other) = (old.number(i.vs2, index, sew, signed: false), old.second(i, index, signed: false))
                let exact = i.base.hasSuffix("adc") ? first + other + carry : first - other - carry
                if writesMask { setMask(i.vd, index, exact < 0 || exact >> Int128(sew) != 0) } else { set(i.vd, index, sew, Self.low(exact)) }
            }
        case "vmerge":
            guard isLegal(operand(i.vd), [operand(i.vs2)] + b, masked: true) else { return false }
            for index in body { set(i.vd, index, sew, Self.low(old.mask(0, index) ? old.second(i, index, signed: true) : old.number(i.vs2, index, sew, signed: true))) }
        case "vmv" where i.name.hasPrefix("vmv.v"):
            guard isLegal(operand(i.vd), b, masked: false) else { return false }
            for index in body { set(i.vd, index, sew, Self.low(old.second(i, index, signed: true))) }
        case "vzext", "vsext":
            let factor = Int(i.suffix.dropFirst(2)) ?? 2
            guard sew / factor >= 8, isLegal(operand(i.vd), [operand(i.vs2, times: 1 / Double(factor))], masked: i.isMasked) else { return false }
            for index in body where !i.isMasked || old.mask(0, index) {
                set(i.vd, index, sew, Self.low(old.number(i.vs2, index, sew / factor, signed: i.base == "vsext")))
            }
        default: return nil
        }
        return true
    }
}
