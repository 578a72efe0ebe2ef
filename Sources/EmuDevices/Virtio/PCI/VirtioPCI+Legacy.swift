import EmuBus

/// The interface older than virtio 1.0: a register block in I/O space, the device's configuration behind it (virtio 1.2, 4.1.4.10).
extension VirtioPCI {
    enum LegacyRegister {
        static let deviceFeatures: UInt64 = 0
        static let driverFeatures: UInt64 = 4
        static let queuePFN: UInt64 = 8
        static let queueSize: UInt64 = 12
        static let queueSelect: UInt64 = 14
        static let queueNotify: UInt64 = 16
        static let status: UInt64 = 18
        static let isr: UInt64 = 19
        /// Only while MSI-X is enabled; otherwise the configuration begins here.
        static let configVector: UInt64 = 20
        static let queueVector: UInt64 = 22
        static let configWithVectors: UInt64 = 24
    }

    /// Alignment of used rings, and the unit of the queue address register.
    private static let pageSize: UInt64 = 4096

    private var legacyConfig: UInt64 {
        function.msix?.isEnabled ?? false ? LegacyRegister.configWithVectors : LegacyRegister.configVector
    }

    func readLegacy(_ offset: UInt64, size: Int) -> UInt64 {
        if offset >= legacyConfig { return core.readConfig(Int(offset - legacyConfig), size: size) }
        let queue = selectedQueue
        switch (offset, size) {
        case (LegacyRegister.deviceFeatures, 4): return UInt64(core.deviceFeatures(half: 0, legacy: true))
        case (LegacyRegister.driverFeatures, 4): return UInt64(core.driverFeatures(half: 0))
        case (LegacyRegister.queuePFN, 4): return UInt64(queue.map { registers.queuePFN[$0] } ?? 0)
        case (LegacyRegister.queueSize, 2): return UInt64(queue.map { core.queues[$0].maximumSize } ?? 0)
        case (LegacyRegister.queueSelect, 2): return UInt64(registers.queueSelect)
        case (LegacyRegister.status, 1): return UInt64(core.deviceStatus)
        case (LegacyRegister.isr, 1): return UInt64(takeISR())
        case (LegacyRegister.configVector, 2): return UInt64(registers.configVector)
        case (LegacyRegister.queueVector, 2): return UInt64(queue.map { registers.queueVectors[$0] } ?? Interrupt.noVector)
        default:
            Log.write(.guestErrors, "\(stateName): \(size)-byte read of legacy register \(hex(offset))")
            return 0
        }
    }

    func writeLegacy(_ offset: UInt64, _ value: UInt64, size: Int) {
        let word = UInt32(truncatingIfNeeded: value), half = UInt16(truncatingIfNeeded: value)
        if offset == LegacyRegister.status, size == 1 { return writeStatus(UInt8(truncatingIfNeeded: value), legacy: true) }
        guard begin(legacy: true) else { return }
        if offset >= legacyConfig { return core.writeConfig(Int(offset - legacyConfig), value, size: size) }
        switch (offset, size) {
        case (LegacyRegister.driverFeatures, 4): core.writeDriverFeatures(half: 0, word)
        case (LegacyRegister.queuePFN, 4):
            guard let index = selectedQueue else { return }
            registers.queuePFN[index] = word
            core.placeLegacyQueue(index, table: UInt64(word) * Self.pageSize, alignment: Self.pageSize)
        case (LegacyRegister.queueSelect, 2): registers.queueSelect = half
        case (LegacyRegister.queueNotify, 2), (LegacyRegister.queueNotify, 4): core.queueNotified(Int(half))
        case (LegacyRegister.configVector, 2): registers.configVector = acceptedVector(half)
        case (LegacyRegister.queueVector, 2): if let index = selectedQueue { registers.queueVectors[index] = acceptedVector(half) }
        default: Log.write(.guestErrors, "\(stateName): \(size)-byte write of legacy register \(hex(offset))")
        }
    }
}
