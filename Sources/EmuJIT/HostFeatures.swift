import CHost

/// Instruction-set extensions of the host processor that the translator may use. Empty on a host that is not x86-64.
public struct HostFeatures: OptionSet, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let bmi1 = HostFeatures(rawValue: 1 << 0)
    public static let bmi2 = HostFeatures(rawValue: 1 << 1)
    public static let lzcnt = HostFeatures(rawValue: 1 << 2)
    public static let popcnt = HostFeatures(rawValue: 1 << 3)
    public static let sse41 = HostFeatures(rawValue: 1 << 4)
    public static let avx = HostFeatures(rawValue: 1 << 5)
    public static let avx2 = HostFeatures(rawValue: 1 << 6)
    public static let fma = HostFeatures(rawValue: 1 << 7)
    public static let pclmulqdq = HostFeatures(rawValue: 1 << 8)
    public static let aes = HostFeatures(rawValue: 1 << 9)
    public static let sha = HostFeatures(rawValue: 1 << 10)
    public static let gfni = HostFeatures(rawValue: 1 << 11)
    /// AVX512 F, BW, DQ and VL, all of them.
    public static let avx512 = HostFeatures(rawValue: 1 << 12)
    /// AES and carry-less products of 256 bits.
    public static let vaes = HostFeatures(rawValue: 1 << 13)
    public static let vpclmulqdq = HostFeatures(rawValue: 1 << 14)

    /// What this host has and its operating system saves the state of.
    public static let current = detect()

    /// Misaligned loads and stores inside 16 aligned bytes are indivisible on this host: Intel's processors promise it for a whole cache line
    /// ("Guaranteed Atomic Operations"), others for 8 aligned bytes only.
    public static let hasMisalignedAtomicity: Bool = {
        let vendor = cpuid(0)
        // "GenuineIntel"
        return (vendor.ebx, vendor.edx, vendor.ecx) == (0x756e_6547, 0x4965_6e69, 0x6c65_746e)
    }()

    /// In the order of the bits, as /proc/cpuinfo spells them where it has one name.
    private static let names = [
        "bmi1", "bmi2", "lzcnt", "popcnt", "sse4_1", "avx", "avx2", "fma", "pclmulqdq", "aes", "sha", "gfni", "avx512", "vaes", "vpclmulqdq",
    ]

    /// For `--stats` and messages.
    public var list: [String] {
        Self.names.indices.filter { rawValue >> UInt32($0) & 1 != 0 }.map { Self.names[$0] }
    }

    private static func detect() -> HostFeatures {
        let basic = cpuid(1)
        let extended = cpuid(7)
        let amd = cpuid(0x8000_0001)
        let state = host_enabled_state()
        var features: HostFeatures = []
        func add(_ feature: HostFeatures, _ register: UInt32, _ bits: UInt32...) {
            if bits.allSatisfy({ register >> $0 & 1 != 0 }) { features.insert(feature) }
        }
        add(.bmi1, extended.ebx, 3)
        add(.bmi2, extended.ebx, 8)
        add(.lzcnt, amd.ecx, 5)
        add(.popcnt, basic.ecx, 23)
        add(.sse41, basic.ecx, 19)
        add(.pclmulqdq, basic.ecx, 1)
        add(.aes, basic.ecx, 25)
        add(.sha, extended.ebx, 29)
        add(.gfni, extended.ecx, 8)
        // XCR0: 1 SSE, 2 upper halves of ymm; 5 mask registers, 6 and 7 the rest of zmm.
        if state & 0x6 == 0x6 {
            add(.avx, basic.ecx, 28)
            add(.avx2, extended.ebx, 5)
            add(.fma, basic.ecx, 12)
            add(.vaes, extended.ecx, 9)
            add(.vpclmulqdq, extended.ecx, 10)
        }
        if state & 0xe6 == 0xe6 {
            add(.avx512, extended.ebx, 16, 17, 30, 31)
        }
        return features
    }

    private static func cpuid(_ leaf: UInt32) -> (eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32) {
        var registers = [UInt32](repeating: 0, count: 4)
        host_cpuid(leaf, 0, &registers)
        return (registers[0], registers[1], registers[2], registers[3])
    }
}
