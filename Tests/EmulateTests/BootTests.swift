import Foundation
import Glibc
import Testing

/// Real guests from Debian's archive, started the way a user starts them. `make guest` fetches them; where that was left out on
/// purpose (EMULATE_OFFLINE), these tests are skipped and say so.
@Suite(.serialized, .enabled(if: !DebianGuest.isLeftOut, "EMULATE_OFFLINE is set: real guests were not fetched"))
struct BootTests {
    let guest: DebianGuest
    let directory: TemporaryDirectory

    init() throws {
        guest = try DebianGuest()
        directory = try TemporaryDirectory()
    }

    /// Seconds a boot may take on a slow, busy machine before it counts as hung.
    private static let patience = 300.0

    private func boot(_ arguments: [String], append: String = "console=ttyS0") throws -> Subprocess {
        try Subprocess(["-machine", "virt", "-m", "512M", "-nographic", "-kernel", guest.image, "-initrd", guest.initrd, "-append", append] + arguments)
    }

    /// Boots, runs a shell script as the guest's first command, and returns what the console showed up to power-off.
    private func run(_ script: String, _ arguments: String..., append: String = "") throws -> String {
        let command = Data(script.utf8).base64EncodedString()
        let machine = try boot(arguments, append: "console=ttyS0 \(append) run=\(command)")
        machine.endInput()
        let text = machine.outputToEnd(seconds: Self.patience)
        #expect(machine.wait() == .code(0))
        return text
    }

    @Test func debianReachesAnInteractiveShellAndPowersOff() throws {
        let machine = try boot([])
        machine.send("uname -m; echo $((6*7))\npoweroff -f\n")
        machine.endInput()
        let text = machine.outputToEnd(seconds: Self.patience)
        #expect(text.contains("Run /init as init process"))
        #expect(text.contains("guest# uname -m; echo $((6*7))\r\nriscv64\r\n42\r\n"))
        #expect(machine.wait() == .code(0))
    }

    @Test(arguments: [1, 2, 4]) func ownFirmwareStartsEveryHart(harts: Int) throws {
        let text = try run("echo harts $(nproc)", "-smp", "\(harts)")
        #expect(text.contains("harts \(harts)\r\n"))
        #expect(text.contains("run: exit 0"))
    }

    /// Devices and harts interrupt each other through whatever controllers there are. The hart that takes the serial line's interrupts may be asleep
    /// on a busy host while the other one has gone far ahead.
    @Test(arguments: [
        ("virt,aia=aplic", "", "aplic"), ("virt,aia=aplic-imsic,aclint=on,aia-guests=3", "", "imsic"), ("virt,aclint=on", "", "plic"),
        ("virt,aia=aplic-imsic", "fw_dynamic.bin", "imsic"),
    ])
    func everyInterruptControllerServes(machine: String, firmware: String, name: String) throws {
        let text = try run(
            """
            echo harts $(nproc); grep -i -m1 -oE 'aplic|imsic|plic' /proc/interrupts | tr A-Z a-z
            for try in $(seq 100); do
                awk '/ttyS0/ { exit $2 + $3 == 0 }' /proc/interrupts && echo serial interrupts && break
                sleep 0.1
            done
            """,
            "-machine", machine, "-smp", "2", "-bios", firmware.isEmpty ? "default" : guest.path(firmware))
        #expect(text.contains("harts 2\r\n"))
        #expect(text.contains("\(name)\r\n") || text.contains("-\(name)"))
        #expect(text.contains("serial interrupts\r\n"), "\(text)")
        #expect(text.contains("run: exit 0"))
    }

    @Test func openSBIRunsAsFirmware() throws {
        let text = try run("echo harts $(nproc)", "-smp", "2", "-bios", guest.path("fw_dynamic.bin"))
        #expect(text.contains("OpenSBI v"))
        #expect(text.contains("harts 2\r\n"))
    }

    @Test func openSBIAsAnELFRunsAsFirmware() throws {
        let text = try run("true", "-bios", guest.path("fw_jump.elf"))
        #expect(text.contains("OpenSBI v"))
        #expect(text.contains("run: exit 0"))
    }

    @Test func theVirtualClockBootsDebian() throws {
        #expect(try run("true", "-smp", "2", "--time", "virtual").contains("run: exit 0"))
    }

    @Test(arguments: ["sv39", "sv48", "sv57"]) func everyPagingModeIsUsedByLinux(mode: String) throws {
        let smaller = ["sv39": "sv48=off,sv57=off", "sv48": "sv57=off", "sv57": "sv57=on"]
        let text = try run("grep -m1 mmu /proc/cpuinfo", "-cpu", "rv64," + (smaller[mode] ?? ""))
        #expect(text.contains(": \(mode)"))
    }

    /// Linux lists the extensions it knows and uses; the profile's processor has no more than the profile.
    @Test(arguments: [("rva22s64", "_zbb", "_zicond"), ("rv64", "_zacas", "_zvbb"), ("max", "_zvbb", "_smrnmi")]) func otherProcessorsBootDebian(cpu: String, has: String, lacks: String) throws {
        let text = try run("grep -m1 isa /proc/cpuinfo", "-cpu", cpu)
        #expect(text.contains(has) && !text.contains(lacks), "\(text)")
        #expect(text.contains("run: exit 0"))
    }

    @Test func ubootReachesItsPrompt() throws {
        let machine = try Subprocess(["-machine", "virt", "-m", "256M", "-nographic", "-kernel", guest.path("u-boot.bin")])
        #expect(machine.waitFor("Hit any key to stop autoboot", seconds: Self.patience))
        machine.send("\n")
        #expect(machine.waitFor("=> ", seconds: Self.patience))
        machine.send("printenv arch\npoweroff\n")
        #expect(machine.outputToEnd(seconds: Self.patience).contains("arch=riscv"))
        #expect(machine.wait() == .code(0))
    }

    // MARK: Disk

    /// An ext4 root file system with busybox whose /sbin/init is `script`.
    private func makeRootImage(init script: String) throws -> String {
        let tree = directory.url.appending(path: "tree")
        for folder in ["bin", "sbin", "proc", "sys", "dev", "tmp"] {
            try FileManager.default.createDirectory(at: tree.appending(path: folder), withIntermediateDirectories: true)
        }
        try FileManager.default.copyItem(atPath: guest.path("busybox"), toPath: tree.appending(path: "bin/busybox").path)
        let program = tree.appending(path: "sbin/init")
        try ("#!/bin/busybox sh\n" + script).write(to: program, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program.path)
        let image = directory.path("root.img")
        try HostTool.run("mke2fs", "-q", "-t", "ext4", "-d", tree.path, image, "64M")
        return image
    }

    /// Where a disk may be: options, the name Linux gives it.
    private static let diskPlaces = [
        (["-device", "virtio-blk-device,drive=d"], "/dev/vda"), (["-device", "virtio-blk-pci,drive=d"], "/dev/vda"),
        (["-device", "nvme,drive=d,serial=1"], "/dev/nvme0n1"),
        (["-device", "pcie-root-port,id=p", "-device", "nvme,drive=d,serial=1,bus=p"], "/dev/nvme0n1"),
    ]

    @Test(arguments: diskPlaces) func anExt4RootIsMountedAndWritten(device: [String], name: String) throws {
        let image = try makeRootImage(
            init: """
                export PATH=/bin
                /bin/busybox --install -s /bin
                mount -t proc proc /proc
                grep ' / ' /proc/mounts
                i=0; while [ $i -lt 200 ]; do echo "line $i" >> /written; i=$((i+1)); done
                sync
                mount -o remount,ro /
                poweroff -f
                """)
        let machine = try boot(["-drive", "file=\(image),format=raw,if=none,id=d"] + device, append: "console=ttyS0 root=\(name)")
        machine.endInput()
        let text = machine.outputToEnd(seconds: Self.patience)
        #expect(machine.wait() == .code(0))
        #expect(text.contains("\(name) / ext4 rw"))
        try HostTool.run("e2fsck", "-f", "-n", image)
        let written = try HostTool.run("debugfs", "-R", "cat /written", image)
        #expect(written == (0..<200).map { "line \($0)\n" }.joined())
    }

    @Test(arguments: ["snapshot=on", "readonly=on"]) func aProtectedDiskStaysAsItWas(option: String) throws {
        let image = try makeRootImage(init: "exit 1")
        let before = try Data(contentsOf: URL(filePath: image))
        let text = try run(
            "mount -t ext4 /dev/vda /mnt && echo x > /mnt/x && sync && echo wrote; umount /mnt",
            "-drive", "file=\(image),format=raw,if=none,id=d,\(option)", "-device", "virtio-blk-device,drive=d")
        #expect(text.contains("wrote\r\n") == (option == "snapshot=on"))
        #expect(try Data(contentsOf: URL(filePath: image)) == before)
    }

    @Test func theModernTransportWorksAsWell() throws {
        let image = directory.path("disk.img")
        try Data(count: 1 << 20).write(to: URL(filePath: image))
        let text = try run(
            "dd if=/dev/zero bs=1k count=64 2>/dev/null | tr '\\0' 'A' | dd of=/dev/vda bs=4k conv=fsync 2>/dev/null; blockdev --getsize64 /dev/vda",
            "-global", "virtio-mmio.force-legacy=false", "-drive", "file=\(image),format=raw,if=none,id=d", "-device", "virtio-blk-device,drive=d")
        #expect(text.contains("1048576\r\n"))
        #expect(try Data(contentsOf: URL(filePath: image)).prefix(65536).allSatisfy { $0 == 0x41 })
    }

    /// Killed without warning at some moment of its writes, a qcow2 image passes its check and holds every block the guest saw flushed.
    @Test func aQcow2ImageSurvivesAKillWithAllThatWasFlushed() throws {
        let image = directory.path("disk.qcow2")
        let create = try Subprocess(["disk", "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", image, "64M"])
        #expect(create.wait() == .code(0))
        let script = Data(
            """
            i=0
            while true; do
                printf 'block%06d' $i | dd of=/dev/vda bs=4096 seek=$((i*37%16000)) conv=notrunc,fsync 2>/dev/null && echo flushed $i
                i=$((i+1))
            done
            """.utf8
        ).base64EncodedString()
        let machine = try boot(["-drive", "file=\(image)"], append: "console=ttyS0 run=\(script)")
        let isWriting = machine.waitFor("flushed 20\r\n", seconds: Self.patience)
        #expect(isWriting)
        usleep(UInt32.random(in: 0..<500_000))
        machine.signal(SIGKILL)
        _ = machine.outputToEnd()
        // Only then is nobody left who has the image.
        _ = machine.wait()
        let last = machine.text.matches(of: /flushed (\d+)\r\n/).last.flatMap { Int($0.1) } ?? 0
        let check = try Subprocess(["disk", "check", "--output=json", image])
        // Space that got lost is no damage.
        let report = check.outputToEnd()
        #expect(!report.contains("corruptions") && report.contains("\"check-errors\": 0"), "\(report)")
        let raw = directory.path("disk.raw")
        let convert = try Subprocess(["disk", "convert", image, raw])
        #expect(convert.wait() == .code(0))
        let bytes = try Data(contentsOf: URL(filePath: raw))
        for number in 0...last {
            let offset = number * 37 % 16000 * 4096
            #expect(bytes[offset..<offset + 11] == Data("block\(String(number + 1_000_000).dropFirst())".utf8))
        }
    }

    /// Killed without warning, the image holds all the guest flushed.
    @Test func flushedWritesSurviveAKill() throws {
        let image = directory.path("disk.img")
        try Data(count: 1 << 20).write(to: URL(filePath: image))
        let script = Data("echo flushed-data | dd of=/dev/vda conv=fsync 2>/dev/null; echo everything-flushed; sleep 1000".utf8).base64EncodedString()
        let machine = try boot(["-drive", "file=\(image),format=raw"], append: "console=ttyS0 run=\(script)")
        #expect(machine.waitFor("everything-flushed\r\n", seconds: Self.patience))
        machine.signal(SIGKILL)
        _ = machine.wait()
        #expect(try Data(contentsOf: URL(filePath: image)).prefix(12) == Data("flushed-data".utf8))
    }

    // MARK: Network

    @Test func aFileIsFetchedFromTheHostsLoopback() throws {
        let content = (0..<20_000).map { "line \($0) of a file on the host\n" }.joined()
        let server = try LoopbackServer(response: Data("HTTP/1.0 200 OK\r\nContent-Length: \(content.utf8.count)\r\n\r\n\(content)".utf8))
        let text = try withExtendedLifetime(server) {
            try run(
                "ip link set eth0 up; udhcpc -i eth0 -q -n; wget -q -O /tmp/file http://10.0.2.2:\(server.port)/file; sha256sum < /tmp/file",
                "-nic", "user")
        }
        let sum = try HostTool.run("sha256sum", input: content)
        #expect(text.contains(sum.prefix(64)))
    }

    @Test func aHostPortIsForwardedToTheGuest() throws {
        let port = try LoopbackServer.freePort()
        let script = Data("ip link set eth0 up; udhcpc -i eth0 -q -n; echo listening; echo hello from the guest | nc -l -p 80; true".utf8).base64EncodedString()
        let machine = try boot(
            ["-netdev", "user,id=n,hostfwd=tcp:127.0.0.1:\(port)-:80", "-device", "virtio-net-device,netdev=n"],
            append: "console=ttyS0 run=\(script)")
        #expect(machine.waitFor("listening\r\n", seconds: Self.patience))
        #expect(try LoopbackServer.read(port: port, until: "hello from the guest", seconds: 60))
        _ = machine.outputToEnd(seconds: Self.patience)
        #expect(machine.wait() == .code(0))
    }

    // MARK: Folders

    @Test func aSharedFolderIsMountedAndStaysShut() throws {
        let folder = directory.url.appending(path: "shared")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data("outside".utf8).write(to: directory.url.appending(path: "outside"))
        try FileManager.default.createSymbolicLink(atPath: folder.appending(path: "link").path, withDestinationPath: "../outside")
        let text = try run(
            "mkdir /tmp/m; mount -t 9p -o trans=virtio,version=9p2000.L work /tmp/m; cp /bin/busybox /tmp/m; cmp /bin/busybox /tmp/m/busybox && echo equal; "
                + "mv /tmp/m/busybox /tmp/m/moved; cat /tmp/m/link || echo shut; echo line > /tmp/m/file; umount /tmp/m",
            "--share", "\(folder.path):work")
        #expect(text.contains("equal\r\n") && text.contains("shut\r\n") && !text.contains("outside"))
        #expect(try String(contentsOf: folder.appending(path: "file"), encoding: .utf8) == "line\n")
        #expect(try Data(contentsOf: folder.appending(path: "moved")) == Data(contentsOf: URL(filePath: guest.path("busybox"))))
    }

    // MARK: Other devices

    @Test func linuxFindsAndUsesWhatIsOnPCI() throws {
        let text = try run(
            "cd /sys/bus/pci/devices; for d in *; do echo $d $(cat $d/vendor $d/device); done; cat /sys/class/misc/hw_random/rng_available; "
                + "ip link set eth0 up; udhcpc -i eth0 -q -n",
            "-nic", "user,model=virtio-net-pci", "-device", "pcie-root-port,id=p,slot=1", "-device", "virtio-rng-pci,bus=p", "-device", "virtio-serial-pci,addr=1f.0")
        for line in ["00:00.0 0x1b36 0x0008", "00:01.0 0x1af4 0x1000", "00:02.0 0x1b36 0x000c", "00:1f.0 0x1af4 0x1003", "01:00.0 0x1af4 0x1044"] {
            #expect(text.contains("0000:\(line)\r\n"))
        }
        #expect(text.contains("virtio_rng") && text.contains("lease of 10.0.2.15 obtained"))
    }

    @Test func entropyAndASecondConsoleReachTheGuest() throws {
        let log = directory.path("console.log")
        let text = try run(
            "cat /sys/class/misc/hw_random/rng_available; ls /dev/hvc0; echo through virtio > /dev/hvc0; sleep 1",
            "-device", "virtio-rng-device", "-device", "virtio-serial-device",
            "-chardev", "file,id=c,path=\(log)", "-device", "virtconsole,chardev=c")
        #expect(text.contains("virtio_rng"))
        #expect(try String(contentsOfFile: log, encoding: .utf8).contains("through virtio"))
    }

    @Test func theRealTimeClockIsReadByLinux() throws {
        let text = try run("echo year $(date -u +%Y)")
        let year = Calendar(identifier: .gregorian).component(.year, from: Date())
        #expect(text.contains("year \(year)\r\n"))
    }

    @Test func aRebootStartsOverAndNoRebootEnds() throws {
        let machine = try boot(["-no-reboot"], append: "console=ttyS0 run=\(Data("reboot -f".utf8).base64EncodedString())")
        machine.endInput()
        _ = machine.outputToEnd(seconds: Self.patience)
        #expect(machine.wait() == .code(0))
        let again = try boot([], append: "console=ttyS0 run=\(Data("reboot -f".utf8).base64EncodedString())")
        #expect(again.waitFor("reboot: Restarting system", seconds: Self.patience))
        // The second start prints the kernel's first line a second time.
        #expect(again.waitFor(occurrences: 2, of: "Linux version", seconds: Self.patience))
    }
}
