import EmuBus
import EmuDevices
import EmuMachine
import Foundation
import Testing

/// What the command line plugs into a board, and how that goes wrong.
@Suite struct PeripheralTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func device(_ driver: String, _ properties: (String, String)...) -> DeviceConfig {
        var device = DeviceConfig(driver: driver)
        device.properties = properties.map { .init(name: $0.0, value: $0.1) }
        return device
    }

    private func drive(_ id: String?, _ interface: DriveInterface = .none, sectors: Int = 8) throws -> DriveConfig {
        var drive = DriveConfig(file: try directory.file("\(id ?? "disk")-\(UUID().uuidString).img", [UInt8](repeating: 0, count: 512 * sectors)))
        drive.id = id
        drive.interface = interface
        return drive
    }

    /// Virtio device ids by slot.
    private func slots(_ machine: Machine) -> [UInt64?] {
        (0..<8).map { machine.bus.readDevice(0x1000_1008 + 0x1000 * $0, size: 4) }
    }

    // MARK: Slots

    @Test func devicesFillTheHighestSlotsFirst() throws {
        let machine = try machine {
            $0.drives = [try drive("a")]
            $0.devices = [device("virtio-rng-device"), device("virtio-serial-device"), device("virtio-blk-device", ("drive", "a"))]
        }
        #expect(slots(machine) == [0, 0, 0, 0, 0, 2, 3, 4])
    }

    @Test func everyVirtioDeviceTypeHasItsPlace() throws {
        let socket = directory.path + "/vsock"
        let machine = try machine {
            $0.drives = [try drive("a")]
            $0.devices = [
                device("virtio-balloon-device"), device("virtio-gpu-device"), device("virtio-keyboard-device"), device("virtio-tablet-device"),
                device("virtio-scsi-device"), device("scsi-hd", ("drive", "a")), device("vhost-vsock-device", ("guest-cid", "3"), ("socket", socket)),
            ]
        }
        #expect(slots(machine) == [0, 0, 19, 8, 18, 18, 16, 5])
        // Those without a legacy interface have the modern registers.
        #expect((2..<8).map { machine.bus.readDevice(0x1000_1004 + 0x1000 * $0, size: 4) } == [2, 1, 2, 2, 2, 1])
        #expect(machine.peripherals.keyboards.count == 1 && machine.peripherals.pointers.count == 1 && machine.peripherals.screens.count == 1)
    }

    @Test func devicesThatCannotBeHadAreErrors() throws {
        #expect(problem { $0.devices = [device("virtio-balloon-device"), device("virtio-balloon-pci")] }.contains("one balloon at most"))
        #expect(problem { $0.devices = [device("virtio-gpu-device", ("xres", "5000"))] }.contains("64 to 4095"))
        #expect(problem { $0.devices = [device("vhost-vsock-pci", ("guest-cid", "2"), ("socket", "x"))] }.contains("3 to "))
        #expect(problem { $0.devices = [device("vhost-vsock-pci", ("guest-cid", "3"))] }.contains("socket=FILE"))
        #expect(problem { $0.devices = [device("vhost-vsock-pci", ("guest-cid", "3"), ("socket", "/nonexistent/x"))] }.contains("cannot create the socket"))
        #expect(problem {
            $0.drives = [try drive("a")]
            $0.devices = [device("scsi-hd", ("drive", "a")), device("virtio-scsi-pci")]
        }.contains("no virtio-scsi-device before it"))
        #expect(problem {
            $0.drives = [try drive("a"), try drive("b")]
            $0.devices = [
                device("virtio-scsi-pci", ("id", "s")), device("scsi-hd", ("drive", "a"), ("scsi-id", "1"), ("bus", "s.0")),
                device("scsi-cd", ("drive", "b"), ("scsi-id", "1")),
            ]
        }.contains("another device is there already"))
        #expect(problem {
            $0.drives = [try drive("a")]
            $0.devices = [device("virtio-scsi-pci"), device("scsi-hd", ("drive", "a"), ("bus", "t.0"))]
        }.contains("has that bus"))
        #expect(problem {
            $0.drives = [try drive("a")]
            $0.devices = [device("virtio-scsi-pci"), device("scsi-hd", ("drive", "a")), device("scsi-cd", ("drive", "a"))]
        }.contains("another device already uses that drive"))
    }

    @Test func busesAreTakenBeforeFreeSlots() throws {
        let machine = try machine {
            $0.devices = [
                device("virtio-rng-device"), device("virtio-rng-device", ("bus", "virtio-mmio-bus.7")),
                device("virtio-serial-device", ("bus", "virtio-mmio-bus.0")),
            ]
        }
        #expect(slots(machine) == [3, 0, 0, 0, 0, 0, 4, 4])
    }

    @Test func busesThatCannotBeUsedAreErrors() {
        let rng = "virtio-rng-device"
        #expect(problem { $0.devices = [device(rng, ("bus", "virtio-mmio-bus.8"))] }.contains("virtio-mmio-bus.0 to virtio-mmio-bus.7"))
        #expect(problem { $0.devices = [device(rng, ("bus", "pci.0"))] }.contains("there is no such bus"))
        let twice = [device(rng, ("bus", "virtio-mmio-bus.3")), device(rng, ("bus", "virtio-mmio-bus.3"))]
        #expect(problem { $0.devices = twice } == "-device \(rng),bus=virtio-mmio-bus.3: another device is already on that bus")
        #expect(problem { $0.devices = Array(repeating: device(rng), count: 9) }.contains("all 8 virtio slots"))
        #expect(problem { $0.devices = Array(repeating: device(rng), count: 8) } == "accepted")
    }

    @Test func transportsAreLegacyUnlessToldOtherwise() throws {
        for isLegacy in [true, false] {
            let machine = try machine { $0.forcesLegacyVirtio = isLegacy }
            #expect(machine.bus.readDevice(0x1000_1004, size: 4) == (isLegacy ? 1 : 2))
        }
        #expect(MachineConfig().forcesLegacyVirtio)
    }

    @Test func unknownDevicesAreErrors() {
        #expect(problem { $0.devices = [device("e1000")] }.hasPrefix("-device e1000: there is no such device"))
    }

    // MARK: Disks

    @Test func disksHaveTheSizeOfTheirFile() throws {
        let machine = try machine {
            $0.drives = [try drive("a", sectors: 24)]
            $0.devices = [device("virtio-blk-device", ("drive", "a"))]
        }
        #expect(machine.bus.readDevice(0x1000_8100, size: 4) == 24)
    }

    @Test func drivesMustExistAndBeFree() throws {
        let a = try drive("a"), v = try drive("v", .virtio)
        let first = device("virtio-blk-device", ("drive", "a"))
        #expect(problem { $0.devices = [device("virtio-blk-device")] }.contains("it needs drive=ID"))
        #expect(problem { $0.devices = [first] } == "-device virtio-blk-device,drive=a: there is no -drive with id=a")
        #expect(problem { $0.drives = [a]; $0.devices = [first, first] }.contains("another device already uses that drive"))
        #expect(problem { $0.drives = [v]; $0.devices = [device("virtio-blk-device", ("drive", "v"))] }.contains("give it if=none"))
        var again = try drive("b")
        again.id = "a"
        #expect(problem { $0.drives = [a, again] }.contains("id=a is already taken"))
        var absent = a
        absent.file = directory.path + "/absent.img"
        #expect(problem { $0.drives = [absent] }.contains("absent.img"))
    }

    @Test func aDiskIsOpenForWritingOnce() throws {
        let disk = try drive(nil, .virtio)
        let first = try machine { $0.drives = [disk] }
        #expect(problem { $0.drives = [disk] } != "accepted")
        _ = first
    }

    @Test func snapshotsOpenTheirFileForReadingOnly() throws {
        let disk = try drive(nil, .virtio)
        let first = try machine { $0.drives = [disk]; $0.snapshotsDrives = true }
        let second = try machine { $0.drives = [disk]; $0.snapshotsDrives = true }
        _ = (first, second)
    }

    // MARK: Network, consoles

    @Test func networkCardsNeedANetdevOfTheirOwn() {
        let card = device("virtio-net-device", ("netdev", "n"))
        let netdev = NetdevConfig(id: "n", kind: .user([]))
        #expect(problem { $0.devices = [card] } == "-device virtio-net-device,netdev=n: there is no -netdev with id=n")
        #expect(problem { $0.netdevs = [netdev]; $0.devices = [card, card] }.contains("another device already uses that netdev"))
        #expect(problem { $0.netdevs = [netdev]; $0.devices = [card] } == "accepted")
        var bad = netdev
        bad.kind = .user([.init(name: "hostfwd", value: "nonsense")])
        #expect(problem { $0.netdevs = [bad]; $0.devices = [card] }.hasPrefix("-netdev user,id=n: hostfwd=nonsense"))
        #expect(problem { $0.netdevs = [netdev]; $0.devices = [device("virtio-net-device", ("netdev", "n"), ("mac", "01:00:00:00:00:00"))] }
            .contains("is not the address of a card"))
    }

    @Test func networkCardsAreNumberedInTheirAddresses() throws {
        let machine = try machine {
            $0.netdevs = [NetdevConfig(id: "a", kind: .user([])), NetdevConfig(id: "b", kind: .user([]))]
            $0.devices = [device("virtio-net-device", ("netdev", "a")), device("virtio-net-device", ("netdev", "b"))]
        }
        #expect(machine.bus.readDevice(0x1000_8105, size: 1) == 0x56)
        #expect(machine.bus.readDevice(0x1000_7105, size: 1) == 0x57)
    }

    @Test func portsNeedAController() {
        let port = device("virtconsole")
        let controller = device("virtio-serial-device", ("id", "s"))
        #expect(problem { $0.devices = [port] }.contains("there is no virtio-serial-device before it"))
        #expect(problem { $0.devices = [controller, port] } == "accepted")
        #expect(problem { $0.devices = [controller, device("virtserialport", ("bus", "s.0"))] } == "accepted")
        #expect(problem { $0.devices = [controller, device("virtserialport", ("bus", "t.0"))] }.contains("bus=t.0"))
        #expect(problem { $0.devices = [controller, device("virtserialport", ("chardev", "c"))] }.contains("no -chardev with id=c"))
        #expect(problem { $0.devices = [device("virtio-serial-device", ("max_ports", "1")), port, port] }.contains("2 ports are more"))
    }

    @Test func theSpikeBoardTakesNoDevices() throws {
        #expect(problem { $0.board = .spike; $0.devices = [device("virtio-rng-device")] }.contains("use -machine virt"))
        let disk = try drive(nil, .virtio)
        #expect(problem { $0.board = .spike; $0.drives = [disk] }.contains("no disks"))
    }

    @Test func thereIsOneSerialPort() {
        #expect(problem { $0.serial = [CharacterConfig(.null), CharacterConfig(.null)] } == "-serial: the virt board has one serial port")
    }
}
