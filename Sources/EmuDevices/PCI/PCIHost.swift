import EmuBus

/// A PCI Express host bridge with memory-mapped configuration space (PCI Express Base 5.0, 7.2.2), as Linux's
/// "pci-host-ecam-generic" drives it.
///
/// Memory addresses are the same on both sides; I/O addresses start at 0.
public final class PCIHost {
    /// Where the bridge lies in physical memory, bytes.
    public struct Layout {
        /// Configuration space: 1 MiB for each bus.
        public var ecam: (base: UInt64, size: UInt64)
        /// What I/O addresses from 0 on are reached through.
        public var io: (base: UInt64, size: UInt64)
        /// Addresses for base address registers of 32 bits, and for those of 64.
        public var memory32: (base: UInt64, size: UInt64)
        public var memory64: (base: UInt64, size: UInt64)

        public init(ecam: (UInt64, UInt64), io: (UInt64, UInt64), memory32: (UInt64, UInt64), memory64: (UInt64, UInt64)) {
            self.ecam = ecam
            self.io = io
            self.memory32 = memory32
            self.memory64 = memory64
        }
    }

    /// Interrupt lines: INTA# of device 0, and so on in turn.
    public static let interruptLines = 4

    /// A range of addresses some base address register decodes.
    private struct Claim {
        let base: UInt64
        let size: UInt64
        let bar: Int
        let function: PCIFunction

        @inline(__always)
        func contains(_ address: UInt64, _ length: UInt64) -> Bool {
            address >= base && address - base < size && length <= size - (address - base)
        }
    }

    public let layout: Layout
    /// The bus the bridge itself is on, "pcie.0".
    public private(set) var root: PCIBus!
    /// Configuration space first, then the addresses that are passed on. Resetting them resets every function.
    public private(set) var windows: [any MMIODevice] = []
    /// Interrupt controllers that messages may go to; everywhere else in RAM a message is a plain write.
    public var messageTargets: [any MSITarget] = []
    /// The IOMMU in front of every other function, if there is one.
    public private(set) var iommu: RISCVIOMMU?
    private let memory: AddressSpace
    private let lines: [InterruptLine]
    /// Functions that hold each line up.
    private var holders = [Int](repeating: 0, count: PCIHost.interruptLines)
    private var memoryClaims: [Claim] = []
    private var ioClaims: [Claim] = []
    private var claimsAreStale = true

    /// - Parameters:
    ///   - memory: where messages go that no interrupt controller takes.
    ///   - layout: where `map` puts the windows.
    ///   - lines: the interrupt inputs, `interruptLines` of them.
    public init(memory: AddressSpace, layout: Layout, lines: [InterruptLine]) {
        precondition(lines.count == Self.interruptLines)
        self.memory = memory
        self.layout = layout
        self.lines = lines
        root = PCIBus(name: "pcie.0", host: self)
        root.plug(PCIHostBridge(), at: PCISlot(device: 0))
        windows = [
            PCIConfigWindow(self), PCIAddressWindow(self, "pci-io", isIO: true, base: 0),
            PCIAddressWindow(self, "pci-memory", isIO: false, base: layout.memory32.base),
            PCIAddressWindow(self, "pci-memory64", isIO: false, base: layout.memory64.base),
        ]
    }

    /// Puts the windows into physical memory.
    public func map() throws(AddressSpace.MapError) {
        for (window, place) in zip(windows, [layout.ecam, layout.io, layout.memory32, layout.memory64]) {
            try memory.map(window, at: place.base, size: place.size, sizes: window is PCIConfigWindow || place.base == layout.io.base ? .upToWord : .any)
        }
    }

    /// Every function, in the order software finds them.
    public var devices: [any PCIDevice] { root.allDevices }

    /// Every function is back at power-on.
    public func reset() {
        for device in devices { device.reset() }
    }

    // MARK: IOMMU

    /// What functions reach memory through may have changed.
    func connectDMA() {
        iommu = root.devices.lazy.compactMap { $0 as? RISCVIOMMU }.first
        for device in devices { device.function.dma?.translator = iommu }
    }

    // MARK: Configuration space

    /// The function that answers to a bus number, as software has numbered them, and a slot.
    func device(bus number: Int, _ slot: PCISlot) -> (any PCIDevice)? {
        var bus: PCIBus = root
        var current = 0
        while current != number {
            let ports = bus.devices.lazy.compactMap { $0 as? PCIeRootPort }
            guard let port = ports.first(where: { $0.busNumbers?.contains(number) ?? false }), port.isLinkUp, let numbers = port.busNumbers else { return nil }
            bus = port.secondary
            current = numbers.lowerBound
        }
        return bus.device(at: slot)
    }

    // MARK: Addresses

    /// Some function decodes other addresses than before.
    func routingChanged() { claimsAreStale = true }

    private func findClaims() {
        claimsAreStale = false
        memoryClaims = []
        ioClaims = []
        collect(root, memory: [0...UInt64.max], io: [0...UInt64(UInt32.max)])
    }

    private func collect(_ bus: PCIBus, memory: [ClosedRange<UInt64>], io: [ClosedRange<UInt64>]) {
        for device in bus.devices {
            let function = device.function
            for bar in function.bars {
                guard let base = function.base(of: bar) else { continue }
                let last = base + (bar.size - 1)
                guard (bar.isIO ? io : memory).contains(where: { $0.contains(base) && $0.contains(last) }) else { continue }
                let claim = Claim(base: base, size: bar.size, bar: bar.index, function: function)
                if bar.isIO { ioClaims.append(claim) } else { memoryClaims.append(claim) }
            }
            if let port = device as? PCIeRootPort { collect(port.secondary, memory: port.memoryWindows, io: port.ioWindows) }
        }
    }

    private func claim(_ isIO: Bool, _ address: UInt64, _ size: Int) -> Claim? {
        if claimsAreStale { findClaims() }
        return (isIO ? ioClaims : memoryClaims).first { $0.contains(address, UInt64(size)) }
    }

    func read(_ isIO: Bool, _ address: UInt64, size: Int) -> UInt64 {
        guard let claim = claim(isIO, address, size) else {
            Log.write(.guestErrors, "pci: read of \(size) bytes at \(isIO ? "I/O " : "")address \(hex(address)), where no device answers")
            return .max >> UInt64(64 - 8 * size)
        }
        return claim.function.read(claim.bar, address - claim.base, size: size)
    }

    func peek(_ isIO: Bool, _ address: UInt64, size: Int) -> UInt64? {
        claim(isIO, address, size).flatMap { $0.function.peek($0.bar, address - $0.base, size: size) }
    }

    func write(_ isIO: Bool, _ address: UInt64, _ value: UInt64, size: Int) {
        guard let claim = claim(isIO, address, size) else {
            Log.write(.guestErrors, "pci: write of \(size) bytes at \(isIO ? "I/O " : "")address \(hex(address)), where no device answers")
            return
        }
        claim.function.write(claim.bar, address - claim.base, value, size: size)
    }

    // MARK: Interrupts

    func interrupt(_ line: Int, _ level: Bool) {
        holders[line] += level ? 1 : -1
        lines[line].set(holders[line] > 0)
    }

    /// A device's message; false when nothing takes it. It reaches interrupt controllers and RAM, never another device's registers: a device that
    /// could write to its own doorbell would call itself without end.
    func deliver(_ sender: PCIFunction, address: UInt64, data: UInt32) -> Bool {
        var place = address
        if let iommu, iommu.function !== sender {
            guard let translated = iommu.translate(address, isWrite: true, requester: sender.requesterID) else { return false }
            place = translated
        }
        for target in messageTargets where target.writeMSI(address: place, data: data) { return true }
        if memory.storeMemory(place, data) { return true }
        Log.write(.guestErrors, "\(sender.name): interrupt message to \(hex(address)), where nothing takes it")
        return false
    }

    // MARK: Device tree

    /// `pci@…` (binding "pci-host-ecam-generic").
    /// - Parameters:
    ///   - firstInterrupt: number of line 0 at the interrupt controller `interruptParent`.
    ///   - sourceCells: what the controller wants behind an interrupt number; nothing for a PLIC.
    ///   - messageParent: phandle of the controller that takes messages.
    ///   - iommuHandle: phandle for the IOMMU, if there is one.
    public func fdtNode(
        firstInterrupt: UInt32, interruptParent: UInt32, sourceCells: [UInt32] = [], messageParent: UInt32? = nil, iommuHandle: UInt32 = 0
    ) -> FDTNode {
        var node = FDTNode("pci@" + String(layout.ecam.base, radix: 16))
        let lines = UInt32(Self.interruptLines)
        var map: [UInt32] = []
        for device in 0..<lines {
            for pin in 0..<lines {
                map += [device << 11, 0, 0, pin + 1, interruptParent, firstInterrupt + (device + pin) % lines] + sourceCells
            }
        }
        node.set("interrupt-map-mask", cells: [(lines - 1) << 11, 0, 0, 7])
        node.set("interrupt-map", cells: map)
        func cells(_ value: UInt64) -> [UInt32] { [UInt32(truncatingIfNeeded: value >> 32), UInt32(truncatingIfNeeded: value)] }
        node.set(
            "ranges",
            cells: [0x100_0000, 0, 0] + cells(layout.io.base) + cells(layout.io.size)
                + [0x200_0000] + cells(layout.memory32.base) + cells(layout.memory32.base) + cells(layout.memory32.size)
                + [0x300_0000] + cells(layout.memory64.base) + cells(layout.memory64.base) + cells(layout.memory64.size))
        node.set("reg", pairs: [layout.ecam.base, layout.ecam.size])
        if let messageParent { node.set("msi-parent", cells: [messageParent]) }
        if let iommu {
            // All functions but itself, by routing id (binding "pci-iommu").
            let own = UInt32(iommu.function.slot.index)
            node.set("iommu-map", cells: [0, iommuHandle, 0, own, own + 1, iommuHandle, own + 1, 0xffff - own])
            node.children.append(iommu.fdtNode(phandle: iommuHandle))
        }
        node.set("dma-coherent")
        node.set("bus-range", cells: [0, UInt32(layout.ecam.size >> 20) - 1])
        node.set("linux,pci-domain", cells: [0])
        node.set("device_type", "pci")
        node.set("compatible", "pci-host-ecam-generic")
        node.set("#size-cells", cells: [2])
        node.set("#interrupt-cells", cells: [1])
        node.set("#address-cells", cells: [3])
        return node
    }
}

/// The host bridge as software finds it on its own bus: a function without registers of its own.
final class PCIHostBridge: PCIDevice {
    let function: PCIFunction
    let stateName = "pci-host"

    init() {
        function = PCIFunction(
            name: stateName, PCIIdentity(vendor: PCIVendor.redHat, device: PCIVendor.hostBridge, classCode: 0x06_0000), isExpress: false,
            hasInterruptPin: false)
        function.device = self
    }

    var state: PCIFunction.State {
        get { function.state }
        set { function.state = newValue }
    }

    func resetDevice() {}
}
