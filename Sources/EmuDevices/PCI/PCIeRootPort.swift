import EmuBus

/// A root port: a bridge to a link with one device (PCI Express Base 5.0, 1.3.1 and 7.5.1.3).
public final class PCIeRootPort: PCIDevice {
    /// Registers only bridges have.
    private enum Register {
        static let primaryBus = 0x18
        static let secondaryBus = 0x19
        static let subordinateBus = 0x1a
        static let ioBase = 0x1c
        static let ioLimit = 0x1d
        static let secondaryStatus = 0x1e
        static let memoryBase = 0x20
        static let memoryLimit = 0x22
        static let prefetchBase = 0x24
        static let prefetchLimit = 0x26
        static let prefetchBaseUpper = 0x28
        static let prefetchLimitUpper = 0x2c
        static let bridgeControl = 0x3e
    }

    /// Bridge Control: the bus behind is held in reset.
    private static let secondaryBusReset: UInt16 = 1 << 6
    private static let messageBAR = 0

    public let function: PCIFunction
    public let stateName: String
    public private(set) var secondary: PCIBus!
    /// Devices can be plugged in and out while the guest runs.
    public let isHotPluggable: Bool
    /// Takes what the guest lets go of, by switching the slot off, when it was asked to. While it is nil, devices stay in the slot.
    public var removed: (([any PCIDevice]) -> Void)?
    let express: Int
    /// What `updateInterrupt` last found.
    var wasInterrupting = false
    /// `requestRemoval` waits for the guest's answer.
    var isRemovalRequested = false

    /// - Parameters:
    ///   - name: unique on the board.
    ///   - busName: what `bus=` calls the link behind it.
    ///   - chassis: number of the chassis its slot is in.
    ///   - slot: number of the physical slot, 0…8191.
    ///   - port: number of the port.
    public init(name: String, busName: String, chassis: UInt8, slot: UInt16, port: UInt8 = 0, isHotPluggable: Bool = true) {
        stateName = name
        self.isHotPluggable = isHotPluggable
        function = PCIFunction(
            name: name, PCIIdentity(vendor: PCIVendor.redHat, device: PCIVendor.rootPort, classCode: 0x06_0400), headerType: 1, isExpress: true,
            hasInterruptPin: true)
        function.addBAR(Self.messageBAR, .memory32, size: 0x1000)
        for register in [Register.primaryBus, Register.secondaryBus, Register.subordinateBus] {
            function.config.define(register, UInt8(0), writable: 0xff)
        }
        for register in [Register.ioBase, Register.ioLimit] { function.config.define(register, UInt8(0), writable: 0xf0) }
        function.config.define(Register.secondaryStatus, UInt16(0), clearable: 0xf900)
        for register in [Register.memoryBase, Register.memoryLimit] { function.config.define(register, UInt16(0), writable: 0xfff0) }
        // Bit 0: the prefetchable window has 64-bit addresses.
        for register in [Register.prefetchBase, Register.prefetchLimit] { function.config.define(register, UInt16(1), writable: 0xfff0) }
        for register in [Register.prefetchBaseUpper, Register.prefetchLimitUpper] { function.config.define(register, UInt32(0), writable: .max) }
        function.config.define(Register.bridgeControl, UInt16(0), writable: 0x3 | Self.secondaryBusReset)
        var slotRegister = PCIExpress.Slot.noCommandCompleted | UInt32(slot & 0x1fff) << PCIExpress.Slot.numberShift
        if isHotPluggable {
            slotRegister |= PCIExpress.Slot.attentionButton | PCIExpress.Slot.powerController | PCIExpress.Slot.attentionIndicator
                | PCIExpress.Slot.powerIndicator | PCIExpress.Slot.surprise | PCIExpress.Slot.isHotPlug
        }
        express = function.addExpress(.rootPort(port: port, slot: slotRegister))
        function.addMSIX(vectors: 1, bar: Self.messageBAR, table: 0, pending: 0x800)
        let subsystem = function.config.addCapability(PCICapability.subsystemID, size: 8)
        function.config.define(subsystem + 4, PCIVendor.redHat)
        function.config.define(subsystem + 6, UInt16(chassis))
        function.device = self
        secondary = PCIBus(name: busName, port: self)
        updatePresence()
    }

    // MARK: What is behind it

    /// Numbers of the buses behind the port, its own link first; nil until software has given them.
    var busNumbers: ClosedRange<Int>? {
        let first = Int(function.config[Register.secondaryBus, as: UInt8.self]), last = Int(function.config[Register.subordinateBus, as: UInt8.self])
        return first != 0 && first <= last ? first...last : nil
    }

    /// Memory addresses it passes on.
    var memoryWindows: [ClosedRange<UInt64>] {
        guard function.command & PCICommand.memory != 0 else { return [] }
        func address(_ register: Int, _ upper: Int?) -> UInt64 {
            let low = UInt64(function.config[register, as: UInt16.self] & 0xfff0) << 16
            return low | (upper.map { UInt64(function.config[$0, as: UInt32.self]) << 32 } ?? 0)
        }
        return [
            Self.window(address(Register.memoryBase, nil), address(Register.memoryLimit, nil) | 0xf_ffff),
            Self.window(address(Register.prefetchBase, Register.prefetchBaseUpper), address(Register.prefetchLimit, Register.prefetchLimitUpper) | 0xf_ffff),
        ].compactMap { $0 }
    }

    /// I/O addresses it passes on.
    var ioWindows: [ClosedRange<UInt64>] {
        guard function.command & PCICommand.io != 0 else { return [] }
        let base = UInt64(function.config[Register.ioBase, as: UInt8.self] & 0xf0) << 8, limit = UInt64(function.config[Register.ioLimit, as: UInt8.self] & 0xf0) << 8
        return [Self.window(base, limit | 0xfff)].compactMap { $0 }
    }

    /// A base above its limit closes a window.
    private static func window(_ base: UInt64, _ limit: UInt64) -> ClosedRange<UInt64>? { base <= limit ? base...limit : nil }

    // MARK: PCIDevice

    public func didWriteConfig(_ range: Range<Int>) {
        if range.overlaps(Register.bridgeControl..<Register.bridgeControl + 2), function.config[Register.bridgeControl] & Self.secondaryBusReset != 0 {
            for device in secondary.devices { device.reset() }
        }
        slotWritten(range)
    }

    public func resetDevice() {
        wasInterrupting = false
        isRemovalRequested = false
        updatePresence()
    }

    public var state: PCIFunction.State {
        get { function.state }
        set {
            function.state = newValue
            slotRestored()
        }
    }
}
