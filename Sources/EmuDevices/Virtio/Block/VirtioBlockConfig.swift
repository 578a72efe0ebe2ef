import EmuBus

/// Feature bits and configuration space of the block device (virtio 1.2, 5.2.3 and 5.2.4).
enum VirtioBlockConfig {
    enum Feature {
        static let sizeMax: UInt64 = 1 << 1
        static let segMax: UInt64 = 1 << 2
        static let geometry: UInt64 = 1 << 4
        static let readOnly: UInt64 = 1 << 5
        static let blockSize: UInt64 = 1 << 6
        static let flush: UInt64 = 1 << 9
        static let topology: UInt64 = 1 << 10
        static let configWCE: UInt64 = 1 << 11
        static let multiQueue: UInt64 = 1 << 12
        static let discard: UInt64 = 1 << 13
        static let writeZeroes: UInt64 = 1 << 14
    }

    static let queueSize: UInt16 = 256
    /// Largest data segment, bytes: `segMax` of them are less than `BlockOperation.greatestLength`.
    static let sizeMax: UInt32 = 4 << 20
    /// Data segments of one request: the queue without header and status.
    static let segMax = UInt32(queueSize) - 2
    static let maxDiscardSectors: UInt32 = (1 << 22) - 1
    /// Small enough that writing the zeroes, where the host cannot do better, does not stall the machine for long.
    static let maxWriteZeroesSectors: UInt32 = 1 << 17
    /// Offset of the one field a driver may write.
    static let writebackOffset = 32

    static func features(isReadOnly: Bool, queues: Int) -> UInt64 {
        var bits = Feature.sizeMax | Feature.segMax | Feature.geometry | Feature.blockSize | Feature.flush | Feature.topology
            | Feature.configWCE
        bits |= isReadOnly ? Feature.readOnly : Feature.discard | Feature.writeZeroes
        if queues > 1 { bits |= Feature.multiQueue }
        return bits
    }

    /// - Parameter sectors: capacity in units of 512 bytes.
    static func bytes(sectors: UInt64, writeback: Bool, queues: Int) -> [UInt8] {
        var space = ConfigWriter()
        space.put(sectors)
        space.put(sizeMax)
        space.put(segMax)
        // The geometry large disks have reported since disks have none.
        space.put(UInt16(min(sectors / (16 * 63), 16383)))
        space.put(UInt8(16))
        space.put(UInt8(63))
        space.put(UInt32(512))
        // Topology: physical blocks of one logical block, aligned, no preferred transfer sizes.
        space.put(UInt8(0))
        space.put(UInt8(0))
        space.put(UInt16(0))
        space.put(UInt32(0))
        space.put(UInt8(writeback ? 1 : 0))
        space.put(UInt8(0))
        space.put(UInt16(queues))
        space.put(maxDiscardSectors)
        space.put(UInt32(1))
        space.put(UInt32(1))
        space.put(maxWriteZeroesSectors)
        space.put(UInt32(1))
        space.put(UInt32(1))  // write_zeroes_may_unmap and three bytes of padding
        return space.bytes
    }
}
