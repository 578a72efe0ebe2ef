import EmuDevices

/// The `virt` board's ACPI tables: what its device tree says, for operating systems that UEFI firmware starts. They know a PLIC and no PCI.
extension VirtBoard {
    func acpiTables() -> ACPITables {
        let parts = RVACPITables(processor: processor, harts: context.config.harts)
        let plic = RVACPITables.InterruptController(
            base: VirtInterrupts.Map.plic, size: PLIC.size, sources: VirtInterrupts.plicSources, priorities: 7)
        let port = RVACPITables.SerialPort(base: Map.uart.base, interrupt: Source.uart, clock: UInt32(UART16550.clockFrequency))
        let dsdt = ACPITable("DSDT", revision: 2) { body in
            body.add(
                AML.systemBus(
                    parts.hartDevices() + [parts.plicDevice(plic), parts.serialDevice(port, size: Map.uart.size), Self.firmwareConfiguration]
                        + transports.indices.map(Self.virtioDevice)))
        }
        return ACPITables([dsdt, parts.fadt(), parts.madt(plic), parts.rhct(), parts.pptt(), parts.spcr(port)])
    }

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
