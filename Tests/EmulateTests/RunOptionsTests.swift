import EmuBus
import EmuDevices
import EmuControl
import EmuMachine
import Testing
import emulate

@Suite struct RunOptionsTests {
    @Test func blockdevNodesBecomeTheDrivesNobodyElseUses() throws {
        let written = [
            ["-blockdev", "driver=file,node-name=f,filename=a.qcow2,locking=off", "-blockdev", "qcow2,node-name=d,file=f,discard=unmap,lazy-refcounts=on,backing="],
            ["-blockdev", "driver=qcow2,node-name=d,file.driver=file,file.filename=a.qcow2,file.locking=off,discard=unmap,lazy-refcounts=on,backing="],
            ["-blockdev", #"{"driver":"qcow2","node-name":"d","file":{"driver":"file","filename":"a.qcow2","locking":"off"},"discard":"unmap","lazy-refcounts":true,"backing":null}"#],
        ]
        for arguments in written {
            let options = try RunOptions.parse(["-kernel", "k"] + arguments + ["-device", "virtio-blk-device,drive=d"])
            var expected = DriveConfig(file: "a.qcow2")
            expected.format = .qcow2
            expected.id = "d"
            expected.interface = .none
            expected.isLocked = false
            expected.settings.discards = true
            expected.lazyRefcounts = true
            expected.backing = .none
            #expect(options.config.drives == [expected])
        }
    }

    @Test func withoutOptionsTheMachineIsQEMUsAndTheConsoleIsOnTheTerminal() throws {
        let options = try parse()
        #expect(options.config.board == .virt)
        #expect(options.config.memory == 128 << 20)
        #expect(options.config.harts == 1)
        #expect(options.config.firmware == .builtIn)
        #expect(options.config.forcesLegacyVirtio)
        #expect(options.config.clock == .host)
        #expect(options.config.serial.map(\.kind) == [.stdio])
        #expect(options.config.serial[0].hasMonitor)
        #expect(options.config.serial[0].isMultiplexed)
        #expect(!options.config.serial[0].allowsSignals)
        #expect(options.monitor == nil)
        #expect(options.escape == 1)
    }

    @Test func aTypicalLinuxCommandLine() throws {
        let options = try parse(
            "-M", "virt", "-nographic", "-m", "1G", "-smp", "cpus=4", "-bios", "fw_jump.elf", "-kernel", "Image", "-initrd", "initrd.gz",
            "-append", "root=/dev/vda ro", "-drive", "file=rootfs.ext2,format=raw,if=none,id=hd0", "-device",
            "virtio-blk-device,drive=hd0", "-netdev", "user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22", "-device",
            "virtio-net-device,netdev=net0,mac=52:54:00:aa:bb:cc", "-device", "virtio-rng-device", "-no-reboot", "-snapshot")
        let config = options.config
        #expect(config.memory == 1 << 30)
        #expect(config.harts == 4)
        #expect(config.firmware == .file("fw_jump.elf"))
        #expect(config.kernel == "Image")
        #expect(config.initrd == "initrd.gz")
        #expect(config.append == "root=/dev/vda ro")
        #expect(config.drives.count == 1)
        #expect(config.drives[0].file == "rootfs.ext2")
        #expect(config.drives[0].interface == .none)
        #expect(config.devices.map(\.driver) == ["virtio-blk-device", "virtio-net-device", "virtio-rng-device"])
        #expect(config.devices[1]["mac"] == "52:54:00:aa:bb:cc")
        #expect(config.netdevs[0].kind == .user([.init(name: "hostfwd", value: "tcp:127.0.0.1:2222-:22")]))
        #expect(config.exitsOnReset && config.snapshotsDrives)
    }

    @Test func nicMakesANetworkAndItsCard() throws {
        let config = try parse("-nic", "user,mac=52:54:00:00:00:01,hostfwd=udp::5000-:5000", "-nic", "none").config
        #expect(config.netdevs.count == 1)
        #expect(config.devices[0].driver == "virtio-net-device")
        #expect(config.devices[0]["netdev"] == config.netdevs[0].id)
        #expect(config.devices[0]["mac"] == "52:54:00:00:00:01")
        #expect(config.netdevs[0].kind == .user([.init(name: "hostfwd", value: "udp::5000-:5000")]))
    }

    @Test("cables between machines, as QEMU writes them", arguments: [
        ("stream,id=n,addr.type=inet,addr.host=::1,addr.port=1234,server=on", .stream(.inet(host: "::1", port: 1234), listens: true, retryInterval: nil)),
        ("stream,id=n,addr.path=/tmp/s,reconnect=2", .stream(.unix(path: "/tmp/s"), listens: false, retryInterval: 2_000_000_000)),
        ("dgram,id=n,local.port=1,remote.host=10.0.0.1,remote.port=2", .datagrams(local: .inet(host: "", port: 1), remote: .inet(host: "10.0.0.1", port: 2))),
        ("dgram,id=n,remote.host=230.0.0.1,remote.port=5", .multicast(IPv4Address(0xe600_0001), port: 5, interface: nil)),
        ("socket,id=n,listen=:1234", .stream(.inet(host: "", port: 1234), listens: true, retryInterval: nil)),
        ("socket,id=n,connect=[::1]:1234", .stream(.inet(host: "::1", port: 1234), listens: false, retryInterval: nil)),
        ("socket,id=n,mcast=230.0.0.1:1,localaddr=127.0.0.1", .multicast(IPv4Address(0xe600_0001), port: 1, interface: IPv4Address(0x7f00_0001))),
        ("socket,id=n,udp=h:1,localaddr=:2", .datagrams(local: .inet(host: "", port: 2), remote: .inet(host: "h", port: 1))),
        ("tap,id=n,ifname=tap0,script=no", .tap(interface: "tap0")),
    ] as [(String, NetdevConfig.Kind)])
    func networksAreParsed(text: String, kind: NetdevConfig.Kind) throws {
        #expect(try parse("-netdev", text).config.netdevs == [NetdevConfig(id: "n", kind: kind)])
    }

    @Test(arguments: [
        "stream,id=n", "stream,id=n,addr.port=1,server=on,reconnect=1", "stream,id=n,addr.type=unix", "dgram,id=n,remote.port=1", "socket,id=n",
        "socket,id=n,listen=:1,connect=a:1", "socket,id=n,listen=x", "socket,id=n,udp=a:1", "socket,id=n,mcast=name:1", "tap,id=n,script=/bin/x",
    ])
    func impossibleNetworksAreNamed(text: String) {
        #expect(throws: CommandEnd.self) { try parse("-netdev", text) }
    }

    @Test func aCaptureNeedsItsNetwork() throws {
        let config = try parse("-netdev", "user,id=n", "-object", "filter-dump,id=f,netdev=n,file=x.pcap").config
        #expect(config.captures == [CaptureConfig(netdev: "n", file: "x.pcap", limit: 65536)])
        #expect(throws: CommandEnd.self) { try parse("-object", "filter-dump,id=f,netdev=n,file=x.pcap") }
        #expect(throws: CommandEnd.self) { try parse("-object", "rng-random,id=f") }
    }

    @Test func icountIsTheVirtualClock() throws {
        #expect(try parse("-icount", "shift=1").config.clock == .virtual)
        #expect(try parse("-icount", "shift=1").config.cycleShift == 1)
        #expect(try parse("-icount", "auto").config.cycleShift == nil)
        #expect(try parse("-icount", "3,sleep=on").config.sleepsWhenIdle)
    }

    @Test func forceLegacyIsReadInBothForms() throws {
        #expect(try !parse("-global", "virtio-mmio.force-legacy=false").config.forcesLegacyVirtio)
        #expect(try !parse("-global", "driver=virtio-mmio,property=force-legacy,value=off").config.forcesLegacyVirtio)
    }

    @Test func logItemsAddUp() throws {
        #expect(try parse("-d", "guest_errors,unimp", "-d", "int").log == [.guestErrors, .unimplemented, .interrupts])
    }

    // MARK: Console

    @Test func serialFormsAreQEMUs() throws {
        #expect(try parse("-serial", "file:a,b").config.serial.map(\.kind) == [.file("a,b")])
        #expect(try parse("-serial", "null").config.serial.map(\.kind) == [.null])
        #expect(try parse("-serial", "none").config.serial.map(\.kind) == [CharacterConfig.Kind.none])
        let stdio = try parse("-serial", "stdio").config.serial[0]
        #expect(stdio.kind == .stdio && stdio.allowsSignals && !stdio.isMultiplexed)
    }

    @Test func serialLinesOverSocketsAndPseudoTerminalsAreQEMUs() throws {
        func socket(_ arguments: String...) throws -> SocketLineConfig? {
            let line = try RunOptions.parse(arguments).config.serial[0]
            guard case .socket(let config) = line.kind else { return nil }
            return config
        }
        var server = SocketLineConfig(.inet(host: "127.0.0.1", port: 4444))
        server.isServer = true
        #expect(try socket("-serial", "tcp:127.0.0.1:4444,server,nowait") == server)
        #expect(try socket("-serial", "tcp:127.0.0.1:4444,server=on,wait=off") == server)
        server.waitsForClient = true
        #expect(try socket("-serial", "tcp:127.0.0.1:4444,server=on") == server)
        #expect(try socket("-chardev", "socket,id=c,host=127.0.0.1,port=4444,server=on", "-serial", "chardev:c") == server)
        var client = SocketLineConfig(.unix(path: "/a,b"))
        #expect(try socket("-serial", "unix:/a,,b") == client)
        client.reconnectSeconds = 5
        client.isUndelayed = true
        #expect(try socket("-serial", "unix:/a,,b,reconnect=5,nodelay=on") == client)
        #expect(try parse("-serial", "pty").config.serial[0].kind == .pseudoTerminal)
        let shared = try parse("-serial", "mon:pty").config.serial[0]
        #expect(shared.kind == .pseudoTerminal && shared.hasMonitor && shared.isMultiplexed)
        #expect(try parse("-monitor", "unix:/m,server,nowait").monitor?.isInteractive == true)
        // The console stays on the terminal then.
        #expect(try parse("-monitor", "unix:/m,server,nowait").config.serial.map(\.kind) == [.stdio])
        #expect(try parse("-chardev", "socket,id=m,path=/m,server=on,wait=off", "-mon", "m").monitor?.id == "m")
        #expect(answer(to: "-serial", "tcp:nowhere").contains("tcp: needs HOST:PORT"))
        #expect(answer(to: "-serial", "unix:,server").contains("unix: needs the path"))
        #expect(answer(to: "-serial", "tcp::1,server,reconnect=1").contains("reconnect= is for clients"))
        #expect(answer(to: "-chardev", "socket,id=c").contains("either port=NUMBER or path=FILE"))
        #expect(answer(to: "-serial", "tpc::1").contains("did you mean"))
    }

    @Test func noGraphicPutsAMonitorOnAFreeTerminal() throws {
        #expect(try parse("-nographic", "-serial", "file:log").monitor?.kind == .stdio)
        #expect(try parse("-nographic", "-serial", "file:log", "-monitor", "none").monitor == nil)
        #expect(try parse("-nographic", "-serial", "stdio").monitor == nil)
        #expect(try parse("-monitor", "none").config.serial.map(\.kind) == [.stdio])
        #expect(try parse("-monitor", "stdio").config.serial.map(\.kind) == [.null])
    }

    @Test func nodefaultsLeavesTheTerminalAlone() throws {
        #expect(try parse("-nodefaults").config.serial.isEmpty)
        #expect(try parse("-nodefaults", "-serial", "mon:stdio").config.serial.count == 1)
    }

    @Test func aChardevIsSharedByName() throws {
        let options = try parse(
            "-chardev", "stdio,id=c,mux=on,signal=off", "-serial", "chardev:c", "-mon", "chardev=c", "-device", "virtio-serial-device",
            "-device", "virtconsole,chardev=c", "-echr", "0x14")
        #expect(options.config.serial.map(\.id) == ["c"])
        #expect(options.config.serial[0].kind == .stdio && options.config.serial[0].hasMonitor)
        #expect(options.config.chardevs == options.config.serial)
        #expect(options.escape == 0x14)
    }

    @Test(arguments: [
        (["-s"], .inet(host: "", port: 1234)), (["-gdb", "tcp::1234"], .inet(host: "", port: 1234)), (["-gdb", "tcp:0.0.0.0:99,server=on,wait=off"], .inet(host: "0.0.0.0", port: 99)),
        (["-gdb", "tcp:[::1]:5"], .inet(host: "::1", port: 5)), (["-gdb", "unix:/tmp/a,,b,server,nowait"], .unix(path: "/tmp/a,b")), (["-s", "-gdb", "none"], nil), ([], nil),
    ] as [([String], SocketAddress?)])
    func gdbAttachesWhereQEMUsOptionSays(arguments: [String], endpoint: SocketAddress?) throws {
        #expect(try RunOptions.parse(arguments).gdb == endpoint)
        #expect(try !RunOptions.parse(arguments).startsPaused)
        #expect(try RunOptions.parse(arguments + ["-S"]).startsPaused)
    }

    // MARK: Firmware

    @Test func flashMemoryIsFilledByDrives() throws {
        let config = try parse("-drive", "if=pflash,unit=1,file=vars.fd", "-pflash", "code.fd", "-M", "virt,acpi=off").config
        #expect(config.drives.map(\.interface) == [.pflash, .pflash] && config.drives.map(\.unit) == [1, nil])
        #expect(config.startsInFlash && !config.hasACPI)
        #expect(try !parse("-drive", "if=pflash,unit=1,file=vars.fd").config.startsInFlash)
        let named = try parse("-drive", "if=none,id=code,file=code.fd", "-machine", "virt,pflash0=code").config
        #expect(named.flashDrives == [0: "code"] && named.startsInFlash && named.hasACPI)
    }

    @Test func firmwareIsToldWhatTheOptionsSay() throws {
        let config = try parse(
            "-boot", "menu=on,splash-time=3000,strict=on", "-fw_cfg", "opt/a,string=x,,y", "-fw_cfg", "name=opt/b,file=f", "-smbios", "type=11,value=a,value=b",
            "-smbios", "file=s.bin", "-smbios", "type=1,product=P,uuid=00010203-0405-0607-0809-0a0b0c0d0e0f", "-device", "loader,addr=0x80000000,cpu-num=0").config
        #expect(config.boot.hasMenu && config.boot.isStrict && config.boot.menuWait == 3000 && config.boot.retryDelay == nil)
        #expect(config.firmwareFiles == [FirmwareFile(name: "opt/a", contents: .text("x,y")), FirmwareFile(name: "opt/b", contents: .file("f"))])
        #expect(config.smbios.map(\.type) == [11, 1] && config.smbios[0].properties.map(\.value) == ["a", "b"] && config.smbios[1].properties.map(\.name) == ["product"])
        #expect(config.smbiosFiles == ["s.bin"] && config.uuid == (0..<16).map { UInt8($0) })
        #expect(config.loads.count == 1 && config.devices.isEmpty)
    }

    @Test func bootKindsAreReadInQEMUsForms() throws {
        #expect(try parse("-boot", "dc").config.boot.order == "dc")
        let both = try parse("-boot", "order=nc,once=d").config.boot
        #expect(both.order == "nc" && both.once == "d")
        #expect(try parse("-cdrom", "x.iso").config.drives[0].isOptical && parse("-drive", "file=x,media=cdrom").config.drives[0].isOptical)
        #expect(try !parse("-hda", "x").config.drives[0].isOptical)
    }

    @Test func aDaemonsSerialPortGoesNowhereUnlessItIsSent() throws {
        #expect(try parse("-daemonize").config.serial.map(\.kind) == [.null])
        let options = try parse("-daemonize", "-serial", "file:log", "-pidfile", "p", "-runas", "1:1")
        #expect(options.config.serial.map(\.kind) == [.file("log")] && options.monitor == nil)
        #expect(options.process.isDaemon && options.process.pidFile == "p" && options.process.user == "1:1")
    }

    @Test func theClockHasABaseAndASource() throws {
        let config = try parse("-rtc", "base=2026-08-01T12:00:00,clock=vm,driftfix=slew").config
        #expect(config.rtc == .date(1_785_585_600) && config.rtcClock == .guest)
        #expect(try parse("-rtc", "base=localtime").config.rtcClock == nil)
    }

    // MARK: Bad values

    @Test(arguments: [
        (["-m", "0"], "-m: a machine needs some memory: -m 128M is the default"),
        (["-m", "1Q"], "-m: size=1Q: '1Q' is not a size such as 512M or 2G"),
        (["-m", "512,slots=2"], "-m: unknown property 'slots'; known are size, maxmem"),
        (["-smp", "0"], "-smp: cpus=0: '0' is not a number from 1 to 4096"),
        (["-smp", "513"], "-smp: 513 harts are more than a board can have (512)"),
        (["-smp", "3,cores=2,threads=2,sockets=1,dies=1,clusters=1"], "-smp: 1 × 1 × 1 × 2 × 2 is not 3"),
        (["-smp", "2,maxcpus=4"], "-smp: maxcpus=4: harts cannot be added later, so it must equal cpus (2)"),
        (["-machine", "vrt"], "-machine: unknown machine 'vrt'; did you mean 'virt'?; '-machine help' lists them all"),
        (["-machine", "virt,dumpdbt=x"],
         "-machine: unknown property 'dumpdbt'; did you mean 'dumpdtb'?; known are type, aclint, dumpdtb, accel, acpi, pflash0, pflash1, memory-backend, aia, aia-guests"),
        (["-machine", "virt,aclint=maybe"], "-machine: aclint=maybe: 'maybe' is not on or off"),
        (["-machine", "virt,"], "-machine: there is an empty property (a comma too many)"),
        (["-drive", "fil=x"],
         "-drive: unknown property 'fil'; did you mean 'file'?; known are file, format, if, unit, id, snapshot, media, cache, file.locking, force-share, readonly, read-only, discard, detect-zeroes, cache.direct, cache.no-flush, aio, lazy-refcounts"),
        (["-drive", "if=none,id=a"], "-drive: needs file=PATH"),
        (["-drive", "file=x,if=none"],
         "-drive: if=none needs an id, or nothing can use the drive: add id=hd0 and -device virtio-blk-pci,drive=hd0"),
        (["-drive", "file=x,if=ide"], "-drive: if=ide: 'ide' is not one of none, virtio, pflash"),
        (["-drive", "file=x,format=vmdk"], "-drive: format=vmdk: 'vmdk' is not one of raw, qcow2"),
        (["-drive", "file=x,detect-zeroes=unmap"], "-drive: detect-zeroes=unmap needs discard=unmap"),
        (["-drive", "file=x,force-share=on"], "-drive: force-share=on needs readonly=on"),
        (["-blockdev", "node-name=a"], "-blockdev: needs driver=, one of file, host_device, raw, qcow2"),
        (["-blockdev", "driver=qcow,node-name=a"], "-blockdev: unknown driver 'qcow'; did you mean 'qcow2'?; there are file, host_device, raw, qcow2"),
        (["-blockdev", "driver=file,filename=x"], "-blockdev: needs a node-name, or nothing can use it"),
        (["-blockdev", "driver=qcow2,node-name=a,file=b"], "-blockdev: there is no -blockdev with node-name=b"),
        (["-blockdev", "driver=raw,node-name=a,file=b", "-blockdev", "driver=raw,node-name=b,file=a"], "-blockdev: nodes refer to each other in a ring"),
        (["-blockdev", "driver=file,node-name=f,filename=x,read-only=on,force-share=on", "-blockdev", "driver=qcow2,node-name=d,file=f,read-only=off"],
         "-blockdev: read-only=off contradicts media=cdrom or the read-only=on of the node below; leave one of them out"),
        (["-drive", "file=x,media=cdrom,readonly=off"],
         "-drive: read-only=off contradicts media=cdrom or the read-only=on of the node below; leave one of them out"),
        (["-blockdev", "{\"driver\":"], "-blockdev: it is not a JSON object"),
        (["-drive", "file=x,if=virto"], "-drive: if=virto: 'virto' is not one of none, virtio, pflash; did you mean 'virtio'?"),
        (["-drive", "file=x,id"], "-drive: property 'id' needs a value: id=TEXT"),
        (["-drive", "file=x,id=a", "-drive", "file=y,id=a"], "-drive: the id 'a' is given twice"),
        (["-device", "virtio-blkk,drive=a"],
         "-device: unknown device 'virtio-blkk'; did you mean 'virtio-blk-pci'?; '-device help' lists them all"),
        (["-device", "virtio-blk"], "-device: virtio-blk-pci needs the property 'drive': id of the -drive that holds the data"),
        (["-device", "virtio-rng-pci,addr=20"],
         "-device: addr=20: '20' is not a device number from 0 to 1f and maybe a function, such as 4 or 1f.7"),
        (["-device", "nvme,drive=a"], "-device: nvme needs the property 'serial': serial number for the guest, at most 20 characters"),
        (["-device", "nvme,drive=a,serial=b,logical_block_size=1024"],
         "-device: logical_block_size=1024: '1024' is not one of 512, 4096"),
        (["-device", "virtio-blk-device"], "-device: virtio-blk-device needs the property 'drive': id of the -drive that holds the data"),
        (["-device", "virtio-blk-device,drive=hd1", "-drive", "file=x,if=none,id=hd0"],
         "-device: virtio-blk-device: drive=hd1: there is no -drive with id 'hd1'; did you mean 'hd0'?"),
        (["-device", "virtio-rng-device,packet=on"],
         "-device: unknown property 'packet' of virtio-rng-device; did you mean 'packed'?; known are id, bus, packed, event_idx, indirect_desc"),
        (["-device", "virtio-net-device,netdev=n,mac=1:2"],
         "-device: mac=1:2: '1:2' is not a unicast Ethernet address such as 52:54:00:12:34:56"),
        (["-netdev", "vde,id=a"], "-netdev: unknown network backend 'vde'; there is user, stream, dgram, socket, tap"),
        (["-netdev", "user"], "-netdev: needs an id: -netdev user,id=net0"),
        (["-netdev", "user,id=a,hostfwd=tcp:22"],
         "-netdev: hostfwd=tcp:22: no '-' between host and guest; write [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport, "
            + "for example tcp:127.0.0.1:2222-:22"),
        (["-serial", "studio"], "-serial: 'studio' is not one of stdio, mon:stdio, pty, tcp:HOST:PORT, unix:PATH, file:PATH, null, none, chardev:ID; did you mean 'stdio'?"),
        (["-serial", "chardev:x"], "-serial chardev:x: there is no -chardev with id 'x'"),
        (["-time", "vitual"], "-time: 'vitual' is not one of host, virtual; did you mean 'virtual'?"),
        (["-icount", "shift=99"], "-icount: shift=99: '99' is not auto or a number from 0 to 10"),
        (["-d", "guest_error"], "-d: unknown item 'guest_error'; did you mean 'guest_errors'?; '-d help' lists them all"),
        (["-global", "virtio-mmio.force-legcy=on"],
         "-global: unknown default 'virtio-mmio.force-legcy'; did you mean 'virtio-mmio.force-legacy'?; "
            + "there is virtio-mmio.force-legacy=true|false"),
        (["-echr", "256"], "-echr: '256' is not a character code from 1 to 255 (0x14 is Ctrl-T)"),
        (["-accel", "kvm"], "-accel: 'kvm' is not available: guests run in software only, by jit, interp, lockstep, tcg"),
        (["-accel", "jit,tb-size=0"], "-accel: tb-size=0: '0' is not a number from 1 to 2047"),
        (["-dfilter", "0x1000"], "-dfilter: '0x1000' is not START+LENGTH, START-LENGTH or START..END, such as 0x80000000+0x1000"),
        (["-display", "gtk"], "-display: 'gtk' is not available: there is no display, only none; consoles are on -serial"),
        (["-rtc", "base=noon"], "-rtc: base=noon: 'noon' is not utc, localtime or a date such as 2026-08-01T12:00:00"),
        (["-gdb", "1234"], "-gdb: '1234' is not one of tcp::PORT, tcp:HOST:PORT, unix:PATH, none"),
        (["-gdb", "tcp:1234"], "-gdb: 'tcp:1234' has no host: tcp::1234 is this computer only, tcp:0.0.0.0:1234 all its addresses"),
        (["-gdb", "tcp::70000"], "-gdb: '70000' is not a port from 0 to 65535"),
        (["-gdb", "tcp::-1"], "-gdb: '-1' is not a port from 0 to 65535"),
        (["-gdb", "unix:"], "-gdb: unix: needs the path of a socket"),
        (["-gdb", "tcp::1,server=off"],
         "-gdb: 'server=off' is not possible: the stub listens (server=on) and the guest does not wait for a client (wait=off); -S makes it wait"),
        (["-kernel", ""], "-kernel: needs the name of a file"),
        (["-drive", "file=x,unit=1"], "-drive: unit is for if=pflash"),
        (["-drive", "file=x,if=pflash,unit=2"], "-drive: unit=2: '2' is not a number from 0 to 1"),
        (["-drive", "file=x,if=none,id=code", "-machine", "pflash0=cod"],
         "-machine: pflash0=cod: there is no -drive with id 'cod'; did you mean 'code'?"),
        (["-boot", "menu=maybe"], "-boot: menu=maybe: 'maybe' is not on or off"),
        (["-boot", "order=x"], "-boot: order=x: write each kind of device once: c disks, d optical disks, n networks"),
        (["-boot", "once=cc"], "-boot: once=cc: write each kind of device once: c disks, d optical disks, n networks"),
        (["-rtc", "clock=vn"], "-rtc: clock=vn: 'vn' is not one of host, rt, vm; did you mean 'vm'?"),
        (["-daemonize", "-nographic"], "-daemonize: -nographic wants the terminal that a daemon leaves; give one of them"),
        (["-daemonize", "-serial", "mon:stdio"],
         "-daemonize: a daemon has no terminal for stdio; send the console elsewhere, such as -serial file:PATH"),
        (["-pidfile", ""], "-pidfile: needs the name of a file"),
        (["-fw_cfg", "string=x"], "-fw_cfg: needs name=NAME"),
        (["-fw_cfg", "opt/x"], "-fw_cfg: needs either file=FILE or string=TEXT"),
        (["-fw_cfg", "opt/x,file=a,string=b"], "-fw_cfg: needs either file=FILE or string=TEXT"),
        (["-smbios", "type=99"], "-smbios: needs file=FILE, or type=N with N one of 0, 1, 2, 3, 4, 11, 17"),
        (["-smbios", "type=1,serail=x"],
         "-smbios: unknown property 'serail' of type=1; did you mean 'serial'?; known are type, uefi, manufacturer, product, version, serial, uuid, sku, family"),
        (["-uuid", "1234"], "-uuid: '1234' is not a UUID such as 4c4c4544-0042-4a10-8056-b7c04f313533"),
        (["-device", "loader,data-len=9"], "-device: data-len=9: '9' is not a number from 1 to 8"),
    ] as [([String], String)])
    func badValuesAreRefusedWithTheRemedy(arguments: [String], message: String) {
        let outcome: String
        do throws(CommandEnd) {
            _ = try RunOptions.parse(arguments)
            outcome = "(accepted)"
        } catch {
            switch error {
            case .failed(let problem): outcome = problem.description
            case .answered(let text): outcome = text
            }
        }
        #expect(outcome == message)
    }

    @Test func listsAreShownOnRequest() {
        #expect(answer(to: "-machine", "help").contains("RISC-V VirtIO board"))
        #expect(answer(to: "-machine", "?") == answer(to: "-M", "help"))
        for device in Devices.all {
            #expect(answer(to: "-device", "help").contains(device.name))
            let help = answer(to: "-device", device.name + ",help")
            for property in device.properties { #expect(help.contains(property.usage)) }
        }
        for category in LogCategory.all { #expect(answer(to: "-d", "help").contains(category.name)) }
        #expect(answer(to: "-version").contains("QEMU emulator version 7."))
    }
}
