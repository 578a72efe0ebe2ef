import EmuBus
import EmuDevices
import Glibc

/// A virtio device made from the command line for a memory-mapped transport, and the slot it asked for.
struct VirtioPlacement {
    let device: any VirtioDevice
    let options: VirtioOptions
    /// Number of the transport, nil for the first free one.
    let slot: Int?
    /// The option that made it, for messages.
    let option: String
    /// What firmware may boot from it.
    var boots: [BootDevice] = []
}

/// A device of the command line, by the kind of bus it goes to.
enum Placement {
    case virtio(VirtioPlacement)
    case pci(PCIPlacement)
}

/// Makes the devices the command line asks for and what stands behind them on the host: disks, networks, character lines.
///
/// Knows no board: a board gets `Placement`s and puts them into its transports and onto its buses.
final class PeripheralAssembly {
    struct Disk {
        let config: DriveConfig
        let drive: OpenDrive
        var user: String?
        var backend: DiskQueue { drive.backend }
    }

    let context: BoardContext
    var config: MachineConfig { context.config }
    var disks: [Disk] = []
    private var usedNetdevs: Set<String> = []
    private var networks: [String: any NetworkBackend] = [:]
    private var networkCards = 0
    private var mountTags: Set<String> = []
    var counters: [String: Int] = [:]
    /// Chassis and slot of every root port.
    private var rootPortPlaces: Set<[Int]> = []
    /// Disks and drives that wait for the host adapter they belong to.
    var scsiUnits: [SCSIUnitPlacement] = []
    /// What firmware may boot from among the units of the host adapter made last.
    var unitsToBoot: [BootDevice] = []

    /// Opens every drive.
    init(_ context: BoardContext) throws {
        self.context = context
        for (index, drive) in context.config.drives.enumerated() {
            let option = "-drive file=\(drive.file)"
            if let id = drive.id, context.config.drives[..<index].contains(where: { $0.id == id }) {
                throw ConfigError(option, "id=\(id) is already taken by another drive")
            }
            do throws(DiskError) {
                disks.append(Disk(config: drive, drive: try open(drive)))
            } catch {
                throw ConfigError(option, error.description)
            }
        }
    }

    deinit {
        // The disks' threads use guest memory, which lives as long as the context.
        for disk in disks { disk.backend.stop() }
    }

    private func open(_ drive: DriveConfig) throws(DiskError) -> OpenDrive {
        // With the virtual clock nothing may depend on when the host is done.
        let wake: PollWake?
        do throws(HostError) {
            wake = try config.clock == .virtual ? nil : context.pollers.makeWake()
        } catch { throw DiskError("its threads cannot reach the machine: \(error)") }
        let opened = try OpenDrive(drive, isSnapshot: drive.isSnapshot || config.snapshotsDrives, wake: wake)
        context.pollers.add(opened.backend)
        return opened
    }

    // MARK: Character lines

    /// The host's end of a serial line; polled from now on if it needs to be.
    func characterBackend(_ line: CharacterConfig) throws -> (any CharacterBackend)? {
        let backend = try context.host.makeCharacterBackend(line)
        if let poller = backend as? any IOPoller { context.pollers.add(poller) }
        return backend
    }

    // MARK: Devices

    /// All devices, in the order in which they get slots.
    func makeDevices() throws -> [Placement] {
        var placements: [Placement] = []
        var ports = try collectPorts()
        scsiUnits = try collectSCSIUnits()
        for device in config.devices where !Self.portDrivers.contains(device.driver) && !Self.scsiUnitDrivers.contains(device.driver) {
            placements.append(try place(device, &ports))
        }
        if let orphan = ports.first { throw ConfigError(orphan.option, "there is no virtio-serial-device for it; put one before it") }
        for (index, disk) in disks.enumerated() where disk.config.interface == .virtio {
            let made = makeDisk(index, serial: "")
            var placement = PCIPlacement(option: "-drive file=\(disk.config.file)") { [context] bus in
                VirtioPCI(made, memory: context.bus, events: context.events, configuration: .init(isTransitional: !bus.isLink, isExpress: bus.isLink))
            }
            placement.boots = [BootDevice(kind: disk.config.isOptical ? .optical : .disk, index: nil, functionName: "scsi", unit: "disk@0,0")]
            placements.append(.pci(placement))
        }
        return placements
    }

    /// A device that comes while the guest runs. What it uses is taken until `release`.
    func makeLater(_ device: DeviceConfig) throws -> PCIPlacement {
        let option = "device_add \(device.driver)"
        guard device.driver.hasSuffix("-pci") || device.driver == "nvme" else {
            throw ConfigError(option, "only devices on PCI, and no ports, can be plugged in while the guest runs")
        }
        var ports: [Port] = []
        let before = (disks, usedNetdevs, mountTags, bootIndices)
        do {
            if case .pci(let placement) = try place(device, &ports) { return placement }
        } catch {
            // It may have taken something before it failed.
            (disks, usedNetdevs, mountTags, bootIndices) = before
            throw error
        }
        throw ConfigError(option, "it is no device on PCI")
    }

    /// Makes what a device used free for others.
    func release(_ device: DeviceConfig) {
        if let id = device["drive"], let index = disks.firstIndex(where: { $0.config.id == id }) { disks[index].user = nil }
        if let id = device["netdev"] { usedNetdevs.remove(id) }
        if let tag = device["mount_tag"] { mountTags.remove(tag) }
        if let index = device["bootindex"].flatMap({ UInt64($0) }) { bootIndices.remove(index) }
    }

    private func place(_ device: DeviceConfig, _ ports: inout [Port]) throws -> Placement {
        let option = "-device \(device.driver)"
        if device.driver == "pcie-root-port" { return .pci(try placeRootPort(device, option)) }
        if device.driver == "riscv-iommu-pci" { return .pci(try placeIOMMU(device, option)) }
        var boots = try bootDevice(device, option).map { [$0] } ?? []
        if device.driver == "nvme" { return .pci(try placeNVMe(device, option).booting(boots)) }
        let isPCI = device.driver.hasSuffix("-pci")
        guard let stem = Self.virtioStem(device.driver) else { throw ConfigError(option, "there is no such device; -device help lists them") }
        let made = try makeVirtio(stem, device, option, &ports)
        if stem == "virtio-scsi" { boots = unitsToBoot }
        let options = VirtioOptions(
            indirectDescriptors: try device.flag("indirect_desc", option) ?? true, eventIndex: try device.flag("event_idx", option) ?? true,
            packed: try device.flag("packed", option) ?? false, accessPlatform: try device.flag("iommu_platform", option) ?? false)
        if isPCI { return .pci(try placeVirtio(made, options, device, option).booting(boots)) }
        var slot: Int?
        if let bus = device["bus"] {
            slot = bus.hasPrefix("virtio-mmio-bus.") ? Int(bus.dropFirst("virtio-mmio-bus.".count)) : nil
            if slot == nil { throw ConfigError("\(option),bus=\(bus)", "there is no such bus; write virtio-mmio-bus.N") }
        }
        return .virtio(VirtioPlacement(device: made, options: options, slot: slot, option: option, boots: boots))
    }

    /// "virtio-blk" of "virtio-blk-device" and of "virtio-blk-pci".
    static func virtioStem(_ driver: String) -> String? {
        ["-device", "-pci"].first(where: driver.hasSuffix).map { String(driver.dropLast($0.count)) }
    }

    private func makeVirtio(_ stem: String, _ device: DeviceConfig, _ option: String, _ ports: inout [Port]) throws -> any VirtioDevice {
        switch stem {
        case "virtio-blk": return makeDisk(try takeDisk(device, option), serial: device["serial"] ?? "", queues: device["num-queues"].flatMap { Int($0) } ?? 1)
        case "virtio-net": return try makeNetworkCard(device, option)
        case "virtio-9p": return try makeFolder(device, option)
        case "virtio-scsi": return try makeSCSI(device, option)
        case "virtio-keyboard": return makeInput(stem, .keyboard)
        case "virtio-mouse": return makeInput(stem, .mouse)
        case "virtio-tablet": return makeInput(stem, .tablet)
        case "virtio-gpu": return try makeScreen(device, option)
        case "vhost-vsock": return try makeVsock(device, option)
        case "virtio-balloon": return try makeBalloon(device, option)
        case "virtio-rng": return VirtioEntropy(name: unique("virtio-rng"), source: config.entropySource(stream: UInt64(counters["virtio-rng", default: 0])))
        case "virtio-serial": return try makeConsole(device, option, &ports)
        default: throw ConfigError(option, "there is no such device; -device help lists them")
        }
    }

    // MARK: PCI

    private func placeVirtio(_ made: any VirtioDevice, _ options: VirtioOptions, _ device: DeviceConfig, _ option: String) throws(ConfigError) -> PCIPlacement {
        let disablesLegacy = device["disable-legacy"] == "auto" ? nil : try device.flag("disable-legacy", option)
        let vectors = try device.number("vectors", in: 0...MSIX.maximumVectors, option)
        return try PCIPlacement(device, option) { [context] bus in
            if disablesLegacy == false, options.accessPlatform {
                throw ConfigError("\(option),disable-legacy=off", "drivers of the legacy interface do not know of iommu_platform=on; leave one of them out")
            }
            if disablesLegacy == false, bus.isLink {
                throw ConfigError("\(option),disable-legacy=off", "the legacy interface needs I/O space, which a device behind a port is not sure to have; put it on bus pcie.0")
            }
            return VirtioPCI(
                made, memory: context.bus, events: context.events,
                configuration: .init(isTransitional: !(disablesLegacy ?? (bus.isLink || options.accessPlatform)), isExpress: bus.isLink, vectors: vectors), options: options)
        }
    }

    private func placeNVMe(_ device: DeviceConfig, _ option: String) throws(ConfigError) -> PCIPlacement {
        let disk = try takeDisk(device, option)
        guard let serial = device["serial"], !serial.isEmpty else { throw ConfigError(option, "it needs serial=TEXT, the disk's serial number") }
        let name = unique("nvme")
        disks[disk].user = name
        let backend = disks[disk].backend
        let errorHandler = hostErrorHandler(name, disk)
        let pairs = try device.number("max_ioqpairs", in: 1...NVMeController.maximumQueuePairs, option)
        let blockSize = try device.number("logical_block_size", in: 512...4096, option) ?? 512
        guard [512, 4096].contains(blockSize) else { throw ConfigError("\(option),logical_block_size=\(blockSize)", "write 512 or 4096") }
        return try PCIPlacement(device, option) { [context] bus in
            var configuration = NVMeController.Configuration(serial: serial)
            configuration.queuePairs = pairs ?? NVMeController.maximumQueuePairs
            configuration.blockSize = UInt64(blockSize)
            configuration.isBehindPort = bus.isLink
            let controller = NVMeController(name: name, disk: backend, memory: context.bus, events: context.events, configuration: configuration)
            controller.hostErrorHandler = errorHandler
            return controller
        }
    }

    private func placeIOMMU(_ device: DeviceConfig, _ option: String) throws(ConfigError) -> PCIPlacement {
        var configuration = RISCVIOMMU.Configuration()
        configuration.hasMessageTables = try device.flag("intremap", option) ?? true
        configuration.hasFirstStage = try device.flag("s-stage", option) ?? true
        configuration.hasSecondStage = try device.flag("g-stage", option) ?? true
        configuration.isOffAfterReset = try device.flag("off", option) ?? false
        configuration.cacheSize = try device.number("ioatc-limit", in: 0...65536, option) ?? configuration.cacheSize
        let name = unique("riscv-iommu")
        return try PCIPlacement(device, option) { [context] bus in
            guard !bus.isLink else { throw ConfigError("\(option),bus=\(bus.name)", "it belongs on the host's own bus, pcie.0, whose devices it serves") }
            guard bus.host?.iommu == nil else { throw ConfigError(option, "a PCI host has one IOMMU at most") }
            return RISCVIOMMU(name: name, memory: context.bus, configuration: configuration)
        }
    }

    private func placeRootPort(_ device: DeviceConfig, _ option: String) throws(ConfigError) -> PCIPlacement {
        let chassis = try device.number("chassis", in: 0...255, option) ?? 0
        let number = counters["pcie-root-port", default: 0]
        let slot = try device.number("slot", in: 0...8191, option) ?? number
        let port = try device.number("port", in: 0...255, option) ?? 0
        guard rootPortPlaces.insert([chassis, slot]).inserted else {
            throw ConfigError("\(option),chassis=\(chassis),slot=\(slot)", "another root port has that place; give each its own chassis or slot")
        }
        let isHotPluggable = try device.flag("hotplug", option) ?? true
        let name = unique("pcie-root-port")
        return try PCIPlacement(device, option) { _ in
            PCIeRootPort(
                name: name, busName: device["id"] ?? "", chassis: UInt8(chassis), slot: UInt16(slot), port: UInt8(port), isHotPluggable: isHotPluggable)
        }
    }

    private var bootIndices: Set<UInt64> = []

    /// What firmware may boot from a device; nil where that is nothing.
    private func bootDevice(_ device: DeviceConfig, _ option: String) throws(ConfigError) -> BootDevice? {
        let names: (function: String, unit: String)
        switch Self.virtioStem(device.driver) ?? device.driver {
        case "virtio-blk": names = ("scsi", "disk@0,0")
        case "virtio-net": names = ("ethernet", "ethernet-phy@0")
        case "nvme": names = ("pci1b36,10", "namespace@1,0")
        default: return nil
        }
        let index = try bootIndex(device, option)
        let isOptical = device["drive"].map { id in disks.contains { $0.config.id == id && $0.config.isOptical } }
        let kind: BootDevice.Kind = isOptical.map { $0 ? .optical : .disk } ?? .network
        return BootDevice(kind: kind, index: index, functionName: names.function, unit: names.unit)
    }

    /// `bootindex=`, which no other device has; nil when it was not given.
    func bootIndex(_ device: DeviceConfig, _ option: String) throws(ConfigError) -> UInt64? {
        guard let text = device["bootindex"] else { return nil }
        guard let index = UInt64(text) else { throw ConfigError("\(option),bootindex=\(text)", "write a number from 0 on") }
        guard bootIndices.insert(index).inserted else { throw ConfigError("\(option),bootindex=\(text)", "another device has that index") }
        return index
    }

    /// "virtio-blk0", "virtio-blk1", …
    func unique(_ stem: String) -> String {
        let index = counters[stem, default: 0]
        counters[stem] = index + 1
        return "\(stem)\(index)"
    }

    // MARK: Screen and input

    private func makeInput(_ stem: String, _ kind: InputKind) -> any VirtioDevice {
        let input = VirtioInput(name: unique(stem), kind: kind, events: context.events)
        if kind == .keyboard { context.peripherals.keyboards.append(input) } else { context.peripherals.pointers.append(input) }
        return input
    }

    private func makeScreen(_ device: DeviceConfig, _ option: String) throws(ConfigError) -> any VirtioDevice {
        let screen = VirtioGPU(
            name: unique("virtio-gpu"), width: try device.number("xres", in: VirtioGPU.sizeRange, option) ?? 1280,
            height: try device.number("yres", in: VirtioGPU.sizeRange, option) ?? 800, hasEDID: try device.flag("edid", option) ?? true)
        context.peripherals.screens.append(screen)
        return screen
    }

    // MARK: Memory

    private func makeBalloon(_ device: DeviceConfig, _ option: String) throws(ConfigError) -> any VirtioDevice {
        guard context.peripherals.balloon == nil else { throw ConfigError(option, "a machine has one balloon at most") }
        var options = VirtioBalloon.Options()
        options.deflatesWhenOutOfMemory = try device.flag("deflate-on-oom", option) ?? false
        options.reportsFreePages = try device.flag("free-page-reporting", option) ?? false
        options.statisticsInterval = UInt64(try device.number("guest-stats-polling-interval", in: 0...86400, option) ?? 0) * 1_000_000_000
        let balloon = VirtioBalloon(name: unique("virtio-balloon"), memorySize: config.memory, events: context.events, options: options)
        context.peripherals.balloon = balloon
        return balloon
    }

    // MARK: Disks

    /// Number of the disk that `drive=` names, which no other device has.
    func takeDisk(_ device: DeviceConfig, _ option: String) throws(ConfigError) -> Int {
        guard let id = device["drive"] else { throw ConfigError(option, "it needs drive=ID of a -drive") }
        guard let index = disks.firstIndex(where: { $0.config.id == id }) else {
            throw ConfigError("\(option),drive=\(id)", "there is no -drive with id=\(id)")
        }
        guard disks[index].config.interface == .none else {
            throw ConfigError("\(option),drive=\(id)", "that drive has if=virtio and so a device of its own; give it if=none")
        }
        guard disks[index].user == nil else { throw ConfigError("\(option),drive=\(id)", "another device already uses that drive") }
        return index
    }

    private func makeDisk(_ index: Int, serial: String, queues: Int = 1) -> VirtioBlock {
        let name = unique("virtio-blk")
        disks[index].user = name
        let block = VirtioBlock(name: name, disk: disks[index].backend, serial: serial, queues: queues)
        block.hostErrorHandler = hostErrorHandler(name, index)
        return block
    }

    /// What happens when the host fails an operation on a disk.
    func hostErrorHandler(_ name: String, _ index: Int) -> (HostError) -> Void {
        let stopper = context.host.stopper
        let file = disks[index].config.file
        return { error in
            // A guest can live with a bad sector, but nobody would notice a full host disk in time.
            if [ENOSPC, EDQUOT, EFBIG].contains(error.code) {
                stopper.requestStop(.error("-drive file=\(file): \(error); make room and start again"))
            } else {
                Log.write(.guestErrors, "\(name): \(error)")
            }
        }
    }

    /// Brings what the guest wrote to the host's disks.
    func flush() throws {
        var failure: ConfigError?
        for disk in disks {
            do throws(HostError) {
                try disk.drive.close()
            } catch {
                failure = failure ?? ConfigError("-drive file=\(disk.config.file)", "flushing it failed: \(error)")
            }
        }
        if let failure { throw failure }
    }

    /// Writes what `snapshot=on` disks have changed to their images.
    func commitSnapshots() throws {
        for disk in disks {
            do throws(DiskError) {
                try disk.drive.commit()
            } catch {
                throw ConfigError("-drive file=\(disk.config.file)", "committing its changes failed: \(error)")
            }
        }
    }

    // MARK: Flash

    /// The images behind a board's banks of flash memory, nil where there is none. Call it before `makeDevices`.
    func flashImages(banks: Int) throws(ConfigError) -> [(any BlockBackend)?] {
        var images = [(any BlockBackend)?](repeating: nil, count: banks)
        for index in disks.indices where disks[index].config.interface == .pflash {
            let drive = disks[index].config
            let option = "-drive if=pflash,file=\(drive.file)"
            guard let bank = drive.unit ?? images.firstIndex(where: { $0 == nil }), images.indices.contains(bank) else {
                throw ConfigError(option, "the board has \(banks) banks of flash memory, units 0 to \(banks - 1)")
            }
            guard images[bank] == nil else { throw ConfigError(option, "unit=\(bank) is already taken by another drive") }
            images[bank] = try flashImage(index, bank, option)
        }
        for (bank, id) in config.flashDrives.sorted(by: { $0.key < $1.key }) {
            let option = "-machine pflash\(bank)=\(id)"
            guard let index = disks.firstIndex(where: { $0.config.id == id }) else { throw ConfigError(option, "there is no -drive with id=\(id)") }
            guard disks[index].config.interface == .none, disks[index].user == nil else { throw ConfigError(option, "that drive has another use; give it if=none") }
            guard images[bank] == nil else { throw ConfigError(option, "-drive if=pflash,unit=\(bank) is already there") }
            images[bank] = try flashImage(index, bank, option)
        }
        return images
    }

    private func flashImage(_ index: Int, _ bank: Int, _ option: String) throws(ConfigError) -> any BlockBackend {
        let image = disks[index].backend
        guard image.size == PFlash.size else {
            throw ConfigError(
                option, "a bank of flash memory has \(PFlash.size >> 20) MiB, and the image \(image.size) bytes; "
                    + (image.size < PFlash.size ? "truncate -s \(PFlash.size >> 20)M extends a raw one" : "it is not made for this board"))
        }
        disks[index].user = "pflash\(bank)"
        return image
    }

    // MARK: Network

    private func makeNetworkCard(_ device: DeviceConfig, _ option: String) throws(ConfigError) -> any VirtioDevice {
        guard let id = device["netdev"] else { throw ConfigError(option, "it needs netdev=ID of a -netdev") }
        guard let netdev = config.netdevs.first(where: { $0.id == id }) else {
            throw ConfigError("\(option),netdev=\(id)", "there is no -netdev with id=\(id)")
        }
        guard usedNetdevs.insert(id).inserted else { throw ConfigError("\(option),netdev=\(id)", "another device already uses that netdev") }
        var mac = MACAddress(index: UInt8(truncatingIfNeeded: networkCards))
        if let text = device["mac"] {
            guard let given = MACAddress(text), !given.isMulticast else {
                throw ConfigError("\(option),mac=\(text)", "it is not the address of a card; write six bytes like 52:54:00:12:34:56")
            }
            mac = given
        }
        var mtu: UInt16?
        if let text = device["host_mtu"] {
            mtu = UInt16(text)
            if mtu.map({ $0 < 68 }) ?? true { throw ConfigError("\(option),host_mtu=\(text)", "write a number from 68 to 65535") }
        }
        var withheld: UInt64 = 0
        for each in VirtioNetConfig.switches where try device.flag(each.property, option) == false { withheld |= each.feature }
        let pairs = try device.flag("mq", option) ?? false ? netdev.queues : 1
        networkCards += 1
        return VirtioNet(
            name: unique("virtio-net"), backend: try network(netdev), mac: mac, mtu: mtu, queuePairs: pairs, withheld: withheld)
    }

    /// The network of a `-netdev`, which stays when its card goes.
    private func network(_ netdev: NetdevConfig) throws(ConfigError) -> any NetworkBackend {
        if let network = networks[netdev.id] { return network }
        let network = try captured(try makeNetwork(netdev), of: netdev)
        networks[netdev.id] = network
        return network
    }

    private func makeNetwork(_ netdev: NetdevConfig) throws(ConfigError) -> any NetworkBackend {
        do throws(NetworkError) {
            let backend: any NetworkBackend & IOPoller =
                switch netdev.kind {
                case .user(let options):
                    try SlirpBackend(try SlirpConfiguration(options: options.map { (name: $0.name, value: $0.value) }), events: context.events)
                case .stream(let address, listens: true, _): try StreamBackend(listening: address)
                case .stream(let address, listens: false, let interval): try StreamBackend(connecting: address, retryInterval: interval)
                case .datagrams(let local, let remote): try DatagramBackend(local: local, remote: remote)
                case .multicast(let group, let port, let interface): try DatagramBackend(group: group, port: port, interface: interface)
                case .tap(let interface): try TapBackend(interface: interface)
                }
            context.pollers.add(backend)
            return backend
        } catch {
            throw ConfigError("-netdev \(netdev.kind.name),id=\(netdev.id)", error.description)
        }
    }

    /// The network, behind a file for each `filter-dump` it has.
    private func captured(_ network: any NetworkBackend, of netdev: NetdevConfig) throws(ConfigError) -> any NetworkBackend {
        var network = network
        for capture in config.captures where capture.netdev == netdev.id {
            do throws(HostError) {
                network = try PacketCapture(of: network, path: capture.file, limit: capture.limit, clock: config.wallClock(context.events))
            } catch {
                throw ConfigError("-object filter-dump,file=\(capture.file)", error.description)
            }
        }
        return network
    }

    private func makeVsock(_ device: DeviceConfig, _ option: String) throws(ConfigError) -> any VirtioDevice {
        guard let cid = try device.number("guest-cid", in: VirtioVsock.guestCIDs, option) else { throw ConfigError(option, "it needs guest-cid=N, 3 or more") }
        guard let path = device["socket"] else { throw ConfigError(option, "it needs socket=FILE, where programs of the host meet the guest") }
        do throws(SocketError) {
            let vsock = try VirtioVsock(name: unique("vhost-vsock"), guestCID: UInt32(cid), path: path)
            context.pollers.add(vsock)
            return vsock
        } catch {
            throw ConfigError("\(option),socket=\(path)", error.description)
        }
    }

    // MARK: Folders

    private func makeFolder(_ device: DeviceConfig, _ option: String) throws(ConfigError) -> any VirtioDevice {
        guard let id = device["fsdev"] else { throw ConfigError(option, "it needs fsdev=ID of a -fsdev") }
        guard let folder = config.folders.first(where: { $0.id == id }) else {
            throw ConfigError("\(option),fsdev=\(id)", "there is no -fsdev with id=\(id)")
        }
        let tag = device["mount_tag"] ?? ""
        guard 1...VirtioNineP.greatestTagLength ~= tag.utf8.count else {
            throw ConfigError("\(option),mount_tag=\(tag)", "a tag has 1 to \(VirtioNineP.greatestTagLength) bytes")
        }
        guard mountTags.insert(tag).inserted else { throw ConfigError("\(option),mount_tag=\(tag)", "another folder has that tag already") }
        do throws(HostError) {
            let shared = try SharedFolder(path: folder.path, isReadOnly: folder.isReadOnly, ownership: folder.ownership)
            return VirtioNineP(name: unique("virtio-9p"), folder: shared, tag: tag)
        } catch {
            throw ConfigError("--share \(folder.path)", error.description)
        }
    }

    // MARK: Consoles

    private static let portDrivers: Set<String> = ["virtconsole", "virtserialport"]

    /// A port waiting for the controller it belongs to.
    private struct Port {
        let config: DeviceConfig
        let port: VirtioConsolePort
        /// Name of the controller's bus it asked for, else the controller made last before it.
        let controller: Int
        var option: String { "-device \(config.driver)" }
    }

    /// Devices that plug into a controller of the command line, with the position of theirs among the controllers: the one whose bus they name,
    /// else the last before them.
    func attached(_ drivers: Set<String>, to stem: String) throws(ConfigError) -> [(config: DeviceConfig, controller: Int)] {
        var controllers: [String?] = []
        var found: [(config: DeviceConfig, controller: Int)] = []
        for device in config.devices {
            if Self.virtioStem(device.driver) == stem { controllers.append(device["id"]) }
            guard drivers.contains(device.driver) else { continue }
            let option = "-device \(device.driver)"
            var controller = controllers.count - 1
            if let bus = device["bus"] {
                guard let index = controllers.firstIndex(where: { $0.map { "\($0).0" } == bus }) else {
                    throw ConfigError("\(option),bus=\(bus)", "no \(stem)-device before it has that bus (its id followed by .0)")
                }
                controller = index
            }
            guard controller >= 0 else { throw ConfigError(option, "there is no \(stem)-device before it") }
            found.append((device, controller))
        }
        return found
    }

    /// Ports with the position of their controller among the `virtio-serial-device`s.
    private func collectPorts() throws -> [Port] {
        var ports: [Port] = []
        for (device, controller) in try attached(Self.portDrivers, to: "virtio-serial") {
            let option = "-device \(device.driver)"
            var backend: (any CharacterBackend)?
            if let id = device["chardev"] {
                guard let line = config.chardevs.first(where: { $0.id == id }) else {
                    throw ConfigError("\(option),chardev=\(id)", "there is no -chardev with id=\(id)")
                }
                backend = try characterBackend(line)
            }
            let port = VirtioConsolePort(name: device["name"], isConsole: device.driver == "virtconsole", backend: backend)
            ports.append(Port(config: device, port: port, controller: controller))
        }
        return ports
    }

    private func makeConsole(_ device: DeviceConfig, _ option: String, _ ports: inout [Port]) throws(ConfigError) -> any VirtioDevice {
        let index = counters["virtio-serial", default: 0]
        let own = ports.filter { $0.controller == index }
        ports.removeAll { $0.controller == index }
        var maximum = 31
        if let text = device["max_ports"] {
            guard let number = Int(text), (1...31).contains(number) else {
                throw ConfigError("\(option),max_ports=\(text)", "write a number from 1 to 31")
            }
            maximum = number
        }
        guard own.count <= maximum else { throw ConfigError(option, "\(own.count) ports are more than its max_ports=\(maximum)") }
        return VirtioConsole(name: unique("virtio-serial"), ports: own.map(\.port), maximumPorts: maximum)
    }
}

extension MachineConfig {
    /// Where random bytes for the guest come from. The virtual clock promises repeatable runs, so it implies a seed.
    /// - Parameter stream: tells users apart, so that no two get the same bytes.
    func entropySource(stream: UInt64) -> EntropySource {
        guard let seed = seed ?? (clock == .virtual ? 0 : nil) else { return .host }
        return .seeded(seed &+ stream &* 0xD1B5_4A32_D192_ED03)
    }
}
