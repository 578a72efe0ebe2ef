/// What an L2 entry says about one guest cluster, whichever of the two forms of entry it has.
///
/// A cluster has one subcluster without extended L2 entries, 32 with them; `allocated` and `zero` have a bit for each.
struct Qcow2Entry: Equatable {
    enum Mapping: Equatable {
        /// No host cluster.
        case none
        case host(UInt64)
        /// Offset of the first byte, and how many bytes from there to the end of its last sector.
        case compressed(offset: UInt64, length: UInt64)
    }

    static let copied: UInt64 = 1 << 63
    static let compressedFlag: UInt64 = 1 << 62
    static let zeroFlag: UInt64 = 1
    static let offsetMask: UInt64 = 0x00ff_ffff_ffff_fe00

    var mapping = Mapping.none
    /// The host cluster is nobody else's.
    var isCopied = false
    /// Subclusters whose contents lie in the host cluster.
    var allocated: UInt32 = 0
    /// Subclusters that read as zeroes.
    var zero: UInt32 = 0

    init() {}

    init(mapping: Mapping, isCopied: Bool, allocated: UInt32, zero: UInt32) {
        self.mapping = mapping
        self.isCopied = isCopied
        self.allocated = allocated
        self.zero = zero
    }

    /// - Parameter bitmap: the second half of an extended entry.
    /// - Returns: nil for what no entry can be (a host cluster that is not aligned, a subcluster that is two things at once).
    init?(_ word: UInt64, bitmap: UInt64, _ header: Qcow2Header) {
        if word & Self.compressedFlag != 0 {
            // 2^x bytes are addressed; the rest counts sectors.
            let x = UInt64(62 - (header.clusterBits - 8))
            let offset = word & ((1 << x) - 1)
            guard offset < 1 << 56 else { return nil }
            let sectors = (word & (Self.compressedFlag - 1)) >> x
            mapping = .compressed(offset: offset, length: (sectors + 1) * 512 - offset % 512)
            return
        }
        let offset = word & Self.offsetMask
        guard offset % header.clusterSize == 0 else { return nil }
        if offset != 0 {
            mapping = .host(offset)
            isCopied = word & Self.copied != 0
        }
        if header.hasExtendedL2 {
            allocated = UInt32(truncatingIfNeeded: bitmap)
            zero = UInt32(truncatingIfNeeded: bitmap >> 32)
            guard allocated & zero == 0, allocated == 0 || offset != 0 else { return nil }
        } else if header.version >= 3, word & Self.zeroFlag != 0 {
            zero = 1
        } else if offset != 0 {
            allocated = 1
        }
    }

    /// The two words of the entry as it is written.
    func words(_ header: Qcow2Header) -> (word: UInt64, bitmap: UInt64) {
        switch mapping {
        case .compressed(let offset, let length):
            let x = UInt64(62 - (header.clusterBits - 8))
            let sectors = (offset % 512 + length + 511) / 512 - 1
            return (Self.compressedFlag | sectors << x | offset, 0)
        case .none, .host:
            var word: UInt64 = 0
            if case .host(let offset) = mapping { word = offset | (isCopied ? Self.copied : 0) }
            if header.hasExtendedL2 { return (word, UInt64(zero) << 32 | UInt64(allocated)) }
            return (word | (zero != 0 ? Self.zeroFlag : 0), 0)
        }
    }
}
