/// What may stand in a place of an instruction.
public enum OperandKind: UInt8, Sendable {
    /// Nothing.
    case unused
    /// Destination: an integer register or a temp.
    case register
    /// Source: an integer register, a temp that is no host address, or a constant of 32 bits, sign-extended.
    case value
    /// As `value`, with a constant of any size.
    case wideValue
    /// A floating register.
    case float
    /// A vector register.
    case vector
    /// A vector register, or a scalar for each of its elements: as `value`, or a floating register.
    case elements
    /// A constant of 32 bits, sign-extended.
    case constant
    /// Destination of a probe: a temp.
    case hostAddress
    /// Source: nothing, or the temp of a probe.
    case probed
}

/// How an instruction is laid out: what stands in its places, and how it is written.
public struct OpcodeShape: Hashable, Sendable {
    public enum Syntax: UInt8, Sendable {
        /// `dst = name a, b, c`
        case plain
        /// `dst = name [a + displacement] via b`, for strided ones `[a + displacement by c]`
        case load
        /// `name [a + displacement] = b via c`
        case store
        /// `dst = name.rights [a + displacement, length]`
        case probe
    }

    public let syntax: Syntax
    public let dst: OperandKind
    public let a: OperandKind
    public let b: OperandKind
    public let c: OperandKind

    init(
        _ syntax: Syntax = .plain, dst: OperandKind = .unused, a: OperandKind = .unused, b: OperandKind = .unused, c: OperandKind = .unused
    ) {
        self.syntax = syntax
        self.dst = dst
        self.a = a
        self.b = b
        self.c = c
    }

    static let nothing = OpcodeShape()
    static let check = OpcodeShape(a: .constant)
    static let stateWrite = OpcodeShape(a: .constant, b: .value)
    static let move = OpcodeShape(dst: .register, a: .wideValue)
    static let address = OpcodeShape(dst: .register, a: .constant)
    static let unary = OpcodeShape(dst: .register, a: .value)
    static let binary = OpcodeShape(dst: .register, a: .value, b: .value)
    static let unaryByConstant = OpcodeShape(dst: .register, a: .value, b: .constant)
    static let shiftAdd = OpcodeShape(dst: .register, a: .value, b: .value, c: .constant)
    static let load = OpcodeShape(.load, dst: .register, a: .value, b: .probed)
    static let loadFloat = OpcodeShape(.load, dst: .float, a: .value, b: .probed)
    static let store = OpcodeShape(.store, a: .value, b: .value, c: .probed)
    static let storeFloat = OpcodeShape(.store, a: .value, b: .float, c: .probed)
    static let probe = OpcodeShape(.probe, dst: .hostAddress, a: .value, b: .constant, c: .constant)
    static let unaryFloat = OpcodeShape(dst: .float, a: .float)
    static let binaryFloat = OpcodeShape(dst: .float, a: .float, b: .float)
    static let ternaryFloat = OpcodeShape(dst: .float, a: .float, b: .float, c: .float)
    static let compareFloat = OpcodeShape(dst: .register, a: .float, b: .float)
    static let floatToInteger = OpcodeShape(dst: .register, a: .float)
    static let integerToFloat = OpcodeShape(dst: .float, a: .value)
    static let loadVector = OpcodeShape(.load, dst: .vector, a: .value, b: .probed)
    static let loadStrided = OpcodeShape(.load, dst: .vector, a: .value, b: .probed, c: .value)
    static let storeVector = OpcodeShape(.store, a: .value, b: .vector, c: .probed)
    static let result = OpcodeShape(dst: .register)
    static let loadIndexed = OpcodeShape(dst: .vector, a: .value, b: .vector)
    static let storeStrided = OpcodeShape(a: .value, b: .value, c: .vector)
    static let storeIndexed = OpcodeShape(a: .value, b: .vector, c: .vector)
    static let setLength = OpcodeShape(dst: .register, a: .value, b: .constant, c: .constant)
    static let nullaryVector = OpcodeShape(dst: .vector)
    static let unaryVector = OpcodeShape(dst: .vector, a: .elements)
    static let extendVector = OpcodeShape(dst: .vector, a: .vector, b: .constant)
    static let binaryVector = OpcodeShape(dst: .vector, a: .vector, b: .elements)
    static let cipherVector = OpcodeShape(dst: .vector, a: .vector, b: .constant)
    static let permuteVector = OpcodeShape(dst: .vector, a: .vector, b: .elements, c: .constant)
    static let vectorToInteger = OpcodeShape(dst: .register, a: .vector)
    static let vectorToFloat = OpcodeShape(dst: .float, a: .vector)
}

/// What text, verifier, passes and back ends need to know of an opcode.
public struct OpcodeInfo: Sendable {
    public struct Traits: OptionSet, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let readsMemory = Traits(rawValue: 1 << 0)
        public static let writesMemory = Traits(rawValue: 1 << 1)
        /// May leave the block (a trap, or the interpreter goes on): all guest registers must then be as before its guest instruction.
        public static let mayLeave = Traits(rawValue: 1 << 2)
        /// Does nothing but write `dst`: it may be dropped when nobody reads that.
        public static let pure = Traits(rawValue: 1 << 3)
        /// `a` and `b` may be swapped.
        public static let commutative = Traits(rawValue: 1 << 4)
        /// Needs a `guardFloat` before it.
        public static let guarded = Traits(rawValue: 1 << 5)
        /// Has a `VectorShape`. The back end may leave it to the interpreter, which goes on behind it.
        public static let vector = Traits(rawValue: 1 << 6)
    }

    public let opcode: Opcode
    /// As it is written in text; of a `probe`, without its rights.
    public let name: StaticString
    public let shape: OpcodeShape
    public let traits: Traits
    /// Bytes a load or store accesses, else 0.
    public let accessBytes: UInt8

    init(_ opcode: Opcode, _ name: StaticString, _ shape: OpcodeShape, _ traits: Traits, bytes: UInt8 = 0) {
        self.opcode = opcode
        self.name = name
        self.shape = shape
        self.traits = traits
        self.accessBytes = bytes
    }

    public var isPure: Bool { traits.contains(.pure) }
    public var mayLeave: Bool { traits.contains(.mayLeave) }
    public var readsMemory: Bool { traits.contains(.readsMemory) }
    public var writesMemory: Bool { traits.contains(.writesMemory) }
    public var isCommutative: Bool { traits.contains(.commutative) }
    public var isGuarded: Bool { traits.contains(.guarded) }
    public var isVector: Bool { traits.contains(.vector) }
}

extension Opcode {
    public var info: OpcodeInfo { OpcodeInfo.table[Int(rawValue)] }
}

extension OpcodeInfo {
    /// One row per opcode, in the order of `Opcode.rawValue`.
    public static let table: [OpcodeInfo] = {
        let table = integerRows + memoryRows + floatRows + atomicRows + controlRows + vectorRows + cipherRows
        precondition(table.indices.allSatisfy { Int(table[$0].opcode.rawValue) == $0 }, "the rows of OpcodeInfo follow the order of Opcode")
        return table
    }()

    private static let integerRows: [OpcodeInfo] = [
        .init(.mov, "mov", .move, .pure),
        .init(.pc, "pc", .address, .pure),

        .init(.add, "add", .binary, [.pure, .commutative]),
        .init(.addw, "addw", .binary, [.pure, .commutative]),
        .init(.sub, "sub", .binary, .pure),
        .init(.subw, "subw", .binary, .pure),
        .init(.and, "and", .binary, [.pure, .commutative]),
        .init(.or, "or", .binary, [.pure, .commutative]),
        .init(.xor, "xor", .binary, [.pure, .commutative]),
        .init(.andn, "andn", .binary, .pure),
        .init(.orn, "orn", .binary, .pure),
        .init(.xnor, "xnor", .binary, [.pure, .commutative]),
        .init(.shl, "shl", .binary, .pure),
        .init(.shlw, "shlw", .binary, .pure),
        .init(.shr, "shr", .binary, .pure),
        .init(.shrw, "shrw", .binary, .pure),
        .init(.sar, "sar", .binary, .pure),
        .init(.sarw, "sarw", .binary, .pure),
        .init(.rotl, "rotl", .binary, .pure),
        .init(.rotlw, "rotlw", .binary, .pure),
        .init(.rotr, "rotr", .binary, .pure),
        .init(.rotrw, "rotrw", .binary, .pure),
        .init(.mul, "mul", .binary, [.pure, .commutative]),
        .init(.mulw, "mulw", .binary, [.pure, .commutative]),
        .init(.mulhs, "mulhs", .binary, [.pure, .commutative]),
        .init(.mulhu, "mulhu", .binary, [.pure, .commutative]),
        .init(.mulhsu, "mulhsu", .binary, .pure),
        .init(.div, "div", .binary, .pure),
        .init(.divu, "divu", .binary, .pure),
        .init(.rem, "rem", .binary, .pure),
        .init(.remu, "remu", .binary, .pure),
        .init(.divw, "divw", .binary, .pure),
        .init(.divuw, "divuw", .binary, .pure),
        .init(.remw, "remw", .binary, .pure),
        .init(.remuw, "remuw", .binary, .pure),
        .init(.min, "min", .binary, [.pure, .commutative]),
        .init(.max, "max", .binary, [.pure, .commutative]),
        .init(.minu, "minu", .binary, [.pure, .commutative]),
        .init(.maxu, "maxu", .binary, [.pure, .commutative]),
        .init(.setlt, "setlt", .binary, .pure),
        .init(.setltu, "setltu", .binary, .pure),
        .init(.seteq, "seteq", .binary, [.pure, .commutative]),
        .init(.setne, "setne", .binary, [.pure, .commutative]),
        .init(.bitclear, "bitclear", .binary, .pure),
        .init(.bitset, "bitset", .binary, .pure),
        .init(.bitflip, "bitflip", .binary, .pure),
        .init(.bittest, "bittest", .binary, .pure),
        .init(.clmul, "clmul", .binary, [.pure, .commutative]),
        .init(.clmulh, "clmulh", .binary, [.pure, .commutative]),
        .init(.clmulr, "clmulr", .binary, [.pure, .commutative]),
        .init(.zeroifeq, "zeroifeq", .binary, .pure),
        .init(.zeroifne, "zeroifne", .binary, .pure),
        .init(.shladd, "shladd", .shiftAdd, .pure),
        .init(.shladduw, "shladduw", .shiftAdd, .pure),

        .init(.sext8, "sext8", .unary, .pure),
        .init(.sext16, "sext16", .unary, .pure),
        .init(.sext32, "sext32", .unary, .pure),
        .init(.zext8, "zext8", .unary, .pure),
        .init(.zext16, "zext16", .unary, .pure),
        .init(.zext32, "zext32", .unary, .pure),
        .init(.clz, "clz", .unary, .pure),
        .init(.clzw, "clzw", .unary, .pure),
        .init(.ctz, "ctz", .unary, .pure),
        .init(.ctzw, "ctzw", .unary, .pure),
        .init(.popcnt, "popcnt", .unary, .pure),
        .init(.popcntw, "popcntw", .unary, .pure),
        .init(.bswap, "bswap", .unary, .pure),
        .init(.orcb, "orcb", .unary, .pure),
        .init(.brev8, "brev8", .unary, .pure),
        .init(.xperm4, "xperm4", .binary, .pure),
        .init(.xperm8, "xperm8", .binary, .pure),
        .init(.turnedSum, "turned.sum", .unaryByConstant, .pure),
        .init(.turnedSumw, "turned.sumw", .unaryByConstant, .pure),
    ]

    private static let memoryRows: [OpcodeInfo] = [
        .init(.load8s, "load.s8", .load, [.readsMemory, .mayLeave], bytes: 1),
        .init(.load8u, "load.u8", .load, [.readsMemory, .mayLeave], bytes: 1),
        .init(.load16s, "load.s16", .load, [.readsMemory, .mayLeave], bytes: 2),
        .init(.load16u, "load.u16", .load, [.readsMemory, .mayLeave], bytes: 2),
        .init(.load32s, "load.s32", .load, [.readsMemory, .mayLeave], bytes: 4),
        .init(.load32u, "load.u32", .load, [.readsMemory, .mayLeave], bytes: 4),
        .init(.load64, "load.64", .load, [.readsMemory, .mayLeave], bytes: 8),
        .init(.loadf32, "load.f32", .loadFloat, [.readsMemory, .mayLeave, .guarded], bytes: 4),
        .init(.loadf64, "load.f64", .loadFloat, [.readsMemory, .mayLeave, .guarded], bytes: 8),
        .init(.store8, "store.8", .store, [.writesMemory, .mayLeave], bytes: 1),
        .init(.store16, "store.16", .store, [.writesMemory, .mayLeave], bytes: 2),
        .init(.store32, "store.32", .store, [.writesMemory, .mayLeave], bytes: 4),
        .init(.store64, "store.64", .store, [.writesMemory, .mayLeave], bytes: 8),
        .init(.storef32, "store.f32", .storeFloat, [.writesMemory, .mayLeave, .guarded], bytes: 4),
        .init(.storef64, "store.f64", .storeFloat, [.writesMemory, .mayLeave, .guarded], bytes: 8),
        .init(.probe, "probe", .probe, [.pure, .mayLeave]),
    ]

    // What may raise an exception flag is not pure: the flags are guest state.
    private static let floatRows: [OpcodeInfo] = [
        .init(.faddS, "fadd.s", .binaryFloat, .guarded),
        .init(.fsubS, "fsub.s", .binaryFloat, .guarded),
        .init(.fmulS, "fmul.s", .binaryFloat, .guarded),
        .init(.fdivS, "fdiv.s", .binaryFloat, .guarded),
        .init(.faddD, "fadd.d", .binaryFloat, .guarded),
        .init(.fsubD, "fsub.d", .binaryFloat, .guarded),
        .init(.fmulD, "fmul.d", .binaryFloat, .guarded),
        .init(.fdivD, "fdiv.d", .binaryFloat, .guarded),
        .init(.fsqrtS, "fsqrt.s", .unaryFloat, .guarded),
        .init(.fsqrtD, "fsqrt.d", .unaryFloat, .guarded),
        .init(.fmaddS, "fmadd.s", .ternaryFloat, .guarded),
        .init(.fmsubS, "fmsub.s", .ternaryFloat, .guarded),
        .init(.fnmsubS, "fnmsub.s", .ternaryFloat, .guarded),
        .init(.fnmaddS, "fnmadd.s", .ternaryFloat, .guarded),
        .init(.fmaddD, "fmadd.d", .ternaryFloat, .guarded),
        .init(.fmsubD, "fmsub.d", .ternaryFloat, .guarded),
        .init(.fnmsubD, "fnmsub.d", .ternaryFloat, .guarded),
        .init(.fnmaddD, "fnmadd.d", .ternaryFloat, .guarded),
        .init(.fsgnjS, "fsgnj.s", .binaryFloat, [.pure, .guarded]),
        .init(.fsgnjnS, "fsgnjn.s", .binaryFloat, [.pure, .guarded]),
        .init(.fsgnjxS, "fsgnjx.s", .binaryFloat, [.pure, .guarded]),
        .init(.fsgnjD, "fsgnj.d", .binaryFloat, [.pure, .guarded]),
        .init(.fsgnjnD, "fsgnjn.d", .binaryFloat, [.pure, .guarded]),
        .init(.fsgnjxD, "fsgnjx.d", .binaryFloat, [.pure, .guarded]),
        .init(.fminS, "fmin.s", .binaryFloat, .guarded),
        .init(.fmaxS, "fmax.s", .binaryFloat, .guarded),
        .init(.fminD, "fmin.d", .binaryFloat, .guarded),
        .init(.fmaxD, "fmax.d", .binaryFloat, .guarded),
        .init(.feqS, "feq.s", .compareFloat, .guarded),
        .init(.fltS, "flt.s", .compareFloat, .guarded),
        .init(.fleS, "fle.s", .compareFloat, .guarded),
        .init(.feqD, "feq.d", .compareFloat, .guarded),
        .init(.fltD, "flt.d", .compareFloat, .guarded),
        .init(.fleD, "fle.d", .compareFloat, .guarded),
        // Destination, source, rounding.
        .init(.fcvtI32StoX_t, "fcvt.i32.s.rtz", .floatToInteger, .guarded),
        .init(.fcvtI64StoX_t, "fcvt.i64.s.rtz", .floatToInteger, .guarded),
        .init(.fcvtI32DtoX_t, "fcvt.i32.d.rtz", .floatToInteger, .guarded),
        .init(.fcvtI64DtoX_t, "fcvt.i64.d.rtz", .floatToInteger, .guarded),
        .init(.fcvtI32StoX_r, "fcvt.i32.s.dyn", .floatToInteger, .guarded),
        .init(.fcvtI64StoX_r, "fcvt.i64.s.dyn", .floatToInteger, .guarded),
        .init(.fcvtI32DtoX_r, "fcvt.i32.d.dyn", .floatToInteger, .guarded),
        .init(.fcvtI64DtoX_r, "fcvt.i64.d.dyn", .floatToInteger, .guarded),
        .init(.fcvtI32toS, "fcvt.s.i32", .integerToFloat, .guarded),
        .init(.fcvtI64toS, "fcvt.s.i64", .integerToFloat, .guarded),
        .init(.fcvtU32toS, "fcvt.s.u32", .integerToFloat, .guarded),
        .init(.fcvtI32toD, "fcvt.d.i32", .integerToFloat, .guarded),
        .init(.fcvtI64toD, "fcvt.d.i64", .integerToFloat, .guarded),
        .init(.fcvtU32toD, "fcvt.d.u32", .integerToFloat, .guarded),
        .init(.fcvtStoD, "fcvt.d.s", .unaryFloat, .guarded),
        .init(.fcvtDtoS, "fcvt.s.d", .unaryFloat, .guarded),
        .init(.movFtoX, "fmv.x.d", .floatToInteger, [.pure, .guarded]),
        .init(.movXtoF, "fmv.d.x", .integerToFloat, [.pure, .guarded]),
        .init(.movF32toX, "fmv.x.s", .floatToInteger, [.pure, .guarded]),
        .init(.movX32toF, "fmv.s.x", .integerToFloat, [.pure, .guarded]),
    ]

    private static let atomicRows: [OpcodeInfo] = {
        let atomic: Traits = [.readsMemory, .writesMemory, .mayLeave]
        return [
            .init(.loadReserved32, "reserve.load.32", .unary, atomic),
            .init(.loadReserved64, "reserve.load.64", .unary, atomic),
            .init(.storeConditional32, "reserve.store.32", .binary, atomic),
            .init(.storeConditional64, "reserve.store.64", .binary, atomic),
            .init(.swap32, "swap.32", .binary, atomic),
            .init(.swap64, "swap.64", .binary, atomic),
            .init(.fetchAdd32, "fetch.add.32", .binary, atomic),
            .init(.fetchAdd64, "fetch.add.64", .binary, atomic),
            .init(.fetchXor32, "fetch.xor.32", .binary, atomic),
            .init(.fetchXor64, "fetch.xor.64", .binary, atomic),
            .init(.fetchAnd32, "fetch.and.32", .binary, atomic),
            .init(.fetchAnd64, "fetch.and.64", .binary, atomic),
            .init(.fetchOr32, "fetch.or.32", .binary, atomic),
            .init(.fetchOr64, "fetch.or.64", .binary, atomic),
            .init(.fetchMin32, "fetch.min.32", .binary, atomic),
            .init(.fetchMin64, "fetch.min.64", .binary, atomic),
            .init(.fetchMax32, "fetch.max.32", .binary, atomic),
            .init(.fetchMax64, "fetch.max.64", .binary, atomic),
            .init(.fetchMinu32, "fetch.minu.32", .binary, atomic),
            .init(.fetchMinu64, "fetch.minu.64", .binary, atomic),
            .init(.fetchMaxu32, "fetch.maxu.32", .binary, atomic),
            .init(.fetchMaxu64, "fetch.maxu.64", .binary, atomic),
        ]
    }()

    private static let controlRows: [OpcodeInfo] = [
        .init(.guardFloat, "guard.float", .nothing, .mayLeave),
        .init(.guardPrivilege, "guard.privilege", .check, .mayLeave),
        .init(.readState, "state.read", .address, []),
        .init(.writeState, "state.write", .stateWrite, []),
        .init(.interpret, "interpret", .nothing, [.readsMemory, .writesMemory, .mayLeave]),
    ]

    private static let vectorRows: [OpcodeInfo] = {
        let vector: Traits = [.vector, .mayLeave], float: Traits = [.vector, .mayLeave, .guarded]
        return [
            .init(.vload, "vload", .loadVector, vector.union(.readsMemory)),
            .init(.vstore, "vstore", .storeVector, vector.union(.writesMemory)),
            .init(.vloadStrided, "vload.strided", .loadStrided, vector.union(.readsMemory)),
            .init(.vloadMask, "vload.mask", .loadVector, vector.union(.readsMemory)),
            .init(.vstoreMask, "vstore.mask", .storeVector, vector.union(.writesMemory)),
            .init(.vloadIndexed, "vload.indexed", .loadIndexed, vector.union(.readsMemory)),
            .init(.vstoreStrided, "vstore.strided", .storeStrided, vector.union(.writesMemory)),
            .init(.vstoreIndexed, "vstore.indexed", .storeIndexed, vector.union(.writesMemory)),
            .init(.vsetLength, "vset.length", .setLength, vector),
            .init(.vsetType, "vset.type", .check, vector),
            .init(.vgetLength, "vget.length", .result, vector),
            .init(.vadd, "vadd", .binaryVector, vector),
            .init(.vsub, "vsub", .binaryVector, vector),
            .init(.vrsub, "vrsub", .binaryVector, vector),
            .init(.vand, "vand", .binaryVector, vector),
            .init(.vor, "vor", .binaryVector, vector),
            .init(.vxor, "vxor", .binaryVector, vector),
            .init(.vminu, "vminu", .binaryVector, vector),
            .init(.vmin, "vmin", .binaryVector, vector),
            .init(.vmaxu, "vmaxu", .binaryVector, vector),
            .init(.vmax, "vmax", .binaryVector, vector),
            .init(.vsll, "vsll", .binaryVector, vector),
            .init(.vsrl, "vsrl", .binaryVector, vector),
            .init(.vsra, "vsra", .binaryVector, vector),
            .init(.vmul, "vmul", .binaryVector, vector),
            .init(.vmulh, "vmulh", .binaryVector, vector),
            .init(.vmulhu, "vmulhu", .binaryVector, vector),
            .init(.vmulhsu, "vmulhsu", .binaryVector, vector),
            .init(.vdivu, "vdivu", .binaryVector, vector),
            .init(.vdiv, "vdiv", .binaryVector, vector),
            .init(.vremu, "vremu", .binaryVector, vector),
            .init(.vrem, "vrem", .binaryVector, vector),
            .init(.vadc, "vadc", .binaryVector, vector),
            .init(.vsbc, "vsbc", .binaryVector, vector),
            .init(.vmadc, "vmadc", .binaryVector, vector),
            .init(.vmsbc, "vmsbc", .binaryVector, vector),
            .init(.vmcarry, "vmcarry", .binaryVector, vector),
            .init(.vsaddu, "vsaddu", .binaryVector, vector),
            .init(.vsadd, "vsadd", .binaryVector, vector),
            .init(.vssubu, "vssubu", .binaryVector, vector),
            .init(.vssub, "vssub", .binaryVector, vector),
            .init(.vaaddu, "vaaddu", .binaryVector, vector),
            .init(.vaadd, "vaadd", .binaryVector, vector),
            .init(.vasubu, "vasubu", .binaryVector, vector),
            .init(.vasub, "vasub", .binaryVector, vector),
            .init(.vssrl, "vssrl", .binaryVector, vector),
            .init(.vssra, "vssra", .binaryVector, vector),
            .init(.vnclipu, "vnclipu", .binaryVector, vector),
            .init(.vnclip, "vnclip", .binaryVector, vector),
            .init(.vandn, "vandn", .binaryVector, vector),
            .init(.vrol, "vrol", .binaryVector, vector),
            .init(.vror, "vror", .binaryVector, vector),
            .init(.vbrev8, "vbrev8", .unaryVector, vector),
            .init(.vrev8, "vrev8", .unaryVector, vector),
            .init(.vbrev, "vbrev", .unaryVector, vector),
            .init(.vclz, "vclz", .unaryVector, vector),
            .init(.vctz, "vctz", .unaryVector, vector),
            .init(.vpopcnt, "vpopcnt", .unaryVector, vector),
            .init(.vmacc, "vmacc", .binaryVector, vector),
            .init(.vnmsac, "vnmsac", .binaryVector, vector),
            .init(.vmadd, "vmadd", .binaryVector, vector),
            .init(.vnmsub, "vnmsub", .binaryVector, vector),
            .init(.vmseq, "vmseq", .binaryVector, vector),
            .init(.vmsne, "vmsne", .binaryVector, vector),
            .init(.vmsltu, "vmsltu", .binaryVector, vector),
            .init(.vmslt, "vmslt", .binaryVector, vector),
            .init(.vmsleu, "vmsleu", .binaryVector, vector),
            .init(.vmsle, "vmsle", .binaryVector, vector),
            .init(.vmsgtu, "vmsgtu", .binaryVector, vector),
            .init(.vmsgt, "vmsgt", .binaryVector, vector),
            .init(.vmerge, "vmerge", .binaryVector, vector),
            .init(.vmove, "vmove", .unaryVector, vector),
            .init(.vzext, "vzext", .extendVector, vector),
            .init(.vsext, "vsext", .extendVector, vector),
            .init(.vwaddu, "vwaddu", .binaryVector, vector),
            .init(.vwadd, "vwadd", .binaryVector, vector),
            .init(.vwsubu, "vwsubu", .binaryVector, vector),
            .init(.vwsub, "vwsub", .binaryVector, vector),
            .init(.vwadduW, "vwaddu.w", .binaryVector, vector),
            .init(.vwaddW, "vwadd.w", .binaryVector, vector),
            .init(.vwsubuW, "vwsubu.w", .binaryVector, vector),
            .init(.vwsubW, "vwsub.w", .binaryVector, vector),
            .init(.vwmulu, "vwmulu", .binaryVector, vector),
            .init(.vwmul, "vwmul", .binaryVector, vector),
            .init(.vwmulsu, "vwmulsu", .binaryVector, vector),
            .init(.vwmaccu, "vwmaccu", .binaryVector, vector),
            .init(.vwmacc, "vwmacc", .binaryVector, vector),
            .init(.vwmaccsu, "vwmaccsu", .binaryVector, vector),
            .init(.vwmaccus, "vwmaccus", .binaryVector, vector),
            .init(.vwsll, "vwsll", .binaryVector, vector),
            .init(.vnsrl, "vnsrl", .binaryVector, vector),
            .init(.vnsra, "vnsra", .binaryVector, vector),
            .init(.vfadd, "vfadd", .binaryVector, float),
            .init(.vfsub, "vfsub", .binaryVector, float),
            .init(.vfrsub, "vfrsub", .binaryVector, float),
            .init(.vfmul, "vfmul", .binaryVector, float),
            .init(.vfdiv, "vfdiv", .binaryVector, float),
            .init(.vfrdiv, "vfrdiv", .binaryVector, float),
            .init(.vfmin, "vfmin", .binaryVector, float),
            .init(.vfmax, "vfmax", .binaryVector, float),
            .init(.vfsgnj, "vfsgnj", .binaryVector, float),
            .init(.vfsgnjn, "vfsgnjn", .binaryVector, float),
            .init(.vfsgnjx, "vfsgnjx", .binaryVector, float),
            .init(.vfmacc, "vfmacc", .binaryVector, float),
            .init(.vfnmacc, "vfnmacc", .binaryVector, float),
            .init(.vfmsac, "vfmsac", .binaryVector, float),
            .init(.vfnmsac, "vfnmsac", .binaryVector, float),
            .init(.vfmadd, "vfmadd", .binaryVector, float),
            .init(.vfnmadd, "vfnmadd", .binaryVector, float),
            .init(.vfmsub, "vfmsub", .binaryVector, float),
            .init(.vfnmsub, "vfnmsub", .binaryVector, float),
            .init(.vfsqrt, "vfsqrt", .unaryVector, float),
            .init(.vmfeq, "vmfeq", .binaryVector, float),
            .init(.vmfne, "vmfne", .binaryVector, float),
            .init(.vmflt, "vmflt", .binaryVector, float),
            .init(.vmfle, "vmfle", .binaryVector, float),
            .init(.vmfgt, "vmfgt", .binaryVector, float),
            .init(.vmfge, "vmfge", .binaryVector, float),
            .init(.vfcvtFromInteger, "vfcvt.f.x", .unaryVector, float),
            .init(.vfcvtToInteger, "vfcvt.x.f", .unaryVector, float),
            .init(.vfcvtToIntegerTruncated, "vfcvt.rtz.x.f", .unaryVector, float),
            .init(.vfwiden, "vfwiden", .unaryVector, float),
            .init(.vfnarrow, "vfnarrow", .unaryVector, float),
            .init(.vfcvtFromUnsigned, "vfcvt.f.xu", .unaryVector, float),
            .init(.vfwidenFromInteger, "vfwiden.f.x", .unaryVector, float),
            .init(.vfwidenFromUnsigned, "vfwiden.f.xu", .unaryVector, float),
            .init(.vfwidenToInteger, "vfwiden.x.f", .unaryVector, float),
            .init(.vfwidenToIntegerTruncated, "vfwiden.rtz.x.f", .unaryVector, float),
            .init(.vfnarrowFromInteger, "vfnarrow.f.x", .unaryVector, float),
            .init(.vfnarrowToInteger, "vfnarrow.x.f", .unaryVector, float),
            .init(.vfnarrowToIntegerTruncated, "vfnarrow.rtz.x.f", .unaryVector, float),
            .init(.vfwadd, "vfwadd", .binaryVector, float),
            .init(.vfwsub, "vfwsub", .binaryVector, float),
            .init(.vfwaddW, "vfwadd.w", .binaryVector, float),
            .init(.vfwsubW, "vfwsub.w", .binaryVector, float),
            .init(.vfwmul, "vfwmul", .binaryVector, float),
            .init(.vfwmacc, "vfwmacc", .binaryVector, float),
            .init(.vfwnmacc, "vfwnmacc", .binaryVector, float),
            .init(.vfwmsac, "vfwmsac", .binaryVector, float),
            .init(.vfwnmsac, "vfwnmsac", .binaryVector, float),
            .init(.vredsum, "vredsum", .binaryVector, vector),
            .init(.vredand, "vredand", .binaryVector, vector),
            .init(.vredor, "vredor", .binaryVector, vector),
            .init(.vredxor, "vredxor", .binaryVector, vector),
            .init(.vredminu, "vredminu", .binaryVector, vector),
            .init(.vredmin, "vredmin", .binaryVector, vector),
            .init(.vredmaxu, "vredmaxu", .binaryVector, vector),
            .init(.vredmax, "vredmax", .binaryVector, vector),
            .init(.vwredsumu, "vwredsumu", .binaryVector, vector),
            .init(.vwredsum, "vwredsum", .binaryVector, vector),
            .init(.vfredsum, "vfredsum", .binaryVector, float),
            .init(.vfredmin, "vfredmin", .binaryVector, float),
            .init(.vfredmax, "vfredmax", .binaryVector, float),
            .init(.vfwredsum, "vfwredsum", .binaryVector, float),
            .init(.vmand, "vmand", .binaryVector, vector),
            .init(.vmnand, "vmnand", .binaryVector, vector),
            .init(.vmandn, "vmandn", .binaryVector, vector),
            .init(.vmxor, "vmxor", .binaryVector, vector),
            .init(.vmor, "vmor", .binaryVector, vector),
            .init(.vmnor, "vmnor", .binaryVector, vector),
            .init(.vmorn, "vmorn", .binaryVector, vector),
            .init(.vmxnor, "vmxnor", .binaryVector, vector),
            .init(.vcpop, "vcpop", .vectorToInteger, vector),
            .init(.vfirst, "vfirst", .vectorToInteger, vector),
            .init(.vmsbf, "vmsbf", .unaryVector, vector),
            .init(.vmsif, "vmsif", .unaryVector, vector),
            .init(.vmsof, "vmsof", .unaryVector, vector),
            .init(.viota, "viota", .unaryVector, vector),
            .init(.vid, "vid", .nullaryVector, vector),
            .init(.vmoveToInteger, "vmove.to.x", .vectorToInteger, vector),
            .init(.vmoveToFloat, "vmove.to.f", .vectorToFloat, float),
            .init(.vmoveFirst, "vmove.first", .unaryVector, vector),
            .init(.vslideup, "vslideup", .permuteVector, vector),
            .init(.vslidedown, "vslidedown", .permuteVector, vector),
            .init(.vslide1up, "vslide1up", .binaryVector, vector),
            .init(.vslide1down, "vslide1down", .binaryVector, vector),
            .init(.vgather, "vgather", .permuteVector, vector),
            .init(.vgather16, "vgather16", .permuteVector, vector),
            .init(.vcompress, "vcompress", .binaryVector, vector),
        ]
    }()

    private static let cipherRows: [OpcodeInfo] = {
        let vector: Traits = [.vector, .mayLeave]
        return [
            .init(.aes64es, "aes64es", .binary, []),
            .init(.aes64esm, "aes64esm", .binary, []),
            .init(.aes64ds, "aes64ds", .binary, []),
            .init(.aes64dsm, "aes64dsm", .binary, []),
            .init(.aes64im, "aes64im", .unary, []),
            .init(.aes64ks1i, "aes64ks1i", .unaryByConstant, []),
            .init(.vaesef, "vaesef", .cipherVector, vector),
            .init(.vaesem, "vaesem", .cipherVector, vector),
            .init(.vaesdf, "vaesdf", .cipherVector, vector),
            .init(.vaesdm, "vaesdm", .cipherVector, vector),
            .init(.vaesz, "vaesz", .cipherVector, vector),
            .init(.vaeskf1, "vaeskf1", .cipherVector, vector),
            .init(.vaeskf2, "vaeskf2", .cipherVector, vector),
            .init(.vclmul, "vclmul", .binaryVector, vector),
            .init(.vclmulh, "vclmulh", .binaryVector, vector),
            .init(.vghash, "vghash", .binaryVector, vector),
            .init(.vsha2ms, "vsha2ms", .binaryVector, vector),
            .init(.vsha2cl, "vsha2cl", .binaryVector, vector),
            .init(.vsha2ch, "vsha2ch", .binaryVector, vector),
            .init(.vsm4r, "vsm4r", .cipherVector, vector),
            .init(.vsm4k, "vsm4k", .cipherVector, vector),
            .init(.vsm3me, "vsm3me", .binaryVector, vector),
            .init(.vsm3c, "vsm3c", .cipherVector, vector),
        ]
    }()
}
