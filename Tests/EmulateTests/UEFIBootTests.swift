import Foundation
import Glibc
import Testing

/// What `make guest-uefi` put into the cache.
private struct UEFIGuest {
    private let folder: String

    init() throws {
        folder = DebianGuest.cache + "/debian-13-riscv64-uefi"
        guard FileManager.default.fileExists(atPath: folder + "/stamp") else {
            throw DebianGuest.Missing(description: "no guest in \(folder): run 'make guest-uefi', or set EMULATE_OFFLINE to leave these tests out")
        }
    }

    func path(_ name: String) -> String { folder + "/" + name }
}

/// Firmware and boot loaders from Debian's archive, from power-on to a root file system on a disk.
@Suite(.serialized, .enabled(if: !DebianGuest.isLeftOut, "EMULATE_OFFLINE is set: real guests were not fetched"))
struct UEFIBootTests {
    private let guest: UEFIGuest
    private let kernel: DebianGuest
    private let directory: TemporaryDirectory
    private let variables: String

    init() throws {
        guest = try UEFIGuest()
        kernel = try DebianGuest()
        directory = try TemporaryDirectory()
        variables = directory.path("vars.fd")
        try FileManager.default.copyItem(atPath: guest.path("RISCV_VIRT_VARS.fd"), toPath: variables)
    }

    private static let patience = 300.0

    private func firmware(_ arguments: [String]) throws -> Subprocess {
        try Subprocess([
            "-machine", "virt", "-m", "512M", "-nographic", "-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + guest.path("RISCV_VIRT_CODE.fd"),
            "-drive", "if=pflash,unit=1,format=raw,file=" + variables,
        ] + arguments)
    }

    /// The disk, where it may be written.
    private func disk() throws -> String {
        let copy = directory.path("disk.img")
        try FileManager.default.copyItem(atPath: guest.path("disk.img"), toPath: copy)
        return copy
    }

    /// The rest of a boot of the disk, to its power-off.
    private func checkRoot(_ machine: Subprocess, tables: Bool) {
        machine.endInput()
        // A guest without its root gives a shell that waits for ever.
        let failure = "cannot be mounted or has no /sbin/init"
        let text = machine.outputToEnd(seconds: Self.patience, orUntil: failure)
        if text.contains(failure) { machine.signal(SIGKILL) }
        #expect(text.contains("root: /dev/vda2 / ext4"))
        #expect(text.contains("firmware: ") && text.contains("efi"))
        #expect(text.contains(/tables: .*APIC.*RHCT/) == tables)
        #expect(machine.wait() == .code(0))
    }

    /// Killed in the shell, the firmware's variables are in the file: its boot entries have been written.
    @Test func withoutADiskTheShellIsReachedAndVariablesAreKept() throws {
        let before = try Data(contentsOf: URL(filePath: variables))
        let name = Data("BootOrder".utf16.flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] })
        #expect(before.range(of: name) == nil)
        let machine = try firmware([])
        #expect(machine.waitFor("UEFI Interactive Shell", seconds: Self.patience))
        machine.signal(SIGKILL)
        _ = machine.wait()
        let after = try Data(contentsOf: URL(filePath: variables))
        #expect(after.count == 32 << 20)
        #expect(after.range(of: name) != nil)
    }

    @Test func grubBootsADiskWithACPI() throws {
        let machine = try firmware(["-drive", "file=\(try disk()),format=raw,if=virtio"])
        #expect(machine.waitFor("Booting `Debian'", seconds: Self.patience))
        checkRoot(machine, tables: true)
    }

    @Test func grubBootsADiskThatIsGivenAlone() throws {
        let folder = directory.path("config/qemu/firmware")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let description = """
            {"mapping": {"device": "flash", "executable": {"filename": "\(guest.path("RISCV_VIRT_CODE.fd"))", "format": "raw"},
             "nvram-template": {"filename": "\(variables)", "format": "raw"}}, "targets": [{"architecture": "riscv64", "machines": ["virt*"]}]}
            """
        try description.write(toFile: folder + "/50-test.json", atomically: true, encoding: .utf8)
        let disk = try disk()
        let machine = try Subprocess(["XDG_CONFIG_HOME=\(directory.path("config"))", Subprocess.executable, "-M", "acpi=off", disk], program: "/usr/bin/env")
        checkRoot(machine, tables: false)
        #expect(FileManager.default.fileExists(atPath: disk + ".uefi-vars"))
    }

    /// The kernel finds its interrupt controllers in ACPI tables: IMSICs and an APLIC, which the console's interrupts come through.
    @Test func theFirmwareStartsAKernelGivenToIt() throws {
        let command = Data("cat /sys/class/dmi/id/product_name; ls /sys/firmware/efi | head -n1; grep -c 'APLIC-MSI.*ttyS0' /proc/interrupts | sed 's/^/lines: /'".utf8).base64EncodedString()
        let machine = try firmware([
            "-machine", "aia=aplic-imsic",
            "-kernel", kernel.image, "-initrd", kernel.initrd, "-append", "console=ttyS0 run=\(command)", "-smbios", "type=1,product=Given product",
        ])
        machine.endInput()
        let text = machine.outputToEnd(seconds: Self.patience)
        #expect(text.contains("Given product\r\n"))
        #expect(text.contains("lines: 1\r\n"))
        #expect(text.contains("run: exit 0"))
        #expect(machine.wait() == .code(0))
    }

    @Test func ubootBootsTheSameDisk() throws {
        let machine = try Subprocess([
            "-machine", "virt", "-m", "512M", "-nographic", "-kernel", kernel.path("u-boot.bin"), "-drive", "file=\(try disk()),format=raw,if=virtio",
        ])
        #expect(machine.waitFor("Booting `Debian'", seconds: Self.patience))
        checkRoot(machine, tables: false)
    }

    @Test func theNetworkInstallerReachesItsFirstScreen() throws {
        let machine = try Subprocess([
            "-machine", "virt", "-m", "1G", "-nographic", "-kernel", guest.path("installer-kernel"), "-initrd", guest.path("installer-initrd.gz"),
        ])
        #expect(machine.waitFor("Select a language", seconds: Self.patience))
        machine.signal(SIGKILL)
        _ = machine.wait()
    }
}
