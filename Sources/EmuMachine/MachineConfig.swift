import EmuBus
import EmuDevices

/// The machine models `-machine` can name.
public enum BoardKind: String, CaseIterable, Sendable {
    case virt, spike

    /// One line for `-machine help`.
    public var summary: String {
        switch self {
        case .virt: "RISC-V VirtIO board (default)"
        case .spike: "RISC-V Spike board: HTIF console and exit, no other devices"
        }
    }
}

/// What `-bios` asks for.
public enum FirmwareConfig: Equatable, Sendable {
    /// The firmware built into this program.
    case builtIn
    /// No firmware: the kernel is started in machine mode.
    case none
    case file(String)
}

/// How a drive reaches the guest, `-drive if=`.
public enum DriveInterface: String, CaseIterable, Sendable {
    /// Only when a `-device` names the drive's id.
    case none
    /// As a virtio block device of its own.
    case virtio
    /// As the contents of a bank of the board's flash memory.
    case pflash
}

/// What an image shows where it has no data of its own.
public indirect enum DriveBacking: Equatable, Sendable {
    /// What the image itself names, or zeroes.
    case own
    case none
    case drive(DriveConfig)
}

/// One `-drive`, or a `-blockdev` node with everything below it.
public struct DriveConfig: Equatable, Sendable {
    public var file: String
    /// nil: found out by the contents.
    public var format: DiskFormat?
    public var interface = DriveInterface.virtio
    public var id: String?
    /// `unit=`: the bank of flash memory; the next one without.
    public var unit: Int?
    public var isReadOnly = false
    /// `media=cdrom`: what `-boot order=d` means.
    public var isOptical = false
    /// Writes go to a temporary file and are dropped on exit.
    public var isSnapshot = false
    /// `cache=`, `discard=` and `detect-zeroes=`.
    public var settings = DiskSettings()
    /// `cache.direct=on`: past the host's page cache.
    public var isDirect = false
    /// Off for `locking=off` and `force-share=on`: other programs may use the file at the same time.
    public var isLocked = true
    /// qcow2: `lazy-refcounts=`, instead of what the image says.
    public var lazyRefcounts: Bool?
    public var backing = DriveBacking.own

    public init(file: String) { self.file = file }
}

/// One `-device`: a driver name and its properties, in the order given.
public struct DeviceConfig: Equatable, Sendable {
    public struct Property: Equatable, Sendable {
        public var name: String
        public var value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    public var driver: String
    public var properties: [Property] = []

    public init(driver: String) { self.driver = driver }

    /// The last value given for `name`.
    public subscript(name: String) -> String? { properties.last { $0.name == name }?.value }
}

extension DeviceConfig {
    /// A property that is on or off; nil when it was not given.
    func flag(_ name: String, _ option: String) throws(ConfigError) -> Bool? {
        switch self[name] {
        case nil: return nil
        case "on", "true", "yes", "y": return true
        case "off", "false", "no", "n": return false
        case let value?: throw ConfigError("\(option),\(name)=\(value)", "write on or off")
        }
    }

    /// A property that is a number, decimal or hexadecimal after `0x`; nil when it was not given.
    func number(_ name: String, in range: ClosedRange<Int>, _ option: String) throws(ConfigError) -> Int? {
        guard let text = self[name] else { return nil }
        let number = text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) : Int(text)
        guard let number, range.contains(number) else { throw ConfigError("\(option),\(name)=\(text)", "write a number from \(range.lowerBound) to \(range.upperBound)") }
        return number
    }
}

/// One `-netdev`: a network backend. `-nic` is one of these and a `DeviceConfig` that refers to it.
public struct NetdevConfig: Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        /// Through the host's own connections, with options in the words of `SlirpConfiguration.init(options:)`; `hostfwd` may come repeatedly.
        case user([DeviceConfig.Property])
        /// A cable to another machine. The interval, in nanoseconds, is for the end that connects.
        case stream(SocketAddress, listens: Bool, retryInterval: UInt64?)
        case datagrams(local: SocketAddress, remote: SocketAddress)
        case multicast(IPv4Address, port: UInt16, interface: IPv4Address?)
        /// A tap interface; nil lets the host name it.
        case tap(interface: String?)

        /// As `-netdev` calls it.
        var name: String {
            switch self {
            case .user: "user"
            case .stream: "stream"
            case .datagrams, .multicast: "dgram"
            case .tap: "tap"
            }
        }
    }

    public var id: String
    public var kind: Kind
    /// Most pairs of queues a card with `mq=on` gets.
    public var queues: Int

    public init(id: String, kind: Kind, queues: Int = 1) {
        self.id = id
        self.kind = kind
        self.queues = queues
    }
}

/// `-object filter-dump`: a file that gets every frame of a network.
public struct CaptureConfig: Equatable, Sendable {
    public var netdev: String
    public var file: String
    /// Bytes kept of a frame.
    public var limit: Int

    public init(netdev: String, file: String, limit: Int) {
        self.netdev = netdev
        self.file = file
        self.limit = limit
    }
}

/// One `-fsdev` or `--share`: a folder of the host for a `virtio-9p` device.
public struct FolderConfig: Equatable, Sendable {
    public var id: String
    public var path: String
    public var isReadOnly = false
    public var ownership = SharedFolder.Ownership.none

    public init(id: String, path: String) {
        self.id = id
        self.path = path
    }
}

/// One end of a character stream on the host: a `-serial` or a `-chardev`.
public struct CharacterConfig: Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        /// The device exists, its output is dropped.
        case null
        /// The device has nothing connected.
        case none
        /// Standard input and output.
        case stdio
        /// Output goes to a file; there is no input.
        case file(String)
        /// Output goes to the process's standard error; there is no input.
        case standardError
        /// Programs of this or another computer connect, or are connected to.
        case socket(SocketLineConfig)
        /// A pseudo-terminal, whose name is printed.
        case pseudoTerminal
    }

    public var kind: Kind
    /// `-chardev id=`, which `-device …,chardev=` and `-serial chardev:` refer to; nil for a `-serial` of its own.
    public var id: String?
    /// The monitor shares the line (Ctrl-A c).
    public var hasMonitor = false
    /// `mux=on`: several devices may share it, with Ctrl-A as the escape character.
    public var isMultiplexed = false
    /// Ctrl-C on the terminal ends the emulator instead of being input for the guest.
    public var allowsSignals = false

    public init(_ kind: Kind, id: String? = nil) {
        self.kind = kind
        self.id = id
    }

    /// Somebody can type at its end.
    public var isInteractive: Bool {
        switch kind {
        case .stdio, .socket, .pseudoTerminal: true
        case .null, .none, .file, .standardError: false
        }
    }
}

/// A character line over a socket.
public struct SocketLineConfig: Equatable, Sendable {
    public var address: SocketAddress
    /// This end listens.
    public var isServer = false
    /// The machine does not start before somebody has connected.
    public var waitsForClient = false
    /// A connecting end that loses the other, or does not find it, tries again after so long; nil never.
    public var reconnectSeconds: UInt64?
    /// `TCP_NODELAY`.
    public var isUndelayed = false

    public init(_ address: SocketAddress) { self.address = address }

    /// As users write it, in part: "tcp:127.0.0.1:4444,server=on".
    var text: String {
        let kind = if case .unix = address { "unix" } else { "tcp" }
        return "\(kind):\(address.text)\(isServer ? ",server=on" : "")"
    }
}

/// What executes guest code, `--engine` and `-accel`.
public enum ExecutionEngine: String, CaseIterable, Sendable {
    /// Hot code is translated to host code.
    case jit
    /// Everything is interpreted.
    case interp
    /// Translated code and the interpreter run side by side and are compared.
    case lockstep
}

/// Where the guest's real-time clock starts.
public enum RTCBase: Equatable, Sendable {
    /// The host's clock; with the virtual clock, a fixed date, so that runs repeat.
    case automatic
    case utc
    case localtime
    /// Seconds since 1970-01-01T00:00:00Z.
    case date(UInt64)
}

/// What moves the guest's real-time clock, `-rtc clock=`.
public enum RTCClock: String, CaseIterable, Sendable {
    /// The host's clock, with whatever sets it.
    case host
    /// The host's clock that nobody sets.
    case monotonic = "rt"
    /// Guest time: it stands still while the guest does.
    case guest = "vm"
}

/// `-machine virt,aia=`: the interrupt controllers, by QEMU's names.
public enum InterruptControllers: String, CaseIterable, Sendable {
    case plic = "none"
    /// An advanced PLIC that drives the harts' inputs.
    case aplic
    /// An advanced PLIC that sends messages to an IMSIC of each hart.
    case imsic = "aplic-imsic"
}

/// Everything the command line can say about a machine, as a plain value. `Machine` checks what only it can know.
public struct MachineConfig: Sendable {
    public static let defaultMemory: UInt64 = 128 << 20
    public static let defaultTranslatedCodeSize = 128 << 20
    /// Nanoseconds of guest time per cycle of the virtual clock unless `-icount shift=` says otherwise.
    public static let defaultNanosecondsPerCycle: UInt64 = 10

    public var board = BoardKind.virt
    /// `-machine virt,aclint=on`: separate ACLINT devices instead of the SiFive CLINT.
    public var hasACLINT = false
    /// `-machine virt,aia=`: what takes interrupts to the harts.
    public var interrupts = InterruptControllers.plic
    /// `-machine virt,aia-guests=`: interrupt files of each hart for its guests, 0…7; only with IMSICs.
    public var guestFiles = 0
    /// `-machine virt,acpi=on|off`: firmware finds ACPI tables besides the device tree.
    public var hasACPI = true
    /// `-machine virt,pflash0=ID,pflash1=ID`: drives with if=none that hold the contents of the banks of flash memory.
    public var flashDrives: [Int: String] = [:]
    /// `-machine …,dumpdtb=FILE`: write the device tree there and exit.
    public var deviceTreeDump: String?
    /// `-global virtio-mmio.force-legacy=`: the virtio-mmio transports speak version 1.
    public var forcesLegacyVirtio = true

    /// `-cpu`: the model and its options, as written ("max,sv57=off").
    public var cpu = MachineConfig.standardProcessor
    /// `-smp`: number of harts.
    public var harts = 1
    /// `-m`: bytes of RAM.
    public var memory = MachineConfig.defaultMemory
    /// `-object memory-backend-…`.
    public var memoryBackends: [MemoryBackendConfig] = []
    /// `-machine memory-backend=`: id of the backend of all memory.
    public var memoryBackend: String?
    /// `-mem-path`: the file, or the folder of the file, that holds memory without a backend.
    public var memoryPath: String?
    /// `-mem-prealloc`: all memory is taken from the host at the start.
    public var preallocatesMemory = false
    /// `-numa`; nil for a machine without nodes.
    public var numa: NUMAConfig?

    public var firmware = FirmwareConfig.builtIn
    public var kernel: String?
    public var initrd: String?
    /// `-append`: the kernel command line.
    public var append: String?
    /// `-dtb`: replaces the generated device tree.
    public var deviceTree: String?

    public var boot = BootConfig()
    /// `-fw_cfg`.
    public var firmwareFiles: [FirmwareFile] = []
    /// `-smbios type=`, `-smbios file=`.
    public var smbios: [SMBIOSFields] = []
    public var smbiosFiles: [String] = []
    /// `-uuid`, `-smbios type=1,uuid=`: 16 bytes in the order of the text.
    public var uuid: [UInt8]?
    /// `-device loader`.
    public var loads: [DeviceConfig] = []

    public var drives: [DriveConfig] = []
    public var devices: [DeviceConfig] = []
    public var folders: [FolderConfig] = []
    public var captures: [CaptureConfig] = []
    public var netdevs: [NetdevConfig] = []
    /// `-serial`, in order; the board's first UART gets the first.
    public var serial: [CharacterConfig] = []
    public var chardevs: [CharacterConfig] = []

    /// `-semihosting`; nil where its calls are breakpoints.
    public var semihosting: SemihostingConfig?

    public var engine = ExecutionEngine.jit
    /// `-accel tb-size=`: bytes of translated code kept at most.
    public var translatedCodeSize = MachineConfig.defaultTranslatedCodeSize
    /// `-accel thread=single`: harts take turns on one thread though the host's clock would let them run side by side.
    public var hartsTakeTurns = false

    /// Whether harts are to have threads: with the virtual clock they take turns, so that every run is the same, and translated code is
    /// compared with the interpreter in turns.
    package var wantsThreads: Bool { clock == .host && harts > 1 && !hartsTakeTurns && engine != .lockstep }

    public var rtc = RTCBase.automatic
    /// nil: guest time with the virtual clock, else the host's.
    public var rtcClock: RTCClock?
    /// `--time` (`-icount` selects virtual).
    public var clock = ClockMode.host
    /// `-icount shift=N`: one cycle takes 2^N ns of virtual time; nil for the default.
    public var cycleShift: Int?
    /// `-icount sleep=on`: with the virtual clock, an idle machine waits as long as the guest does instead of jumping ahead.
    public var sleepsWhenIdle = false
    /// `-seed`: makes everything random that the guest is offered (rng-seed, entropy device) repeatable; the virtual clock implies 0.
    public var seed: UInt64?
    /// `-no-reboot`: a guest's reset request ends the run.
    public var exitsOnReset = false
    /// `-snapshot`: every drive behaves as if `snapshot=on` were given.
    public var snapshotsDrives = false
    /// `--perf-map`: tell Linux perf which guest code translated code comes from.
    public var writesPerfMap = false
    /// `--stats`: print a summary line on exit.
    public var printsStatistics = false

    public init() {}

    /// Software in the first bank of flash memory is what the machine starts.
    public var startsInFlash: Bool {
        flashDrives[0] != nil || drives.contains { $0.interface == .pflash && $0.unit ?? 0 == 0 }
    }

    /// Nanoseconds of guest time per cycle of the virtual clock.
    public var nanosecondsPerCycle: UInt64 {
        cycleShift.map { 1 << UInt64(max(0, min($0, 20))) } ?? Self.defaultNanosecondsPerCycle
    }
}

/// A configuration that cannot be run: names the option, says what is wrong and what to do.
public struct ConfigError: Error, CustomStringConvertible, Sendable {
    /// The option as typed, with its value ("-kernel vmlinux").
    public let option: String
    public let problem: String

    public init(_ option: String, _ problem: String) {
        self.option = option
        self.problem = problem
    }

    public var description: String { "\(option): \(problem)" }
}
