import EmuBus

/// The memory-mapped virtio transport, one slot of the board (virtio 1.2, 4.2; legacy layout 4.2.4).
///
/// A slot without a device answers with device id 0. All registers are little-endian; the guests of this machine are
/// little-endian, so the guest-endian fields of the legacy layout are too.
public final class VirtioMMIO: MMIODevice, Saveable, RequestServer {
    /// Bytes of the region that answer; the rest of a slot is unmapped.
    public static let decodedSize: UInt64 = 0x200
    /// Distance between slots and size in the device tree.
    public static let slotSize: UInt64 = 0x1000

    private enum Register {
        static let magic: UInt64 = 0x000
        static let version: UInt64 = 0x004
        static let deviceID: UInt64 = 0x008
        static let vendorID: UInt64 = 0x00c
        static let deviceFeatures: UInt64 = 0x010
        static let deviceFeaturesSelect: UInt64 = 0x014
        static let driverFeatures: UInt64 = 0x020
        static let driverFeaturesSelect: UInt64 = 0x024
        static let guestPageSize: UInt64 = 0x028
        static let queueSelect: UInt64 = 0x030
        static let queueSizeMax: UInt64 = 0x034
        static let queueSize: UInt64 = 0x038
        static let queueAlign: UInt64 = 0x03c
        static let queuePFN: UInt64 = 0x040
        static let queueReady: UInt64 = 0x044
        static let queueNotify: UInt64 = 0x050
        static let interruptStatus: UInt64 = 0x060
        static let interruptACK: UInt64 = 0x064
        static let status: UInt64 = 0x070
        static let queueDescriptorLow: UInt64 = 0x080
        static let queueDescriptorHigh: UInt64 = 0x084
        static let queueDriverLow: UInt64 = 0x090
        static let queueDriverHigh: UInt64 = 0x094
        static let queueDeviceLow: UInt64 = 0x0a0
        static let queueDeviceHigh: UInt64 = 0x0a4
        static let sharedMemorySelect: UInt64 = 0x0ac
        static let sharedMemoryFirst: UInt64 = 0x0b0
        static let sharedMemoryLast: UInt64 = 0x0bc
        static let queueReset: UInt64 = 0x0c0
        static let configGeneration: UInt64 = 0x0fc
        static let config: UInt64 = 0x100
    }

    private enum Interrupt {
        static let usedBuffers: UInt32 = 1
        static let configuration: UInt32 = 2
    }

    /// The registers that belong to the transport alone.
    struct Registers: Codable, Equatable {
        var deviceFeaturesSelect: UInt32 = 0
        var driverFeaturesSelect: UInt32 = 0
        var queueSelect: UInt32 = 0
        var interruptStatus: UInt32 = 0
        /// Legacy, bytes; 0 until the driver has written it.
        var guestPageSize: UInt32 = 0
        /// Legacy, per queue.
        var queueAlign: [UInt32]
        var queuePFN: [UInt32]

        init(queues: Int) {
            queueAlign = Array(repeating: 4096, count: queues)
            queuePFN = Array(repeating: 0, count: queues)
        }
    }

    public struct State: Codable {
        var registers: Registers
        var core: VirtioCore.Saved?
    }

    public let name: String
    public let hasHostWork = true
    public var stateName: String { name }
    public let device: (any VirtioDevice)?
    /// True for the version 1 register layout.
    public let isLegacy: Bool
    private let line: InterruptLine
    private var registers: Registers
    private var core: VirtioCore?

    /// - Parameters:
    ///   - name: unique on the board ("virtio-mmio0").
    ///   - device: nil leaves the slot empty.
    ///   - memory: where queues and buffers live.
    ///   - isLegacy: version 1 registers, QEMU's `-global virtio-mmio.force-legacy=true`, its default. Device types without a legacy
    ///     interface never have them.
    public init(name: String, device: (any VirtioDevice)?, memory: AddressSpace, events: EventQueue, line: InterruptLine,
                isLegacy: Bool = true, options: VirtioOptions = VirtioOptions()) {
        self.name = name
        self.device = device
        self.isLegacy = isLegacy && device?.hasLegacyInterface ?? true
        self.line = line
        registers = Registers(queues: device?.queueSizes.count ?? 0)
        if let device {
            core = VirtioCore(device: device, memory: DMASpace(memory), events: events, isLegacy: self.isLegacy, options: options) { [unowned self] in
                raise($0)
            }
        }
    }

    /// The slot's node in the device tree.
    /// - Parameter interrupts: cells as the interrupt controller `interruptParent` (a phandle) wants them.
    public static func fdtNode(base: UInt64, interrupts: [UInt32], interruptParent: UInt32) -> FDTNode {
        var node = FDTNode("virtio_mmio@" + String(base, radix: 16))
        node.set("interrupts", cells: interrupts)
        node.set("interrupt-parent", cells: [interruptParent])
        node.set("reg", pairs: [base, slotSize])
        node.set("compatible", "virtio,mmio")
        return node
    }

    public func reset() {
        core?.reset()
        registers = Registers(queues: registers.queuePFN.count)
        updateLine()
    }

    public var state: State {
        get { State(registers: registers, core: core?.saved) }
        set {
            registers = newValue.registers
            if let saved = newValue.core { core?.saved = saved }
            updateLine()
        }
    }

    private func raise(_ notification: VirtioCore.Notification) {
        switch notification {
        case .usedBuffers: registers.interruptStatus |= Interrupt.usedBuffers
        case .configuration: registers.interruptStatus |= Interrupt.configuration
        }
        updateLine()
    }

    private func updateLine() { line.set(registers.interruptStatus != 0) }

    private var selectedQueue: Int? {
        let index = Int(registers.queueSelect)
        return core?.queues.indices.contains(index) ?? false ? index : nil
    }

    /// Requests the device has given back to the driver since the machine was created.
    public var requestsServed: UInt64 { core?.requestsServed ?? 0 }

    // MARK: Reading

    public func peek(_ offset: UInt64, size: Int) -> UInt64? { read(offset, size: size) }

    public func read(_ offset: UInt64, size: Int) -> UInt64 {
        if offset >= Register.config { return core?.readConfig(Int(offset - Register.config), size: size) ?? 0 }
        guard size == 4 else {
            Log.write(.guestErrors, "\(name): \(size)-byte read of register \(hex(offset))")
            return 0
        }
        return UInt64(readRegister(offset))
    }

    private func readRegister(_ offset: UInt64) -> UInt32 {
        switch offset {
        case Register.magic: return 0x7472_6976
        case Register.version: return isLegacy ? 1 : 2
        case Register.deviceID: return device?.deviceID ?? 0
        case Register.vendorID: return 0x554d_4551
        default: break
        }
        guard let core else { return 0 }
        switch offset {
        case Register.deviceFeatures: return core.deviceFeatures(half: registers.deviceFeaturesSelect, legacy: isLegacy)
        case Register.queueSizeMax: return selectedQueue.map { UInt32(core.queues[$0].maximumSize) } ?? 0
        case Register.interruptStatus: return registers.interruptStatus
        case Register.status: return UInt32(core.deviceStatus)
        case Register.queuePFN where isLegacy: return selectedQueue.map { registers.queuePFN[$0] } ?? 0
        case Register.queueReady where !isLegacy: return selectedQueue.map { core.queues[$0].state.ready ? 1 : 0 } ?? 0
        case Register.sharedMemoryFirst...Register.sharedMemoryLast where !isLegacy: return .max
        // A queue reset is complete when the write returns.
        case Register.queueReset where !isLegacy: return 0
        case Register.configGeneration where !isLegacy: return core.configGeneration
        default:
            Log.write(.guestErrors, "\(name): read of register \(hex(offset)), which cannot be read")
            return 0
        }
    }

    // MARK: Writing

    public func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        guard let core else { return }
        if offset >= Register.config {
            core.writeConfig(Int(offset - Register.config), value, size: size)
            return
        }
        guard size == 4 else {
            Log.write(.guestErrors, "\(name): \(size)-byte write of register \(hex(offset))")
            return
        }
        writeRegister(offset, UInt32(truncatingIfNeeded: value), core)
    }

    private func writeRegister(_ offset: UInt64, _ value: UInt32, _ core: VirtioCore) {
        switch offset {
        case Register.deviceFeaturesSelect: registers.deviceFeaturesSelect = value
        case Register.driverFeatures: core.writeDriverFeatures(half: registers.driverFeaturesSelect, value)
        case Register.driverFeaturesSelect: registers.driverFeaturesSelect = value
        case Register.queueSelect: registers.queueSelect = value
        case Register.queueNotify: core.queueNotified(Int(value))
        case Register.interruptACK:
            registers.interruptStatus &= ~value
            updateLine()
        case Register.status: writeStatus(value, core)
        // Sizes that do not fit are as wrong as zero, and refused with it when the queue is enabled.
        case Register.queueSize: core.setQueue(Int(registers.queueSelect), size: UInt16(exactly: value) ?? 0)
        default:
            if isLegacy { writeLegacy(offset, value, core) } else { writeModern(offset, value, core) }
        }
    }

    private func writeStatus(_ value: UInt32, _ core: VirtioCore) {
        if value & 0xff == 0 {
            // Linux writes the page size of a legacy transport before it resets the device, and never again.
            let guestPageSize = registers.guestPageSize
            reset()
            registers.guestPageSize = guestPageSize
        } else {
            core.writeStatus(UInt8(truncatingIfNeeded: value))
        }
    }

    private func writeLegacy(_ offset: UInt64, _ value: UInt32, _ core: VirtioCore) {
        switch offset {
        case Register.guestPageSize:
            guard value.nonzeroBitCount == 1 else {
                Log.write(.guestErrors, "\(name): guest page size \(value) is not a power of two")
                return
            }
            registers.guestPageSize = value
        case Register.queueAlign:
            guard let index = core.configurableQueue(Int(registers.queueSelect)) else { return }
            guard value.nonzeroBitCount == 1 else {
                Log.write(.guestErrors, "\(name): queue alignment \(value) is not a power of two")
                return
            }
            registers.queueAlign[index] = value
        case Register.queuePFN:
            guard let index = selectedQueue else { return }
            registers.queuePFN[index] = value
            core.placeLegacyQueue(
                index, table: UInt64(value) &* UInt64(registers.guestPageSize), alignment: UInt64(registers.queueAlign[index]))
        default:
            refuseWrite(offset)
        }
    }

    private func writeModern(_ offset: UInt64, _ value: UInt32, _ core: VirtioCore) {
        switch offset {
        case Register.queueReady:
            guard let index = selectedQueue else { return }
            if value & 1 == 0 { core.disableQueue(index) } else { core.enableQueue(index) }
        case Register.queueReset:
            if value & 1 != 0, let index = selectedQueue { core.resetQueue(index) }
        case Register.queueDescriptorLow: core.setQueue(Int(registers.queueSelect), \.descriptorArea, low: value)
        case Register.queueDescriptorHigh: core.setQueue(Int(registers.queueSelect), \.descriptorArea, high: value)
        case Register.queueDriverLow: core.setQueue(Int(registers.queueSelect), \.driverArea, low: value)
        case Register.queueDriverHigh: core.setQueue(Int(registers.queueSelect), \.driverArea, high: value)
        case Register.queueDeviceLow: core.setQueue(Int(registers.queueSelect), \.deviceArea, low: value)
        case Register.queueDeviceHigh: core.setQueue(Int(registers.queueSelect), \.deviceArea, high: value)
        // No device has shared memory: whatever is selected does not exist.
        case Register.sharedMemorySelect: break
        default: refuseWrite(offset)
        }
    }

    private func refuseWrite(_ offset: UInt64) {
        Log.write(.guestErrors, "\(name): write of register \(hex(offset)), which cannot be written")
    }
}
