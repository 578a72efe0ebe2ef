import EmuBus
import EmuMachine

/// Every option of `emulate run`. Adding one is adding a row here; docs/emulate.md and `-h` follow.
extension RunCommand {
    package static let options = OptionTable<RunOptions>(
        sections: [
            OptionSection(title: "Machine", options: machineOptions),
            OptionSection(title: "What it runs", options: bootOptions),
            OptionSection(title: "Disks", options: diskOptions),
            OptionSection(title: "Devices and network", options: deviceOptions),
            OptionSection(title: "Console", options: consoleOptions),
            OptionSection(title: "Time", options: timeOptions),
            OptionSection(title: "Running and debugging", options: runningOptions),
        ],
        missing: missingOptions)

    typealias Row = Option<RunOptions>

    // MARK: Machine

    private static let machineOptions: [Row] = [
        Row(["machine", "M"], "NAME[,PROPERTY=…]",
            help: "the board ('-machine help' lists them; default: virt)\n"
                + "aclint=on|off: separate ACLINT devices instead of the CLINT (virt; default: off)\n"
                + "aia=none|aplic|aplic-imsic: a PLIC, an APLIC, or an APLIC with IMSICs (virt; default: none)\n"
                + "aia-guests=N: interrupt files of a hart for its guests, 0 to 7 (virt with aia=aplic-imsic; default: 0)\n"
                + "acpi=on|off: ACPI tables for UEFI firmware (virt; default: on)\n"
                + "pflash0=ID, pflash1=ID: contents of the banks of flash memory, a -drive if=none (virt)\n"
                + "memory-backend=ID: where guest memory is kept, an -object memory-backend-…\n"
                + "accel=jit|tcg|interp|lockstep: as -accel\n"
                + "dumpdtb=FILE: write the device tree to FILE and end") { options, use throws(CommandEnd) in
            try setMachine(&options, use)
        },
        Row(["cpu"], "MODEL[,EXTENSION=on|off…]",
            help: "the processor and its extensions ('-cpu help' lists them; default: \(MachineConfig().cpu))") { options, use throws(CommandEnd) in
            if use.value == "help" || use.value == "?" { throw .answered(options.config.board.processorHelp) }
            options.config.cpu = use.value
        },
        Row(["smp"], "[cpus=]N[,sockets=…,cores=…,threads=…]",
            help: "number of harts (default: 1)") { options, use throws(CommandEnd) in
            options.config.harts = try RunCommand.harts(use)
        },
        Row(["m"], "[size=]SIZE",
            help: "guest memory in MiB, or with a unit: k, M, G, T (default: 128M)") { options, use throws(CommandEnd) in
            options.config.memory = try RunCommand.memory(use)
            options.isMemoryGiven = true
        },
        Row(["mem-path"], "FILE|FOLDER", help: "keep guest memory in a file without a name in FOLDER (of large pages, for example), or begin with a copy of FILE") {
            options, use throws(CommandEnd) in
            options.config.memoryPath = try path(use)
        },
        Row(["mem-prealloc"], help: "take all guest memory from the host at the start") { options, _ in options.config.preallocatesMemory = true },
        Row(["numa"], "node[,nodeid=N][,cpus=FIRST[-LAST]][,mem=SIZE|memdev=ID]",
            help: "a node of harts and memory (docs/numa.md); what is not given is divided equally\n"
                + "dist,src=N,dst=N,val=DISTANCE: from node to node, 10 to 255\n"
                + "cpu,node-id=N,core-id=HART: a hart of a node") { options, use throws(CommandEnd) in
            var numa = options.config.numa ?? NUMAConfig()
            try MemoryOptions.numa(use, &numa)
            options.config.numa = numa
        },
        Row(["global"], "DRIVER.PROPERTY=VALUE",
            help: "virtio-mmio.force-legacy=true|false: transports speak virtio 0.9 or 1.2 (default: true, as in QEMU)") {
            options, use throws(CommandEnd) in
            options.config.forcesLegacyVirtio = try RunCommand.forceLegacy(use)
        },
        Row(["accel"], "jit|tcg|interp|lockstep[,tb-size=MiB][,thread=single|multi]",
            help: "as --engine; tcg is QEMU's word for jit\n"
                + "tb-size=MiB: translated code is kept up to this size, 1 to 2047 (default: \(MachineConfig.defaultTranslatedCodeSize >> 20))\n"
                + "thread=single|multi: harts take turns, or have a thread each (default: multi, with --time host)") {
            options, use throws(CommandEnd) in
            try RunCommand.accelerator(&options, use)
        },
        Row(["name"], "TEXT", takesAnyText: true, help: "accepted: a name has no effect") { _, _ in },
    ]

    private static func setMachine(_ options: inout RunOptions, _ use: OptionUse) throws(CommandEnd) {
        let properties = [
            Property("type", .text, "the board"), Property("aclint", .bool, "ACLINT"), Property("dumpdtb", .text, "FILE"),
            Property("accel", .choice(accelerators), "as -accel"), Property("acpi", .bool, "ACPI tables"),
            Property("pflash0", .text, "ID"), Property("pflash1", .text, "ID"), Property("memory-backend", .text, "ID"),
            Property("aia", .choice(InterruptControllers.allCases.map(\.rawValue)), "virt: the advanced interrupt architecture instead of a PLIC"),
            Property("aia-guests", .number(0...7), "virt: interrupt files of a hart for its guests, with aia=aplic-imsic"),
        ]
        if ["help", "?"].contains(use.value) {
            throw .answered("Supported machines are:\n" + columns(BoardKind.allCases.map { ($0.rawValue, $0.summary) }, width: 21))
        }
        let list = try PropertyList(use, properties, implied: "type")
        if let name = list["type"] {
            guard let board = BoardKind(rawValue: name) else {
                throw use.failed(
                    "unknown machine '\(name)'" + didYouMean(name, among: BoardKind.allCases.map(\.rawValue))
                        + "; '-machine help' lists them all")
            }
            options.config.board = board
            options.isBoardGiven = true
        }
        if let name = list["accel"] { options.config.engine = engine(name) }
        if let value = list.bool("aclint") { options.config.hasACLINT = value }
        if let name = list["aia"], let value = InterruptControllers(rawValue: name) { options.config.interrupts = value }
        if let value = list.number("aia-guests") { options.config.guestFiles = Int(value) }
        if let value = list.bool("acpi") { options.config.hasACPI = value }
        for bank in 0..<2 { if let id = list["pflash\(bank)"] { options.config.flashDrives[bank] = id } }
        if let id = list["memory-backend"] { options.config.memoryBackend = id }
        if let file = list["dumpdtb"] {
            if file.isEmpty { throw use.failed("dumpdtb needs a file name") }
            options.config.deviceTreeDump = file
        }
    }

    private static func harts(_ use: OptionUse) throws(CommandEnd) -> Int {
        let count = PropertyKind.number(1...4096)
        let names = ["sockets", "dies", "clusters", "cores", "threads"]
        let list = try PropertyList(
            use, [Property("cpus", count, "harts"), Property("maxcpus", count, "accepted when equal to cpus")]
                + names.map { Property($0, count, "shape") }, implied: "cpus")
        let shape = names.compactMap { list.number($0) }
        let product = shape.reduce(1) { $0.multipliedReportingOverflow(by: $1).overflow ? .max : $0 * $1 }
        let harts = list.number("cpus") ?? list.number("maxcpus") ?? product
        guard shape.isEmpty || product == harts || (shape.count < names.count && harts % product == 0) else {
            throw use.failed("\(shape.map(String.init).joined(separator: " × ")) is not \(harts)")
        }
        if let maximum = list.number("maxcpus"), maximum != harts {
            throw use.failed("maxcpus=\(maximum): harts cannot be added later, so it must equal cpus (\(harts))")
        }
        guard harts <= 512 else { throw use.failed("\(harts) harts are more than a board can have (512)") }
        return Int(harts)
    }

    private static func memory(_ use: OptionUse) throws(CommandEnd) -> UInt64 {
        let properties = [
            Property("size", .size(unit: 1 << 20), "RAM"),
            Property("maxmem", .size(unit: 1 << 20), "accepted when equal to size"),
        ]
        let list = try PropertyList(use, properties, implied: "size")
        guard let text = list["size"], let size = Values.size(text, unit: 1 << 20) else {
            throw use.failed("needs a size below 16 EiB: a number, with k, M, G or T behind it or MiB without")
        }
        guard size > 0 else { throw use.failed("a machine needs some memory: -m 128M is the default") }
        if let maximum = list["maxmem"].flatMap({ Values.size($0, unit: 1 << 20) }), maximum != size {
            throw use.failed("maxmem: memory cannot be added later, so it must equal size")
        }
        return size
    }

    private static func forceLegacy(_ use: OptionUse) throws(CommandEnd) -> Bool {
        let known = "virtio-mmio.force-legacy"
        var name = use.value
        var value = ""
        if use.value.hasPrefix("driver=") {
            let list = try PropertyList(
                use, [Property("driver", .text, "driver"), Property("property", .text, "property"), Property("value", .text, "value")])
            name = (list["driver"] ?? "") + "." + (list["property"] ?? "")
            value = list["value"] ?? ""
        } else if let equals = use.value.firstIndex(of: "=") {
            name = String(use.value[..<equals])
            value = String(use.value[use.value.index(after: equals)...])
        }
        guard name == known else {
            throw use.failed("unknown default '\(name)'" + didYouMean(name, among: [known]) + "; there is \(known)=true|false")
        }
        guard let flag = Values.bool(value) else { throw use.failed("\(name): '\(value)' is not true or false") }
        return flag
    }

    /// Names of `-accel`: the engines, and QEMU's word for the translator.
    private static let accelerators = ExecutionEngine.allCases.map(\.rawValue) + ["tcg"]

    private static func engine(_ accelerator: String) -> ExecutionEngine { ExecutionEngine(rawValue: accelerator) ?? .jit }

    private static func accelerator(_ options: inout RunOptions, _ use: OptionUse) throws(CommandEnd) {
        let name = PropertyList.split(use.value)[0].replacingPrefix("accel=", with: "")
        if name == "help" || name == "?" {
            throw .answered("Accelerators supported:\n" + accelerators.map { "\($0)\n" }.joined())
        }
        guard accelerators.contains(name) else {
            throw use.failed(
                "'\(name)' is not available: guests run in software only, by \(accelerators.joined(separator: ", "))"
                    + didYouMean(name, among: accelerators))
        }
        let list = try PropertyList(
            use,
            [
                Property("accel", .choice(accelerators), "engine"), Property("tb-size", .number(1...2047), "MiB"),
                Property("thread", .choice(["single", "multi"]), "WHICH"), Property("one-insn-per-tb", .choice(["off"]), "accepted"),
            ], implied: "accel")
        options.config.engine = engine(name)
        options.config.hartsTakeTurns = list["thread"] == "single"
        if let size = list.number("tb-size") { options.config.translatedCodeSize = Int(size) << 20 }
    }

    // MARK: Boot

    private static let bootOptions: [Row] = [
        Row(["bios"], "default|none|FILE",
            help: "firmware: the built-in SBI firmware (default), none (the kernel starts in machine mode), or a file (ELF or raw)") {
            options, use throws(CommandEnd) in
            options.isFirmwareGiven = true
            switch use.value {
            case "": throw use.failed("needs default, none or a file")
            case "default": options.config.firmware = .builtIn
            case "none": options.config.firmware = .none
            default: options.config.firmware = .file(use.value)
            }
        },
        Row(["kernel"], "FILE", help: "kernel or program: ELF, RISC-V Image, gzip of either, or raw") { options, use throws(CommandEnd) in
            options.config.kernel = try path(use)
        },
        Row(["initrd"], "FILE", help: "initial ramdisk for the kernel") { options, use throws(CommandEnd) in
            options.config.initrd = try path(use)
        },
        Row(["append"], "TEXT", takesAnyText: true, help: "command line of the kernel") { options, use throws(CommandEnd) in
            options.config.append = use.value
        },
        Row(["dtb"], "FILE", help: "device tree to use instead of the board's own") { options, use throws(CommandEnd) in
            options.config.deviceTree = try path(use)
        },
        Row(["boot"], "[order=]LETTERS[,PROPERTY=…]",
            help: "for firmware in flash memory:\n" + FirmwareOptions.bootProperties.map { "\($0.usage): \($0.help)" }.joined(separator: "\n")) {
            options, use throws(CommandEnd) in
            options.config.boot = try FirmwareOptions.boot(use)
        },
        Row(["fw_cfg"], "[name=]NAME,file=FILE | string=TEXT", help: "a file for firmware and guest in the firmware-configuration device") {
            options, use throws(CommandEnd) in
            options.config.firmwareFiles.append(try FirmwareOptions.file(use))
        },
        Row(["smbios"], "file=FILE | type=N[,FIELD=…]",
            help: "an SMBIOS structure from a file, or fields of one:\n"
                + SMBIOSFields.fields.sorted { $0.key < $1.key }.map { "type=\($0.key): \($0.value.joined(separator: ", "))" }.joined(separator: "\n")) {
            options, use throws(CommandEnd) in
            try FirmwareOptions.smbios(use, &options.config)
        },
        Row(["uuid"], "UUID", help: "the system's UUID in its SMBIOS tables") { options, use throws(CommandEnd) in
            options.config.uuid = try FirmwareOptions.uuid(use, use.value)
        },
    ]

    private static func path(_ use: OptionUse) throws(CommandEnd) -> String {
        if use.value.isEmpty { throw use.failed("needs the name of a file") }
        return use.value
    }

    // MARK: Disks

    private static let diskOptions: [Row] = [
        Row(["drive"], "file=FILE[,PROPERTY=…]",
            help: "a disk:\n" + DriveOptions.properties.map { "\($0.usage): \($0.help)" }.joined(separator: "\n")) {
            options, use throws(CommandEnd) in
            options.config.drives.append(try DriveOptions.drive(use))
        },
        Row(["blockdev"], "driver=DRIVER,node-name=NAME[,PROPERTY=…]",
            help: "a node of a graph of disk images for -device …,drive=NAME, also as a JSON object (docs/storage.md)\n"
                + "DRIVER: " + BlockdevNode.drivers.joined(separator: ", ")) { options, use throws(CommandEnd) in
            options.blockdevs.append(try BlockdevNode.parse(use))
        },
        Row(["hda", "hdb", "hdc", "hdd"], "FILE", help: "disk image as a virtio disk") { options, use throws(CommandEnd) in
            options.config.drives.append(DriveConfig(file: try path(use)))
        },
        Row(["pflash"], "FILE", help: "contents of the next bank of flash memory, as -drive if=pflash (docs/uefi.md)") { options, use throws(CommandEnd) in
            var drive = DriveConfig(file: try path(use))
            drive.interface = .pflash
            options.config.drives.append(drive)
        },
        Row(["cdrom"], "FILE", help: "image as a read-only virtio disk") { options, use throws(CommandEnd) in
            var drive = DriveConfig(file: try path(use))
            drive.isReadOnly = true
            drive.isOptical = true
            options.config.drives.append(drive)
        },
        Row(["snapshot"], help: "drop what the guest writes to any disk (Ctrl-A s keeps it)") { options, _ in
            options.config.snapshotsDrives = true
        },
    ]

    // MARK: Devices

    private static let deviceOptions: [Row] = [
        Row(["device"], "DRIVER[,PROPERTY=…]",
            help: "add a device ('-device help' lists them, '-device DRIVER,help' a driver's properties)") {
            options, use throws(CommandEnd) in
            let device = try Devices.parse(use)
            if device.driver == "loader" { options.config.loads.append(device) } else { options.config.devices.append(device) }
        },
        Row(["netdev"], "user|stream|dgram|socket|tap,id=ID[,PROPERTY=…]",
            help: "a network for a -device …,netdev=ID; queues=N: pairs of queues for a card with mq=on\nuser: through the host's own connections\n"
                + NetworkOptions.userProperties.map { "  \($0.usage): \($0.help)" }.joined(separator: "\n") + "\n" + NetworkOptions.help) {
            options, use throws(CommandEnd) in
            options.config.netdevs.append(try NetworkOptions.netdev(use))
        },
        Row(["nic"], "KIND[,model=…][,mac=…][,PROPERTY=…] | none",
            help: "a network and its card in one; properties as for -netdev") { options, use throws(CommandEnd) in
            guard let (netdev, device) = try NetworkOptions.nic(use, index: options.nicCount) else { return }
            options.nicCount += 1
            options.config.netdevs.append(netdev)
            options.config.devices.append(device)
        },
        Row(["object"], "KIND,PROPERTY=…",
            help: "filter-dump,netdev=ID,file=FILE[,maxlen=N][,id=ID]: record the frames of a network in a file for Wireshark or tcpdump\n"
                + MemoryOptions.help) { options, use throws(CommandEnd) in
            var elements = PropertyList.split(use.value)
            let kind = elements.removeFirst().replacingPrefix("qom-type=", with: "")
            switch kind {
            case "filter-dump": options.config.captures.append(try NetworkOptions.capture(elements, use))
            case _ where MemoryOptions.objects.contains(kind): options.config.memoryBackends.append(try MemoryOptions.backend(kind, elements, use))
            default:
                let kinds = ["filter-dump"] + MemoryOptions.objects
                throw use.failed("unknown object '\(kind)'" + didYouMean(kind, among: kinds) + "; there are " + kinds.joined(separator: ", "))
            }
        },
        Row(["share"], "FOLDER[:TAG][,readonly][,security_model=none|passthrough]",
            help: "let the guest mount a folder: mount -t 9p -o trans=virtio TAG /mnt (default TAG: share, then share1, …)\n"
                + "none: files belong to whoever runs emulate (default)\n"
                + "passthrough: owners are the guest's, which takes the right to set them") { options, use throws(CommandEnd) in
            options.add(try FolderOptions.share(use, index: options.config.folders.count))
        },
        Row(["fsdev"], "local,id=ID,path=FOLDER[,PROPERTY=…]",
            help: "a folder for a -device virtio-9p-device,fsdev=ID,mount_tag=TAG\n"
                + FolderOptions.properties.map { "\($0.usage): \($0.help)" }.joined(separator: "\n")) { options, use throws(CommandEnd) in
            options.add(try FolderOptions.fsdev(use))
        },
        Row(["virtfs"], "local,path=FOLDER,mount_tag=TAG[,PROPERTY=…]", help: "-fsdev and its device in one") { options, use throws(CommandEnd) in
            options.add(try FolderOptions.virtfs(use, index: options.config.folders.count))
        },
        Row(["net", "parallel", "vga"], "none", help: "accepted: the board has no such device by default") { _, use throws(CommandEnd) in
            if use.value != "none" { throw use.failed("only none is possible; for a network use -nic user") }
        },
        Row(["nodefaults"], help: "no console on the terminal unless -serial asks for it") { options, _ in
            options.hasNoDefaults = true
        },
    ]

    // MARK: Console

    private static let consoleOptions: [Row] = [
        Row(["nographic"], help: "accepted: the console is on the terminal anyway") { options, _ in options.isNoGraphic = true },
        Row(["display"], "none", help: "accepted: there is no display") { _, use throws(CommandEnd) in
            if use.value != "none" {
                throw use.failed("'\(use.value)' is not available: there is no display, only none; consoles are on -serial")
            }
        },
        Row(["serial"], "stdio|mon:stdio|pty|tcp:[HOST]:PORT[,…]|unix:PATH[,…]|file:PATH|null|none|chardev:ID",
            help: "where the serial port goes (default: mon:stdio)\n"
                + "stdio: the terminal, Ctrl-C ends emulate\n"
                + "mon:stdio: the terminal with the monitor, Ctrl-A h for help, Ctrl-C goes to the guest\n"
                + "pty: a pseudo-terminal, whose name is printed\n"
                + "tcp:, unix: a socket to connect to, or with server=on one that others connect to, which the run waits for unless wait=off; "
                + "also nodelay=on, reconnect=SECONDS (client)\n"
                + "mon: before any of these: with the monitor\n"
                + "file:PATH: output to a file") { options, use throws(CommandEnd) in
            options.serialTargets.append(try CharacterOptions.serial(use))
        },
        Row(["chardev"], "stdio|file|socket|pty|null,id=ID[,mux=on|off][,PROPERTY=VALUE…]",
            help: "a character device for -serial chardev:ID, -mon or -device …,chardev=ID\nstdio: signal=on|off\nfile: path=FILE\n"
                + "socket: host=HOST,port=PORT or path=FILE, and what -serial tcp: takes") { options, use throws(CommandEnd) in
            options.config.chardevs.append(try CharacterOptions.chardev(use))
        },
        Row(["monitor"], "stdio|pty|tcp:[HOST]:PORT[,…]|unix:PATH[,…]|none|chardev:ID", help: "where the monitor goes (default: with the console)") {
            options, use throws(CommandEnd) in
            options.monitorTarget = try CharacterOptions.monitor(use)
        },
        Row(["mon"], "[chardev=]ID[,mode=readline]", help: "put a monitor on a -chardev stdio, socket or pty") { options, use throws(CommandEnd) in
            options.monitorChardevs.append(try CharacterOptions.mon(use))
        },
        Row(["echr"], "CODE", help: "the console's escape character (default: 1, Ctrl-A)") { options, use throws(CommandEnd) in
            guard let code = Values.number(use.value).flatMap({ UInt8(exactly: $0) }), code > 0 else {
                throw use.failed("'\(use.value)' is not a character code from 1 to 255 (0x14 is Ctrl-T)")
            }
            options.escape = code
        },
    ]

    // MARK: Time

    private static let timeOptions: [Row] = [
        Row(["engine"], "jit|interp|lockstep",
            help: "jit: hot guest code is translated to host code (default where the host allows)\n"
                + "interp: everything is interpreted\n"
                + "lockstep: both side by side, compared after every block; slow, for finding faults of the translator") { options, use throws(CommandEnd) in
            guard let engine = ExecutionEngine(rawValue: use.value) else {
                let engines = ExecutionEngine.allCases.map(\.rawValue)
                throw use.failed("'\(use.value)' is not one of \(engines.joined(separator: ", "))" + didYouMean(use.value, among: engines))
            }
            options.config.engine = engine
        },
        Row(["time"], "host|virtual",
            help: "host: guest time follows the host's clock (default)\n"
                + "virtual: guest time advances with instructions; equal inputs give equal runs") { options, use throws(CommandEnd) in
            guard let mode = ClockMode(rawValue: use.value) else {
                let modes = ClockMode.allCases.map(\.rawValue)
                throw use.failed("'\(use.value)' is not one of \(modes.joined(separator: ", "))" + didYouMean(use.value, among: modes))
            }
            options.config.clock = mode
        },
        Row(["icount"], "[shift=]N|auto[,sleep=on|off]",
            help: "--time virtual with 2^N ns per instruction\n"
                + "sleep=on: an idle guest waits as long as it asks for instead of jumping ahead") { options, use throws(CommandEnd) in
            try setInstructionClock(&options, use)
        },
        Row(["rtc"], "[base=utc|localtime|DATE][,clock=host|rt|vm]",
            help: "base: what the real-time clock shows at the start (default: utc); DATE is 2026-08-01 or 2026-08-01T12:00:00\n"
                + "clock=host: the host's clock moves it, with whatever sets that (default)\n"
                + "clock=rt: the host's clock that nobody sets\n"
                + "clock=vm: guest time, which stands still while the guest is stopped (default with --time virtual)\n"
                + "driftfix=none|slew: accepted: this clock has no ticks that could be lost") {
            options, use throws(CommandEnd) in
            try setClock(&options.config, use)
        },
        Row(["seed"], "N", help: "make the random numbers the guest is offered repeatable") { options, use throws(CommandEnd) in
            guard let seed = Values.number(use.value) else { throw use.failed("'\(use.value)' is not a number") }
            options.config.seed = seed
        },
    ]

    private static func setInstructionClock(_ options: inout RunOptions, _ use: OptionUse) throws(CommandEnd) {
        let properties = [
            Property("shift", .text, "N or auto"), Property("sleep", .bool, "wait"), Property("align", .choice(["off"]), "accepted"),
        ]
        let list = try PropertyList(use, properties, implied: "shift")
        if let shift = list["shift"], shift != "auto" {
            guard let value = Values.number(shift), value <= 10 else {
                throw use.failed("shift=\(shift): '\(shift)' is not auto or a number from 0 to 10")
            }
            options.config.cycleShift = Int(value)
        }
        options.config.sleepsWhenIdle = list.bool("sleep") ?? options.config.sleepsWhenIdle
        options.config.clock = .virtual
    }

    private static func setClock(_ config: inout MachineConfig, _ use: OptionUse) throws(CommandEnd) {
        let list = try PropertyList(
            use, [Property("base", .text, "start"), Property("clock", .choice(RTCClock.allCases.map(\.rawValue)), "what moves it"),
                  Property("driftfix", .choice(["none", "slew"]), "accepted")])
        config.rtcClock = list["clock"].flatMap(RTCClock.init)
        switch list["base"] {
        case nil: config.rtc = .automatic
        case "utc": config.rtc = .utc
        case "localtime": config.rtc = .localtime
        case let text?:
            guard let seconds = CalendarDate.seconds(text) else {
                throw use.failed(
                    "base=\(text): '\(text)' is not utc, localtime or a date such as 2026-08-01T12:00:00"
                        + didYouMean(text, among: ["utc", "localtime"]))
            }
            config.rtc = .date(seconds)
        }
    }

    // MARK: Running

    private static let runningOptions: [Row] = [
        Row(["S"], help: "start stopped: the guest waits for 'cont' on the monitor or 'continue' in GDB") { options, _ in options.startsPaused = true },
        Row(["s"], help: "let GDB attach on port 1234 of this computer, as -gdb tcp::1234") { options, _ in
            options.gdb = .inet(host: "", port: GDBOptions.defaultPort)
        },
        Row(["gdb"], "tcp::PORT|tcp:HOST:PORT|unix:PATH|none", help: "let GDB attach (docs/gdb.md): 'target remote :PORT', or PATH\n"
            + "tcp::PORT: from this computer only; port 0 takes a free one and names it\n"
            + "tcp:HOST:PORT: on the address HOST, 0.0.0.0 for all; whoever can connect controls the guest") { options, use throws(CommandEnd) in
            options.gdb = try GDBOptions.endpoint(use)
        },
        Row(["no-reboot"], help: "end when the guest asks for a reset") { options, _ in options.config.exitsOnReset = true },
        Row(["stats"], help: "print instructions, speed, time, memory and what the translator did on exit") { options, _ in
            options.config.printsStatistics = true
        },
        Row(["perf-map"], help: "write /tmp/perf-PID.map, so that Linux perf names translated code by its guest address") { options, _ in
            options.config.writesPerfMap = true
        },
        Row(["watchdog"], "SECONDS[,exit=CODE]",
            help: "explain a guest that makes no progress for so long (as Ctrl-A w does) on standard error, and go on\n"
                + "progress: console output, requests to devices, code not run before; computing and waiting for a timer or input are fine\n"
                + "exit=CODE: end with this exit code (1 to 255) after that") { options, use throws(CommandEnd) in
            let list = try PropertyList(
                use, [Property("seconds", .number(1...1_000_000), "without progress"), Property("exit", .number(1...255), "exit code")], implied: "seconds")
            guard let seconds = list.number("seconds") else { throw use.failed("needs a number of seconds: --watchdog 30") }
            options.watchdog = (seconds, list.number("exit").map { Int32($0) })
        },
        Row(["d"], "ITEM[,ITEM…]", help: "log to standard error or the file of -D ('-d help' lists the items)") {
            options, use throws(CommandEnd) in
            options.log.formUnion(try logItems(use))
        },
        Row(["dfilter"], "RANGE[,RANGE…]",
            help: "log in_asm, ir, ir_opt, out_asm and exec for code at these guest addresses only, virtual ones at the time\n"
                + "RANGE: START+LENGTH, START-LENGTH (the bytes up to START) or START..END, in hexadecimal") { options, use throws(CommandEnd) in
            for range in use.value.split(separator: ",", omittingEmptySubsequences: false) {
                guard let found = Values.addressRange(String(range)) else {
                    throw use.failed("'\(range)' is not START+LENGTH, START-LENGTH or START..END, such as 0x80000000+0x1000")
                }
                options.logFilter.append(found)
            }
        },
        Row(["D"], "FILE", help: "file for the log of -d") { options, use throws(CommandEnd) in options.logFile = try path(use) },
        Row(["h", "help"], help: "show this help") { _, _ throws(CommandEnd) in throw .answered(RunCommand.help) },
        Row(["version", "V"], help: "show the version") { _, _ throws(CommandEnd) in throw .answered(Version.text) },
    ] + SemihostingOptions.rows + RecordingOptions.rows + ProcessOptions.rows

    private static func logItems(_ use: OptionUse) throws(CommandEnd) -> LogCategory {
        var result: LogCategory = []
        for item in use.value.split(separator: ",", omittingEmptySubsequences: false) {
            if item == "help" || item == "?" {
                throw .answered("Log items (comma separated):\n" + columns(LogCategory.all.map { ($0.name, $0.help) }, width: 16))
            }
            guard let found = LogCategory.all.first(where: { $0.name == item }) else {
                throw use.failed(
                    "unknown item '\(item)'" + didYouMean(String(item), among: LogCategory.all.map(\.name)) + "; '-d help' lists them all")
            }
            result.insert(found.category)
        }
        return result
    }

    // MARK: Missing

    /// QEMU's options that are refused by name instead of as unknown.
    private static let missingOptions: [String: String] = [
        "qmp": "", "qmp-pretty": "",
        "vnc": "the console is on -serial", "loadvm": "",
        "acpitable": "", "usb": "", "usbdevice": "", "audio": "", "audiodev": "", "spice": "", "sandbox": "",
        "chroot": "start it by chroot(8) or in a container",
        "readconfig": "", "mtdblock": "use -drive", "sd": "use -drive", "fda": "", "fdb": "",
        "incoming": "", "plugin": "", "action": "use -no-reboot", "no-shutdown": "",
        "enable-kvm": "guests run in software only", "singlestep": "", "option-rom": "", "tb-size": "use -accel jit,tb-size=MiB", "k": "",
        "add-fd": "", "set": "", "msg": "", "only-migratable": "", "full-screen": "", "tpmdev": "",
        "iscsi": "", "debugcon": "use -serial", "dump-vmstate": "", "compat": "", "preconfig": "", "async-teardown": "", "no-user-config": "",
    ]
}
