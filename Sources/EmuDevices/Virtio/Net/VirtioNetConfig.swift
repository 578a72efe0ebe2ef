import EmuBus

/// Feature bits, header and configuration space of the network device (virtio 1.2, 5.1.3, 5.1.4 and 5.1.6).
enum VirtioNetConfig {
    enum Feature {
        static let checksum: UInt64 = 1 << 0
        static let mtu: UInt64 = 1 << 3
        static let mac: UInt64 = 1 << 5
        static let mergeableBuffers: UInt64 = 1 << 15
        static let status: UInt64 = 1 << 16
        static let controlQueue: UInt64 = 1 << 17
        static let controlRx: UInt64 = 1 << 18
        static let controlVLAN: UInt64 = 1 << 19
        static let controlRxExtra: UInt64 = 1 << 20
        static let controlMAC: UInt64 = 1 << 23
        /// Those that make no sense without a control queue.
        static let needControlQueue = controlRx | controlVLAN | controlRxExtra | controlMAC
    }

    enum Queue {
        static let receive = 0
        static let transmit = 1
        static let control = 2
    }

    static let queueSizes: [UInt16] = [256, 256, 64]
    static let linkUp: UInt16 = 1

    static func features(hasMTU: Bool) -> UInt64 {
        Feature.checksum | Feature.mac | Feature.mergeableBuffers | Feature.status | Feature.controlQueue
            | Feature.needControlQueue | (hasMTU ? Feature.mtu : 0)
    }

    static func bytes(mac: MACAddress, isLinkUp: Bool, mtu: UInt16?) -> [UInt8] {
        var space = ConfigWriter()
        for byte in mac.bytes { space.put(byte) }
        space.put(isLinkUp ? linkUp : 0)
        space.put(UInt16(1))
        space.put(mtu ?? 0)
        return space.bytes
    }
}

/// The header before every frame.
struct VirtioNetHeader {
    static let needsChecksum: UInt8 = 1
    /// Bytes without and with `num_buffers`.
    static let shortSize = 10
    static let fullSize = 12

    let flags: UInt8
    let segmentation: UInt8
    let checksumStart: Int
    let checksumOffset: Int

    /// nil when the buffer is too short.
    init?(_ buffer: GuestBuffer) {
        guard let flags: UInt8 = buffer.load(at: 0), let segmentation: UInt8 = buffer.load(at: 1),
              let start: UInt16 = buffer.load(at: 6), let offset: UInt16 = buffer.load(at: 8) else { return nil }
        self.flags = flags
        self.segmentation = segmentation
        checksumStart = Int(start)
        checksumOffset = Int(offset)
    }

    /// A received frame's header: complete checksums, no segmentation.
    static func received(buffers: Int, size: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        if size == fullSize {
            bytes[10] = UInt8(truncatingIfNeeded: buffers)
            bytes[11] = UInt8(truncatingIfNeeded: buffers >> 8)
        }
        return bytes
    }

    /// Completes the Internet checksum a driver left to the device; false when it lies outside the frame.
    func completeChecksum(_ frame: UnsafeMutableRawBufferPointer) -> Bool {
        let field = checksumStart + checksumOffset
        guard checksumStart < frame.count, field + 2 <= frame.count else { return false }
        // The field already holds the sum of the pseudo header.
        var sum: UInt32 = 0
        var index = checksumStart
        while index + 1 < frame.count {
            sum += UInt32(frame[index]) << 8 | UInt32(frame[index + 1])
            index += 2
        }
        if index < frame.count { sum += UInt32(frame[index]) << 8 }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        // Zero means "none" in UDP; its complement means the same sum.
        let result = sum == 0xffff ? 0xffff : ~sum & 0xffff
        frame[field] = UInt8(truncatingIfNeeded: result >> 8)
        frame[field + 1] = UInt8(truncatingIfNeeded: result)
        return true
    }
}
