import EmuBus

/// The data structures of the Identify command (NVM Express Base 1.4, 5.15).
struct NVMeIdentify {
    static let size = 4096
    private static let firmware = "1.0"
    /// Bytes of the serial number field.
    static let serialSize = 20
    /// What fills texts up.
    private static let space: UInt8 = 0x20

    let configuration: NVMeController.Configuration
    /// Logical blocks of the namespace.
    let blocks: UInt64
    let isReadOnly: Bool

    var controller: [UInt8] {
        var data = LittleEndianBytes(size: Self.size)
        data.set(0, PCIVendor.redHat)
        data.set(2, PCIVendor.redHatQumranet)
        data.set(4, configuration.serial, width: Self.serialSize, filler: Self.space)
        data.set(24, "emulate NVMe disk", width: 40, filler: Self.space)
        data.set(64, Self.firmware, width: 8, filler: Self.space)
        data.set(72, UInt8(6))  // recommended arbitration burst
        data.set(77, NVMeController.transferShift)
        data.set(80, NVMeController.version)
        data.set(111, UInt8(1))  // an I/O controller
        data.set(258, UInt8(3))  // four aborts at a time
        data.set(259, UInt8(NVMeController.eventRequestLimit - 1))
        data.set(260, UInt8(0b11))  // one firmware slot, read-only
        data.set(261, UInt8(0b100))  // log pages are read from any offset
        data.set(262, UInt8(NVMeStatistics.errorLogEntries - 1))
        data.set(266, UInt16(NVMeFeatures.defaultOverTemperature))
        data.set(268, UInt16(NVMeFeatures.defaultOverTemperature + 30))
        data.set(512, UInt8(0x66))  // submission entries: 2^6 bytes
        data.set(513, UInt8(0x44))  // completion entries: 2^4 bytes
        data.set(516, UInt32(1))  // namespaces
        data.set(520, UInt16(0b1_1100))  // dataset management, write zeroes, select in Get Features
        data.set(525, UInt8(0b111))  // a write cache; flush takes every namespace
        data.set(768, Array("nqn.2014-08.org.nvmexpress:uuid:\(Self.text(uuid))".utf8))
        data.set(2048, UInt16(2500))  // power state 0: 25 W
        return data.bytes
    }

    var namespace: [UInt8] {
        var data = LittleEndianBytes(size: Self.size)
        data.set(0, blocks)
        data.set(8, blocks)
        data.set(16, blocks)
        data.set(33, UInt8(1 << 3))  // write zeroes may deallocate
        data.set(99, UInt8(isReadOnly ? 1 : 0))
        data.set(130, UInt8(configuration.blockSize.trailingZeroBitCount))
        return data.bytes
    }

    func activeNamespaces(above namespace: UInt32) -> [UInt8] {
        var data = LittleEndianBytes(size: Self.size)
        if namespace < NVMeController.namespace { data.set(0, NVMeController.namespace) }
        return data.bytes
    }

    var namespaceDescriptors: [UInt8] {
        var data = LittleEndianBytes(size: Self.size)
        data.set(0, [3, 16, 0, 0] + uuid)
        return data.bytes
    }

    /// Firmware slot information (5.14.1.3).
    static var firmwareLog: [UInt8] {
        var data = LittleEndianBytes(size: 512)
        data.set(0, UInt8(1))
        data.set(8, firmware, width: 8, filler: Self.space)
        return data.bytes
    }

    /// Names the disk for ever, and is made of its serial number (RFC 9562, version 8).
    private var uuid: [UInt8] {
        var bytes: [UInt8] = []
        for start: UInt64 in [0xcbf2_9ce4_8422_2325, 0x8422_2325_cbf2_9ce4] {
            let hash = configuration.serial.utf8.reduce(start) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
            bytes += (0..<8).map { UInt8(truncatingIfNeeded: hash >> UInt64(56 - 8 * $0)) }
        }
        bytes[6] = bytes[6] & 0x0f | 0x80
        bytes[8] = bytes[8] & 0x3f | 0x80
        return bytes
    }

    private static func text(_ uuid: [UInt8]) -> String {
        let digits = uuid.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { digits[$0].joined() }.joined(separator: "-")
    }
}
