/// Encodings of the few instructions that the benchmarks run.
enum GuestCode {
    static func lui(_ rd: UInt32, _ upper: UInt32) -> UInt32 { upper << 12 | rd << 7 | 0x37 }
    static func addi(_ rd: UInt32, _ rs1: UInt32, _ value: Int32) -> UInt32 { UInt32(bitPattern: value) << 20 | rs1 << 15 | rd << 7 | 0x13 }
    static func add(_ rd: UInt32, _ rs1: UInt32, _ rs2: UInt32) -> UInt32 { rs2 << 20 | rs1 << 15 | rd << 7 | 0x33 }
    static func slli(_ rd: UInt32, _ rs1: UInt32, _ amount: UInt32) -> UInt32 { amount << 20 | rs1 << 15 | 1 << 12 | rd << 7 | 0x13 }
    static func ld(_ rd: UInt32, _ rs1: UInt32) -> UInt32 { rs1 << 15 | 3 << 12 | rd << 7 | 0x03 }
    static func csrw(_ csr: UInt32, _ rs1: UInt32) -> UInt32 { csr << 20 | rs1 << 15 | 1 << 12 | 0x73 }
    static func csrs(_ csr: UInt32, _ rs1: UInt32) -> UInt32 { csr << 20 | rs1 << 15 | 2 << 12 | 0x73 }
    static let sfence: UInt32 = 0x1200_0073
    /// A jump of `offset` bytes backwards.
    static func jumpBack(_ offset: Int) -> UInt32 {
        let bits = UInt32(bitPattern: Int32(-offset))
        return (bits >> 20 & 1) << 31 | (bits >> 1 & 0x3ff) << 21 | (bits >> 11 & 1) << 20 | (bits >> 12 & 0xff) << 12 | 0x6f
    }

    /// Register arithmetic without jumps, the same for the same seed.
    static func straightLine(_ count: Int, seed: UInt32) -> [UInt32] {
        var state = seed | 1
        return (0..<count).map { _ in
            state ^= state << 13
            state ^= state >> 17
            state ^= state << 5
            let to = 10 + state & 7, from = 10 + (state >> 3) & 7
            return state & 0x40 == 0 ? add(to, from, 10 + (state >> 8) & 7) : addi(to, from, Int32(state >> 20 & 0x7ff))
        }
    }
}
