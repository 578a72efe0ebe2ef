import EmuBus

/// The interface of virtio 1.0 and later: four structures in memory (virtio 1.2, 4.1.4).
extension VirtioPCI {
    /// Fields of the common configuration structure.
    private enum Field {
        static let deviceFeaturesSelect: UInt64 = 0x00
        static let deviceFeatures: UInt64 = 0x04
        static let driverFeaturesSelect: UInt64 = 0x08
        static let driverFeatures: UInt64 = 0x0c
        static let configVector: UInt64 = 0x10
        static let queueCount: UInt64 = 0x12
        static let status: UInt64 = 0x14
        static let configGeneration: UInt64 = 0x15
        static let queueSelect: UInt64 = 0x16
        static let queueSize: UInt64 = 0x18
        static let queueVector: UInt64 = 0x1a
        static let queueEnable: UInt64 = 0x1c
        static let queueNotifyOffset: UInt64 = 0x1e
        static let queueDescriptor: UInt64 = 0x20
        static let queueDriver: UInt64 = 0x28
        static let queueDevice: UInt64 = 0x30
        static let queueNotifyData: UInt64 = 0x38
        static let queueReset: UInt64 = 0x3a
    }

    func readModern(_ offset: UInt64, size: Int) -> UInt64 {
        let inside = offset % Structure.pageSize
        switch offset - inside {
        case Structure.common:
            if size == 8 { return readCommon(inside, size: 4) | readCommon(inside + 4, size: 4) << 32 }
            return readCommon(inside, size: size)
        case Structure.isr: return inside == 0 ? UInt64(takeISR()) : 0
        case Structure.device: return core.readConfig(Int(inside), size: size)
        default: return 0
        }
    }

    func writeModern(_ offset: UInt64, _ value: UInt64, size: Int) {
        let inside = offset % Structure.pageSize
        switch offset - inside {
        case Structure.common where size == 8:
            writeCommon(inside, UInt32(truncatingIfNeeded: value), size: 4)
            writeCommon(inside + 4, UInt32(truncatingIfNeeded: value >> 32), size: 4)
        case Structure.common: writeCommon(inside, UInt32(truncatingIfNeeded: value), size: size)
        case Structure.device: if begin(legacy: false) { core.writeConfig(Int(inside), value, size: size) }
        case Structure.notify:
            guard inside % Structure.notifyMultiplier == 0 else {
                Log.write(.guestErrors, "\(stateName): notification at \(hex(offset)), which is no queue's")
                return
            }
            if !core.isLegacy { core.queueNotified(Int(inside / Structure.notifyMultiplier)) }
        default: Log.write(.guestErrors, "\(stateName): write at \(hex(offset)), which cannot be written")
        }
    }

    /// Fields are read and written whole; 64-bit ones in halves.
    private func readCommon(_ offset: UInt64, size: Int) -> UInt64 {
        let queue = selectedQueue
        func address(_ part: KeyPath<QueueState, UInt64>, _ shift: UInt64) -> UInt64 {
            queue.map { core.queues[$0].state[keyPath: part] >> shift & 0xffff_ffff } ?? 0
        }
        switch (offset, size) {
        case (Field.deviceFeaturesSelect, 4): return UInt64(registers.deviceFeaturesSelect)
        case (Field.deviceFeatures, 4): return UInt64(core.deviceFeatures(half: registers.deviceFeaturesSelect, legacy: false))
        case (Field.driverFeaturesSelect, 4): return UInt64(registers.driverFeaturesSelect)
        case (Field.driverFeatures, 4): return UInt64(core.driverFeatures(half: registers.driverFeaturesSelect))
        case (Field.configVector, 2): return UInt64(registers.configVector)
        case (Field.queueCount, 2): return UInt64(core.queues.count)
        case (Field.status, 1): return UInt64(core.deviceStatus)
        case (Field.configGeneration, 1): return UInt64(core.configGeneration & 0xff)
        case (Field.queueSelect, 2): return UInt64(registers.queueSelect)
        case (Field.queueSize, 2): return queue.map { UInt64(core.queues[$0].state.size) } ?? 0
        case (Field.queueVector, 2): return UInt64(queue.map { registers.queueVectors[$0] } ?? Interrupt.noVector)
        case (Field.queueEnable, 2): return queue.map { core.queues[$0].state.ready ? 1 : 0 } ?? 0
        case (Field.queueNotifyOffset, 2), (Field.queueNotifyData, 2): return UInt64(queue ?? 0)
        case (Field.queueDescriptor, 4): return address(\.descriptorArea, 0)
        case (Field.queueDescriptor + 4, 4): return address(\.descriptorArea, 32)
        case (Field.queueDriver, 4): return address(\.driverArea, 0)
        case (Field.queueDriver + 4, 4): return address(\.driverArea, 32)
        case (Field.queueDevice, 4): return address(\.deviceArea, 0)
        case (Field.queueDevice + 4, 4): return address(\.deviceArea, 32)
        // A queue reset is complete when the write returns.
        case (Field.queueReset, 2): return 0
        default:
            Log.write(.guestErrors, "\(stateName): \(size)-byte read at \(hex(offset)) of the common configuration")
            return 0
        }
    }

    private func writeCommon(_ offset: UInt64, _ value: UInt32, size: Int) {
        if offset == Field.status, size == 1 { return writeStatus(UInt8(truncatingIfNeeded: value), legacy: false) }
        guard begin(legacy: false) else { return }
        let half = UInt16(truncatingIfNeeded: value)
        let queue = Int(registers.queueSelect)
        switch (offset, size) {
        case (Field.deviceFeaturesSelect, 4): registers.deviceFeaturesSelect = value
        case (Field.driverFeaturesSelect, 4): registers.driverFeaturesSelect = value
        case (Field.driverFeatures, 4): core.writeDriverFeatures(half: registers.driverFeaturesSelect, value)
        case (Field.configVector, 2): registers.configVector = acceptedVector(half)
        case (Field.queueSelect, 2): registers.queueSelect = half
        case (Field.queueSize, 2): core.setQueue(queue, size: half)
        case (Field.queueVector, 2): if let index = selectedQueue { registers.queueVectors[index] = acceptedVector(half) }
        // Only a reset disables a queue.
        case (Field.queueEnable, 2): if half == 1, let index = selectedQueue { core.enableQueue(index) }
        case (Field.queueDescriptor, 4): core.setQueue(queue, \.descriptorArea, low: value)
        case (Field.queueDescriptor + 4, 4): core.setQueue(queue, \.descriptorArea, high: value)
        case (Field.queueDriver, 4): core.setQueue(queue, \.driverArea, low: value)
        case (Field.queueDriver + 4, 4): core.setQueue(queue, \.driverArea, high: value)
        case (Field.queueDevice, 4): core.setQueue(queue, \.deviceArea, low: value)
        case (Field.queueDevice + 4, 4): core.setQueue(queue, \.deviceArea, high: value)
        case (Field.queueReset, 2): if half == 1, let index = selectedQueue { core.resetQueue(index) }
        default: Log.write(.guestErrors, "\(stateName): \(size)-byte write at \(hex(offset)) of the common configuration")
        }
    }
}
