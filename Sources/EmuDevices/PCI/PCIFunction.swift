import EmuBus

/// What identifies a function.
public struct PCIIdentity {
    /// Who made it, and what it is to them.
    public var vendor: UInt16
    public var device: UInt16
    /// Class, subclass and programming interface: 0xCCSSPP.
    public var classCode: UInt32
    public var revision: UInt8 = 0
    /// Who made the card or board it is on, and what that is to them; devices only.
    public var subsystemVendor: UInt16 = PCIVendor.redHatQumranet
    public var subsystem: UInt16 = PCIVendor.subsystem

    public init(vendor: UInt16, device: UInt16, classCode: UInt32) {
        self.vendor = vendor
        self.device = device
        self.classCode = classCode
    }
}

/// Where a function sits on its bus.
public struct PCISlot: Hashable, Sendable {
    /// 0…31.
    public var device: Int
    /// 0…7.
    public var function: Int

    public init(device: Int, function: Int = 0) {
        self.device = device
        self.function = function
    }

    var index: Int { device << 3 | function }
}

/// A base address register: addresses a function answers to.
public struct PCIBAR {
    /// Which addresses it takes.
    public enum Kind: Sendable {
        case io
        case memory32
        case memory64(isPrefetchable: Bool)
    }

    /// 0…5; one of 64 bits takes the next as well.
    public let index: Int
    public let kind: Kind
    /// Bytes, a power of two.
    public let size: UInt64

    var isIO: Bool { if case .io = kind { true } else { false } }
    fileprivate var register: Int { PCIRegister.bars + 4 * index }
}

/// The part of a PCI function that all have: configuration space, base addresses, interrupts.
public final class PCIFunction {
    /// What software has written.
    public struct State: Codable {
        var config: [UInt8]
        var msix: MSIX.State?
    }

    /// The device's, for messages.
    public let name: String
    /// Its registers as bytes; who changes some that decide on addresses or interrupts does so through `writeConfig`.
    public var config: PCIConfigSpace
    /// It has the extended configuration space, 4 KiB.
    public let isExpress: Bool
    public private(set) var bars: [PCIBAR] = []
    /// Nil for a function without MSI-X.
    public private(set) var msix: MSIX?
    /// The owner; set by it, before the function is plugged in.
    public weak var device: (any PCIDevice)?
    /// Memory as the function reaches it; nil for one that needs none. Set by the owner, before the function is plugged in.
    public var dma: DMASpace? { didSet { dma?.function = self } }
    /// Where it is plugged in, and in which slot.
    public internal(set) weak var bus: PCIBus?
    public internal(set) var slot = PCISlot(device: 0)
    /// What the device wants its interrupt pin to be.
    private var interruptRequest = false
    /// What the pin is, with the interrupt enabled or not.
    private var pinLevel = false
    private var powerManagement: Int?
    private var express: Int?

    /// - Parameters:
    ///   - headerType: 0 for devices, 1 for bridges.
    ///   - hasInterruptPin: it can interrupt through INTA#.
    public init(name: String, _ identity: PCIIdentity, headerType: UInt8 = 0, isExpress: Bool, hasInterruptPin: Bool) {
        self.name = name
        self.isExpress = isExpress
        config = PCIConfigSpace(size: isExpress ? PCIConfigSpace.expressSize : PCIConfigSpace.conventionalSize)
        config.define(PCIRegister.vendorID, identity.vendor)
        config.define(PCIRegister.deviceID, identity.device)
        config.define(
            PCIRegister.command, UInt16(0),
            writable: PCICommand.io | PCICommand.memory | PCICommand.busMaster | PCICommand.parityErrorResponse | PCICommand.serrEnable
                | PCICommand.interruptDisable)
        config.define(PCIRegister.revisionID, identity.classCode << 8 | UInt32(identity.revision))
        config.define(PCIRegister.headerType, headerType)
        if headerType == 0 {
            config.define(PCIRegister.subsystemVendorID, identity.subsystemVendor)
            config.define(PCIRegister.subsystemID, identity.subsystem)
        }
        config.define(PCIRegister.interruptLine, UInt8(0), writable: 0xff)
        config.define(PCIRegister.interruptPin, UInt8(hasInterruptPin ? 1 : 0))
    }

    // MARK: Building

    /// Gives the function a base address register. `size` is a power of two, at least 16 bytes of memory or 4 of I/O.
    public func addBAR(_ index: Int, _ kind: PCIBAR.Kind, size: UInt64) {
        precondition(size.nonzeroBitCount == 1 && size >= 4)
        let bar = PCIBAR(index: index, kind: kind, size: size)
        let mask = ~(size - 1)
        switch kind {
        case .io: config.define(bar.register, UInt32(1), writable: UInt32(truncatingIfNeeded: mask))
        case .memory32: config.define(bar.register, UInt32(0), writable: UInt32(truncatingIfNeeded: mask))
        case .memory64(let isPrefetchable): config.define(bar.register, UInt64(isPrefetchable ? 0xc : 0x4), writable: mask)
        }
        bars.append(bar)
    }

    /// Gives the function MSI-X, with table and pending bits inside a base address register it already has.
    /// - Parameters:
    ///   - vectors: 1…2048.
    ///   - bar: index of the base address register.
    ///   - table: bytes from its start, a multiple of 8; the same goes for `pending`.
    public func addMSIX(vectors: Int, bar: Int, table: UInt64, pending: UInt64) {
        msix = MSIX(self, vectors: vectors, bar: bar, table: table, pending: pending)
    }

    /// Gives the function the power states D0 and D3hot.
    public func addPowerManagement() {
        let offset = config.addCapability(PCICapability.powerManagement, size: 8)
        // Version 1.2 of that specification; neither D1, D2 nor PME.
        config.define(offset + 2, UInt16(3))
        // No_Soft_Reset: registers keep their values in D3hot.
        config.define(offset + 4, UInt16(1 << 3), writable: 3)
        powerManagement = offset
    }

    /// Gives the function the PCI Express capability; returns its offset.
    @discardableResult
    public func addExpress(_ kind: PCIExpress.Kind) -> Int {
        let offset = PCIExpress.define(kind, in: &config)
        express = offset
        return offset
    }

    /// The device has further functions, which software looks for only then.
    public var isMultifunction: Bool { config[PCIRegister.headerType, as: UInt8.self] & Self.multifunction != 0 }

    func setMultifunction() { config.define(PCIRegister.headerType, config[PCIRegister.headerType] | Self.multifunction) }

    private static let multifunction: UInt8 = 0x80

    /// Its routing id: number of the bus, as software has numbered it, device and function.
    var requesterID: UInt16 { UInt16(truncatingIfNeeded: (bus?.number ?? 0) << 8 | slot.index) }

    // MARK: What software has set

    /// The command register; `PCICommand` has its bits.
    public var command: UInt16 { config[PCIRegister.command] }
    /// The function may reach memory (Bus Master Enable).
    public var isBusMaster: Bool { command & PCICommand.busMaster != 0 }
    /// D3hot: only the configuration space answers.
    private var isAsleep: Bool { powerManagement.map { config[$0 + 4] & UInt16(3) != 0 } ?? false }

    /// First address that `bar` decodes; nil while it decodes none.
    func base(of bar: PCIBAR) -> UInt64? {
        guard command & (bar.isIO ? PCICommand.io : PCICommand.memory) != 0, !isAsleep else { return nil }
        let base: UInt64
        switch bar.kind {
        case .io: base = UInt64(config[bar.register, as: UInt32.self] & ~3)
        case .memory32: base = UInt64(config[bar.register, as: UInt32.self] & ~0xf)
        case .memory64: base = config[bar.register, as: UInt64.self] & ~0xf
        }
        // One past the end of the address space while software finds out the size. 0 is an address like others: EDK2 gives it to the first I/O region.
        return base &+ (bar.size - 1) < base ? nil : base
    }

    // MARK: Configuration accesses

    /// What software reads: `size` bytes, 1, 2 or 4, at `offset` of the configuration space.
    public func readConfig(_ offset: Int, size: Int) -> UInt32 {
        device?.willReadConfig(offset..<offset + size)
        return config.read(offset, size: size)
    }

    /// What software writes: `size` bytes, 1, 2 or 4, at `offset` of the configuration space. Acts on it.
    public func writeConfig(_ offset: Int, _ value: UInt32, size: Int) {
        let range = offset..<offset + size
        let powerState: UInt16? = powerManagement.map { config[$0 + 4] }
        config.write(offset, value, size: size)
        if let powerManagement, let powerState, range.overlaps(powerManagement + 4..<powerManagement + 5), [1, 2].contains(config[powerManagement + 4] & UInt16(3)) {
            // D1 and D2 do not exist: the state stays.
            config[powerManagement + 4] = powerState
        }
        if offset < PCIRegister.headerEnd || powerManagement.map({ range.overlaps($0..<$0 + 8) }) ?? false {
            bus?.host?.routingChanged()
        }
        updatePin()
        if let msix { msix.configWritten(range, busMasterMayHaveChanged: range.contains(PCIRegister.command)) }
        if let express, range.contains(express + PCIExpress.Register.deviceControl + 1), config[express + PCIExpress.Register.deviceControl] & PCIExpress.initiateReset != 0 {
            device?.reset()
            return
        }
        device?.didWriteConfig(range)
    }

    // MARK: Accesses to base addresses

    func read(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64 {
        if let msix, let value = msix.read(bar, offset, size: size) { return value }
        return device?.readBAR(bar, offset, size: size) ?? .max
    }

    func peek(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64? {
        if let msix, let value = msix.read(bar, offset, size: size) { return value }
        return device?.peekBAR(bar, offset, size: size)
    }

    func write(_ bar: Int, _ offset: UInt64, _ value: UInt64, size: Int) {
        if let msix, msix.write(bar, offset, value, size: size) { return }
        device?.writeBAR(bar, offset, value, size: size)
    }

    // MARK: Interrupts

    /// Says whether the device asks for an interrupt by its pin, INTA#. The pin stays down while software has it disabled or uses MSI-X.
    public func setInterrupt(_ level: Bool) {
        interruptRequest = level
        updatePin()
    }

    private func updatePin() {
        let isRequested = interruptRequest && !(msix?.isEnabled ?? false)
        let status: UInt16 = config[PCIRegister.status]
        config[PCIRegister.status] = isRequested ? status | PCIStatus.interrupt : status & ~PCIStatus.interrupt
        let level = isRequested && command & PCICommand.interruptDisable == 0
        guard level != pinLevel else { return }
        pinLevel = level
        bus?.interrupt(from: slot.device, pin: 0, level)
    }

    /// Sends a message to memory or an interrupt controller; false when nothing takes it.
    func sendMessage(address: UInt64, data: UInt32) -> Bool { bus?.host?.deliver(self, address: address, data: data) ?? false }

    // MARK: Reset and state

    func reset() {
        config.reset()
        msix?.reset()
        bus?.host?.routingChanged()
        setInterrupt(false)
    }

    /// Lets go of its interrupt wire, before it is unplugged.
    func disconnect() {
        setInterrupt(false)
        bus = nil
    }

    /// Setting it drives the pin by what the device last asked for; the device says anew what it asks for.
    public var state: State {
        get { State(config: config.bytes, msix: msix?.state) }
        set {
            config.restore(newValue.config)
            if let saved = newValue.msix { msix?.state = saved }
            bus?.host?.routingChanged()
            updatePin()
        }
    }
}
