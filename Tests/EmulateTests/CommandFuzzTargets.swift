import EmuMachine
import TestSupport
import Testing
import emulate

/// What users write: options, and commands of the monitor.
@Suite struct CommandFuzzTargets {
    private static let commandLines = [
        ["-M", "virt,aia=aplic-imsic,aclint=on", "-smp", "4,sockets=2", "-m", "1G", "-kernel", "Image", "-append", "console=ttyS0"],
        ["-drive", "file=a.qcow2,if=none,id=d,discard=unmap,cache=none,,b", "-device", "virtio-blk-pci,drive=d,serial=x,bootindex=1,addr=4.1"],
        ["-blockdev", #"{"driver":"qcow2","node-name":"d","file":{"driver":"file","filename":"a"},"backing":null}"#, "-device", "nvme,drive=d,serial=s"],
        ["-netdev", "user,id=n,hostfwd=tcp:127.0.0.1:2222-:22,net=10.1.0.0/24,restrict=on,ipv6=on", "-device", "virtio-net-pci,netdev=n,mac=52:54:00:aa:bb:cc", "-object", "filter-dump,id=f,netdev=n,file=p"],
        ["-numa", "node,nodeid=0,cpus=0-1,mem=64M", "-object", "memory-backend-file,id=m,size=1G,mem-path=/x,share=on", "-numa", "dist,src=0,dst=1,val=20"],
        ["-chardev", "stdio,id=c,mux=on,signal=off", "-serial", "chardev:c", "-mon", "chardev=c,mode=readline", "-echr", "0x14", "-nographic"],
        ["-smbios", "type=1,manufacturer=a,uuid=12345678-1234-1234-1234-123456789abc", "-fw_cfg", "name=opt/a,string=b", "-boot", "order=cd,menu=on", "-rtc", "base=2020-01-01T00:00:00,clock=vm", "-uuid", "x"],
        ["-semihosting-config", "enable=on,target=native,arg=a", "-device", "loader,file=f,addr=0x80000000,cpu-num=0", "-gdb", "tcp::1234", "-icount", "shift=1", "-d", "int,exec", "-dfilter", "0x80000000+0x1000"],
        ["--share", "dir:tag,readonly", "-fsdev", "local,id=f,path=p,security_model=none", "-nic", "user,model=virtio", "--time", "virtual", "--trace", "t", "-cpu", "rv64,v=on"],
    ]

    /// The words of a command line, a line each. Nothing is opened before all are read.
    @Test func options() {
        Fuzzing.read("options", cases: 200, seeds: Self.commandLines.map { Array($0.joined(separator: "\n").utf8) }) { bytes in
            _ = try? RunOptions.parse(String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
        }
    }

    /// Keys pressed at the monitor's prompt, of a machine without a screen: pictures are files of the host.
    @Test func monitor() throws {
        var config = MachineConfig()
        config.firmware = .none
        config.memory = 16 << 20
        config.devices = ["virtio-balloon-device", "virtio-keyboard-device", "virtio-tablet-device"].map { DeviceConfig(driver: $0) }
        let target = MonitorTests.Target(), machine = try Machine(config)
        target.peripherals = machine.peripherals
        let seeds = [
            "help\rinfo status\rinfo balloon\rballoon 8\r", "sendkey ctrl-alt-f2 200\rmouse_move 100 -5 1\rmouse_button 3\rinfo mice\r", "device_add virtio-rng-pci,bus=p\rdevice_del x\rcommit all\r", "stop\u{1b}[A\u{1b}[B\u{7f}\u{15}cont\rwhy\u{3}q\r",
        ]
        Fuzzing.read("monitor", cases: 100, seeds: seeds.map { Array($0.utf8) }) { bytes in
            let line = MemoryLine(), monitor = Monitor(line: line, version: "1")
            monitor.target = target
            line.frontend?.receive(bytes)
            target.calls = []
        }
        withExtendedLifetime(machine) {}
    }
}
