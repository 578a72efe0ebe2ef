import EmuBus

/// What is behind the configuration space of one PCI function.
public protocol PCIDevice: Saveable {
    var function: PCIFunction { get }

    /// Reads `size` (1, 2, 4 or 8) bytes at `offset` of the addresses base address register `bar` decodes; inside, aligned.
    func readBAR(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64
    func writeBAR(_ bar: Int, _ offset: UInt64, _ value: UInt64, size: Int)
    /// What `readBAR` would return, without any effect of reading; nil when that is not known.
    func peekBAR(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64?
    /// Software is about to read these bytes of the configuration space.
    func willReadConfig(_ range: Range<Int>)
    /// Software has written these bytes of the configuration space; the function has acted on what is its own.
    func didWriteConfig(_ range: Range<Int>)
    /// A message it sent was taken by nothing.
    func messageRefused(address: UInt64)
    /// Completes every request it has begun.
    func quiesce()
    /// Back to power-on. The function has been reset already.
    func resetDevice()
}

extension PCIDevice {
    public func readBAR(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64 { 0 }
    public func writeBAR(_ bar: Int, _ offset: UInt64, _ value: UInt64, size: Int) {}
    public func peekBAR(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64? { nil }
    public func willReadConfig(_ range: Range<Int>) {}
    public func didWriteConfig(_ range: Range<Int>) {}
    public func messageRefused(address: UInt64) {}
    public func quiesce() {}

    /// Device and function, back to power-on.
    public func reset() {
        function.reset()
        resetDevice()
    }
}

/// Takes message-signalled interrupts: the part of an interrupt controller that has addresses to write to.
public protocol MSITarget: AnyObject {
    /// A device's write of `data` to `address`; false when that address is not the target's.
    func writeMSI(address: UInt64, data: UInt32) -> Bool
}

/// Vendor ids, and the device ids below the one that QEMU's own devices have.
enum PCIVendor {
    /// Red Hat, for virtio and as the subsystem of what emulators make.
    static let redHatQumranet: UInt16 = 0x1af4
    static let redHat: UInt16 = 0x1b36
    static let hostBridge: UInt16 = 0x0008
    static let rootPort: UInt16 = 0x000c
    static let nvme: UInt16 = 0x0010
    static let iommu: UInt16 = 0x0014
    /// Subsystem id of everything that has no better one.
    static let subsystem: UInt16 = 0x1100
}
