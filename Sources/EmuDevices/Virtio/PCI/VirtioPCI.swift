import EmuBus
import Foundation

/// The PCI virtio transport (virtio 1.2, 4.1): one function with one virtio device.
///
/// A transitional function has the legacy interface too, in I/O space. The interface a driver begins with after a reset is the one
/// that counts until the next; `VirtioPCI+Modern.swift` and `VirtioPCI+Legacy.swift` are the registers of the two.
public final class VirtioPCI: PCIDevice, RequestServer {
    /// What distinguishes one function from another.
    public struct Configuration {
        /// The legacy interface exists.
        public var isTransitional = true
        /// The function is behind a port, not part of the root complex.
        public var isExpress = false
        /// MSI-X vectors; 0 for no MSI-X, nil for one for each queue and one for the configuration.
        public var vectors: Int?

        /// As the properties say.
        public init(isTransitional: Bool = true, isExpress: Bool = false, vectors: Int? = nil) {
            self.isTransitional = isTransitional
            self.isExpress = isExpress
            self.vectors = vectors
        }
    }

    /// Base address registers.
    enum BAR {
        static let legacy = 0, messages = 1, modern = 4
    }

    /// Structures inside the modern base address register; each takes a page, as guests that protect pages like it.
    enum Structure {
        static let common: UInt64 = 0x0000
        static let isr: UInt64 = 0x1000
        static let device: UInt64 = 0x2000
        static let notify: UInt64 = 0x3000
        static let pageSize: UInt64 = 0x1000
        static let totalSize: UInt64 = 0x4000
        /// Distance between the notification addresses of two queues, bytes.
        static let notifyMultiplier: UInt64 = 4
    }

    enum Interrupt {
        static let usedBuffers: UInt8 = 1
        static let configuration: UInt8 = 2
        /// VIRTIO_MSI_NO_VECTOR.
        static let noVector: UInt16 = 0xffff
    }

    /// The registers that belong to the transport alone.
    struct Registers: Codable, Equatable {
        var deviceFeaturesSelect: UInt32 = 0
        var driverFeaturesSelect: UInt32 = 0
        var queueSelect: UInt16 = 0
        var isr: UInt8 = 0
        var configVector = Interrupt.noVector
        /// By queue.
        var queueVectors: [UInt16]
        /// Legacy, by queue: number of the 4 KiB page the queue begins with.
        var queuePFN: [UInt32]

        init(queues: Int) {
            queueVectors = Array(repeating: Interrupt.noVector, count: queues)
            queuePFN = Array(repeating: 0, count: queues)
        }
    }

    /// Guest-visible state, the device's included.
    public struct State: Codable {
        var function: PCIFunction.State
        var registers: Registers
        var isLegacy: Bool
        var core: VirtioCore.Saved
    }

    public let function: PCIFunction
    /// The device's, followed by "-pci".
    public let stateName: String
    public let device: any VirtioDevice
    /// The legacy interface exists, too.
    public let isTransitional: Bool
    var registers: Registers
    private(set) var core: VirtioCore!
    /// Offset of the capability through which configuration accesses reach the structures.
    private var accessCapability = 0

    /// - Parameters:
    ///   - memory: where queues and buffers live.
    ///   - options: what the device offers beyond its own features.
    public init(
        _ device: any VirtioDevice, memory: AddressSpace, events: EventQueue, configuration: Configuration = Configuration(),
        options: VirtioOptions = VirtioOptions()
    ) {
        self.device = device
        isTransitional = configuration.isTransitional && device.hasLegacyInterface
        stateName = device.stateName + "-pci"
        registers = Registers(queues: device.queueSizes.count)
        function = PCIFunction(
            name: stateName, Self.identity(device.deviceID, isTransitional: isTransitional), isExpress: configuration.isExpress,
            hasInterruptPin: true)
        let dma = DMASpace(memory)
        function.dma = dma
        core = VirtioCore(device: device, memory: dma, events: events, isLegacy: false, options: options) { [unowned self] in raise($0) }
        core.setReachesMemory(false)
        function.device = self
        layOut(configuration)
    }

    /// Ids and class (4.1.2).
    private static func identity(_ id: UInt32, isTransitional: Bool) -> PCIIdentity {
        let transitional: [UInt32: UInt16] = [
            VirtioDeviceID.network: 0x1000, VirtioDeviceID.block: 0x1001, VirtioDeviceID.console: 0x1003, VirtioDeviceID.entropy: 0x1005,
            VirtioDeviceID.balloon: 0x1002, VirtioDeviceID.scsi: 0x1004, VirtioDeviceID.nineP: 0x1009,
        ]
        let classes: [UInt32: UInt32] = [
            VirtioDeviceID.network: 0x02_0000, VirtioDeviceID.block: 0x01_0000, VirtioDeviceID.scsi: 0x01_0000, VirtioDeviceID.console: 0x07_8000,
            VirtioDeviceID.gpu: 0x03_8000, VirtioDeviceID.input: 0x09_8000, VirtioDeviceID.vsock: 0x07_8000,
        ]
        let number = UInt16(truncatingIfNeeded: id)
        var identity = PCIIdentity(
            vendor: PCIVendor.redHatQumranet, device: isTransitional ? transitional[id] ?? 0x1000 &+ number : 0x1040 &+ number,
            classCode: classes[id] ?? 0x00_ff00)
        identity.revision = isTransitional ? 0 : 1
        if isTransitional { identity.subsystem = number }
        return identity
    }

    private func layOut(_ configuration: Configuration) {
        let vectors = min(configuration.vectors ?? device.queueSizes.count + 1, MSIX.maximumVectors)
        if isTransitional {
            let size = LegacyRegister.configWithVectors + UInt64(device.configSpace.count)
            function.addBAR(BAR.legacy, .io, size: max(32, UInt64(1) << UInt64(64 - (size - 1).leadingZeroBitCount)))
        }
        function.addBAR(BAR.modern, .memory64(isPrefetchable: true), size: Structure.totalSize)
        if vectors > 0 {
            // Table, then pending bits, each with half of the addresses.
            let half = max(0x800, UInt64(1) << UInt64(64 - (MSIX.tableSize(vectors) - 1).leadingZeroBitCount))
            function.addBAR(BAR.messages, .memory32, size: 2 * half)
            function.addMSIX(vectors: vectors, bar: BAR.messages, table: 0, pending: half)
        }
        if configuration.isExpress {
            function.addPowerManagement()
            function.addExpress(.endpoint)
        }
        addCapability(.common, Structure.common)
        addCapability(.isr, Structure.isr)
        addCapability(.device, Structure.device)
        let notify = addCapability(.notify, Structure.notify, size: 20)
        function.config.define(notify + 16, UInt32(Structure.notifyMultiplier))
        accessCapability = addCapability(.access, 0, size: 20)
        function.config.define(accessCapability + 4, UInt8(0), writable: 0xff)
        function.config.define(accessCapability + 8, UInt32(0), writable: .max)
        function.config.define(accessCapability + 12, UInt32(0), writable: .max)
        function.config.define(accessCapability + 16, UInt32(0), writable: .max)
    }

    /// Kinds of structures (4.1.4).
    private enum StructureType: UInt8 {
        case common = 1, notify, isr, device, access
    }

    @discardableResult
    private func addCapability(_ type: StructureType, _ offset: UInt64, size: Int = 16) -> Int {
        let position = function.config.addCapability(PCICapability.vendorSpecific, size: size)
        function.config.define(position + 2, UInt8(size))
        function.config.define(position + 3, type.rawValue)
        guard type != .access else { return position }
        function.config.define(position + 4, UInt8(BAR.modern))
        function.config.define(position + 8, UInt32(offset))
        function.config.define(position + 12, UInt32(Structure.pageSize))
        return position
    }

    // MARK: Interrupts

    private func raise(_ notification: VirtioCore.Notification) {
        if let msix = function.msix, msix.isEnabled {
            switch notification {
            case .usedBuffers(let queue): msix.notify(Int(registers.queueVectors[queue]))
            case .configuration: msix.notify(Int(registers.configVector))
            }
            return
        }
        switch notification {
        case .usedBuffers: registers.isr |= Interrupt.usedBuffers
        case .configuration: registers.isr |= Interrupt.configuration
        }
        function.setInterrupt(true)
    }

    /// Reads the interrupt status, which clears it (4.1.4.5).
    func takeISR() -> UInt8 {
        let value = registers.isr
        registers.isr = 0
        function.setInterrupt(false)
        return value
    }

    /// A vector as the driver may set it: one that does not exist is refused by reading back as none (4.1.5.1.2).
    func acceptedVector(_ vector: UInt16) -> UInt16 {
        Int(vector) < function.msix?.vectors ?? 0 ? vector : Interrupt.noVector
    }

    // MARK: What both interfaces do

    var selectedQueue: Int? {
        let index = Int(registers.queueSelect)
        return core.queues.indices.contains(index) ? index : nil
    }

    /// False, having said so, while a driver is at work through the other interface.
    func begin(legacy: Bool) -> Bool {
        if core.selectInterface(legacy: legacy) { return true }
        Log.write(.guestErrors, "\(stateName): \(legacy ? "legacy" : "modern") register written while the other interface is in use")
        return false
    }

    func writeStatus(_ value: UInt8, legacy: Bool) {
        if value == 0 {
            resetDevice()
        } else if begin(legacy: legacy) {
            core.writeStatus(value)
        }
    }

    // MARK: PCIDevice

    public func readBAR(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64 {
        bar == BAR.legacy ? readLegacy(offset, size: size) : bar == BAR.modern ? readModern(offset, size: size) : 0
    }

    public func peekBAR(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64? {
        let isISR = bar == BAR.legacy ? offset <= LegacyRegister.isr && offset + UInt64(size) > LegacyRegister.isr : offset / Structure.pageSize == Structure.isr / Structure.pageSize
        return isISR ? UInt64(registers.isr) : readBAR(bar, offset, size: size)
    }

    public func writeBAR(_ bar: Int, _ offset: UInt64, _ value: UInt64, size: Int) {
        if bar == BAR.legacy { writeLegacy(offset, value, size: size) }
        if bar == BAR.modern { writeModern(offset, value, size: size) }
    }

    /// The window of the configuration access capability, when what it shows can be accessed (4.1.4.9).
    private var accessWindow: (offset: UInt64, size: Int)? {
        let bar = function.config[accessCapability + 4, as: UInt8.self]
        let offset = UInt64(function.config[accessCapability + 8, as: UInt32.self])
        let size = Int(function.config[accessCapability + 12, as: UInt32.self])
        // A dump of configuration space reads the window before anybody has set it up.
        if size == 0 { return nil }
        guard Int(bar) == BAR.modern, [1, 2, 4].contains(size), offset % UInt64(size) == 0, offset + UInt64(size) <= Structure.totalSize else {
            Log.write(.guestErrors, "\(stateName): configuration access to \(size) bytes at \(hex(offset)) of base address register \(bar)")
            return nil
        }
        return (offset, size)
    }

    private var accessData: Range<Int> { accessCapability + 16..<accessCapability + 20 }

    public func willReadConfig(_ range: Range<Int>) {
        guard range.overlaps(accessData), let window = accessWindow else { return }
        function.config[accessData.lowerBound] = UInt32(truncatingIfNeeded: readModern(window.offset, size: window.size))
    }

    public func didWriteConfig(_ range: Range<Int>) {
        if range.contains(PCIRegister.command) { core.setReachesMemory(function.isBusMaster) }
        guard range.overlaps(accessData), let window = accessWindow else { return }
        let value = function.config[accessData.lowerBound, as: UInt32.self]
        writeModern(window.offset, UInt64(value) & (1 << UInt64(8 * window.size) - 1), size: window.size)
    }

    public func quiesce() { core.quiesce() }

    public func resetDevice() {
        core.reset()
        core.setReachesMemory(function.isBusMaster)
        registers = Registers(queues: registers.queuePFN.count)
        function.setInterrupt(false)
    }

    public var requestsServed: UInt64 { core.requestsServed }

    public var state: State {
        get { State(function: function.state, registers: registers, isLegacy: core.isLegacy, core: core.saved) }
        set {
            function.state = newValue.function
            resetDevice()
            _ = core.selectInterface(legacy: newValue.isLegacy && isTransitional)
            if newValue.registers.queuePFN.count == registers.queuePFN.count, newValue.registers.queueVectors.count == registers.queueVectors.count {
                registers = newValue.registers
            }
            core.saved = newValue.core
            function.setInterrupt(registers.isr != 0)
        }
    }
}
