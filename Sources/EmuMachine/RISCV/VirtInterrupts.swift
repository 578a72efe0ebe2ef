import EmuBus
import EmuDevices

/// What takes the `virt` board's interrupts to its harts: a PLIC, an APLIC that drives them itself, or an APLIC that sends messages to their IMSICs.
final class VirtInterrupts {
    enum Map {
        static let plic: UInt64 = 0xC00_0000
        static let machineAPLIC: UInt64 = 0xC00_0000, supervisorAPLIC: UInt64 = 0xD00_0000
        static let machineFiles: UInt64 = 0x2400_0000, supervisorFiles: UInt64 = 0x2800_0000
    }

    /// Highest source number of a PLIC (`riscv,ndev`), and of an APLIC.
    static let plicSources = 95, aplicSources = 96

    let plic: PLIC?
    /// Its child is the supervisor's.
    let aplic: APLIC?
    private let supervisorAPLIC: APLIC?
    let machineFiles: IMSIC?
    let supervisorFiles: IMSIC?
    /// What devices raise their interrupts at.
    let sink: any InterruptSink

    init(_ config: MachineConfig, _ cores: RVCores) {
        let machine = cores.lines(RVInterruptNumber.machineExternal), supervisor = cores.lines(RVInterruptNumber.supervisorExternal)
        var plic: PLIC?
        var domains: (root: APLIC, child: APLIC)?
        var files: (machine: IMSIC, supervisor: IMSIC)?
        switch config.interrupts {
        case .plic: plic = PLIC(sources: Self.plicSources, contexts: cores.plicContexts)
        case .aplic: domains = Self.domains(config, machine, supervisor, nil)
        case .imsic:
            let made = (
                machine: IMSIC(name: "imsic-m", guests: 0, lines: machine), supervisor: IMSIC(name: "imsic-s", guests: config.guestFiles, lines: supervisor) { cores.guestLine(hart: $0, guest: $1) }
            )
            for (index, processor) in cores.processors.enumerated() {
                processor.machineFile = made.machine.file(hart: index)
                processor.supervisorFile = made.supervisor.file(hart: index)
                if processor.hasHypervisor { processor.guestFiles = made.supervisor.guestFiles(hart: index) }
            }
            files = made
            domains = Self.domains(config, [], []) { address, data in
                if Self.write(data, to: address, [(Map.machineFiles, made.machine), (Map.supervisorFiles, made.supervisor)]) { return }
                Log.write(.guestErrors, "aplic: a message to \(hex(address)), where no interrupt file is")
            }
        }
        self.plic = plic
        aplic = domains?.root
        supervisorAPLIC = domains?.child
        machineFiles = files?.machine
        supervisorFiles = files?.supervisor
        sink = plic ?? domains!.root
    }

    /// A message to one of the interrupt files; false where none is. Guests may name any address; only interrupt files take messages, so that
    /// none goes round in a circle.
    private static func write(_ data: UInt32, to address: UInt64, _ files: [(base: UInt64, imsic: IMSIC)]) -> Bool {
        for (base, imsic) in files where address >= base && address - base < imsic.size {
            imsic.write(address - base, UInt64(data), size: 4)
            return true
        }
        return false
    }

    private static func domains(
        _ config: MachineConfig, _ machine: [InterruptLine], _ supervisor: [InterruptLine], _ send: ((UInt64, UInt32) -> Void)?
    ) -> (root: APLIC, child: APLIC) {
        let child = APLIC(name: "aplic-s", sources: aplicSources, harts: config.harts, lines: supervisor, send: send)
        return (APLIC(name: "aplic-m", sources: aplicSources, harts: config.harts, lines: machine, child: child, send: send), child)
    }

    var devices: [any MMIODevice] {
        [plic as (any MMIODevice)?, aplic, supervisorAPLIC, machineFiles, supervisorFiles].compactMap { $0 }
    }

    var saveableParts: [any Saveable] {
        // Interrupt files before what drives them anew.
        [plic as (any Saveable)?, machineFiles, supervisorFiles, aplic, supervisorAPLIC].compactMap { $0 }
    }

    func map(_ bus: AddressSpace) throws {
        if let plic { try bus.map(plic, at: Map.plic, size: PLIC.size, sizes: PLIC.accessSizes) }
        if let aplic { try bus.map(aplic, at: Map.machineAPLIC, size: APLIC.size, sizes: APLIC.accessSizes) }
        if let supervisorAPLIC { try bus.map(supervisorAPLIC, at: Map.supervisorAPLIC, size: APLIC.size, sizes: APLIC.accessSizes) }
        if let machineFiles { try bus.map(machineFiles, at: Map.machineFiles, size: machineFiles.size, sizes: IMSIC.accessSizes) }
        if let supervisorFiles { try bus.map(supervisorFiles, at: Map.supervisorFiles, size: supervisorFiles.size, sizes: IMSIC.accessSizes) }
    }

    // MARK: ACPI

    /// What operating systems are told of it: its part for supervisor mode.
    var acpiController: RVACPITables.InterruptController {
        guard let supervisorAPLIC else {
            return .init(kind: .plic(priorities: 7), base: Map.plic, size: PLIC.size, sources: Self.plicSources)
        }
        let files = supervisorFiles.map {
            RVACPITables.InterruptFiles(base: Map.supervisorFiles, stride: $0.stride, guestBits: $0.guestBits, identities: IMSIC.identities)
        }
        return .init(kind: files.map(RVACPITables.InterruptController.Kind.messages) ?? .aplic, base: Map.supervisorAPLIC, size: APLIC.size, sources: supervisorAPLIC.sources)
    }

    // MARK: Device tree

    /// Handles the nodes take, the first of which is what devices name as their interrupt parent.
    static let handles: UInt32 = 4

    /// The nodes, with `first` and the handles behind it.
    func nodes(_ controllers: [UInt32], first: UInt32) -> [FDTNode] {
        func outputs(_ interrupts: Int...) -> [(controller: UInt32, interrupt: UInt32)] {
            controllers.flatMap { controller in interrupts.map { (controller: controller, interrupt: UInt32($0)) } }
        }
        let machine = RVInterruptNumber.machineExternal, supervisor = RVInterruptNumber.supervisorExternal
        if let plic { return [plic.fdtNode(at: Map.plic, phandle: first, outputs: outputs(machine, supervisor))] }
        guard let aplic, let supervisorAPLIC else { return [] }
        var nodes: [FDTNode] = []
        if let machineFiles, let supervisorFiles {
            nodes.append(machineFiles.fdtNode(at: Map.machineFiles, phandle: first + 2, interrupt: UInt32(machine), controllers: controllers))
            nodes.append(supervisorFiles.fdtNode(at: Map.supervisorFiles, phandle: first + 3, interrupt: UInt32(supervisor), controllers: controllers))
        }
        let hasFiles = machineFiles != nil
        nodes.append(aplic.fdtNode(at: Map.machineAPLIC, phandle: first + 1, outputs: outputs(machine), messages: hasFiles ? first + 2 : nil, childHandle: first))
        nodes.append(supervisorAPLIC.fdtNode(at: Map.supervisorAPLIC, phandle: first, outputs: outputs(supervisor), messages: hasFiles ? first + 3 : nil, childHandle: nil))
        return nodes
    }

    /// Phandle of what devices send messages to; nil where nothing takes any.
    func messageParent(first: UInt32) -> UInt32? { supervisorFiles == nil ? nil : first + 3 }

    /// What follows a source number in an interrupt specifier.
    var sourceCells: [UInt32] { plic == nil ? [UInt32(Self.levelHigh)] : [] }
    private static let levelHigh: UInt8 = 4

    /// A device's node, whose `interrupts` are source numbers, as the controller wants them: an APLIC's tell the trigger, too (4, level high).
    func adapted(_ node: FDTNode) -> FDTNode {
        guard plic == nil, let interrupts = node["interrupts"] else { return node }
        var node = node
        node.set("interrupts", bytes: stride(from: 0, to: interrupts.count, by: 4).flatMap { Array(interrupts[$0..<$0 + 4]) + [0, 0, 0, Self.levelHigh] })
        return node
    }
}

extension VirtInterrupts: MSITarget {
    func writeMSI(address: UInt64, data: UInt32) -> Bool {
        guard let machineFiles, let supervisorFiles else { return false }
        return Self.write(data, to: address, [(Map.machineFiles, machineFiles), (Map.supervisorFiles, supervisorFiles)])
    }
}
