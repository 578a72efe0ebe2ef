import EmuBus
import Foundation

/// Feature bits every device type shares (virtio 1.2, 6).
public enum VirtioFeature {
    /// Legacy only: the device makes no assumption about how messages are split into descriptors.
    public static let anyLayout: UInt64 = 1 << 27
    public static let indirectDescriptors: UInt64 = 1 << 28
    public static let eventIndex: UInt64 = 1 << 29
    public static let version1: UInt64 = 1 << 32
    public static let accessPlatform: UInt64 = 1 << 33
    public static let ringPacked: UInt64 = 1 << 34
    public static let ringReset: UInt64 = 1 << 40
}

/// Device ids (virtio 1.2, 5).
public enum VirtioDeviceID {
    public static let network: UInt32 = 1
    public static let block: UInt32 = 2
    public static let console: UInt32 = 3
    public static let entropy: UInt32 = 4
    public static let balloon: UInt32 = 5
    public static let scsi: UInt32 = 8
    public static let nineP: UInt32 = 9
    public static let gpu: UInt32 = 16
    public static let input: UInt32 = 18
    public static let vsock: UInt32 = 19
}

/// Which ring features a device offers; QEMU's `indirect_desc`, `event_idx`, `packed` and `iommu_platform` device properties.
public struct VirtioOptions: Sendable {
    public var indirectDescriptors: Bool
    public var eventIndex: Bool
    /// Only modern transports can offer packed rings.
    public var packed: Bool
    /// The device's addresses are those of its platform, which an IOMMU may translate; drivers must accept that.
    public var accessPlatform: Bool

    public init(indirectDescriptors: Bool = true, eventIndex: Bool = true, packed: Bool = false, accessPlatform: Bool = false) {
        self.accessPlatform = accessPlatform
        self.indirectDescriptors = indirectDescriptors
        self.eventIndex = eventIndex
        self.packed = packed
    }
}

/// A virtio device type: what its requests and its configuration space mean. It knows no registers and no ring format.
///
/// `State` is the device type's own state; status, features and queues belong to `VirtioCore`.
public protocol VirtioDevice: Saveable {
    /// One of `VirtioDeviceID`.
    var deviceID: UInt32 { get }
    /// Feature bits of the device type alone (0–23, 50–127).
    var deviceFeatures: UInt64 { get }
    /// Largest size of each queue, in queue order.
    var queueSizes: [UInt16] { get }
    /// Drivers older than virtio 1.0 know the device type, too.
    var hasLegacyInterface: Bool { get }
    /// The side that owns queues and interrupts; set once, when the device is put into a slot. Held weakly.
    var core: VirtioCore? { get set }

    /// The configuration space as it reads now. What lies behind its end reads as zero.
    var configSpace: [UInt8] { get }
    /// A write of `bytes` at `offset` of the configuration space.
    func writeConfig(offset: Int, bytes: [UInt8])
    /// Whether the driver may accept just these bits of `deviceFeatures`.
    func accepts(features: UInt64) -> Bool
    /// The driver has set DRIVER_OK: requests may follow.
    func driverReady()
    /// The driver may have added requests to queue `index`.
    func process(queue index: Int)
    /// Completes every request taken from queue `index` and not given back yet.
    func quiesce(queue index: Int)
    /// Back to the power-on state. Queues are quiet already.
    func reset()
}

extension VirtioDevice {
    public var hasLegacyInterface: Bool { true }
    public var configSpace: [UInt8] { [] }
    public func writeConfig(offset: Int, bytes: [UInt8]) {
        Log.write(.guestErrors, "\(stateName): write to read-only configuration space at \(offset)")
    }
    public func accepts(features: UInt64) -> Bool { true }
    public func driverReady() {}
    public func quiesce(queue index: Int) {}
}

/// Builds a configuration space field by field, little-endian.
struct ConfigWriter {
    private(set) var bytes: [UInt8] = []

    mutating func put<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
}
