/// What a group of benchmarks is about.
package enum BenchGroup: String, CaseIterable, Codable, Sendable {
    case integer, memory, float, vector, system, machine

    package var title: String {
        switch self {
        case .integer: "Integer"
        case .memory: "Memory"
        case .float: "Floating point"
        case .vector: "Vectors"
        case .system: "System"
        case .machine: "Whole machine"
        }
    }
}

/// Where a program runs; also the file ending `benchmarks/build.sh` gives it.
package enum BenchEnvironment: String, CaseIterable, Codable, Sendable {
    /// This machine, without emulation.
    case host
    /// Bare metal, M mode, no address translation.
    case machine
    /// Bare metal, S mode, Sv39 with 4 KiB pages.
    case supervisor
    /// A static program in a Debian guest, or that guest itself.
    case linux

    /// How tables show it.
    package var title: String {
        switch self {
        case .host: "host"
        case .machine: "M mode"
        case .supervisor: "Sv39"
        case .linux: "Linux"
        }
    }
}

/// How a benchmark's time is told.
package enum BenchUnit: String, Codable, Sendable {
    /// Seconds of an iteration, and how many times slower than native.
    case iteration
    /// Nanoseconds of an operation.
    case operation
    /// Operations are bytes: MB/s.
    case bytes
    /// Operations in a second.
    case rate
}

/// Something a Linux workload needs besides the kernel and its initramfs.
package enum BenchNeed: Sendable {
    /// A disk that may be overwritten; its device is `$scratch` in the command.
    case scratchDisk
    /// An NVMe disk that may be overwritten, /dev/nvme0n1.
    case nvmeDisk
    /// A network with the host at 10.0.2.2, where one server gives bytes on `$port` and another takes them on `$sink`.
    case network
    /// The image of `benchmarks/guest-tools.sh` (compiler, Python), mounted at /mnt.
    case tools
    /// The disk of `Tests/Guests/uefi.sh`, which boots through UEFI: U-Boot's, GRUB, Debian's kernel.
    case bootDisk
}

/// One row of the catalogue.
package struct Benchmark: Sendable {
    /// What `--only` names; also the base name of its program.
    package let name: String
    package let group: BenchGroup
    /// One line for `--list` and the documentation.
    package let summary: String
    package let unit: BenchUnit
    /// Where it runs; with `host` it is compared with native.
    package let environments: [BenchEnvironment]
    /// Environments of the quick profile; with none it runs only when named, or in the full profile.
    package let quick: [BenchEnvironment]
    package let harts: Int
    /// In Linux: the shell command; `/bench/NAME` unless given.
    package let command: String?
    package let needs: [BenchNeed]
    /// Its guest program needs vector cryptography; where an engine has none this program runs instead, and must come to the same sum.
    package let scalarTwin: String?
    /// Measures the boot itself: from start to power-off, by the host's clock.
    package let isBoot: Bool

    init(
        _ name: String, _ group: BenchGroup, _ summary: String, _ unit: BenchUnit = .iteration, in environments: [BenchEnvironment],
        quick: [BenchEnvironment] = [], harts: Int = 1, command: String? = nil, needs: [BenchNeed] = [], scalarTwin: String? = nil, isBoot: Bool = false
    ) {
        self.name = name
        self.group = group
        self.summary = summary
        self.unit = unit
        self.environments = environments
        self.quick = quick
        self.harts = harts
        self.command = command
        self.needs = needs
        self.scalarTwin = scalarTwin
        self.isBoot = isBoot
    }

    /// Its guest programs need the vector extension.
    package var needsVectors: Bool { group == .vector }
    package var hasNative: Bool { environments.contains(.host) }
    /// Environments of a guest.
    package var guestEnvironments: [BenchEnvironment] { environments.filter { $0 != .host } }
}
