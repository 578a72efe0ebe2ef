import EmuDevices
import Foundation

/// UEFI firmware found on the host: an image for the first bank of flash memory and a template for the second, which keeps variables.
public struct UEFIFirmware: Equatable, Sendable {
    public var code: DriveConfig
    public var variables: DriveConfig

    /// What to do when there is none.
    public static let advice = "UEFI firmware is not installed: 'apt install qemu-efi-riscv64' brings it to Debian, the package edk2-riscv64 to others"

    /// Folders with descriptions of firmware (QEMU's docs/interop/firmware.json), those of the user and the administrator before the distribution's.
    private static let descriptionFolders = ["/etc/qemu/firmware", "/usr/local/share/qemu/firmware", "/usr/share/qemu/firmware"]

    /// Where it lies when nothing describes it: code, then variables.
    private static let usualFiles = [
        ("/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd", "/usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd"),
        ("/usr/share/edk2/riscv/RISCV_VIRT_CODE.fd", "/usr/share/edk2/riscv/RISCV_VIRT_VARS.fd"),
        ("/usr/share/edk2/riscv64/RISCV_VIRT_CODE.fd", "/usr/share/edk2/riscv64/RISCV_VIRT_VARS.fd"),
        ("/usr/share/qemu/edk2-riscv-code.fd", "/usr/share/qemu/edk2-riscv-vars.fd"),
        ("/usr/local/share/qemu/edk2-riscv-code.fd", "/usr/local/share/qemu/edk2-riscv-vars.fd"),
    ]

    /// The first firmware for the `virt` board with RISC-V harts of 64 bits.
    /// - Parameter root: put in front of every path, for tests.
    public static func find(root: String = "") -> UEFIFirmware? {
        let home = ProcessInfo.processInfo.environment["XDG_CONFIG_HOME"] ?? (ProcessInfo.processInfo.environment["HOME"] ?? "") + "/.config"
        for folder in [home + "/qemu/firmware"] + descriptionFolders {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: root + folder)) ?? []
            for name in names.sorted() where name.hasSuffix(".json") {
                if let found = described(by: root + folder + "/" + name, root: root) { return found }
            }
        }
        return usualFiles.lazy.compactMap { UEFIFirmware(code: root + $0, variables: root + $1, format: .raw) }.first
    }

    /// Nil unless both files are there.
    private init?(code: String, variables: String, format: DiskFormat) {
        guard [code, variables].allSatisfy(FileManager.default.isReadableFile) else { return nil }
        self.code = DriveConfig(file: code)
        self.code.interface = .pflash
        self.code.unit = 0
        self.code.isReadOnly = true
        self.code.format = format
        self.variables = DriveConfig(file: variables)
        self.variables.interface = .pflash
        self.variables.unit = 1
        self.variables.format = format
    }

    // MARK: Descriptions

    private struct Description: Decodable {
        struct File: Decodable {
            let filename: String
            let format: String
        }
        struct Mapping: Decodable {
            let device: String
            let executable: File?
            let nvramTemplate: File?

            enum CodingKeys: String, CodingKey {
                case device, executable
                case nvramTemplate = "nvram-template"
            }
        }
        struct Target: Decodable {
            let architecture: String
            let machines: [String]
        }
        let mapping: Mapping
        let targets: [Target]
    }

    private static func described(by path: String, root: String) -> UEFIFirmware? {
        guard let data = FileManager.default.contents(atPath: path), let description = try? JSONDecoder().decode(Description.self, from: data),
            description.targets.contains(where: { $0.architecture == "riscv64" && $0.machines.contains { $0.hasPrefix("virt") } }),
            description.mapping.device == "flash", let code = description.mapping.executable, let variables = description.mapping.nvramTemplate,
            code.format == variables.format, let format = DiskFormat(rawValue: code.format)
        else { return nil }
        return UEFIFirmware(code: root + code.filename, variables: root + variables.filename, format: format)
    }

    // MARK: Variables

    /// The same firmware with variables of the disk at `path`, which are kept in a file beside it: made from the template the first time.
    /// Variables of a disk that is not to be written, or whose folder may not be, last as long as the machine.
    public func keepingVariables(besideDisk path: String, isWritable: Bool) -> UEFIFirmware {
        var result = self
        let file = path + Self.variablesSuffix
        if isWritable, variables.format == .raw, Self.isPresent(file, orCopyOf: variables.file) {
            result.variables.file = file
        } else {
            result.variables.isSnapshot = true
        }
        return result
    }

    public static let variablesSuffix = ".uefi-vars"

    private static func isPresent(_ file: String, orCopyOf template: String) -> Bool {
        if FileManager.default.fileExists(atPath: file) { return FileManager.default.isWritableFile(atPath: file) }
        // Complete under its name or not there at all; a file with holes, as most of it is zeros.
        let partial = file + ".\(getpid())"
        guard let contents = FileManager.default.contents(atPath: template), contents.count == PFlash.size,
            FileManager.default.createFile(atPath: partial, contents: nil), let handle = FileHandle(forWritingAtPath: partial)
        else { return false }
        do {
            try handle.truncate(atOffset: PFlash.size)
            let chunk = 64 << 10
            for offset in stride(from: 0, to: contents.count, by: chunk) {
                let piece = contents[offset..<min(offset + chunk, contents.count)]
                if piece.allSatisfy({ $0 == 0 }) { continue }
                try handle.seek(toOffset: UInt64(offset))
                try handle.write(contentsOf: piece)
            }
            try handle.close()
            try FileManager.default.moveItem(atPath: partial, toPath: file)
            return true
        } catch {
            try? FileManager.default.removeItem(atPath: partial)
            return FileManager.default.isWritableFile(atPath: file)
        }
    }
}
