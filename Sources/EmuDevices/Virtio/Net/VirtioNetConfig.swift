import EmuBus

/// Feature bits, header and configuration space of the network device (virtio 1.2, 5.1.3, 5.1.4 and 5.1.6).
public enum VirtioNetConfig {
    enum Feature {
        static let checksum: UInt64 = 1 << 0
        static let guestChecksum: UInt64 = 1 << 1
        static let controlGuestOffloads: UInt64 = 1 << 2
        static let mtu: UInt64 = 1 << 3
        static let mac: UInt64 = 1 << 5
        static let hostTSO4: UInt64 = 1 << 11
        static let hostTSO6: UInt64 = 1 << 12
        static let hostECN: UInt64 = 1 << 13
        static let mergeableBuffers: UInt64 = 1 << 15
        static let status: UInt64 = 1 << 16
        static let controlQueue: UInt64 = 1 << 17
        static let controlRx: UInt64 = 1 << 18
        static let controlVLAN: UInt64 = 1 << 19
        static let controlRxExtra: UInt64 = 1 << 20
        static let multiqueue: UInt64 = 1 << 22
        static let controlMAC: UInt64 = 1 << 23
        static let hostUSO: UInt64 = 1 << 56

        /// Bits, and one of those they make no sense without (5.1.3.1).
        static let requirements: [(bits: UInt64, need: UInt64)] = [
            (controlRx | controlVLAN | controlRxExtra | controlMAC | multiqueue, controlQueue),
            (hostTSO4 | hostTSO6 | hostUSO, checksum), (hostECN, hostTSO4 | hostTSO6), (controlGuestOffloads, controlQueue),
        ]
    }

    /// What a card does for its driver unless told not to, by QEMU's names of the device properties.
    public static let switches: [(property: String, feature: UInt64, help: String)] = [
        ("csum", Feature.checksum, "the card completes checksums of what is sent (default: on)"),
        ("guest_csum", Feature.guestChecksum, "the card vouches for checksums of what arrives, where the network does (default: on)"),
        ("host_tso4", Feature.hostTSO4, "the card cuts TCP segments for IPv4 (default: on)"),
        ("host_tso6", Feature.hostTSO6, "the card cuts TCP segments for IPv6 (default: on)"),
        ("host_ecn", Feature.hostECN, "also those with congestion notification (default: on)"),
        ("host_uso", Feature.hostUSO, "the card cuts UDP datagrams (default: on)"),
        ("mrg_rxbuf", Feature.mergeableBuffers, "a frame may fill several buffers (default: on)"),
    ]

    static let queueSize: UInt16 = 256
    static let controlQueueSize: UInt16 = 64
    static let linkUp: UInt16 = 1
    /// Most pairs of queues a card may have.
    public static let maximumPairs = 64

    /// - Parameter withheld: bits that are not offered; what needs one of them is not offered either.
    static func features(hasMTU: Bool, isMultiqueue: Bool, withheld: UInt64) -> UInt64 {
        var features = Feature.checksum | Feature.guestChecksum | Feature.controlGuestOffloads | Feature.mac | Feature.hostTSO4 | Feature.hostTSO6
            | Feature.hostECN | Feature.hostUSO | Feature.mergeableBuffers | Feature.status | Feature.controlQueue | Feature.controlRx
            | Feature.controlVLAN | Feature.controlRxExtra | Feature.controlMAC
        if hasMTU { features |= Feature.mtu }
        if isMultiqueue { features |= Feature.multiqueue }
        features &= ~withheld
        for (bits, need) in Feature.requirements where features & need == 0 { features &= ~bits }
        return features
    }

    /// Whether a driver may accept just these bits.
    static func isConsistent(_ features: UInt64) -> Bool {
        Feature.requirements.allSatisfy { features & $0.bits == 0 || features & $0.need != 0 }
    }

    static func bytes(mac: MACAddress, isLinkUp: Bool, pairs: Int, mtu: UInt16?) -> [UInt8] {
        var space = ConfigWriter()
        for byte in mac.bytes { space.put(byte) }
        space.put(isLinkUp ? linkUp : 0)
        space.put(UInt16(pairs))
        space.put(mtu ?? 0)
        return space.bytes
    }
}

/// The header before every frame.
struct VirtioNetHeader {
    private static let needsChecksum: UInt8 = 1
    private static let dataValid: UInt8 = 2
    /// Bytes without and with `num_buffers`.
    static let shortSize = 10
    static let fullSize = 12

    /// Who is to cut a packet into what a wire takes.
    enum Segmentation: UInt8 {
        case none = 0, tcp4 = 1, tcp6 = 4, udp = 5

        /// The feature that lets a driver ask for it.
        var feature: UInt64 {
            switch self {
            case .none: 0
            case .tcp4: VirtioNetConfig.Feature.hostTSO4
            case .tcp6: VirtioNetConfig.Feature.hostTSO6
            case .udp: VirtioNetConfig.Feature.hostUSO
            }
        }
    }

    /// Beside the kind of segmentation: the packet has congestion notification.
    private static let congestionBit: UInt8 = 0x80

    let leavesChecksum: Bool
    /// nil for a kind that does not exist or is not offered.
    let segmentation: Segmentation?
    let segmentSize: Int
    let checksumStart: Int
    let checksumOffset: Int

    /// nil when the buffer is too short.
    init?(_ buffer: GuestBuffer, features: UInt64) {
        guard let flags: UInt8 = buffer.load(at: 0), let kind: UInt8 = buffer.load(at: 1), let size: UInt16 = buffer.load(at: 4),
              let start: UInt16 = buffer.load(at: 6), let offset: UInt16 = buffer.load(at: 8) else { return nil }
        leavesChecksum = flags & Self.needsChecksum != 0
        let ignored = features & VirtioNetConfig.Feature.hostECN != 0 ? Self.congestionBit : 0
        segmentation = Segmentation(rawValue: kind & ~ignored).flatMap { $0.feature & ~features == 0 ? $0 : nil }
        segmentSize = Int(size)
        checksumStart = Int(start)
        checksumOffset = Int(offset)
    }

    /// A received frame's header: checksums in place, no segmentation.
    /// - Parameter isVouchedFor: they need no checking.
    static func received(buffers: Int, size: Int, isVouchedFor: Bool) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        if isVouchedFor { bytes[0] = dataValid }
        if size == fullSize {
            bytes[10] = UInt8(truncatingIfNeeded: buffers)
            bytes[11] = UInt8(truncatingIfNeeded: buffers >> 8)
        }
        return bytes
    }
}
