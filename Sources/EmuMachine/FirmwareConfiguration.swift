import EmuBus
import EmuDevices
import Foundation

/// One `-fw_cfg`: a named file for firmware.
public struct FirmwareFile: Equatable, Sendable {
    public enum Contents: Equatable, Sendable {
        case file(String)
        case text(String)
    }

    public var name: String
    public var contents: Contents

    public init(name: String, contents: Contents) {
        self.name = name
        self.contents = contents
    }
}

/// What `-boot` asks of firmware.
public struct BootConfig: Equatable, Sendable {
    /// The firmware offers a menu.
    public var hasMenu = false
    /// Milliseconds the firmware waits for a key.
    public var menuWait: UInt16?
    /// Milliseconds after which a failed boot is tried again; nil for never.
    public var retryDelay: UInt16?
    /// Only devices with a `bootindex` or of the kinds in `order` are tried.
    public var isStrict = false
    /// Kinds of devices, as `-boot order=` writes them: `c` disks, `d` optical disks, `n` networks.
    public var order = ""
    /// The same until the first reset.
    public var once: String?

    public init() {}
}

/// Fills fw_cfg with everything firmware is to find there but the kernel.
struct FirmwareConfiguration {
    let fwCfg: FwCfg
    let config: MachineConfig

    /// The machine's tables, where the board has any.
    func add(_ files: [(name: String, bytes: [UInt8])]) throws {
        for file in files { try fwCfg.addFile(file.name, file.bytes) }
    }

    /// What `-boot` says but the order.
    func addBoot() throws {
        let boot = config.boot
        fwCfg.set(FwCfg.Key.bootMenu, UInt16(boot.hasMenu ? 1 : 0))
        if let wait = boot.menuWait { try fwCfg.addFile("etc/boot-menu-wait", [UInt8(truncatingIfNeeded: wait), UInt8(wait >> 8)]) }
        var delay = LittleEndianBytes()
        delay.add(boot.retryDelay.map { UInt32($0) } ?? .max)
        try fwCfg.addFile("etc/boot-fail-wait", delay.bytes)
    }

    /// - Parameter order: Open Firmware paths of the devices to boot from, the first first.
    func setBootOrder(_ order: [String]) throws {
        let paths = order + (config.boot.isStrict ? ["HALT"] : [])
        try fwCfg.setFile("bootorder", paths.isEmpty ? nil : Array(paths.joined(separator: "\n").utf8) + [0])
    }

    func addSMBIOS(_ machine: SMBIOSTables.Machine) throws {
        var given: [[UInt8]] = []
        for path in config.smbiosFiles {
            let bytes = try contents(path, option: "-smbios file=\(path)")
            guard let structure = SMBIOSTables.structure(in: bytes) else {
                throw ConfigError("-smbios file=\(path)", "it is not one SMBIOS structure with its strings")
            }
            guard structure[0] != SMBIOSTables.end else {
                throw ConfigError("-smbios file=\(path)", "it is the end of the table (type 127), which is added by itself; leave it out")
            }
            given.append(structure)
        }
        try add(SMBIOSTables(machine, fields: config.smbios, given: given, uuid: config.uuid).files)
    }

    /// What `-fw_cfg` adds.
    func addGivenFiles() throws {
        for file in config.firmwareFiles {
            let option = "-fw_cfg name=\(file.name)"
            let bytes = switch file.contents {
            case .text(let text): Array(text.utf8)
            case .file(let path): try contents(path, option: "\(option),file=\(path)")
            }
            do {
                try fwCfg.addFile(file.name, bytes)
            } catch {
                throw ConfigError(option, "\(error)")
            }
        }
    }

    private func contents(_ path: String, option: String) throws(ConfigError) -> [UInt8] {
        do throws(ImageError) {
            let source = try FileSource.open(path, limit: 1 << 30)
            guard source.count <= 1 << 30 else { throw ImageError("it is larger than 1 GiB") }
            return try source.bytes(at: 0, Int(source.count))
        } catch {
            throw ConfigError(option, error.description)
        }
    }
}
