/// What a vector operation works on: elements `0 ..< count`, which lie one after the other from the first byte of its registers on, a
/// group of registers being one piece of memory; and under which configuration of the guest's vector unit.
public struct VectorShape: Hashable, Sendable {
    /// log2 of the bytes of an element: 0…3. Of an operation that widens or narrows: an element of its destination.
    public var width: UInt8
    /// log2 of the bytes of a register: 4…7.
    public var registerSize: UInt8
    /// The guest's vector type, eight bits that only the front end understands. In force besides: `count` as the length.
    public var type: UInt8
    public var traits: Traits
    public var count: UInt16
    /// Elements there may be under the type: the operands lie inside the registers for so many.
    public var greatest: UInt16
    /// Of an indexed load or store: log2 of the bytes of an index.
    public var indexWidth: UInt8 = 0

    public struct Traits: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Only elements whose bit in v0 is set are computed.
        public static let masked = Traits(rawValue: 1 << 0)
        /// Any legal type and length will do.
        public static let anyType = Traits(rawValue: 1 << 1)
        /// Of a load: it may leave a shorter length behind, where the interpreter executes it.
        public static let shortening = Traits(rawValue: 1 << 7)
    }

    /// Of a load or store: what lies one after the other in memory are segments of so many fields, each of which has registers of its own: 1…8,
    /// and log2 of the registers of each.
    public var fields: Int {
        get { Int(traits.rawValue >> 2 & 7) + 1 }
        set { traits = Traits(rawValue: traits.rawValue & ~(7 << 2) | UInt8(truncatingIfNeeded: newValue - 1) << 2) }
    }
    public var fieldSize: Int {
        get { Int(traits.rawValue >> 5 & 3) }
        set { traits = Traits(rawValue: traits.rawValue & ~(3 << 5) | UInt8(truncatingIfNeeded: newValue) << 5) }
    }

    /// Of everything that is no vector operation.
    public static let none = VectorShape(width: 0, registerSize: 0, type: 0, traits: [], count: 0)

    public init(width: UInt8, registerSize: UInt8, type: UInt8, traits: Traits = [], count: UInt16, greatest: UInt16? = nil) {
        self.width = width
        self.registerSize = registerSize
        self.type = type
        self.traits = traits
        self.count = count
        self.greatest = greatest ?? count
    }

    public var isMasked: Bool { traits.contains(.masked) }
    /// Bytes of the elements of one field.
    public var bytes: Int { Int(count) << Int(width) }

    /// What the guest's configuration must be, in the form the state has it (`StateLayout.vectorKey`); nil: any that is not 0.
    public var key: UInt32? { traits.contains(.anyType) ? nil : Self.key(type: type, length: UInt32(count)) }

    /// A configuration: type, length, and that vectors are enabled, dirty, and start at element 0. 0 stands for any other.
    public static func key(type: UInt8, length: UInt32) -> UInt32 { 1 << 31 | length << 8 | UInt32(type) }
}

extension Instruction {
    /// Bytes of its vector operands at the greatest length, from the first byte of their registers on.
    public var vectorBytes: (dst: Int, a: Int, b: Int, c: Int) {
        let (dst, a, b) = firstVectorBytes
        return (dst, a, op == .vstoreIndexed ? Int(vector.greatest) << Int(vector.indexWidth) : b, Int(vector.greatest) << Int(vector.width))
    }

    private var firstVectorBytes: (dst: Int, a: Int, b: Int) {
        let count = Int(vector.greatest), all = count << Int(vector.width), one = 1 << Int(vector.width), bits = (count + 7) / 8
        switch op {
        case .vloadMask, .vstoreMask: return (bits, 0, bits)
        case .vloadIndexed: return (all, 0, count << Int(vector.indexWidth))
        case .vload, .vstore:
            let bytes = ((vector.fields - 1) << (vector.fieldSize + Int(vector.registerSize))) + all
            return (bytes, 0, bytes)
        case .vmseq, .vmsne, .vmsltu, .vmslt, .vmsleu, .vmsle, .vmsgtu, .vmsgt, .vmfeq, .vmfne, .vmflt, .vmfle, .vmfgt, .vmfge, .vmadc, .vmsbc, .vmcarry:
            return (bits, all, all)
        case .vmand, .vmnand, .vmandn, .vmxor, .vmor, .vmnor, .vmorn, .vmxnor, .vcpop, .vfirst, .vmsbf, .vmsif, .vmsof: return (bits, bits, bits)
        case .vredsum, .vredand, .vredor, .vredxor, .vredminu, .vredmin, .vredmaxu, .vredmax, .vfredsum, .vfredmin, .vfredmax: return (one, all, one)
        case .vmoveToInteger, .vmoveToFloat, .vmoveFirst: return (one, one, one)
        case .vwaddu, .vwadd, .vwsubu, .vwsub, .vwmulu, .vwmul, .vwmulsu, .vwmaccu, .vwmacc, .vwmaccsu, .vwmaccus, .vwsll, .vfwiden, .vfwidenFromInteger, .vfwidenFromUnsigned,
            .vfwidenToInteger, .vfwidenToIntegerTruncated, .vfwadd, .vfwsub, .vfwmul, .vfwmacc, .vfwnmacc, .vfwmsac, .vfwnmsac:
            return (all, all / 2, all / 2)
        case .vwredsumu, .vwredsum, .vfwredsum: return (one, all / 2, one)
        case .viota: return (all, bits, 0)
        case .vcompress: return (all, all, bits)
        case .vgather16: return (all, all, 2 * count)
        case .vwadduW, .vwaddW, .vwsubuW, .vwsubW, .vfwaddW, .vfwsubW: return (all, all, all / 2)
        case .vnsrl, .vnsra, .vnclipu, .vnclip, .vfnarrow, .vfnarrowFromInteger, .vfnarrowToInteger, .vfnarrowToIntegerTruncated: return (all, 2 * all, all)
        case .vaesef, .vaesem, .vaesdf, .vaesdm, .vaesz, .vsm4r: return (all, b == .constant(1) ? min(all, 16) : all, 0)
        case .vzext, .vsext:
            if case .constant(let width) = b, 0...2 ~= width { return (all, count << Int(width), 0) }
            return (all, all, 0)
        default: return (all, all, all)
        }
    }
}
