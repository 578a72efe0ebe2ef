/// A range of physical addresses.
struct PhysicalRange {
    var start: UInt64 = 0
    /// Bytes.
    var size: UInt64 = 0

    var end: UInt64 { start &+ size }

    func overlaps(start other: UInt64, size otherSize: UInt64) -> Bool {
        size != 0 && otherSize != 0 && (other &- start < size || start &- other < otherSize)
    }

    func overlaps(_ other: PhysicalRange) -> Bool { overlaps(start: other.start, size: other.size) }

    /// Whether all of `other` lies inside. False where `other` wraps around.
    func contains(_ other: PhysicalRange) -> Bool {
        other.start >= start && other.start &- start <= size && other.size <= size &- (other.start &- start)
    }
}

/// What comes after the firmware.
struct NextStage {
    var address: UInt64 = 0
    /// A `PrivilegeMode`.
    var mode = PrivilegeMode.supervisor
    /// The hart that enters it, where the loader prefers one.
    var bootHart: UInt64 = .max
}

/// The machine as its device tree describes it. Written by the cold boot only, before other harts run. Its functions are
/// those of `PlatformPointer`: a method of the structure itself would be handed a copy of it, which the harts' small stacks
/// have no room for.
struct Platform: ~Copyable {
    var hartCount: UInt64 = 0
    /// Base of the per-hart areas.
    var hartAreas: UInt64 = 0
    /// The memory closed to S and U mode: a power of two, naturally aligned.
    var firmwareRegion = PhysicalRange()
    var nextStage = NextStage()

    var memory = InlineArray<8, PhysicalRange>(repeating: PhysicalRange())
    var memoryCount = 0
    var initialRAMDisk = PhysicalRange()
    /// Ticks of the time register per second.
    var timebase: UInt64 = 0

    var console = ConsoleDevice.none
    /// SiFive test finisher; 0 if there is none.
    var finisher: UInt64 = 0
    var reboot = ResetRegister()
    var powerOff = ResetRegister()
    var htif: HTIF?

    /// The harts promise hardware updates of A and D bits (Svadu without Svade in the device tree).
    var hardwareUpdatesAccessedDirty = false
    var events = EventMap()
}

/// Commands of the SiFive test finisher.
private enum Finisher {
    static let fail: UInt32 = 0x3333
    static let pass: UInt32 = 0x5555
    static let reset: UInt32 = 0x7777
}

typealias PlatformPointer = UnsafeMutablePointer<Platform>

// SAFETY: memory set aside in Entry.S. The cold boot fills it while all other harts sleep; afterwards it is only read.
var platform: PlatformPointer { platform_storage().assumingMemoryBound(to: Platform.self) }

extension PlatformPointer {
    var hasConsole: Bool {
        if case .none = pointee.console { false } else { true }
    }

    var canShutDown: Bool { pointee.finisher != 0 || pointee.powerOff.exists || pointee.htif != nil }
    var canReset: Bool { canShutDown || pointee.reboot.exists }

    /// Switches the machine off; where it can, it tells the outside of a failure.
    func shutDown(failure: Bool) {
        if pointee.finisher != 0 {
            mmio_write32(pointee.finisher, failure ? Finisher.fail | 1 << 16 : Finisher.pass)
        } else if pointee.powerOff.exists {
            pointee.powerOff.trigger()
        } else {
            pointee.htif?.exit(failure ? 1 : 0)
        }
    }

    func memoryContains(_ address: UInt64) -> Bool { memoryContains(PhysicalRange(start: address, size: 1)) }

    private func memoryContains(_ range: PhysicalRange) -> Bool {
        for index in 0..<pointee.memoryCount where pointee.memory[index].contains(range) { return true }
        return false
    }

    /// Whether the range is RAM that neither the firmware nor anything a loader told of occupies.
    func isFree(_ range: PhysicalRange) -> Bool {
        memoryContains(range) && !pointee.firmwareRegion.overlaps(range) && !pointee.initialRAMDisk.overlaps(range)
            && !range.overlaps(start: pointee.nextStage.address, size: 1)
    }
}

// MARK: Discovery

extension PlatformPointer {
    /// Lists the usable harts and returns their number, at most MAX_HARTS.
    func collectHarts(_ tree: FDT) -> UInt64 {
        guard let root = tree.root, let cpus = tree.child(root, named: "cpus") else { return 0 }
        let ids = hart_ids()
        var count = 0
        var node = tree.firstChild(cpus)
        while let cpu = node {
            if count < MAX_HARTS, tree.isEnabled(cpu), let id = hartID(tree, cpus, cpu) {
                // Kept in ascending order.
                var place = count
                while place > 0, ids[place - 1] > id {
                    ids[place] = ids[place - 1]
                    place -= 1
                }
                ids[place] = id
                count += 1
            }
            node = tree.nextSibling(cpu)
        }
        return UInt64(count)
    }

    private func hartID(_ tree: FDT, _ cpus: FDTNode, _ cpu: FDTNode) -> UInt64? {
        guard let type = tree.property(cpu, "device_type"), type.lists("cpu") else { return nil }
        return tree.property(cpu, "reg")?.number(cell: 0, cells: tree.cells(cpus, "#address-cells", default: 1))
    }

    /// Memory, initial RAM disk and time base: what is needed before the firmware settles in RAM.
    func discoverMemory(_ tree: FDT) {
        guard let root = tree.root else { return }
        var node = tree.firstChild(root)
        while let current = node {
            if let type = tree.property(current, "device_type"), type.lists("memory"), tree.isEnabled(current) {
                var entry = 0
                while pointee.memoryCount < pointee.memory.count, let range = tree.registers(current, entry) {
                    pointee.memory[pointee.memoryCount] = range
                    pointee.memoryCount += 1
                    entry += 1
                }
            }
            node = tree.nextSibling(current)
        }
        if let chosen = tree.child(root, named: "chosen"), let start = tree.number(chosen, "linux,initrd-start"),
            let end = tree.number(chosen, "linux,initrd-end"), end > start
        {
            pointee.initialRAMDisk = PhysicalRange(start: start, size: end - start)
        }
    }

    /// The console comes first, so that later steps can report what they miss.
    func discoverConsole(_ tree: FDT) {
        if let node = tree.nextCompatible(after: nil, "ucb,htif0") { pointee.htif = makeHTIF(tree, node) }
        if let root = tree.root, let chosen = tree.child(root, named: "chosen"),
            let path = tree.property(chosen, "stdout-path"), let node = tree.node(path: path)
        {
            pointee.console = makeConsole(tree, node)
            if hasConsole { return }
        }
        if let node = tree.nextCompatible(after: nil, "ns16550a") ?? tree.nextCompatible(after: nil, "ns16550") {
            pointee.console = makeConsole(tree, node)
        } else if let htif = pointee.htif {
            pointee.console = .htif(htif)
        }
    }

    private func makeConsole(_ tree: FDT, _ node: FDTNode) -> ConsoleDevice {
        if tree.isCompatible(node, "ucb,htif0"), let htif = pointee.htif { return .htif(htif) }
        guard tree.isCompatible(node, "ns16550a") || tree.isCompatible(node, "ns16550"),
            let registers = tree.registers(node)
        else { return .none }
        let uart = UART16550(
            base: registers.start &+ (tree.number(node, "reg-offset") ?? 0), shift: (tree.number(node, "reg-shift") ?? 0) & 7,
            width: tree.number(node, "reg-io-width") ?? 1)
        uart.initialize(
            clock: tree.number(node, "clock-frequency") ?? 0, baud: tree.number(node, "current-speed") ?? 115_200)
        return .uart(uart)
    }

    /// One `reg` entry holds fromhost and, behind it, tohost; with two entries each has its own.
    private func makeHTIF(_ tree: FDT, _ node: FDTNode) -> HTIF? {
        guard let first = tree.registers(node, 0) else { return nil }
        if let second = tree.registers(node, 1) { return HTIF(fromHost: first.start, toHost: second.start) }
        return HTIF(fromHost: first.start, toHost: first.start &+ 8)
    }

    func discoverReset(_ tree: FDT) {
        if let node = tree.nextCompatible(after: nil, "sifive,test0") ?? tree.nextCompatible(after: nil, "sifive,test1"),
            let registers = tree.registers(node)
        {
            pointee.finisher = registers.start
            if tree.isCompatible(node, "sifive,test1") {
                pointee.reboot = ResetRegister(address: pointee.finisher, value: Finisher.reset)
            }
        }
        if !pointee.reboot.exists, let node = tree.nextCompatible(after: nil, "syscon-reboot") {
            pointee.reboot = systemControl(tree, node)
        }
        if let node = tree.nextCompatible(after: nil, "syscon-poweroff") { pointee.powerOff = systemControl(tree, node) }
    }

    private func systemControl(_ tree: FDT, _ node: FDTNode) -> ResetRegister {
        guard let map = tree.number(node, "regmap"), let controller = tree.node(phandle: map),
            let registers = tree.registers(controller), let offset = tree.number(node, "offset")
        else { return ResetRegister() }
        // Without a mask, `value` is all of the register; without a value, the mask is what is written.
        let mask = tree.number(node, "mask")
        let value = tree.number(node, "value") ?? mask ?? 0
        return ResetRegister(
            address: registers.start &+ offset, value: UInt32(truncatingIfNeeded: value),
            mask: UInt32(truncatingIfNeeded: mask ?? .max), width: tree.number(controller, "reg-io-width") ?? 4)
    }

    func discoverHartFeatures(_ tree: FDT) {
        guard let root = tree.root, let cpus = tree.child(root, named: "cpus") else { return }
        pointee.timebase = tree.number(cpus, "timebase-frequency") ?? 0
        if let cpu = tree.firstChild(cpus) {
            pointee.hardwareUpdatesAccessedDirty = lists(tree, cpu, "svadu") && !lists(tree, cpu, "svade")
        }
        if let node = tree.nextCompatible(after: nil, "riscv,pmu") { loadEvents(tree, node) }
    }

    private func lists(_ tree: FDT, _ cpu: FDTNode, _ name: StaticString) -> Bool {
        if let list = tree.property(cpu, "riscv,isa-extensions") { return list.lists(name) }
        return tree.property(cpu, "riscv,isa")?.listsWord(name) ?? false
    }

    /// Gives every hart its interrupt controller's phandle, then its timer and software-interrupt registers.
    func discoverHartDevices(_ tree: FDT) {
        guard let root = tree.root, let cpus = tree.child(root, named: "cpus") else { return }
        var cpuNode = tree.firstChild(cpus)
        while let cpu = cpuNode {
            if let id = hartID(tree, cpus, cpu), let hart = HartTable.find(id: id),
                let controller = tree.child(cpu, named: "interrupt-controller"),
                let phandle = tree.number(controller, "phandle")
            {
                hart.pointee.interruptController = UInt32(truncatingIfNeeded: phandle)
            }
            cpuNode = tree.nextSibling(cpu)
        }

        var node = tree.root
        while let current = node {
            if tree.isEnabled(current) { attachHartDevice(tree, current) }
            node = tree.nextNode(after: current)
        }
    }

    /// A CLINT combines both devices at fixed offsets; an ACLINT describes each by its own node.
    private func attachHartDevice(_ tree: FDT, _ node: FDTNode) {
        if tree.isCompatible(node, "sifive,clint0") || tree.isCompatible(node, "riscv,clint0") {
            guard let registers = tree.registers(node) else { return }
            attach(
                tree, node, softwareInterrupts: registers.start, timerCompares: registers.start &+ 0x4000,
                time: registers.start &+ 0xbff8)
        } else if tree.isCompatible(node, "riscv,aclint-mswi") {
            guard let registers = tree.registers(node) else { return }
            attach(tree, node, softwareInterrupts: registers.start, timerCompares: 0, time: 0)
        } else if tree.isCompatible(node, "riscv,aclint-mtimer") {
            guard let time = tree.registers(node, 0), let compares = tree.registers(node, 1) else { return }
            attach(tree, node, softwareInterrupts: 0, timerCompares: compares.start, time: time.start)
        } else if tree.isCompatible(node, "riscv,imsics") {
            attachInterruptFiles(tree, node)
        }
    }

    /// The device's nth software-interrupt (timer) register belongs to the hart its nth interrupt 3 (7) goes to.
    private func attach(_ tree: FDT, _ node: FDTNode, softwareInterrupts: UInt64, timerCompares: UInt64, time: UInt64) {
        guard let targets = tree.property(node, "interrupts-extended") else { return }
        let machineSoftware: UInt32 = 3
        let machineTimer: UInt32 = 7
        var softwareCount: UInt64 = 0
        var timerCount: UInt64 = 0
        var entry = 0
        // Entries come in the order of the harts as a rule, so the search resumes behind the last one found.
        var next = 0
        while let controller = targets.cell(entry), let interrupt = targets.cell(entry + 1) {
            let hart = findHart(interruptController: controller, from: &next)
            if interrupt == machineSoftware {
                if softwareInterrupts != 0 { hart?.pointee.softwareInterrupt = softwareInterrupts &+ softwareCount &* 4 }
                softwareCount += 1
            } else if interrupt == machineTimer {
                if timerCompares != 0 {
                    hart?.pointee.timerCompare = timerCompares &+ timerCount &* 8
                    hart?.pointee.timeRegister = time
                }
                timerCount += 1
            }
            entry += 2
        }
    }

    /// The machine-level file of the hart that the nth interrupt 11 goes to is in the nth page, or as far apart as guests' files ask for.
    private func attachInterruptFiles(_ tree: FDT, _ node: FDTNode) {
        guard let targets = tree.property(node, "interrupts-extended"), let registers = tree.registers(node) else { return }
        let machineExternal: UInt32 = 11
        let stride: UInt64 = 0x1000 << ((tree.number(node, "riscv,guest-index-bits") ?? 0) & 7)
        var page = registers.start
        var entry = 0
        var next = 0
        while let controller = targets.cell(entry), let interrupt = targets.cell(entry + 1) {
            if interrupt == machineExternal { findHart(interruptController: controller, from: &next)?.pointee.interruptFile = page }
            page = page &+ stride
            entry += 2
        }
    }

    private func findHart(interruptController: UInt32, from start: inout Int) -> HartPointer? {
        for step in 0..<HartTable.count {
            let index = (start + step) % HartTable.count
            let hart = HartTable.pointer(index)
            if hart.pointee.interruptController == interruptController {
                start = index
                return hart
            }
        }
        return nil
    }
}
