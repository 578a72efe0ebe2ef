// What all vector instructions share (unprivileged manual, "V" Standard Extension for Vector Operations): vtype taken apart, groups of
// registers and which of them an encoding may combine, elements, masks. docs/vector.md says how to add an instruction.

/// vtype, and what follows from it for the instruction in hand.
struct VectorContext {
    /// log2 of the bytes of an element (SEW): 0…3.
    let width: Int
    /// log2 of the registers in a group (LMUL): -3…3.
    let lmul: Int
    /// Elements to execute: from `start` (vstart) up to `vl`, which may be less than `start`.
    let start: Int
    let vl: Int
    /// Bytes of a register.
    let vlenb: Int
    /// The instruction has v0 as its mask (vm = 0).
    let isMasked: Bool

    /// The same where v0 is an operand and not a condition.
    @inline(__always)
    var withoutMask: VectorContext { VectorContext(width: width, lmul: lmul, start: start, vl: vl, vlenb: vlenb, isMasked: false) }

    /// Bits of an element.
    @inline(__always)
    var sew: UInt64 { 8 << UInt64(truncatingIfNeeded: width) }

    /// Elements in a group.
    @inline(__always)
    var vlmax: Int { lmul >= 0 ? (vlenb << lmul) >> width : vlenb >> (width - lmul) }

    /// The operand in `register`, of elements of 2^`width` bytes; as many as an operand of SEW has.
    @inline(__always)
    func group(_ register: UInt8, width: Int) -> VectorGroup { VectorGroup(register: Int(register), width: width, emul: lmul + width - self.width) }

    /// The operand in `register`, of elements of SEW.
    @inline(__always)
    func group(_ register: UInt8) -> VectorGroup { VectorGroup(register: Int(register), width: width, emul: lmul) }

    /// True when an instruction may write `destination` while it reads the others.
    @inline(__always)
    func allows(_ destination: VectorGroup, _ a: VectorGroup, _ b: VectorGroup) -> Bool {
        allows(destination, a) && b.isLegal && destination.mayOverwrite(b) && a.mayBeRead(with: b) && (!isMasked || b.mayBeRead(with: .mask))
    }

    @inline(__always)
    func allows(_ destination: VectorGroup, _ a: VectorGroup) -> Bool {
        allows(destination) && a.isLegal && destination.mayOverwrite(a) && (!isMasked || a.mayBeRead(with: .mask))
    }

    /// The same for one that reads no group.
    @inline(__always)
    func allows(_ destination: VectorGroup) -> Bool {
        destination.isLegal && (!isMasked || destination.isMask || !destination.overlaps(.mask))
    }
}

/// A vector operand: registers and how elements lie in them.
struct VectorGroup {
    let register: Int
    /// log2 of the bytes of an element (EEW); -3 for a mask, whose elements are bits.
    let width: Int
    /// log2 of EMUL.
    let emul: Int

    /// v0 as the mask.
    static let mask = VectorGroup(mask: 0)

    @inline(__always)
    init(register: Int, width: Int, emul: Int) {
        self.register = register
        self.width = width
        self.emul = emul
    }

    /// A mask in `register`.
    @inline(__always)
    init(mask register: UInt8) { self.init(register: Int(register), width: -3, emul: 0) }

    @inline(__always)
    var isMask: Bool { width == -3 }

    /// Registers it touches.
    @inline(__always)
    var count: Int { emul > 0 ? 1 << emul : 1 }

    /// EMUL is one there is, and the register is the first of such a group.
    @inline(__always)
    var isLegal: Bool { emul >= -3 && emul <= 3 && width <= 3 && register & (count - 1) == 0 }

    @inline(__always)
    func overlaps(_ other: VectorGroup) -> Bool { register < other.register + other.count && other.register < register + count }

    /// As a destination, beside that source ("Vector Operands").
    @inline(__always)
    func mayOverwrite(_ source: VectorGroup) -> Bool {
        if !overlaps(source) || width == source.width { return true }
        return width < source.width ? register == source.register : source.emul >= 0 && register + count == source.register + source.count
    }

    /// As sources of one instruction: no register may be read with two widths.
    @inline(__always)
    func mayBeRead(with other: VectorGroup) -> Bool { width == other.width || !overlaps(other) }
}

extension RVOp {
    /// An operation on the vector registers or their configuration.
    @inline(__always)
    package var isVector: Bool { rawValue &- RVOp.vsetvli.rawValue <= RVOp.vmvr.rawValue - RVOp.vsetvli.rawValue }

    /// Of Zvbc or vector cryptography.
    var isVectorCrypto: Bool { self == .vclmul || self == .vclmulh || (RVOp.vgmul.rawValue...RVOp.vsm3c.rawValue).contains(rawValue) }

    /// A vector load or store.
    var isVectorMemory: Bool { rawValue >= RVOp.vlm.rawValue && rawValue <= RVOp.vsr.rawValue }
}

extension DecodedOp {
    /// The instruction has no mask (vm = 1).
    @inline(__always)
    var isUnmasked: Bool { imm & 1 != 0 }

    /// Field funct3, which says where the second operand of an arithmetic instruction comes from.
    @inline(__always)
    var vectorForm: UInt32 { raw >> 12 & 7 }

    /// The second operand is a vector (OPIVV, OPFVV, OPMVV).
    @inline(__always)
    var isVectorVector: Bool { vectorForm < 3 }

    /// The five bits of rs1 as a signed number.
    @inline(__always)
    var signedImmediate: UInt64 { UInt64(bitPattern: Int64(Int8(bitPattern: rs1 << 3) >> 3)) }
}

extension RVProcessor {
    static let vtypeIllegal: UInt64 = 1 << 63

    /// Executes the vector instruction at `ip`.
    /// - Returns: false if it raised a trap.
    func executeVector(_ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        let r = ip.pointee
        let op = r.rv
        guard h.pointee.mstatus & RVStatus.vs != 0 else { return illegal(r) }
        switch op.rawValue {
        case ...RVOp.vsetvl.rawValue: return executeVectorConfiguration(op, r)
        case ...RVOp.vsr.rawValue: return executeVectorMemory(op, ip)
        case RVOp.vmvr.rawValue: return executeVectorRegisterMove(r)
        default: break
        }
        // All others depend on vtype, and vstart must lie inside the group.
        guard let c = vectorContext(r) else { return illegal(r) }
        let isDone: Bool
        switch op.rawValue {
        case ...RVOp.vsext.rawValue: isDone = executeVectorInteger(op, r, c)
        case ...RVOp.vnsra.rawValue: isDone = executeVectorWidening(op, r, c)
        case ...RVOp.vnclip.rawValue: isDone = executeVectorFixedPoint(op, r, c)
        case ...RVOp.vfwnmsac.rawValue: isDone = executeVectorFloat(op, r, c)
        case ...RVOp.vfncvt_rtz_x_f.rawValue: isDone = executeVectorConversion(op, r, c)
        case ...RVOp.vfwredosum.rawValue: isDone = executeVectorReduction(op, r, c)
        case ...RVOp.vid.rawValue: isDone = executeVectorMask(op, r, c)
        case ...RVOp.vclmulh.rawValue: isDone = executeVectorBits(op, r, c)
        case ...RVOp.vfwmaccbf16.rawValue: isDone = executeVectorBFloat(op, r, c)
        case ...RVOp.vsm3c.rawValue: isDone = executeVectorCrypto(op, r, c)
        default: isDone = executeVectorPermutation(op, r, c)
        }
        return isDone ? finishVector() : illegal(r)
    }

    /// After a vector instruction: execution starts at the first element again, and the state is dirty. Always true.
    @inline(__always)
    func finishVector() -> Bool {
        h.pointee.vstart = 0
        h.pointee.mstatus |= RVStatus.vs
        return true
    }

    /// What vtype says; nil when it is illegal, or vstart lies outside the group.
    @inline(__always)
    func vectorContext(_ r: DecodedOp) -> VectorContext? {
        let vtype = h.pointee.vtype
        if vtype & Self.vtypeIllegal != 0 { return nil }
        let c = VectorContext(
            width: Int(vtype >> 3 & 7), lmul: Int(Int8(truncatingIfNeeded: vtype << 5) >> 5), start: Int(h.pointee.vstart), vl: Int(h.pointee.vl), vlenb: vlenb,
            isMasked: !r.isUnmasked)
        return c.start < c.vlmax ? c : nil
    }

    // MARK: Elements

    // SAFETY: the registers lie in `RVHart.v`, 32 of `vlenb` bytes. A legal group lies inside them, and `vl` and `vstart` never exceed
    // the elements of the group that vtype describes: `setVectorType` and the CSR writes see to it.

    /// The elements of a group that begins at `register`.
    @inline(__always)
    func elements<Element>(_ register: UInt8, as type: Element.Type) -> UnsafeMutablePointer<Element> {
        (v + Int(register) * vlenb).assumingMemoryBound(to: Element.self)
    }

    /// Bit `index` of the mask in `register`.
    @inline(__always)
    func maskBit(_ register: UInt8, _ index: Int) -> Bool { (v + Int(register) * vlenb).load(fromByteOffset: index >> 3, as: UInt8.self) >> UInt8(index & 7) & 1 != 0 }

    @inline(__always)
    func setMaskBit(_ register: UInt8, _ index: Int, _ value: Bool) {
        let byte = (v + Int(register) * vlenb).assumingMemoryBound(to: UInt8.self) + (index >> 3)
        let bit = 1 << UInt8(index & 7) as UInt8
        byte.pointee = value ? byte.pointee | bit : byte.pointee & ~bit
    }

    /// Runs `body` for every active element from `start` up to `vl`. The others, and the tail, are left as they are, which satisfies the
    /// undisturbed and the agnostic policies alike.
    @inline(__always)
    func forActive(_ c: VectorContext, _ body: (Int) -> Void) {
        var index = c.start
        if c.isMasked {
            while index < c.vl {
                if maskBit(0, index) { body(index) }
                index &+= 1
            }
        } else {
            while index < c.vl {
                body(index)
                index &+= 1
            }
        }
    }

    /// The scalar operand of OPIVX, OPMVX and OPIVI.
    /// - Parameter unsigned: an immediate is not sign-extended.
    @inline(__always)
    func vectorScalar(_ r: DecodedOp, unsigned: Bool = false) -> UInt64 {
        r.vectorForm != 3 ? x[Int(r.rs1)] : unsigned ? UInt64(r.rs1) : r.signedImmediate
    }

    /// vd[i] = operation(vs2[i], second operand), for operands of any widths; computed as `Wide`, of which the low bits are kept.
    @inline(__always)
    func vectorMap<Result: FixedWidthInteger, First: FixedWidthInteger, Second: FixedWidthInteger, Wide: FixedWidthInteger>(
        _ r: DecodedOp, _ c: VectorContext, to result: Result.Type, _ first: First.Type, _ second: Second.Type, unsignedImmediate: Bool = false,
        _ operation: (Wide, Wide) -> Wide
    ) {
        let d = elements(r.rd, as: Result.self)
        let a = elements(r.rs2, as: First.self)
        let (b, step) = secondOperand(r, as: Second.self, unsignedImmediate: unsignedImmediate)
        forActive(c) { d[$0] = Result(truncatingIfNeeded: operation(Wide(truncatingIfNeeded: a[$0]), Wide(truncatingIfNeeded: b[$0 &* step]))) }
    }

    /// vd[i] = operation(vd[i], vs2[i], second operand).
    @inline(__always)
    func vectorAccumulate<Result: FixedWidthInteger, First: FixedWidthInteger, Second: FixedWidthInteger, Wide: FixedWidthInteger>(
        _ r: DecodedOp, _ c: VectorContext, to result: Result.Type, _ first: First.Type, _ second: Second.Type, _ operation: (Wide, Wide, Wide) -> Wide
    ) {
        let d = elements(r.rd, as: Result.self)
        let a = elements(r.rs2, as: First.self)
        let (b, step) = secondOperand(r, as: Second.self)
        forActive(c) {
            d[$0] = Result(truncatingIfNeeded: operation(Wide(truncatingIfNeeded: d[$0]), Wide(truncatingIfNeeded: a[$0]), Wide(truncatingIfNeeded: b[$0 &* step])))
        }
    }

    /// Mask bit vd[i] = relation(vs2[i], second operand).
    @inline(__always)
    func vectorCompare<Element: FixedWidthInteger>(_ r: DecodedOp, _ c: VectorContext, _ type: Element.Type, _ relation: (Element, Element) -> Bool) {
        let a = elements(r.rs2, as: Element.self)
        let (b, step) = secondOperand(r, as: Element.self)
        forActive(c) { setMaskBit(r.rd, $0, relation(a[$0], b[$0 &* step])) }
    }

    /// The second operand, and by how many elements it advances: 0 for a scalar.
    @inline(__always)
    func secondOperand<Element: FixedWidthInteger>(
        _ r: DecodedOp, as type: Element.Type, unsignedImmediate: Bool = false
    ) -> (UnsafeMutablePointer<Element>, step: Int) {
        if r.isVectorVector { return (elements(r.rs1, as: Element.self), 1) }
        // OPFVF takes an f register.
        scalarElement.pointee = r.vectorForm == 5 ? floatScalar(r, bytes: MemoryLayout<Element>.size) : vectorScalar(r, unsigned: unsignedImmediate)
        return (UnsafeMutableRawPointer(scalarElement).assumingMemoryBound(to: Element.self), 0)
    }
}
