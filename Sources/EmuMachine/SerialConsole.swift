import EmuBus
import EmuDevices
import Glibc

/// The host's ends of all serial lines of one machine: opens them, shares standard input and output through a
/// multiplexer, and polls those no guest device has for itself (the machine polls the others).
public final class SerialConsole: IOPoller {
    /// Ctrl-A x.
    public var onQuit: (() -> Void)?
    /// Ctrl-A s.
    public var onSync: (() -> Void)? { didSet { for mux in muxes { mux.onSync = onSync } } }
    /// Ctrl-A w: says why the guest does not move.
    public var onExplain: (() -> String)? { didSet { for mux in muxes { mux.onExplain = onExplain } } }
    /// Ctrl-C on the terminal; nil leaves it to the guest. For a debugger.
    public var onInterrupt: (() -> Void)? { didSet { standardLine?.onInterrupt = onInterrupt } }
    /// Output of a line was lost for good. Called once per line.
    public var onFailure: ((HostIOError) -> Void)?
    public private(set) var monitor: Monitor?
    /// The run waits for somebody to connect: to what.
    public var onWait: ((String) -> Void)?
    /// A pseudo-terminal has been made: a line that says which, in QEMU's words.
    public var onPseudoTerminal: ((String) -> Void)?

    private let escape: UInt8
    private let version: String
    private var lines: [any HostLine] = []
    private var polled: [any HostLine] = []
    private var muxes: [SerialMux] = []
    private var muxOfID: [String: SerialMux] = [:]
    private var usedIDs: Set<String> = []
    private var standardStreamsUser: CharacterConfig?
    private var standardLine: DescriptorBackend?
    /// Seconds that readers who do not read are waited for at the end.
    private static let patience = 2
    private let standardInput: Int32?
    private let standardOutput: Int32

    /// - Parameters:
    ///   - escape: the multiplexer's escape character, `-echr`.
    ///   - version: what the monitor says it belongs to.
    ///   - readsInput: false when standard input is not the guest's.
    ///   - output: what the guest writes on standard output goes there.
    public init(escape: UInt8 = SerialMux.defaultEscape, version: String, readsInput: Bool = true, output: Int32 = STDOUT_FILENO) {
        self.escape = escape
        standardInput = readsInput ? STDIN_FILENO : nil
        standardOutput = output
        self.version = version
    }

    /// The host's end for one guest device; nil when it stays unconnected.
    /// - Throws: `ConfigError` for a file that cannot be created or a line used twice without `mux=on`.
    public func makeBackend(_ config: CharacterConfig) throws(ConfigError) -> (any CharacterBackend)? {
        if let id = config.id {
            if let mux = muxOfID[id] { return mux.addPort() }
            guard usedIDs.insert(id).inserted || config.isMultiplexed else {
                throw ConfigError("-chardev \(id)", "two devices use it; add mux=on to let them share it")
            }
        }
        switch config.kind {
        case .none: return nil
        case .null: return NullBackend()
        case .standardError:
            let line = DescriptorBackend.standardStreams(input: nil, output: STDERR_FILENO)
            add(line)
            return line
        case .file(let path):
            let line = try DescriptorBackend.file(path)
            add(line)
            return share(line, config)
        case .stdio: return share(try makeStandardLine(config), config)
        case .socket, .pseudoTerminal: return share(try makeAttachableLine(config, label: "serial0"), config)
        }
    }

    /// The line itself, or its first user's port where several share it.
    private func share(_ line: any HostLine, _ config: CharacterConfig) -> any CharacterBackend {
        guard config.hasMonitor || config.isMultiplexed else { return line }
        let mux = makeMux(line, config)
        let port = mux.addPort()
        if config.hasMonitor { connectMonitor(to: mux.addPort()) }
        return port
    }

    /// `-monitor`: the monitor alone on its line.
    public func makeMonitor(_ config: CharacterConfig) throws(ConfigError) {
        switch config.kind {
        case .none, .null, .file, .standardError: return
        case .stdio:
            let line = try makeStandardLine(config)
            makeMonitor(on: line).show()
        case .socket, .pseudoTerminal:
            let line = try makeAttachableLine(config, label: "compat_monitor0"), monitor = makeMonitor(on: line)
            line.onAttach = { [weak monitor] in monitor?.show() }
            if line.isAttached { monitor.show() }
        }
    }

    private func makeMonitor(on line: any HostLine) -> Monitor {
        polled.append(line)
        let monitor = Monitor(line: line, version: version)
        self.monitor = monitor
        return monitor
    }

    private func makeAttachableLine(_ config: CharacterConfig, label: String) throws(ConfigError) -> AttachableLine {
        let option = config.id.map { "-chardev \($0)" } ?? (label == "serial0" ? "-serial" : "-monitor")
        let line: AttachableLine
        switch config.kind {
        case .socket(let socket):
            let source = try SocketSource(socket, option: option)
            line = AttachableLine(name: "\(option) \(socket.address.text)", source: source)
            if socket.isServer, socket.waitsForClient { onWait?(socket.text) }
            if let first = try source.first(waitsForClient: socket.waitsForClient) { line.attach(first) }
        default:
            let source = try PseudoTerminalSource(option: option)
            line = AttachableLine(name: source.path, source: source)
            onPseudoTerminal?("char device redirected to \(source.path) (label \(config.id ?? label))")
        }
        lines.append(line)
        return line
    }

    private func makeStandardLine(_ config: CharacterConfig) throws(ConfigError) -> DescriptorBackend {
        guard standardStreamsUser == nil else {
            throw ConfigError(
                "-serial stdio", "standard input and output are already in use; share them with -serial mon:stdio or -chardev stdio,mux=on,id=…")
        }
        standardStreamsUser = config
        let line = DescriptorBackend.standardStreams(input: standardInput, output: standardOutput)
        line.onInterrupt = onInterrupt
        standardLine = line
        add(line)
        return line
    }

    private func add(_ line: DescriptorBackend) {
        line.onFailure = { [weak self] in self?.onFailure?($0) }
        lines.append(line)
    }

    private func makeMux(_ line: any HostLine, _ config: CharacterConfig) -> SerialMux {
        let mux = SerialMux(line: line, escape: escape)
        mux.onQuit = { [weak self, weak line] in
            line?.isEnding = true
            self?.onQuit?()
        }
        mux.onSync = onSync
        mux.onExplain = onExplain
        muxes.append(mux)
        polled.append(line)
        if let id = config.id { muxOfID[id] = mux }
        return mux
    }

    private func connectMonitor(to port: SerialMux.Port) {
        let monitor = Monitor(line: port, version: version)
        port.onFocus = { [weak monitor] in monitor?.show() }
        self.monitor = monitor
    }

    /// Puts the terminal into raw mode if the guest or the monitor reads it.
    public func start() {
        if let config = standardStreamsUser { Terminal.enterRawMode(keepsSignals: config.allowsSignals) }
    }

    /// Writes out what is still queued and gives the terminal back.
    public func finish() {
        for line in lines {
            line.drain(seconds: Self.patience)
            (line as? AttachableLine)?.end()
        }
        Terminal.restore()
    }

    /// Hands `bytes` to whoever reads standard input, as if they had been typed; false when nobody does.
    public func type(_ bytes: [UInt8]) -> Bool {
        standardLine?.type(bytes)
        return standardLine != nil
    }

    /// The guest's last output on the terminal ended a line, or there was none.
    public var isAtLineStart: Bool { standardLine?.isAtLineStart ?? true }

    public func fillPoll(_ set: PollSet) {
        for line in polled { line.fillPoll(set) }
    }

    public func handlePoll(_ set: PollSet) {
        for line in polled { line.handlePoll(set) }
    }
}
