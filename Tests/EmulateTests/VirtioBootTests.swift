import Foundation
import Testing

/// What Debian's drivers make of the virtio devices that have no boot test elsewhere. All in one guest: booting is what takes time.
@Suite(.serialized, .enabled(if: !DebianGuest.isLeftOut, "EMULATE_OFFLINE is set: real guests were not fetched"))
struct VirtioBootTests {
    let guest: DebianGuest
    let directory: TemporaryDirectory

    init() throws {
        guest = try DebianGuest()
        directory = try TemporaryDirectory()
    }

    private static let patience = 300.0

    /// Loads drivers, says what they found, and waits for what the test does at the monitor.
    private static let script = """
        for module in virtio_balloon virtio_input evdev virtio-gpu virtio_scsi sd_mod sr_mod vmw_vsock_virtio_transport; do modprobe $module; done
        for try in $(seq 50); do [ -b /dev/sda ] && [ -b /dev/sr0 ] && [ -s /proc/fb ] && break; sleep 0.2; done
        echo "queues $(ls -d /sys/class/net/eth0/queues/rx-* | wc -l)"
        ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
        echo "fetched $(wget -q -O - http://10.0.2.2:PORT/ | md5sum | cut -d' ' -f1)"
        echo "disk $(head -c 4096 /dev/sda | md5sum | cut -d' ' -f1)"
        echo "disc $(head -c 4096 /dev/sr0 | md5sum | cut -d' ' -f1)"
        echo written | dd of=/dev/sda bs=512 seek=100 conv=notrunc,fsync 2>/dev/null
        echo "screen $(cut -d' ' -f2 /proc/fb)"
        printf '\\033[2J\\033[47m\\033[2J' >/dev/tty1
        echo "vsock $(ls -d /sys/bus/virtio/drivers/vmw_vsock_virtio_transport/virtio* | wc -l)"
        before=$(awk '/MemTotal/ { print $2 }' /proc/meminfo)
        for name in /sys/class/input/event*; do grep -q Keyboard $name/device/name && keyboard=/dev/input/${name##*/}; done
        echo "wait""ing"
        echo "key $(dd if=$keyboard bs=24 count=1 2>/dev/null | tail -c 8 | od -An -tx1 | tr -d ' \\n')"
        for try in $(seq 100); do [ "$(awk '/MemTotal/ { print $2 }' /proc/meminfo)" -lt $((before - 100000)) ] && break; sleep 0.2; done
        echo "shrunk $((before - $(awk '/MemTotal/ { print $2 }' /proc/meminfo) > 100000))"
        """

    @Test(arguments: ["pci", "device"]) func linuxDrivesThem(transport: String) throws {
        let content = Data((0..<307_200).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 7) })
        let file = directory.path("content"), screen = directory.path("screen.ppm")
        try content.write(to: URL(filePath: file))
        let server = try LoopbackServer(response: Data("HTTP/1.0 200 OK\r\nContent-Length: \(content.count)\r\n\r\n".utf8) + content)
        let disk = directory.path("disk.img")
        try (content + Data(count: (1 << 20) - content.count)).write(to: URL(filePath: disk))
        // The kernel's command line has no room for the script: it comes in an initramfs of its own behind the other one.
        let script = directory.path("script"), initrd = directory.path("initrd")
        try Self.script.replacing("PORT", with: "\(server.port)").write(toFile: script, atomically: false, encoding: .utf8)
        _ = try HostTool.run(
            "sh", "-c", "cd $0 && (cat $1; echo script | cpio --quiet -o -H newc | gzip -1n) >initrd", URL(filePath: script).deletingLastPathComponent().path, guest.initrd)
        let command = Data(". /script".utf8).base64EncodedString()
        let machine = try Subprocess([
            "-machine", "virt", "-m", "512M", "-smp", "2", "-nographic", "-kernel", guest.image, "-initrd", initrd,
            "-append", "console=ttyS0 vt.global_cursor_default=0 run=\(command)",
            "-netdev", "user,id=n,queues=2", "-device", "virtio-net-\(transport),netdev=n,mq=on",
            "-device", "virtio-scsi-\(transport)", "-drive", "file=\(disk),format=raw,if=none,id=d", "-device", "scsi-hd,drive=d",
            "-drive", "file=\(file),format=raw,if=none,id=c,readonly=on", "-device", "scsi-cd,drive=c",
            "-device", "virtio-gpu-\(transport),xres=640,yres=480", "-device", "virtio-keyboard-\(transport)", "-device", "virtio-tablet-\(transport)",
            "-device", "virtio-balloon-\(transport)", "-device", "vhost-vsock-\(transport),guest-cid=3,socket=\(directory.path("vsock"))",
        ])
        let isReady = machine.waitFor("waiting\r\n", seconds: Self.patience)
        try #require(isReady, "\(machine.text)")
        machine.send("\u{1}c")
        // The guest takes its time to paint, and to open the keyboard.
        for _ in 0..<100 where !isGrey(screen) {
            machine.send("screendump \(screen)\n")
            usleep(200_000)
        }
        #expect(isGrey(screen))
        for _ in 0..<100 {
            machine.send("sendkey q\n")
            if machine.waitFor("key 0", seconds: 1) { break }
        }
        machine.send("balloon 384\n\u{1}c")
        machine.endInput()
        let text = machine.outputToEnd(seconds: Self.patience)
        #expect(machine.wait() == .code(0))
        let sum = try HostTool.run("md5sum", file).prefix(32), begin = try HostTool.run("sh", "-c", "head -c 4096 \(file) | md5sum").prefix(32)
        for line in ["queues 2", "fetched \(sum)", "disk \(begin)", "disc \(begin)", "screen virtio_gpudrmfb", "vsock 1", "shrunk 1"] {
            #expect(text.contains(line + "\r\n"), "\(line)")
        }
        // A press or, if the guest was late, a release of Q.
        #expect(text.contains("key 01001000"))
        #expect(try Data(contentsOf: URL(filePath: disk))[51200..<51208] == Data("written\n".utf8))
    }

    /// A screen of 640 × 480 in the grey that the guest paints it with.
    private func isGrey(_ file: String) -> Bool {
        guard let picture = try? Data(contentsOf: URL(filePath: file)), picture.count == 15 + 3 * 640 * 480 else { return false }
        let middle = 15 + 3 * (640 * 240 + 320)
        return picture.prefix(15) == Data("P6\n640 480\n255\n".utf8) && picture[middle..<middle + 3] == Data([0xaa, 0xaa, 0xaa])
    }
}
