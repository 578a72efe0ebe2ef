import EmuBus
import EmuDevices
import TestSupport

/// A host bridge with RAM, a clock and an interrupt recorder: line n is input n.
final class PCIBench {
    static let ecam: UInt64 = 0x3000_0000
    static let io: UInt64 = 0x300_0000
    static let memory32: UInt64 = 0x4000_0000
    static let memory64: UInt64 = 0x4_0000_0000
    static let ram: UInt64 = 0x8000_0000
    static let ramSize: UInt64 = 32 << 20

    let space = AddressSpace()
    let events = EventQueue(mode: .virtual)
    let interrupts = InterruptRecorder()
    let host: PCIHost

    init() throws {
        try space.map(GuestRAM(base: Self.ram, size: Self.ramSize), name: "ram")
        let layout = PCIHost.Layout(
            ecam: (Self.ecam, 256 << 20), io: (Self.io, 0x1_0000), memory32: (Self.memory32, 1 << 30), memory64: (Self.memory64, 16 << 30))
        host = PCIHost(memory: space, layout: layout, lines: [0, 1, 2, 3].map { [interrupts] in InterruptLine(interrupts, $0) })
        try host.map()
    }

    func function(_ device: Int, bus: Int = 0, function: Int = 0) -> PCIMockFunction {
        PCIMockFunction(space, ecam: Self.ecam, bus: bus, device: device, function: function)
    }

    func read(_ address: UInt64, size: Int = 4) -> UInt64 { space.readDevice(address, size: size)! }
    func write(_ address: UInt64, _ value: UInt64, size: Int = 4) { _ = space.writeDevice(address, value, size: size) }
    func word(_ address: UInt64) -> UInt32 { space.loadMemory(address, as: UInt32.self)! }
}

/// A function with one base address register of each kind, registers that remember, and two vectors.
final class PCIProbe: PCIDevice {
    struct State: Codable { var function: PCIFunction.State }
    let function: PCIFunction
    let stateName = "probe"
    var cells: [UInt64: UInt64] = [:]
    var resets = 0

    init(isExpress: Bool = true) {
        function = PCIFunction(name: "probe", PCIIdentity(vendor: 0x1234, device: 0x5678, classCode: 0xff_0102), isExpress: isExpress, hasInterruptPin: true)
        function.addBAR(0, .io, size: 32)
        function.addBAR(1, .memory32, size: 0x1000)
        function.addBAR(2, .memory64(isPrefetchable: false), size: 1 << 20)
        function.addMSIX(vectors: 2, bar: 1, table: 0, pending: 0x800)
        function.addPowerManagement()
        if isExpress { function.addExpress(.endpoint) }
        function.device = self
    }

    func readBAR(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64 { cells[UInt64(bar) << 32 | offset] ?? 0 }
    func writeBAR(_ bar: Int, _ offset: UInt64, _ value: UInt64, size: Int) { cells[UInt64(bar) << 32 | offset] = value }
    func resetDevice() {
        cells = [:]
        resets += 1
    }

    var state: State {
        get { State(function: function.state) }
        set { function.state = newValue.function }
    }
}
