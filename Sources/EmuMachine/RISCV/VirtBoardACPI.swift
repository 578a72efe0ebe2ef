import EmuDevices

/// The `virt` board's ACPI tables: what its device tree says, for operating systems that UEFI firmware starts.
extension VirtBoard {
    func acpiTables() -> ACPITables {
        let parts = RVACPITables(processor: processor, harts: context.config.harts, numa: numa)
        let controller = interrupts.acpiController
        let port = RVACPITables.SerialPort(base: Map.uart.base, interrupt: Source.uart, clock: UInt32(UART16550.clockFrequency))
        let dsdt = ACPITable("DSDT", revision: 2) { body in
            body.add(
                AML.systemBus(
                    parts.hartDevices() + [parts.controllerDevice(controller), parts.serialDevice(port, size: Map.uart.size), Self.firmwareConfiguration]
                        + transports.indices.map(Self.virtioDevice) + (0..<PCIHost.interruptLines).map(Self.interruptLink)
                        + [hostBridge]))
        }
        return ACPITables(
            [dsdt, parts.fadt(), parts.madt(controller), parts.rhct(), parts.pptt(), parts.spcr(port), Self.mcfg] + parts.affinity(memoryBase: memory.base)
                + [pci.iommu.map(rimt)].compactMap { $0 })
    }

    // MARK: PCI Express

    /// Where the configuration space is (MCFG; PCI Firmware Specification, section 4.1.2).
    private static var mcfg: ACPITable {
        ACPITable("MCFG", revision: 1) { body in
            body.addZeros(8)
            body.add(Map.pciECAM.base)
            let segment: UInt16 = 0
            body.add(segment)
            body.add([0, 255])
            body.addZeros(4)
        }
    }

    /// The IOMMU, and the functions whose accesses it translates: all of the host bridge's but itself (RISC-V IO Mapping Table 1.0).
    private func rimt(_ iommu: RISCVIOMMU) -> ACPITable {
        ACPITable("RIMT", revision: 1) { body in
            let slot = iommu.function.slot, own = slot.device << 3 | slot.function
            // Linux (7.2) takes the id behind a range for part of it, and an IOMMU that is behind itself waits for itself: so the range before it ends one
            // earlier, unless somebody is there, and nobody comes to this bus later.
            let before = PCISlot(device: (own - 1) >> 3, function: (own - 1) & 7), end = pci.root.device(at: before) == nil ? own - 1 : own
            let mappings = [0..<end, own + 1..<0x10000].filter { !$0.isEmpty }
            let first = ACPITable.headerSize + 12, iommuSize = 48, bridgeSize = 20 + 20 * mappings.count
            let isPCIe: UInt32 = 1, levelTriggeredActiveHigh: UInt32 = 3, segment: UInt16 = 0
            func addHead(type: UInt8, size: Int, id: UInt16) {
                body.add([type, 1])
                body.add(UInt16(size))
                body.addZeros(2)
                body.add(id)
            }
            body.add(UInt32(2))
            body.add(UInt32(first))
            body.addZeros(4)

            addHead(type: 0, size: iommuSize, id: 0)
            body.add([RISCVIOMMU.vendorID, RISCVIOMMU.deviceID].map { RVACPITables.hexadecimal(Int($0), digits: 4) }.joined(), width: 8)
            body.addZeros(8)
            body.add(isPCIe)
            body.addZeros(4)
            body.add(segment)
            body.add(UInt16(own))
            // Its interrupt pin.
            body.add(UInt16(1))
            body.add(UInt16(40))
            body.add(UInt32(Source.pci + iommu.function.slot.device % PCIHost.interruptLines))
            body.add(levelTriggeredActiveHigh)

            addHead(type: 1, size: bridgeSize, id: 1)
            body.addZeros(6)
            body.add(segment)
            body.add(UInt16(20))
            body.add(UInt16(mappings.count))
            for mapping in mappings {
                body.add(UInt32(mapping.lowerBound))
                body.add(UInt32(mapping.count))
                body.add(UInt32(mapping.lowerBound))
                body.add(UInt32(first))
                body.addZeros(4)
            }
        }
    }

    /// The host bridge: what it passes on, and the interrupt each pin of each device leads to. There is no I/O window, as the boot requirements ask.
    /// `_OSC` returns what it is given: the operating system may control all it asks for, native hot-plug above all.
    private var hostBridge: [UInt8] {
        let lines = PCIHost.interruptLines
        let routes = (0..<32).flatMap { slot in
            (0..<lines).map { pin in
                AML.package([
                    AML.integer(UInt64(slot) << 16 | 0xffff), AML.integer(UInt64(pin)), AML.name(Self.linkName((slot + pin) % lines)), AML.integer(0),
                ])
            }
        }
        let layout = pci.layout
        // The RIMT names functions by bus and device.
        let keepsBuses = pci.iommu == nil ? [] : [AML.preservedBootConfiguration]
        let nativeHotPlug: UInt64 = 1 << 0, expressCapability: UInt64 = 1 << 4
        return AML.device("PCI0", [
            AML.named("_HID", "PNP0A08"), AML.named("_CID", "PNP0A03"), AML.named("_SEG", 0), AML.named("_BBN", 0), AML.named("_UID", 0), AML.named("_CCA", 1),
            AML.resources([
                AML.busNumbers(0...255), AML.memoryWindow32(layout.memory32.base, layout.memory32.size),
                AML.memoryWindow64(layout.memory64.base, layout.memory64.size),
            ]),
            AML.named("_PRT", AML.package(routes)), AML.hostBridgeCapabilities(control: nativeHotPlug | expressCapability), Self.configurationSpace,
        ] + keepsBuses)
    }

    private static func linkName(_ line: Int) -> String { "LNK" + String(line) }

    /// The interrupt of one of the bridge's lines. Operating systems take an interrupt without such a device for one that is active when low.
    private static func interruptLink(_ line: Int) -> [UInt8] {
        let interrupt = AML.interrupt(Source.pci + line)
        return AML.device(linkName(line), [
            AML.named("_HID", "PNP0C0F"), AML.named("_UID", UInt64(line)), AML.resources([interrupt]), AML.possibleResources([interrupt]),
            AML.method("_SRS", arguments: 1),
        ])
    }

    /// Keeps the configuration space from being given to others. Below the bridge, because Linux looks at the bridge only when the interrupt
    /// controller has its driver, and would find the space taken by a device that does not wait.
    private static var configurationSpace: [UInt8] {
        AML.device("RES0", [AML.named("_HID", "PNP0C02"), AML.named("_UID", 0), AML.resources([AML.memory(Map.pciECAM.base, Map.pciECAM.size)])])
    }

    // MARK: Other devices

    private static var firmwareConfiguration: [UInt8] {
        AML.device("FWCF", [
            AML.named("_HID", "QEMU0002"), AML.named("_STA", 0xb), AML.named("_CCA", 1), AML.resources([AML.memory(Map.fwCfg.base, Map.fwCfg.size)]),
        ])
    }

    private static func virtioDevice(_ slot: Int) -> [UInt8] {
        AML.device("VR" + RVACPITables.hexadecimal(slot, digits: 2), [
            AML.named("_HID", "LNRO0005"), AML.named("_UID", UInt64(slot)), AML.named("_CCA", 1),
            AML.resources([AML.memory(virtioBase(slot), Map.virtio.size), AML.interrupt(Source.virtio + slot)]),
        ])
    }
}
