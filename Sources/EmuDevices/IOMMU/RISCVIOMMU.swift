import EmuBus

/// A RISC-V IOMMU (RISC-V IOMMU Architecture 1.0), as a PCI function: it translates what the functions on its bus and behind it read and write.
///
/// Offered: device directories of one to three levels, process directories, Sv39 to Sv57 in the first stage and Sv39x4 to Sv57x4 in the second with
/// Svnapot, Svpbmt and hardware updates of A and D, MSI page tables in basic mode, messages and a wire for its own interrupts, the translation-request interface.
/// Not offered, as `capabilities` tells: ATS and page requests, memory-resident interrupt files, performance counters, QoS ids, Sv32, big-endian structures.
public final class RISCVIOMMU: PCIDevice {
    /// What distinguishes one from another.
    public struct Configuration: Sendable {
        /// MSI page tables, and with them the extended format of device contexts.
        public var hasMessageTables = true
        /// Sv39, Sv48 and Sv57 in the first stage, and process directories.
        public var hasFirstStage = true
        /// Sv39x4, Sv48x4 and Sv57x4 in the second stage.
        public var hasSecondStage = true
        /// After a reset nothing passes, instead of everything.
        public var isOffAfterReset = false
        /// Translations kept, at most; rounded down to a power of two.
        public var cacheSize = 2048

        /// Everything, 2048 translations.
        public init() {}
    }

    /// The registers that keep something.
    struct Registers: Codable, Equatable {
        /// `fctl`.
        var features: UInt32 = 0
        /// `ddtp`.
        var directory: UInt64 = 0
        /// `cqb`, `cqh`, `cqt`, `cqcsr`.
        var commandBase: UInt64 = 0
        var commandHead: UInt32 = 0
        var commandTail: UInt32 = 0
        var commandControl: UInt32 = 0
        /// `fqb`, `fqh`, `fqt`, `fqcsr`.
        var faultBase: UInt64 = 0
        var faultHead: UInt32 = 0
        var faultTail: UInt32 = 0
        var faultControl: UInt32 = 0
        /// `ipsr`.
        var pending: UInt32 = 0
        /// `icvec`.
        var vectors: UInt64 = 0
        /// `tr_req_iova`, `tr_req_ctl`, `tr_response`.
        var requestAddress: UInt64 = 0
        var requestControl: UInt64 = 0
        var response: UInt64 = 0
    }

    /// What software can see.
    public struct State: Codable {
        var function: PCIFunction.State
        var registers: Registers
    }

    /// What its function is found by.
    public static let vendorID = PCIVendor.redHat, deviceID = PCIVendor.iommu
    /// Interrupt vectors; as many as there are causes.
    static let vectors = 4
    private static let registersBAR = 0
    /// Behind the registers, in a page of its own.
    private static let pendingMessages = IOMMU.Register.size

    public let function: PCIFunction
    public let stateName: String
    let memory: AddressSpace
    private let configuration: Configuration
    var hasMessageTables: Bool { configuration.hasMessageTables }
    var hasFirstStage: Bool { configuration.hasFirstStage }
    var hasSecondStage: Bool { configuration.hasSecondStage }
    var registers = Registers()
    /// Translations in use; no part of the state, as software cannot tell when one is dropped.
    var cache: IOMMUCache

    /// - Parameters:
    ///   - name: unique on the board.
    ///   - memory: where its structures are, and where the devices' accesses go.
    public init(name: String, memory: AddressSpace, configuration: Configuration = Configuration()) {
        stateName = name
        self.memory = memory
        self.configuration = configuration
        let size = max(0, configuration.cacheSize)
        cache = IOMMUCache(size: size > 0 ? 1 << (Int.bitWidth - 1 - size.leadingZeroBitCount) : 0)
        var identity = PCIIdentity(vendor: Self.vendorID, device: Self.deviceID, classCode: 0x08_0600)
        identity.revision = 1
        function = PCIFunction(name: name, identity, isExpress: true, hasInterruptPin: true)
        function.addBAR(Self.registersBAR, .memory64(isPrefetchable: false), size: 2 * IOMMU.Register.size)
        // The table of MSI-X is `msi_cfg_tbl` ("Integrating an IOMMU as a PCIe device").
        function.addMSIX(vectors: Self.vectors, bar: Self.registersBAR, table: IOMMU.Register.messages, pending: Self.pendingMessages)
        function.addPowerManagement()
        function.addExpress(.integratedEndpoint)
        function.device = self
        resetDevice()
    }

    public func resetDevice() {
        registers = Registers()
        registers.directory = configuration.isOffAfterReset ? IOMMU.Mode.off : IOMMU.Mode.bare
        cache.dropAll()
        function.setInterrupt(false)
    }

    public var state: State {
        get { State(function: function.state, registers: registers) }
        set {
            function.state = newValue.function
            registers = newValue.registers
            // What no run leaves behind.
            registers.directory = legalDirectory(registers.directory, 0)
            registers.commandBase = Self.legalBase(registers.commandBase)
            registers.faultBase = Self.legalBase(registers.faultBase)
            registers.commandHead &= Self.indexMask(registers.commandBase)
            registers.commandTail &= Self.indexMask(registers.commandBase)
            registers.faultHead &= Self.indexMask(registers.faultBase)
            registers.faultTail &= Self.indexMask(registers.faultBase)
            registers.vectors &= Self.writableVectors
            registers.features &= IOMMU.wiredInterrupts
            cache.dropAll()
            updateWire()
        }
    }

    // MARK: Registers

    private var capabilities: UInt64 {
        typealias Capability = IOMMU.Capability
        var value = Capability.version | Capability.memoryTypes | Capability.accessedDirty | Capability.bothInterrupts | Capability.debug
            | Capability.addressBits | Capability.nonLeafInvalidation | Capability.rangeInvalidation
        if hasFirstStage { value |= Capability.firstStages | Capability.processDirectories }
        if hasSecondStage { value |= Capability.secondStages }
        if hasMessageTables { value |= Capability.messageTables }
        return value
    }

    public func readBAR(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64 {
        guard size >= 4 else {
            Log.write(.guestErrors, "\(stateName): \(size)-byte read of register \(hex(offset))")
            return 0
        }
        let word = doubleword(offset & ~7)
        return size == 8 ? word : word >> (offset % 8 * 8) & 0xffff_ffff
    }

    public func peekBAR(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64? { readBAR(bar, offset, size: size) }

    /// The register of 64 bits, or the two of 32, at `offset`.
    private func doubleword(_ offset: UInt64) -> UInt64 {
        func pair(_ low: UInt32, _ high: UInt32) -> UInt64 { UInt64(low) | UInt64(high) << 32 }
        switch offset {
        case IOMMU.Register.capabilities: return capabilities
        case IOMMU.Register.features: return pair(registers.features, 0)
        case IOMMU.Register.directory: return registers.directory
        case IOMMU.Register.commandBase: return registers.commandBase
        case IOMMU.Register.commandHead: return pair(registers.commandHead, registers.commandTail)
        case IOMMU.Register.faultBase: return registers.faultBase
        case IOMMU.Register.faultHead: return pair(registers.faultHead, registers.faultTail)
        case IOMMU.Register.commandControl: return pair(registers.commandControl, registers.faultControl)
        case IOMMU.Register.pending & ~7: return pair(0, registers.pending)
        case IOMMU.Register.requestAddress: return registers.requestAddress
        case IOMMU.Register.requestControl: return registers.requestControl
        case IOMMU.Register.response: return registers.response
        case IOMMU.Register.vectors: return registers.vectors
        // Absent and reserved registers read as zero.
        default: return 0
        }
    }

    public func writeBAR(_ bar: Int, _ offset: UInt64, _ value: UInt64, size: Int) {
        guard size >= 4 else {
            Log.write(.guestErrors, "\(stateName): \(size)-byte write of register \(hex(offset))")
            return
        }
        if size == 8, isDoubleword(offset) { return write(offset, value) }
        // The high half first: the low one is where something begins.
        if size == 8 { writeWord(offset + 4, UInt32(truncatingIfNeeded: value >> 32)) }
        writeWord(offset, UInt32(truncatingIfNeeded: value))
    }

    private func isDoubleword(_ offset: UInt64) -> Bool {
        [
            IOMMU.Register.directory, IOMMU.Register.commandBase, IOMMU.Register.faultBase, IOMMU.Register.requestAddress, IOMMU.Register.requestControl,
            IOMMU.Register.vectors,
        ].contains(offset)
    }

    private func writeWord(_ offset: UInt64, _ value: UInt32) {
        let base = offset & ~7
        if isDoubleword(base) {
            let old = doubleword(base)
            return write(base, offset == base ? old & ~0xffff_ffff | UInt64(value) : old & 0xffff_ffff | UInt64(value) << 32)
        }
        switch offset {
        case IOMMU.Register.features:
            registers.features = value & IOMMU.wiredInterrupts
            updateWire()
        case IOMMU.Register.commandTail:
            registers.commandTail = value & Self.indexMask(registers.commandBase)
            runCommands()
        case IOMMU.Register.faultHead: registers.faultHead = value & Self.indexMask(registers.faultBase)
        case IOMMU.Register.commandControl: writeCommandControl(value)
        case IOMMU.Register.faultControl: writeFaultControl(value)
        case IOMMU.Register.pending:
            registers.pending &= ~value
            updateInterrupts()
        default: break
        }
    }

    private func write(_ offset: UInt64, _ value: UInt64) {
        switch offset {
        case IOMMU.Register.directory:
            let directory = legalDirectory(value, registers.directory)
            // What is under way still counts.
            if directory & IOMMU.Mode.mask == IOMMU.Mode.off { drainDevices() }
            registers.directory = directory
            cache.dropAll()
        case IOMMU.Register.commandBase:
            registers.commandBase = Self.legalBase(value)
            registers.commandTail &= Self.indexMask(registers.commandBase)
        case IOMMU.Register.faultBase:
            registers.faultBase = Self.legalBase(value)
            registers.faultHead &= Self.indexMask(registers.faultBase)
        case IOMMU.Register.requestAddress: registers.requestAddress = value & ~0xfff
        case IOMMU.Register.requestControl: writeRequest(value)
        case IOMMU.Register.vectors: registers.vectors = value & Self.writableVectors
        default: break
        }
    }

    private func legalDirectory(_ value: UInt64, _ old: UInt64) -> UInt64 {
        let mode = value & IOMMU.Mode.mask <= IOMMU.Mode.threeLevels ? value & IOMMU.Mode.mask : old & IOMMU.Mode.mask
        return value & IOMMU.pageNumber | mode
    }

    /// A queue's base register as it may be.
    private static func legalBase(_ value: UInt64) -> UInt64 { value & IOMMU.pageNumber | min(value & 0x1f, IOMMU.Queue.maximumSize) }
    /// The bits of an index into the queue that a base register describes.
    static func indexMask(_ base: UInt64) -> UInt32 { UInt32(2) << UInt32(base & 0x1f) - 1 }

    /// Requests that were under way when their pages were taken from the devices end.
    func drainDevices() {
        for device in function.bus?.host?.devices ?? [] where device !== self { device.quiesce() }
    }

    // MARK: Translation requests

    /// "Debug support".
    private func writeRequest(_ value: UInt64) {
        enum Field {
            static let go: UInt64 = 1, privileged: UInt64 = 2, execute: UInt64 = 4, readOnly: UInt64 = 8, hasProcess: UInt64 = 1 << 32
            static let process: UInt64 = 0xf_ffff << 12, device: UInt64 = 0xff_ffff << 40
        }
        let settings = Field.privileged | Field.execute | Field.readOnly | Field.hasProcess | Field.process | Field.device
        registers.requestControl = value & settings
        guard value & Field.go != 0 else { return }
        let hasProcess = value & Field.hasProcess != 0
        let request = IOMMURequest(
            device: UInt32(truncatingIfNeeded: value >> 40), process: hasProcess ? UInt32(truncatingIfNeeded: (value & Field.process) >> 12) : nil,
            isPrivileged: hasProcess && value & Field.privileged != 0,
            access: value & Field.execute != 0 ? .execute : value & Field.readOnly != 0 ? .read : .write, address: registers.requestAddress)
        registers.response = translate(request).map { $0.address >> 2 & IOMMU.pageNumber | $0.memoryType << 7 } ?? 1
    }

    // MARK: Interrupts

    /// Two bits for each cause.
    private static let writableVectors: UInt64 = 0x3333

    /// Pends an interrupt.
    func raise(_ cause: Int) {
        let bit: UInt32 = 1 << UInt32(cause)
        guard registers.pending & bit == 0 else { return }
        registers.pending |= bit
        // A message goes with the change from 0 to 1.
        if registers.features & IOMMU.wiredInterrupts == 0 { function.msix?.notify(Int(registers.vectors >> UInt64(4 * cause) & 0xf)) }
        updateWire()
    }

    /// Pends what there is a reason for.
    func updateInterrupts() {
        typealias Queue = IOMMU.Queue
        let command = registers.commandControl, fault = registers.faultControl
        if command & Queue.interruptEnable != 0, command & (Queue.memoryFault | Queue.timeout | Queue.illegal | Queue.fenceInterrupt) != 0 {
            raise(IOMMU.Interrupt.command)
        }
        if fault & Queue.interruptEnable != 0, fault & (Queue.memoryFault | Queue.overflow) != 0 { raise(IOMMU.Interrupt.fault) }
        updateWire()
    }

    /// All causes share the pin.
    private func updateWire() { function.setInterrupt(registers.features & IOMMU.wiredInterrupts != 0 && registers.pending != 0) }

    // MARK: Device tree

    /// `iommu@…` (binding "riscv,iommu"), a child of the host bridge's node.
    func fdtNode(phandle: UInt32) -> FDTNode {
        let slot = UInt32(function.slot.index)
        var node = FDTNode("iommu@" + String(slot, radix: 16))
        node.set("compatible", "riscv,pci-iommu")
        node.set("#iommu-cells", cells: [1])
        node.set("phandle", cells: [phandle])
        node.set("reg", cells: [slot << 8, 0, 0, 0, 0])
        return node
    }

    public func messageRefused(address: UInt64) { report(IOMMUFault(IOMMU.Cause.interruptWrite), address: address) }
}
