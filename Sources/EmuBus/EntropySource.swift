import CHost

/// Where random bytes come from.
public enum EntropySource: Codable, Equatable, Sendable {
    /// The host's random number generator.
    case host
    /// A reproducible sequence (SplitMix64) for runs that must repeat. Holds the generator's present state.
    case seeded(UInt64)

    /// Fills `buffer`; returns how many bytes could be had.
    public mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        switch self {
        case .host:
            return host_getrandom(buffer.baseAddress, buffer.count) == 0 ? buffer.count : 0
        case .seeded(var generator):
            var offset = 0
            while offset < buffer.count {
                generator &+= 0x9e37_79b9_7f4a_7c15
                var word = generator
                word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
                word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
                word = (word ^ (word >> 31)).littleEndian
                withUnsafeBytes(of: word) { bytes in
                    for byte in bytes.prefix(buffer.count - offset) {
                        buffer[offset] = byte
                        offset += 1
                    }
                }
            }
            self = .seeded(generator)
            return buffer.count
        }
    }
}
