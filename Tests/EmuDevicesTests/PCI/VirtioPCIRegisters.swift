import EmuBus
import EmuDevices
import TestSupport

/// The modern PCI transport under the register numbers of virtio-mmio, so that one driver and one set of tests serve both.
///
/// It reaches the function as a guest does: through capabilities, base addresses and the host bridge's windows.
final class VirtioPCIRegisters: MMIODevice {
    private typealias Offset = VirtioMockDriver.Offset
    /// Where the structures of each kind lie.
    private let common: UInt64, isr: UInt64, device: UInt64, notify: UInt64
    private let function: PCIMockFunction
    private let bench: PCIBench
    private var featuresSelect: UInt32 = 0

    let name = "virtio-pci"

    /// Places the function's structures at `base` and enables it.
    init(_ bench: PCIBench, _ function: PCIMockFunction, base: UInt64 = 0x5000_0000) {
        self.bench = bench
        self.function = function
        function.place(4, at: base)
        function.enable()
        var places: [UInt8: UInt64] = [:]
        for capability in function.capabilities(0x09) {
            places[function.read(capability + 3)] = base + UInt64(function.read(capability + 8, as: UInt32.self))
        }
        common = places[1]!
        notify = places[2]!
        isr = places[3]!
        device = places[4]!
    }

    func reset() {}

    private func get(_ offset: UInt64, _ size: Int = 4) -> UInt64 { bench.read(common + offset, size: size) }
    private func put(_ offset: UInt64, _ value: UInt64, _ size: Int = 4) { bench.write(common + offset, value, size: size) }

    private func halves(_ offset: UInt64) -> UInt64? {
        switch offset {
        case Offset.descriptorArea...Offset.descriptorArea + 4: 0x20 + offset - Offset.descriptorArea
        case Offset.driverArea...Offset.driverArea + 4: 0x28 + offset - Offset.driverArea
        case Offset.deviceArea...Offset.deviceArea + 4: 0x30 + offset - Offset.deviceArea
        default: nil
        }
    }

    func read(_ offset: UInt64, size: Int) -> UInt64 {
        if offset >= Offset.config { return bench.read(device + offset - Offset.config, size: size) }
        switch offset {
        case Offset.magic: return 0x7472_6976
        case Offset.version: return 2
        case Offset.vendor: return 0x554d_4551
        case Offset.deviceID:
            let id: UInt16 = function.read(2)
            return UInt64(id >= 0x1040 ? id - 0x1040 : function.read(0x2e))
        case Offset.deviceFeatures:
            put(0, UInt64(featuresSelect))
            return get(4)
        case Offset.queueSizeMax: return get(0x18, 2)
        case Offset.queueReady: return get(0x1c, 2)
        // Reading it takes it; looking does not.
        case Offset.interruptStatus: return bench.space.region(at: isr)!.device.peek(isr - PCIBench.memory32, size: 1)!
        case Offset.status: return get(0x14, 1)
        case Offset.queueReset: return get(0x3a, 2)
        case Offset.configGeneration: return get(0x15, 1)
        default: return 0
        }
    }

    func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        if offset >= Offset.config { return bench.write(device + offset - Offset.config, value, size: size) }
        switch offset {
        case Offset.deviceFeaturesSelect: featuresSelect = UInt32(truncatingIfNeeded: value)
        case Offset.driverFeaturesSelect: put(8, value)
        case Offset.driverFeatures: put(0xc, value)
        case Offset.queueSelect: put(0x16, value, 2)
        // What does not fit the register stands for a size that is wrong.
        case Offset.queueSize: put(0x18, value > 0xffff ? 0 : value, 2)
        case Offset.queueReady: put(0x1c, value, 2)
        case Offset.queueNotify: bench.write(notify + 4 * (value & 0x3ff), value, size: 2)
        case Offset.interruptACK: if value & read(Offset.interruptStatus, size: 4) != 0 { _ = bench.read(isr, size: 1) }
        case Offset.status: put(0x14, value, 1)
        case Offset.queueReset: put(0x3a, value, 2)
        default: if let place = halves(offset) { put(place, value) }
        }
    }
}
