import EmuIR

/// The configuration of the vector unit that a translation is made for: vtype's low eight bits and vl. Each operation makes sure of it.
struct VectorConfiguration {
    let type: UInt8
    let length: Int

    init(type: UInt8, length: Int) {
        self.type = type
        self.length = length
    }

    /// - Parameter key: `VectorShape.key`; nil for 0.
    init?(key: UInt32) {
        guard key != 0 else { return nil }
        self.init(type: UInt8(truncatingIfNeeded: key), length: Int(key >> 8 & 0xffff))
    }
}

/// Lowers V. Elements behind vl and those masked off keep their values, as in the interpreter. What is not lowered, or has no elements, is left to
/// the interpreter.
extension RVTranslator {
    mutating func lowerVector(_ op: RVOp, _ r: DecodedOp) {
        guard hasVectors else { return interpret() }
        switch op {
        case .vsetvli, .vsetivli: return setVectorType(op, r)
        case .vsetvl:
            interpret()
            configuration = nil
            return
        case .vlr, .vsr, .vmvr: return moveRegisters(op, r)
        default: break
        }
        guard let configuration, configuration.length > 0 else { return interpret() }
        let type = Int(configuration.type)
        let c = VectorContext(
            width: type >> 3 & 7, lmul: Int(Int8(truncatingIfNeeded: type << 5) >> 5), start: 0, vl: configuration.length, vlenb: vlenb, isMasked: !r.isUnmasked)
        if !lowered(op, r, c) { interpret() }
    }

    /// - Parameter width: log2 of the bytes of an element; SEW unless given.
    func shape(_ c: VectorContext, width: Int? = nil) -> VectorShape {
        VectorShape(
            width: UInt8(width ?? c.width), registerSize: UInt8(vlenb.trailingZeroBitCount), type: configuration?.type ?? 0, traits: c.isMasked ? .masked : [],
            count: UInt16(c.vl), greatest: UInt16(c.vlmax))
    }

    // MARK: Configuration

    private mutating func setVectorType(_ op: RVOp, _ r: DecodedOp) {
        let type = UInt64(UInt32(bitPattern: r.imm))
        guard let greatest = RVProcessor.maximumLength(type, vlenb) else {
            interpret()
            configuration = nil
            return
        }
        var shape = VectorShape(width: 0, registerSize: UInt8(vlenb.trailingZeroBitCount), type: 0, traits: .anyType, count: 0)
        let keepsLength = op == .vsetvli && r.rs1 == 0 && Self.isDiscarded(r.rd)
        if keepsLength {
            // Only between types of one greatest length; what is assumed of the old one is made sure of.
            guard let old = configuration, RVProcessor.maximumLength(UInt64(old.type), vlenb) == greatest else {
                interpret()
                configuration = nil
                return
            }
            shape.traits = []
            shape.type = old.type
            shape.count = UInt16(old.length)
            shape.greatest = UInt16(greatest)
            emit(.vsetType, .none, .constant(Int64(type)), vector: shape)
            configuration = VectorConfiguration(type: UInt8(truncatingIfNeeded: type), length: old.length)
            return
        }
        // What a register asks for is assumed to be all there is.
        let wanted: Operand = op == .vsetivli ? .constant(Int64(r.rs1)) : r.rs1 == 0 ? .constant(-1) : .integer(r.rs1)
        emit(.vsetLength, destination(r.rd), wanted, .constant(Int64(greatest)), .constant(Int64(type)), vector: shape)
        let length = op == .vsetivli ? min(Int(r.rs1), Int(greatest)) : Int(greatest)
        configuration = VectorConfiguration(type: UInt8(truncatingIfNeeded: type), length: length)
    }

    /// A read of vl, as behind a load that may have shortened it.
    mutating func lowerVectorLength(_ r: DecodedOp) {
        let shape = VectorShape(width: 0, registerSize: UInt8(vlenb.trailingZeroBitCount), type: 0, traits: .anyType, count: 0)
        emit(.vgetLength, destination(r.rd), vector: shape)
    }

    /// A read of vlenb: vectors must be on, which a read of vl finds out.
    mutating func lowerRegisterSize(_ r: DecodedOp) {
        let shape = VectorShape(width: 0, registerSize: UInt8(vlenb.trailingZeroBitCount), type: 0, traits: .anyType, count: 0)
        emit(.vgetLength, temp(), vector: shape)
        if !Self.isDiscarded(r.rd) { emit(.mov, .integer(r.rd), .constant(Int64(vlenb))) }
    }

    // MARK: Operations

    /// - Returns: false for what the interpreter must execute, or say that it is reserved.
    private mutating func lowered(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        switch op {
        case .vle, .vleff, .vse: return lowerVectorMemory(op, r, c)
        case .vlm, .vsm:
            let shape = shape(c, width: 0)
            if op == .vsm { emit(.vstoreMask, .none, source(r.rs1), .vector(r.rs3), vector: shape) } else { emit(.vloadMask, .vector(r.rd), source(r.rs1), vector: shape) }
            return true
        case .vlse, .vsse, .vlxei, .vsxei: return lowerScattered(op, r, c)
        case .vadc, .vsbc: return c.isPlain(r) && binary(op, r, c.withoutMask)
        // Without a carry in a difference carries where it is negative.
        case .vmadc, .vmsbc: return c.isComparison(r) && emitCarry(op, r, c)
        case .vssrl, .vssra: return c.isPlain(r) && (!r.isVectorVector || c.width >= 2) && binary(op, r, c)
        case .vnclipu, .vnclip: return c.isNarrowing(r) && (!r.isVectorVector || c.width >= 1) && binary(op, r, c)
        case .vwsll: return c.isWidening(r) && (!r.isVectorVector || c.width >= 1) && binary(op, r, c, width: c.width + 1)
        case .vror where r.vectorForm == 3:
            guard c.isPlain(r) else { return false }
            emit(.vror, .vector(r.rd), .vector(r.rs2), .constant(Int64(r.rotationImmediate)), vector: shape(c))
            return true
        case .vbrev8, .vrev8, .vbrev, .vclz, .vctz, .vcpop_v: return c.allows(c.group(r.rd), c.group(r.rs2)) && unary(op, r, c)
        case .vmerge: return c.isPlain(r) && merge(r, c)
        case .vmv_v: return (r.isVectorVector ? c.allows(c.group(r.rd), c.group(r.rs1)) : c.allows(c.group(r.rd))) && move(second(r), r, c)
        case .vzext, .vsext: return lowerExtension(op, r, c)
        case .vmseq, .vmsne, .vmsltu, .vmslt, .vmsleu, .vmsle, .vmsgtu, .vmsgt: return c.isComparison(r) && binary(op, r, c)
        case .vwaddu, .vwadd, .vwsubu, .vwsub, .vwmulu, .vwmul, .vwmulsu: return c.isWidening(r) && binary(op, r, c, width: c.width + 1)
        case .vwmaccu, .vwmacc, .vwmaccsu, .vwmaccus: return c.isWideningAccumulation(r) && binary(op, r, c, width: c.width + 1)
        case .vwaddu_w, .vwadd_w, .vwsubu_w, .vwsub_w: return c.isWide(r) && binary(op, r, c, width: c.width + 1)
        case .vnsrl, .vnsra: return c.isNarrowing(r) && (!r.isVectorVector || c.width >= 1) && binary(op, r, c)
        case .vredsum, .vredand, .vredor, .vredxor, .vredminu, .vredmin, .vredmaxu, .vredmax:
            return c.isReduction(r, width: c.width) && binary(op, r, c)
        case .vwredsumu, .vwredsum: return c.isReduction(r, width: c.width + 1) && binary(op, r, c, width: c.width + 1)
        case .vmand, .vmnand, .vmandn, .vmxor, .vmor, .vmnor, .vmorn, .vmxnor: return binary(op, r, c)
        case .vcpop, .vfirst:
            emit(op == .vcpop ? .vcpop : .vfirst, destination(r.rd), .vector(r.rs2), vector: shape(c))
            return true
        case .vmsbf, .vmsif, .vmsof: return r.rd != r.rs2 && (!c.isMasked || r.rd != 0) && unary(op, r, c)
        case .viota: return c.allows(c.group(r.rd)) && !c.group(r.rd).overlaps(VectorGroup(mask: r.rs2)) && unary(op, r, c)
        case .vid:
            guard c.allows(c.group(r.rd)) else { return false }
            emit(.vid, .vector(r.rd), vector: shape(c))
            return true
        case .vslideup, .vslidedown, .vslide1up, .vslide1down, .vrgather, .vrgatherei16, .vcompress: return lowerPermutation(op, r, c)
        case .vmv_x_s:
            emit(.vmoveToInteger, destination(r.rd), .vector(r.rs2), vector: shape(c))
            return true
        case .vmv_s_x:
            emit(.vmoveFirst, .vector(r.rd), source(r.rs1), vector: shape(c))
            return true
        default:
            if op.isVectorCrypto { return lowerVectorCrypto(op, r, c) }
            if Self.vectorOpcodes[op] == nil { return lowerVectorFloat(op, r, c) }
            return c.isPlain(r) && binary(op, r, c)
        }
    }

    /// The second operand.
    private func second(_ r: DecodedOp, unsigned: Bool = false) -> Operand {
        switch r.vectorForm {
        case 0...2: .vector(r.rs1)
        case 3: .constant(unsigned ? Int64(r.rs1) : Int64(bitPattern: r.signedImmediate))
        case 5: .float(r.rs1)
        default: source(r.rs1)
        }
    }

    /// vd = vs2 op second operand. Always true.
    private mutating func binary(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext, width: Int? = nil) -> Bool {
        guard let opcode = Self.vectorOpcodes[op] else { return false }
        let isShift = op == .vsll || op == .vsrl || op == .vsra || op == .vnsrl || op == .vnsra || op == .vssrl || op == .vssra || op == .vnclipu || op == .vnclip || op == .vwsll
        emit(opcode, .vector(r.rd), .vector(r.rs2), second(r, unsigned: isShift), vector: shape(c, width: width))
        return true
    }

    /// vd = op vs2. Always true.
    private mutating func unary(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        guard let opcode = Self.vectorOpcodes[op] else { return false }
        emit(opcode, .vector(r.rd), .vector(r.rs2), vector: shape(c))
        return true
    }

    private mutating func emitCarry(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        let opcode: Opcode = op == .vmadc ? (c.isMasked ? .vmadc : .vmcarry) : c.isMasked ? .vmsbc : .vmsltu
        emit(opcode, .vector(r.rd), .vector(r.rs2), second(r), vector: shape(c.withoutMask))
        return true
    }

    private mutating func merge(_ r: DecodedOp, _ c: VectorContext) -> Bool {
        emit(.vmerge, .vector(r.rd), .vector(r.rs2), second(r), vector: shape(c.withoutMask))
        return true
    }

    private mutating func move(_ source: Operand, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        emit(.vmove, .vector(r.rd), source, vector: shape(c))
        return true
    }

    private mutating func lowerExtension(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        let width = c.width - (4 - Int(r.rs1 >> 1))
        guard width >= 0, c.allows(c.group(r.rd), c.group(r.rs2, width: width)) else { return false }
        emit(op == .vzext ? .vzext : .vsext, .vector(r.rd), .vector(r.rs2), .constant(Int64(width)), vector: shape(c))
        return true
    }

    private mutating func lowerPermutation(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        if op == .vcompress {
            let (d, a, mask) = (c.group(r.rd), c.group(r.rs2), VectorGroup(mask: r.rs1))
            guard c.allows(d, a), !d.overlaps(a), !d.overlaps(mask), a.mayBeRead(with: mask) else { return false }
            emit(.vcompress, .vector(r.rd), .vector(r.rs2), .vector(r.rs1), vector: shape(c))
            return true
        }
        let (d, a) = (c.group(r.rd), c.group(r.rs2)), greatest = Operand.constant(Int64(c.vlmax))
        guard c.allows(d, a) else { return false }
        switch op {
        case .vslidedown: emit(.vslidedown, .vector(r.rd), .vector(r.rs2), second(r, unsigned: true), greatest, vector: shape(c))
        case .vslide1down: emit(.vslide1down, .vector(r.rd), .vector(r.rs2), second(r), vector: shape(c))
        // The others must not overwrite what they still read.
        case _ where d.overlaps(a): return false
        case .vslideup: emit(.vslideup, .vector(r.rd), .vector(r.rs2), second(r, unsigned: true), greatest, vector: shape(c))
        case .vslide1up: emit(.vslide1up, .vector(r.rd), .vector(r.rs2), second(r), vector: shape(c))
        default:
            if r.isVectorVector {
                let b = op == .vrgather ? c.group(r.rs1) : c.group(r.rs1, width: 1)
                guard c.allows(d, a, b), !d.overlaps(b) else { return false }
            }
            emit(op == .vrgather ? .vgather : .vgather16, .vector(r.rd), .vector(r.rs2), second(r, unsigned: true), greatest, vector: shape(c))
        }
        return true
    }

    private static let vectorOpcodes: [RVOp: Opcode] = [
        .vadd: .vadd, .vsub: .vsub, .vrsub: .vrsub, .vand: .vand, .vor: .vor, .vxor: .vxor, .vminu: .vminu, .vmin: .vmin, .vmaxu: .vmaxu, .vmax: .vmax,
        .vsll: .vsll, .vsrl: .vsrl, .vsra: .vsra, .vmul: .vmul, .vmulh: .vmulh, .vmulhu: .vmulhu, .vmacc: .vmacc, .vnmsac: .vnmsac, .vmadd: .vmadd,
        .vnmsub: .vnmsub, .vmseq: .vmseq, .vmsne: .vmsne, .vmsltu: .vmsltu, .vmslt: .vmslt, .vmsleu: .vmsleu, .vmsle: .vmsle, .vmsgtu: .vmsgtu,
        .vmsgt: .vmsgt, .vwaddu: .vwaddu, .vwadd: .vwadd, .vwsubu: .vwsubu, .vwsub: .vwsub, .vwaddu_w: .vwadduW, .vwadd_w: .vwaddW, .vwsubu_w: .vwsubuW,
        .vwsub_w: .vwsubW, .vwmulu: .vwmulu, .vwmul: .vwmul, .vwmaccu: .vwmaccu, .vwmacc: .vwmacc, .vnsrl: .vnsrl, .vnsra: .vnsra, .vredsum: .vredsum,
        .vredand: .vredand, .vredor: .vredor, .vredxor: .vredxor, .vredminu: .vredminu, .vredmin: .vredmin, .vredmaxu: .vredmaxu, .vredmax: .vredmax,
        .vmand: .vmand, .vmnand: .vmnand, .vmandn: .vmandn, .vmxor: .vmxor, .vmor: .vmor, .vmnor: .vmnor, .vmorn: .vmorn, .vmxnor: .vmxnor,
        .vmulhsu: .vmulhsu, .vdivu: .vdivu, .vdiv: .vdiv, .vremu: .vremu, .vrem: .vrem, .vadc: .vadc, .vsbc: .vsbc, .vsaddu: .vsaddu, .vsadd: .vsadd,
        .vssubu: .vssubu, .vssub: .vssub, .vaaddu: .vaaddu, .vaadd: .vaadd, .vasubu: .vasubu, .vasub: .vasub, .vssrl: .vssrl, .vssra: .vssra,
        .vnclipu: .vnclipu, .vnclip: .vnclip, .vandn: .vandn, .vrol: .vrol, .vror: .vror, .vbrev8: .vbrev8, .vrev8: .vrev8, .vbrev: .vbrev,
        .vclz: .vclz, .vctz: .vctz, .vcpop_v: .vpopcnt, .vwmulsu: .vwmulsu, .vwmaccsu: .vwmaccsu, .vwmaccus: .vwmaccus, .vwsll: .vwsll,
        .vwredsumu: .vwredsumu, .vwredsum: .vwredsum, .vmsbf: .vmsbf, .vmsif: .vmsif, .vmsof: .vmsof, .viota: .viota,
    ]

    // MARK: Floating point

    private static let floatOpcodes: [RVOp: Opcode] = [
        .vfadd: .vfadd, .vfsub: .vfsub, .vfrsub: .vfrsub, .vfmul: .vfmul, .vfdiv: .vfdiv, .vfrdiv: .vfrdiv, .vfmin: .vfmin, .vfmax: .vfmax,
        .vfsgnj: .vfsgnj, .vfsgnjn: .vfsgnjn, .vfsgnjx: .vfsgnjx, .vfmacc: .vfmacc, .vfnmacc: .vfnmacc, .vfmsac: .vfmsac, .vfnmsac: .vfnmsac,
        .vfmadd: .vfmadd, .vfnmadd: .vfnmadd, .vfmsub: .vfmsub, .vfnmsub: .vfnmsub,
    ]
    private static let floatComparisons: [RVOp: Opcode] = [
        .vmfeq: .vmfeq, .vmfne: .vmfne, .vmflt: .vmflt, .vmfle: .vmfle, .vmfgt: .vmfgt, .vmfge: .vmfge,
    ]

    private mutating func lowerVectorFloat(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        guard c.width == 2 || c.width == 3 else { return false }
        switch op {
        case .vfmv_v:
            guard c.allows(c.group(r.rd)) else { return false }
            guardFloat()
            return move(.float(r.rs1), r, c)
        case .vfmerge:
            guard c.isPlain(r) else { return false }
            guardFloat()
            return merge(r, c)
        case .vfslide1up, .vfslide1down:
            let (d, a) = (c.group(r.rd), c.group(r.rs2))
            guard c.allows(d, a), op == .vfslide1down || !d.overlaps(a) else { return false }
            guardFloat()
            emit(op == .vfslide1up ? .vslide1up : .vslide1down, .vector(r.rd), .vector(r.rs2), .float(r.rs1), vector: shape(c))
            return true
        case .vfmv_f_s:
            guardFloat()
            emit(.vmoveToFloat, .float(r.rd), .vector(r.rs2), vector: shape(c))
            return true
        case .vfmv_s_f:
            guardFloat()
            emit(.vmoveFirst, .vector(r.rd), .float(r.rs1), vector: shape(c))
            return true
        default: break
        }
        if let opcode = Self.floatOpcodes[op] { return c.isPlain(r) && emitFloat(opcode, r, c, second(r)) }
        if let opcode = Self.floatComparisons[op] { return c.isComparison(r) && emitFloat(opcode, r, c, second(r)) }
        switch op {
        case .vfsqrt: return c.allows(c.group(r.rd), c.group(r.rs2)) && emitFloat(.vfsqrt, r, c)
        case .vfcvt_f_xu:
            return c.width == 2 && c.allows(c.group(r.rd), c.group(r.rs2)) && emitFloat(.vfcvtFromUnsigned, r, c)
        case .vfcvt_f_x, .vfcvt_x_f, .vfcvt_rtz_x_f:
            guard c.allows(c.group(r.rd), c.group(r.rs2)) else { return false }
            return emitFloat(op == .vfcvt_f_x ? .vfcvtFromInteger : op == .vfcvt_x_f ? .vfcvtToInteger : .vfcvtToIntegerTruncated, r, c)
        case .vfredusum, .vfredosum, .vfredmin, .vfredmax:
            return c.isReduction(r, width: c.width) && emitFloat(op == .vfredmin ? .vfredmin : op == .vfredmax ? .vfredmax : .vfredsum, r, c, .vector(r.rs1))
        case .vfwredusum, .vfwredosum:
            return c.width == 2 && c.isReduction(r, width: 3) && emitFloat(.vfwredsum, r, c, .vector(r.rs1), width: 3)
        case .vfwadd, .vfwsub, .vfwmul:
            return c.width == 2 && c.isWidening(r) && emitFloat(op == .vfwadd ? .vfwadd : op == .vfwsub ? .vfwsub : .vfwmul, r, c, second(r), width: 3)
        case .vfwadd_w, .vfwsub_w:
            return c.width == 2 && c.isWide(r) && emitFloat(op == .vfwadd_w ? .vfwaddW : .vfwsubW, r, c, second(r), width: 3)
        case .vfwmacc, .vfwnmacc, .vfwmsac, .vfwnmsac:
            let opcode: Opcode = op == .vfwmacc ? .vfwmacc : op == .vfwnmacc ? .vfwnmacc : op == .vfwmsac ? .vfwmsac : .vfwnmsac
            return c.width == 2 && c.isWideningAccumulation(r) && emitFloat(opcode, r, c, second(r), width: 3)
        default:
            guard c.width == 2, let conversion = Self.conversions[op] else { return false }
            let widens = conversion.width == 3
            guard widens ? c.allows(c.group(r.rd, width: 3), c.group(r.rs2)) : c.allows(c.group(r.rd), c.group(r.rs2, width: 3)) else { return false }
            return emitFloat(conversion.opcode, r, c, width: conversion.width)
        }
    }

    /// Conversions between 32 and 64 bits, and log2 of the bytes of their result.
    private static let conversions: [RVOp: (opcode: Opcode, width: Int)] = [
        .vfwcvt_f_f: (.vfwiden, 3), .vfwcvt_f_x: (.vfwidenFromInteger, 3), .vfwcvt_f_xu: (.vfwidenFromUnsigned, 3), .vfwcvt_x_f: (.vfwidenToInteger, 3),
        .vfwcvt_rtz_x_f: (.vfwidenToIntegerTruncated, 3), .vfncvt_f_f: (.vfnarrow, 2), .vfncvt_f_x: (.vfnarrowFromInteger, 2),
        .vfncvt_x_f: (.vfnarrowToInteger, 2), .vfncvt_rtz_x_f: (.vfnarrowToIntegerTruncated, 2),
    ]

    /// vd = vs2 op second operand, if it has one. Always true.
    private mutating func emitFloat(_ opcode: Opcode, _ r: DecodedOp, _ c: VectorContext, _ second: Operand = .none, width: Int? = nil) -> Bool {
        guardFloat()
        emit(opcode, .vector(r.rd), .vector(r.rs2), second, vector: shape(c, width: width))
        return true
    }

    // MARK: Memory and whole registers

    private mutating func lowerVectorMemory(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        let width = r.vectorForm == 0 ? 0 : Int(r.vectorForm) - 4
        let register = op == .vse ? r.rs3 : r.rd
        let data = c.group(register, width: width), fields = Int(r.raw >> 29) + 1
        guard data.isLegal, data.count * fields <= 8, data.register + data.count * fields <= 32, !c.isMasked || data.register != 0 else { return false }
        var shape = shape(c, width: width)
        if fields > 1 {
            // What may stop in the middle of a segment, or would be too long, is the interpreter's.
            guard op != .vleff, !c.isMasked, c.vl * fields <= Self.mostFields else { return false }
            shape.fields = fields
            shape.fieldSize = data.count.trailingZeroBitCount
        }
        if op == .vleff { shape.traits.insert(.shortening) }
        access(isStore: op == .vse, register, r, shape)
        return true
    }

    /// Strided and indexed accesses, of one field.
    private mutating func lowerScattered(_ op: RVOp, _ r: DecodedOp, _ c: VectorContext) -> Bool {
        let width = r.vectorForm == 0 ? 0 : Int(r.vectorForm) - 4, isIndexed = op == .vlxei || op == .vsxei, isStore = op == .vsse || op == .vsxei
        let data = c.group(isStore ? r.rs3 : r.rd, width: isIndexed ? c.width : width)
        guard r.raw >> 29 == 0, data.isLegal, !c.isMasked || data.register != 0 else { return false }
        var shape = shape(c, width: data.width)
        if isIndexed {
            let index = c.group(r.rs2, width: width)
            guard index.isLegal, !c.isMasked || index.mayBeRead(with: .mask), index.isIndexAllowed(data, fields: 1, isStore: isStore) else { return false }
            shape.indexWidth = UInt8(width)
        }
        switch op {
        case .vlse: emit(.vloadStrided, .vector(r.rd), source(r.rs1), .none, source(r.rs2), vector: shape)
        case .vsse: emit(.vstoreStrided, .none, source(r.rs1), source(r.rs2), .vector(r.rs3), vector: shape)
        case .vlxei: emit(.vloadIndexed, .vector(r.rd), source(r.rs1), .vector(r.rs2), vector: shape)
        default: emit(.vstoreIndexed, .none, source(r.rs1), .vector(r.rs2), .vector(r.rs3), vector: shape)
        }
        return true
    }

    /// Fields that one access moves at most.
    private static let mostFields = 128

    private mutating func access(isStore: Bool, _ register: UInt8, _ r: DecodedOp, _ shape: VectorShape) {
        if isStore {
            emit(.vstore, .none, source(r.rs1), .vector(register), vector: shape)
        } else {
            emit(.vload, .vector(register), source(r.rs1), vector: shape)
        }
    }

    /// Loads, stores and moves of whole registers, whatever vtype and vl are.
    private mutating func moveRegisters(_ op: RVOp, _ r: DecodedOp) {
        let isMove = op == .vmvr
        let register = op == .vsr ? r.rs3 : r.rd
        let count = isMove ? Int(r.rs1) + 1 : Int(r.raw >> 29) + 1
        guard Int(isMove ? r.rd | r.rs2 : register) & (count - 1) == 0 else { return interpret() }
        let shape = VectorShape(
            width: 3, registerSize: UInt8(vlenb.trailingZeroBitCount), type: 0, traits: .anyType, count: UInt16(count * vlenb / 8))
        if isMove {
            emit(.vmove, .vector(r.rd), .vector(r.rs2), vector: shape)
        } else {
            access(isStore: op == .vsr, register, r, shape)
        }
    }
}
