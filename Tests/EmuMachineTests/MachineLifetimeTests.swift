import EmuBus
import EmuDevices
import EmuMachine
import Foundation
import Testing

/// What is left of a machine when nobody uses it any more: nothing, though its parts know each other.
@Suite struct MachineLifetimeTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private final class Remains {
        weak var stopper: MachineStopper?
        weak var machine: Machine?
        weak var bus: AddressSpace?
        weak var memory: GuestRAM?
        weak var events: EventQueue?
        private var others: [Other] = []

        private struct Other {
            weak var part: AnyObject?
        }

        func note(_ machine: Machine) {
            self.machine = machine
            bus = machine.bus
            memory = machine.bus.memories.first
            events = machine.events
            others = machine.harts.map { Other(part: $0) } + machine.bus.regions.map { Other(part: $0.device) }
        }

        var names: [String] {
            let parts: [(String, AnyObject?)] = [("stopper", stopper), ("machine", machine), ("bus", bus), ("memory", memory), ("events", events)]
            return parts.filter { $0.1 != nil }.map(\.0) + others.compactMap(\.part).map { "\(type(of: $0))" }
        }
    }

    private func config(_ engine: ExecutionEngine, _ board: BoardKind) throws -> MachineConfig {
        var config = MachineConfig()
        config.engine = engine
        config.board = board
        guard board == .virt else { return config }
        var disk = DriveConfig(file: try directory.file("disk-\(engine).img", [UInt8](repeating: 0, count: 4096)))
        disk.interface = .virtio
        config.drives = [disk]
        config.devices = ["virtio-rng-device", "virtio-serial-pci", "pcie-root-port"].map { DeviceConfig(driver: $0) }
        return config
    }

    @Test(arguments: [(ExecutionEngine.interp, BoardKind.virt), (.jit, .virt), (.lockstep, .virt), (.jit, .spike)] as [(ExecutionEngine, BoardKind)])
    func aMachineIsFreedWithAllItHas(engine: ExecutionEngine, board: BoardKind) throws {
        let remains = Remains()
        func use() throws {
            let host = MachineHost()
            remains.stopper = host.stopper
            let machine = try Machine(try self.config(engine, board), host: host)
            remains.note(machine)
            var turns = 0
            _ = machine.run { turns += 1; return turns > 1 }
        }
        try use()
        #expect(remains.names == [])
    }

    @Test func soIsOneThatCouldNotBeMade() throws {
        let remains = Remains()
        func fail(_ change: (inout MachineConfig) -> Void) throws {
            let host = MachineHost()
            remains.stopper = host.stopper
            var config = try self.config(.jit, .virt)
            change(&config)
            #expect(throws: ConfigError.self) { try Machine(config, host: host) }
        }
        try fail { $0.smbiosFiles = ["/nonexistent"] }
        #expect(remains.names == [])
        try fail { $0.kernel = "/nonexistent" }
        #expect(remains.names == [])
    }
}
