import EmuBus
import EmuControl
import EmuMachine

/// What `emulate run` was asked for: the machine, and what only the command itself does.
package struct RunOptions {
    package var config = MachineConfig()
    /// Where the monitor goes when it is alone on its line (`-monitor stdio`).
    package var monitor: CharacterConfig?
    /// `-echr`: the multiplexer's escape character.
    package var escape = SerialMux.defaultEscape
    /// `-d`.
    package var log: LogCategory = []
    /// `-dfilter`; empty for everything.
    package var logFilter: [ClosedRange<UInt64>] = []
    /// `-D`.
    package var logFile: String?
    /// `--watchdog`: seconds without progress until the guest's state is explained, and the exit code if that ends the run.
    package var watchdog: (seconds: UInt64, exitCode: Int32?)?
    package var recording = RecordingOptions()
    package var process = ProcessOptions()
    /// `-gdb`, `-s`: where GDB may attach.
    package var gdb: SocketAddress?
    /// `-S`.
    package var startsPaused = false
    /// Where UEFI firmware comes from for a disk that is given alone.
    package var findFirmware: @Sendable () -> UEFIFirmware? = { UEFIFirmware.find() }
    /// The word that is no option: a program, kernel or disk to find out about.
    package var path: String?
    /// What the user should know of before the guest starts.
    package var warnings: [String] = []

    // What is settled by `finish`, when all options are known.
    var serialTargets: [CharacterOptions.Target] = []
    var monitorTarget: CharacterOptions.Target?
    var monitorChardevs: [String] = []
    /// `-blockdev`, in order.
    var blockdevs: [BlockdevNode] = []
    var isNoGraphic = false
    var hasNoDefaults = false
    var nicCount = 0
    var isFirmwareGiven = false
    var isBoardGiven = false
    var isMemoryGiven = false

    package init() {}

    /// Reads the words after `emulate run`.
    package static func parse(_ arguments: [String]) throws(CommandEnd) -> RunOptions {
        var options = RunOptions()
        let words = try RunCommand.options.parse(arguments, into: &options)
        if words.count > 1 {
            throw .failed(words[1], "only one file can be given without an option; use -drive file=… for further disks")
        }
        options.path = words.first
        try options.finish()
        return options
    }

    mutating func finish() throws(CommandEnd) {
        if process.isDaemon, isNoGraphic { throw .failed("-daemonize", "-nographic wants the terminal that a daemon leaves; give one of them") }
        try resolveMonitorChardevs()
        try resolveSerial()
        config.drives += try BlockdevNode.drives(blockdevs)
        try checkReferences()
        if process.isDaemon, usesStandardStreams {
            throw .failed("-daemonize", "a daemon has no terminal for stdio; send the console elsewhere, such as -serial file:PATH")
        }
    }

    private mutating func resolveMonitorChardevs() throws(CommandEnd) {
        if case .chardev(let id)? = monitorTarget { monitorChardevs.append(id) }
        for id in monitorChardevs {
            guard let index = config.chardevs.firstIndex(where: { $0.id == id }) else { throw .failed("-mon chardev=\(id)", unknownChardev(id)) }
            guard config.chardevs[index].isInteractive else {
                throw .failed("-mon chardev=\(id)", "the monitor needs a -chardev stdio, socket or pty")
            }
            config.chardevs[index].hasMonitor = true
        }
    }

    private mutating func resolveSerial() throws(CommandEnd) {
        for target in serialTargets {
            switch target {
            case .own(let config): self.config.serial.append(config)
            case .chardev(let id):
                guard let found = config.chardevs.first(where: { $0.id == id }) else { throw .failed("-serial chardev:\(id)", unknownChardev(id)) }
                config.serial.append(found)
            }
        }
        if case .own(let config)? = monitorTarget, config.isInteractive { monitor = config }
        // A -chardev that no device uses is the monitor's alone.
        let used = config.serial.compactMap(\.id) + config.devices.compactMap { $0["chardev"] } + [config.semihosting?.chardev].compactMap { $0 }
        if let id = monitorChardevs.first(where: { !used.contains($0) }) { monitor = config.chardevs.first { $0.id == id } }
        let hasDefaultMonitor = monitorTarget == nil && monitorChardevs.isEmpty && !hasNoDefaults
        if config.serial.isEmpty, !hasNoDefaults {
            // With no display at all the console belongs on the terminal, -nographic or not.
            config.serial.append(usesStandardStreams || process.isDaemon ? CharacterConfig(.null) : CharacterOptions.stdio(monitor: hasDefaultMonitor))
        } else if isNoGraphic, hasDefaultMonitor, !usesStandardStreams {
            monitor = CharacterOptions.stdio(monitor: false)
        }
    }

    private var usesStandardStreams: Bool {
        (config.serial + config.chardevs + [monitor].compactMap { $0 }).contains {
            if case .stdio = $0.kind { true } else { false }
        }
    }

    private func unknownChardev(_ id: String) -> String {
        let ids = config.chardevs.compactMap(\.id)
        return "there is no -chardev with id '\(id)'" + didYouMean(id, among: ids)
    }

    mutating func add(_ share: FolderOptions.Share) {
        config.folders.append(share.folder)
        if let device = share.device { config.devices.append(device) }
    }

    /// Ids are unique, and what refers to one finds it.
    private func checkReferences() throws(CommandEnd) {
        try refuseDuplicates("-drive", config.drives.compactMap(\.id))
        try refuseDuplicates("-netdev", config.netdevs.map(\.id))
        try refuseDuplicates("-fsdev", config.folders.map(\.id))
        try refuseDuplicates("-chardev", config.chardevs.compactMap(\.id))
        try refuseDuplicates("-object", config.memoryBackends.map(\.id))
        try refuseDuplicates("-device", config.devices.compactMap { $0["id"] })
        for capture in config.captures where !config.netdevs.contains(where: { $0.id == capture.netdev }) {
            throw .failed(
                "-object", "filter-dump: there is no -netdev with id '\(capture.netdev)'" + didYouMean(capture.netdev, among: config.netdevs.map(\.id)))
        }
        for (bank, id) in config.flashDrives.sorted(by: { $0.key < $1.key }) where !config.drives.contains(where: { $0.id == id }) {
            throw .failed("-machine", "pflash\(bank)=\(id): there is no -drive with id '\(id)'" + didYouMean(id, among: config.drives.compactMap(\.id)))
        }
        if let id = config.semihosting?.chardev, !config.chardevs.contains(where: { $0.id == id }) {
            throw .failed("-semihosting-config chardev=\(id)", unknownChardev(id))
        }
        for device in config.devices {
            try check(device, "drive", "-drive", config.drives.compactMap(\.id))
            try check(device, "netdev", "-netdev", config.netdevs.map(\.id))
            try check(device, "fsdev", "-fsdev", config.folders.map(\.id))
            try check(device, "chardev", "-chardev", config.chardevs.compactMap(\.id))
        }
    }

    private func refuseDuplicates(_ option: String, _ ids: [String]) throws(CommandEnd) {
        var seen: Set<String> = []
        for id in ids where !seen.insert(id).inserted { throw .failed(option, "the id '\(id)' is given twice") }
    }

    private func check(_ device: DeviceConfig, _ property: String, _ option: String, _ ids: [String]) throws(CommandEnd) {
        guard let id = device[property], !ids.contains(id) else { return }
        throw .failed("-device", "\(device.driver): \(property)=\(id): there is no \(option) with id '\(id)'" + didYouMean(id, among: ids))
    }
}
