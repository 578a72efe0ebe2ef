import EmuBus
import EmuDevices
import Glibc
import TestSupport
import Testing

/// Every combination of transport and ring format a driver can meet.
enum VirtioSetup: String, CaseIterable, CustomTestStringConvertible {
    case legacySplit, modernSplit, modernPacked, pciSplit, pciPacked

    var isLegacy: Bool { self == .legacySplit }
    var isPacked: Bool { self == .modernPacked || self == .pciPacked }
    var isPCI: Bool { self == .pciSplit || self == .pciPacked }
    var testDescription: String { rawValue }
}

/// One virtio transport with RAM, a clock, an interrupt recorder and a driver.
final class VirtioBench {
    static let ramBase: UInt64 = 0x8000_0000
    static let ramSize: UInt64 = 32 << 20
    static let heap: UInt64 = 0x8010_0000

    private let pci: PCIBench
    var space: AddressSpace { pci.space }
    var events: EventQueue { pci.events }
    var interrupts: InterruptRecorder { pci.interrupts }
    /// The transport's registers, numbered as in virtio-mmio.
    let slot: any MMIODevice
    /// What has the transport's state.
    let transport: any Saveable
    let driver: VirtioMockDriver

    init(_ setup: VirtioSetup, _ device: (any VirtioDevice)?, options: VirtioOptions? = nil) throws {
        pci = try PCIBench()
        let options = options ?? VirtioOptions(packed: setup.isPacked)
        if setup.isPCI, let device {
            let function = VirtioPCI(device, memory: pci.space, events: pci.events, options: options)
            pci.host.root.plug(function, at: PCISlot(device: 1))
            transport = function
            slot = VirtioPCIRegisters(pci, pci.function(1))
        } else {
            let mmio = VirtioMMIO(
                name: "virtio-mmio0", device: device, memory: pci.space, events: pci.events, line: InterruptLine(pci.interrupts, 1),
                isLegacy: setup.isLegacy, options: options)
            transport = mmio
            slot = mmio
        }
        driver = VirtioMockDriver(slot, pci.space, heap: Self.heap)
    }

    /// Lets 20 µs pass: cut-short service goes on.
    func runEvents() {
        events.advanceVirtual(to: events.now + 20_000)
        events.runDue()
    }

    var interrupted: Bool { interrupts[1] }
    var needsReset: Bool { driver.status & 64 != 0 }
}

/// A device whose requests copy their readable part to their writable part, byte by byte inverted.
final class InvertingDevice: VirtioDevice {
    struct State: Codable { var served = 0 }
    let stateName = "inverter0"
    let deviceID: UInt32 = 42
    let deviceFeatures: UInt64 = 0b101
    let queueSizes: [UInt16]
    weak var core: VirtioCore?
    var state = State()
    var resets = 0
    var configuration: [UInt8] = Array(1...16)

    init(queues: Int = 1, size: UInt16 = 16) { queueSizes = Array(repeating: size, count: queues) }

    var configSpace: [UInt8] { configuration }
    func accepts(features: UInt64) -> Bool { features & 0b101 != 0b100 }

    func process(queue index: Int) {
        core?.serve(index) { chain in
            state.served += 1
            let bytes = chain.readable.bytes(chain.readable.count)
            return UInt32(chain.writable.copyIn(bytes.map { ~$0 }))
        }
    }

    func reset() {
        state = State()
        resets += 1
    }
}

/// A file in the test's own temporary directory, gone at the end.
final class TemporaryFile {
    let path: String

    init(_ bytes: [UInt8]) throws {
        var template = Array("/tmp/emulate-test-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw HostError("creating a temporary file", errno) }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        defer { close(descriptor) }
        let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard written == bytes.count else { throw HostError("filling a temporary file", errno) }
    }

    /// A file of `size` bytes, each sector holding its number's low byte.
    convenience init(sectors: Int) throws {
        try self.init((0..<sectors * 512).map { UInt8(truncatingIfNeeded: $0 / 512) })
    }

    deinit { unlink(path) }

    var bytes: [UInt8] {
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        var information = stat()
        fstat(descriptor, &information)
        var content = [UInt8](repeating: 0, count: Int(information.st_size))
        let count = content.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        return Array(content.prefix(max(0, count)))
    }
}

extension Array where Element == UInt8 {
    /// Little-endian bytes of integers.
    static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] { Swift.withUnsafeBytes(of: value.littleEndian) { Array($0) } }
}
