import EmuDevices

/// A disk or drive waiting for the host adapter it belongs to.
struct SCSIUnitPlacement {
    let config: DeviceConfig
    /// Position of its host adapter among them.
    let host: Int
    var option: String { "-device \(config.driver)" }
}

/// SCSI: disks and drives are devices of their own that plug into a host adapter.
extension PeripheralAssembly {
    static let scsiUnitDrivers: Set<String> = ["scsi-hd", "scsi-cd"]

    func collectSCSIUnits() throws(ConfigError) -> [SCSIUnitPlacement] {
        try attached(Self.scsiUnitDrivers, to: "virtio-scsi").map { SCSIUnitPlacement(config: $0.config, host: $0.controller) }
    }

    func makeSCSI(_ device: DeviceConfig, _ option: String) throws(ConfigError) -> any VirtioDevice {
        let number = counters["virtio-scsi", default: 0]
        let name = unique("virtio-scsi")
        var units: [VirtioSCSI.Address: SCSIUnit] = [:]
        unitsToBoot = []
        for unit in scsiUnits where unit.host == number {
            let address = try scsiAddress(unit, among: units)
            unitsToBoot.append(
                BootDevice(
                    kind: unit.config.driver == "scsi-cd" ? .optical : .disk, index: try bootIndex(unit.config, unit.option), functionName: "scsi",
                    unit: "channel@0/disk@" + String(address.target, radix: 16) + "," + String(address.unit, radix: 16)))
            units[address] = try makeSCSIUnit(unit, "\(name):\(address.target):\(address.unit)")
        }
        return VirtioSCSI(name: name, units: units, queues: try device.number("num_queues", in: 1...64, option) ?? 1)
    }

    private func scsiAddress(_ unit: SCSIUnitPlacement, among units: [VirtioSCSI.Address: SCSIUnit]) throws(ConfigError) -> VirtioSCSI.Address {
        let number = UInt16(try unit.config.number("lun", in: VirtioSCSI.unitRange, unit.option) ?? 0)
        if let target = try unit.config.number("scsi-id", in: 0...255, unit.option) {
            let address = VirtioSCSI.Address(target: UInt8(target), unit: number)
            guard units[address] == nil else { throw ConfigError("\(unit.option),scsi-id=\(target),lun=\(number)", "another device is there already") }
            return address
        }
        guard let free = (0...255).lazy.map({ VirtioSCSI.Address(target: UInt8($0), unit: number) }).first(where: { units[$0] == nil }) else {
            throw ConfigError(unit.option, "all 256 targets have a unit \(number)")
        }
        return free
    }

    private func makeSCSIUnit(_ unit: SCSIUnitPlacement, _ name: String) throws(ConfigError) -> SCSIUnit {
        let index = try takeDisk(unit.config, unit.option)
        disks[index].user = name
        var identity = SCSIUnit.Identity()
        identity.serial = unit.config["serial"] ?? ""
        identity.vendor = unit.config["vendor"] ?? identity.vendor
        identity.product = unit.config["product"]
        identity.revision = unit.config["ver"] ?? identity.revision
        let made = SCSIUnit(unit.config.driver == "scsi-cd" ? .cdrom : .disk, disk: disks[index].backend, identity: identity)
        made.hostErrorHandler = hostErrorHandler(name, index)
        return made
    }
}
