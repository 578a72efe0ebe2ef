import EmuBus
import EmuCPU

/// ACPI tables every RISC-V board has (ACPI Specification 6.6; RISC-V Boot and Runtime Services Specification, "BRS-I ACPI Requirements").
struct RVACPITables {
    let processor: RVConfig
    let harts: Int
    let numa: NUMALayout?

    /// Where external interrupts come from. Its sources are the system's interrupt numbers.
    struct InterruptController {
        enum Kind {
            /// Its contexts are the harts' machine and supervisor modes in turn.
            case plic(priorities: Int)
            /// Drives the harts' interrupts itself, each by an interrupt delivery control of its own.
            case aplic
            /// Sends messages to the harts' interrupt files.
            case messages(InterruptFiles)
        }

        let kind: Kind
        let base: UInt64
        let size: UInt64
        let sources: Int
    }

    /// The interrupt files of the harts' supervisor mode, one after the other, each with those of its guests.
    struct InterruptFiles {
        let base: UInt64
        /// Bytes from one hart's to the next one's.
        let stride: UInt64
        let guestBits: Int
        let identities: Int
    }

    /// A 16550's registers and wire.
    struct SerialPort {
        let base: UInt64
        let interrupt: Int
        /// Hz.
        let clock: UInt32
    }

    /// Fixed description: hardware-reduced, so nearly all of it is zero.
    func fadt() -> ACPITable {
        var table = ACPITable("FACP", revision: 6) { body in
            body.addZeros(276 - ACPITable.headerSize)
            let hardwareReduced: UInt32 = 1 << 20
            body.set(112 - ACPITable.headerSize, hardwareReduced)
            let minorRevision: UInt8 = 6
            body.set(131 - ACPITable.headerSize, minorRevision)
        }
        table.pointers = [(140, "DSDT")]
        return table
    }

    /// Interrupt controllers: each hart's own (RINTC), its interrupt files (IMSIC), and the PLIC or APLIC.
    func madt(_ controller: InterruptController) -> ACPITable {
        ACPITable("APIC", revision: 7) { body in
            body.addZeros(8)
            for hart in 0..<harts {
                body.add([0x18, 36, 1, 0])
                let enabled: UInt32 = 1
                body.add(enabled)
                body.add(UInt64(hart))
                body.add(UInt32(hart))
                // Bits 31:24 tell the controller, of which there is one, number 0.
                let contextOfController: UInt32 =
                    switch controller.kind {
                    case .plic: UInt32(2 * hart + 1)
                    case .aplic: UInt32(hart)
                    case .messages: 0
                    }
                body.add(contextOfController)
                if case .messages(let files) = controller.kind {
                    body.add(files.base + UInt64(hart) * files.stride)
                    body.add(UInt32(files.stride))
                } else {
                    body.addZeros(12)
                }
            }
            if case .messages(let files) = controller.kind { addFiles(files, to: &body) }
            addController(controller, to: &body)
        }
    }

    private func addFiles(_ files: InterruptFiles, to body: inout LittleEndianBytes) {
        body.add([0x19, 16, 1, 0])
        body.addZeros(4)
        body.add(UInt16(files.identities))
        // There are at least 63 where there are no files for guests, too; Linux refuses the table otherwise.
        body.add(UInt16(files.identities))
        let hartBits = Int.bitWidth - (harts - 1).leadingZeroBitCount
        let groupBits = 0, groupShift = 24
        body.add([files.guestBits, hartBits, groupBits, groupShift].map { UInt8($0) })
    }

    private func addController(_ controller: InterruptController, to body: inout LittleEndianBytes) {
        if case .plic(let priorities) = controller.kind {
            body.add([0x1b, 36, 1, 0])
            body.addZeros(8)
            body.add(UInt16(controller.sources))
            body.add(UInt16(priorities))
            body.addZeros(4)
            body.add(UInt32(controller.size))
            body.add(controller.base)
            let firstInterrupt: UInt32 = 0
            body.add(firstInterrupt)
        } else {
            body.add([0x1a, 36, 1, 0])
            body.addZeros(12)
            if case .aplic = controller.kind { body.add(UInt16(harts)) } else { body.addZeros(2) }
            body.add(UInt16(controller.sources))
            let firstInterrupt: UInt32 = 0
            body.add(firstInterrupt)
            body.add(controller.base)
            body.add(UInt32(controller.size))
        }
    }

    /// Which harts and memory belong together (SRAT), and how far the nodes are from each other (SLIT); nothing without nodes.
    func affinity(memoryBase: UInt64) -> [ACPITable] {
        guard let numa else { return [] }
        let enabled: UInt32 = 1
        let affinity = ACPITable("SRAT", revision: 3) { body in
            let reserved: UInt32 = 1
            body.add(reserved)
            body.addZeros(8)
            for hart in 0..<harts {
                body.add([7, 20, 0, 0])
                body.add(UInt32(numa.node(ofHart: hart)))
                body.add(UInt32(hart))
                body.add(enabled)
                body.addZeros(4)
            }
            for part in numa.memory(from: memoryBase) {
                body.add([1, 40])
                body.add(UInt32(part.node))
                body.addZeros(2)
                body.add(part.base)
                body.add(part.size)
                body.addZeros(4)
                body.add(enabled)
                body.addZeros(8)
            }
        }
        guard let distances = numa.distances else { return [affinity] }
        let locality = ACPITable("SLIT", revision: 1) { body in
            body.add(UInt64(distances.count))
            for row in distances { body.add(row) }
        }
        return [affinity, locality]
    }

    /// What the harts can do (RHCT).
    func rhct() -> ACPITable {
        ACPITable("RHCT", revision: 1) { body in
            let shared = capabilities()
            body.add(UInt32(0))
            body.add(processor.timebase)
            body.add(UInt32(shared.count + harts))
            let first = 56
            body.add(UInt32(first))
            var offsets: [UInt32] = []
            for node in shared {
                offsets.append(UInt32(ACPITable.headerSize + body.count))
                body.add(node)
            }
            for hart in 0..<harts {
                body.add(UInt16(0xffff))
                body.add(UInt16(12 + 4 * offsets.count))
                body.add(UInt16(1))
                body.add(UInt16(offsets.count))
                body.add(UInt32(hart))
                for offset in offsets { body.add(offset) }
            }
        }
    }

    /// The RHCT's nodes that hold for all harts.
    private func capabilities() -> [[UInt8]] {
        func node(_ type: UInt16, _ fill: (inout LittleEndianBytes) -> Void) -> [UInt8] {
            var contents = LittleEndianBytes()
            fill(&contents)
            if contents.count & 1 != 0 { contents.add(UInt8(0)) }
            var node = LittleEndianBytes()
            node.add(type)
            node.add(UInt16(6 + contents.count))
            node.add(UInt16(1))
            node.add(contents.bytes)
            return node.bytes
        }
        let isa = processor.isaString
        var nodes = [
            node(0) {
                $0.add(UInt16(isa.utf8.count + 1))
                $0.add(isa, width: isa.utf8.count + 1)
            }
        ]
        let blocks: [RVExtension] = [.zicbom, .zicbop, .zicboz]
        if blocks.contains(where: processor.extensions.contains) {
            // log2 of 64 bytes.
            nodes.append(node(1) { $0.add([0] + blocks.map { processor.extensions.contains($0) ? 6 : 0 }) })
        }
        if let mode = ["riscv,sv39", "riscv,sv48", "riscv,sv57"].firstIndex(of: processor.mmuType) { nodes.append(node(2) { $0.add([0, UInt8(mode)]) }) }
        return nodes
    }

    /// One package whose cores are the harts (PPTT).
    func pptt() -> ACPITable {
        ACPITable("PPTT", revision: 3) { body in
            func node(flags: UInt32, parent: UInt32, processor: UInt32) {
                body.add([0, 20, 0, 0])
                body.add(flags)
                body.add(parent)
                body.add(processor)
                body.add(UInt32(0))
            }
            let physicalPackage: UInt32 = 1, hasValidIdentifier: UInt32 = 2, leaf: UInt32 = 8, identical: UInt32 = 16
            node(flags: physicalPackage | identical, parent: 0, processor: 0)
            for hart in 0..<harts { node(flags: hasValidIdentifier | leaf, parent: UInt32(ACPITable.headerSize), processor: UInt32(hart)) }
        }
    }

    /// The console (SPCR, revision 4).
    func spcr(_ port: SerialPort) -> ACPITable {
        ACPITable("SPCR", revision: 4) { body in
            let compatible16550: UInt8 = 0x12
            body.add([compatible16550, 0, 0, 0])
            body.add([0, 8, 0, 1])  // Registers of 8 bits in memory, accessed as bytes.
            body.add(port.base)
            let riscvInterrupt: UInt8 = 0x10
            body.add([riscvInterrupt, 0])
            body.add(UInt32(port.interrupt))
            let baud115200: UInt8 = 7, ansiTerminal: UInt8 = 3
            body.add([baud115200, 0, 1, 0, ansiTerminal, 0])
            body.add([0xff, 0xff, 0xff, 0xff])  // No PCI device.
            body.addZeros(8)
            body.add(port.clock)
            body.add(UInt32(0))
            body.add(UInt16(2))
            body.add(UInt16(88))
            body.add(".", width: 2)
        }
    }

    // MARK: Namespace

    /// The harts' devices in the namespace.
    func hartDevices() -> [[UInt8]] {
        (0..<harts).map { AML.device("C" + Self.hexadecimal($0, digits: 3), [AML.named("_HID", "ACPI0007"), AML.named("_UID", UInt64($0))]) }
    }

    func controllerDevice(_ controller: InterruptController) -> [UInt8] {
        let isPLIC = if case .plic = controller.kind { true } else { false }
        return AML.device(isPLIC ? "PLIC" : "APLC", [
            AML.named("_HID", isPLIC ? "RSCV0001" : "RSCV0002"), AML.named("_UID", 0), AML.method("_GSB", returning: AML.integer(0)),
            AML.resources([AML.memory(controller.base, controller.size)]),
        ])
    }

    func serialDevice(_ port: SerialPort, size: UInt64) -> [UInt8] {
        AML.device("COM0", [
            AML.named("_HID", "RSCV0003"), AML.named("_UID", 0), AML.resources([AML.memory(port.base, size), AML.interrupt(port.interrupt)]),
            AML.properties([("clock-frequency", UInt64(port.clock))]),
        ])
    }

    static func hexadecimal(_ number: Int, digits: Int) -> String {
        let text = String(number, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
