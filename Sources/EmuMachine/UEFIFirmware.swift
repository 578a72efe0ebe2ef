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
        let described = allDescribed(root)
        // Variables are kept in raw files only.
        return described.first { $0.variables.format == .raw }
            ?? usualFiles.lazy.compactMap { UEFIFirmware(code: root + $0, variables: root + $1, format: .raw) }.first
            ?? described.first
    }

    /// What descriptions name and is there, the most important first.
    private static func allDescribed(_ root: String) -> [UEFIFirmware] {
        let home = ProcessInfo.processInfo.environment["XDG_CONFIG_HOME"] ?? (ProcessInfo.processInfo.environment["HOME"] ?? "") + "/.config"
        return ([home + "/qemu/firmware"] + descriptionFolders).flatMap { folder in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: root + folder)) ?? []
            return names.sorted().filter { $0.hasSuffix(".json") }.compactMap { described(by: root + folder + "/" + $0, root: root) }
        }
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
    ///
    /// Where they cannot be kept they last as long as the machine, beginning with what the file holds, if there is one.
    /// - Parameter isWritable: the disk may be written to; otherwise nothing is kept.
    /// - Returns: the firmware, and why variables are not kept although they should be.
    public func keepingVariables(besideDisk path: String, isWritable: Bool) -> (firmware: UEFIFirmware, problem: String?) {
        var result = self
        let file = path + Self.variablesSuffix
        var problem: String?
        if FileManager.default.isReadableFile(atPath: file) {
            result.variables.file = file
            result.variables.format = .raw
            if Self.canWrite(file) { result.variables.isSnapshot = !isWritable } else { problem = "\(file) cannot be written" }
        } else if isWritable {
            if variables.format != .raw {
                problem = "their template, \(variables.file), is no raw image"
            } else if Self.copy(variables.file, to: file) {
                result.variables.file = file
            } else {
                problem = "\(file) cannot be made"
            }
        }
        if problem != nil || result.variables.file != file { result.variables.isSnapshot = true }
        return (result, isWritable ? problem.map { "\($0): what the firmware keeps in its variables is lost at the end" } : nil)
    }

    public static let variablesSuffix = ".uefi-vars"

    /// Tried, as permissions do not tell of read-only file systems.
    private static func canWrite(_ file: String) -> Bool {
        let descriptor = open(file, O_WRONLY | O_CLOEXEC)
        if descriptor >= 0 { close(descriptor) }
        return descriptor >= 0
    }

    /// - Returns: whether `file` is there and can be written.
    private static func copy(_ template: String, to file: String) -> Bool {
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
            return canWrite(file)
        }
    }
}
