import Foundation
import Testing

/// Linux's driver of the RISC-V IOMMU, which Debian has from the release after 13 on.
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["EMULATE_IOMMU"] != nil, "set EMULATE_IOMMU, after make guest-iommu, to boot with an IOMMU"))
struct IOMMUBootTests {
    private static let script = """
        for try in $(seq 50); do [ -b /dev/vda ] && [ -b /dev/nvme0n1 ] && [ -d /sys/class/net/eth0 ] && break; sleep 0.2; done
        ls -d /sys/kernel/iommu_groups/*/devices/* | wc -l | sed 's/^/behind: /'
        grep -c 'MSIX.*0000:00:01.0' /proc/interrupts | sed 's/^/vectors: /'
        for disk in vda nvme0n1; do
            echo "$disk $(head -c 1000000 /dev/$disk | md5sum | cut -d' ' -f1)"
            head -c 1000000 /dev/$disk | dd of=/dev/$disk bs=1M seek=4 conv=notrunc,fsync 2>/dev/null
        done
        ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
        echo "fetched $(wget -q -O - http://10.0.2.2:PORT/ | md5sum | cut -d' ' -f1)"
        """

    /// Told of it by the device tree, or by UEFI firmware's ACPI tables.
    private func firmware() throws -> [String] {
        let folder = DebianGuest.cache + "/debian-13-riscv64-uefi"
        try #require(FileManager.default.fileExists(atPath: folder + "/stamp"), "no firmware in \(folder): run 'make guest-uefi'")
        return ["-drive", "if=pflash,unit=0,format=raw,readonly=on,file=\(folder)/RISCV_VIRT_CODE.fd", "-drive", "if=pflash,unit=1,format=raw,snapshot=on,file=\(folder)/RISCV_VIRT_VARS.fd"]
    }

    @Test(arguments: [false, true]) func linuxDrivesDevicesBehindIt(usesFirmware: Bool) throws {
        let folder = DebianGuest.cache + "/debian-14-riscv64"
        try #require(FileManager.default.fileExists(atPath: folder + "/stamp"), "no guest in \(folder): run 'make guest-iommu'")
        let directory = try TemporaryDirectory()
        let content = Data((0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 7) })
        let file = directory.path("content"), disk = directory.path("disk.img"), other = directory.path("nvme.img"), log = directory.path("log")
        try content.write(to: URL(filePath: file))
        for path in [disk, other] { try (content + Data(count: (8 << 20) - content.count)).write(to: URL(filePath: path)) }
        let server = try LoopbackServer(response: Data("HTTP/1.0 200 OK\r\nContent-Length: \(content.count)\r\n\r\n".utf8) + content)
        let command = Data(Self.script.replacing("PORT", with: "\(server.port)").utf8).base64EncodedString()
        let machine = try Subprocess([
            "-machine", "virt,aia=aplic-imsic", "-m", "512M", "-nographic", "-kernel", folder + "/Image", "-initrd", folder + "/initrd.gz",
            "-append", "console=ttyS0 run=\(command)", "-d", "guest_errors", "-D", log, "-device", "riscv-iommu-pci",
            "-drive", "file=\(disk),format=raw,if=none,id=d", "-device", "virtio-blk-pci,drive=d,iommu_platform=on",
            "-drive", "file=\(other),format=raw,if=none,id=n", "-device", "nvme,drive=n,serial=1",
            "-netdev", "user,id=u", "-device", "virtio-net-pci,netdev=u,iommu_platform=on",
        ] + (usesFirmware ? try firmware() : []))
        machine.endInput()
        let text = machine.outputToEnd(seconds: 300)
        #expect(machine.wait() == .code(0))
        let sum = try HostTool.run("md5sum", file).prefix(32)
        // The host bridge and the three devices, but not the IOMMU itself.
        for line in ["behind: 4", "vectors: 2", "vda \(sum)", "nvme0n1 \(sum)", "fetched \(sum)", "run: exit 0"] {
            #expect(text.contains(line + "\r\n"), "\(line)")
        }
        for path in [disk, other] { #expect(try Data(contentsOf: URL(filePath: path)).dropFirst(4 << 20).prefix(content.count) == content) }
        // EDK2 asks for parts of kernels that this board's have not.
        let complaints = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("fw-cfg: item ") }
        #expect(complaints.isEmpty)
    }
}
