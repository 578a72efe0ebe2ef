import EmuDevices

/// What the monitor can do with the machine it belongs to.
public protocol MonitorTarget: AnyObject {
    /// One line: "running", "paused".
    var statusLine: String { get }
    func pause()
    func resume()
    /// Why the guest does not move, in lines.
    var explanation: String { get }
    /// The registers of a hart, or of all for nil, in lines; or what is wrong.
    func registers(hart: Int?) -> String
    /// Resets the machine as its reset button would.
    func reset()
    /// Writes the changes of `-snapshot` disks to their images.
    func commit()
    /// Plugs a device in that is described as for `-device`; what is in the way, or nil.
    func plug(_ device: String) -> String?
    /// Asks the guest to let a device go; what is in the way, or nil.
    func unplug(_ id: String) -> String?
    /// Ends the run.
    func quit()
    /// The devices commands are for.
    var peripherals: MachinePeripherals { get }
}

/// The prompt behind Ctrl-A c: reads lines from a serial line and carries them out.
public final class Monitor: CharacterFrontend {
    /// One command: names (the first is the one shown), arguments, help, action.
    struct Command: Sendable {
        let names: [String]
        let arguments: String
        let help: String
        let action: @Sendable (Monitor, [Substring]) -> Void
    }

    static let prompt = "(emulate) "
    static let lineLimit = 1024

    static let commands: [Command] = [
        Command(names: ["help", "?"], arguments: "[command]", help: "show the commands, or what one does") {
            $0.showHelp($1.first.map(String.init))
        },
        Command(names: ["info"], arguments: "[subject …]", help: "show a subject; without one, list the subjects") {
            $0.showInfo($1)
        },
        Command(names: ["stop", "s"], arguments: "", help: "stop the guest") { monitor, _ in monitor.target?.pause() },
        Command(names: ["cont", "c"], arguments: "", help: "let the guest run on") { monitor, _ in monitor.target?.resume() },
        Command(names: ["why"], arguments: "", help: "say why the guest does not move") { monitor, _ in monitor.print(monitor.target?.explanation ?? "") },
        Command(names: ["system_reset"], arguments: "", help: "reset the machine") { monitor, _ in monitor.target?.reset() },
        Command(names: ["device_add"], arguments: "DRIVER,bus=PORT[,PROPERTY=…]", help: "plug a device into a pcie-root-port") { monitor, words in
            monitor.report(monitor.target?.plug(words.joined(separator: " ")))
        },
        Command(names: ["device_del"], arguments: "ID", help: "ask the guest to let a device go") { monitor, words in
            monitor.report(words.count == 1 ? monitor.target?.unplug(String(words[0])) : "device_del: needs the id of one device")
        },
        Command(names: ["commit"], arguments: "all", help: "write the changes of -snapshot disks to their images") { monitor, _ in
            monitor.target?.commit()
        },
        Command(names: ["quit", "q"], arguments: "", help: "end the emulator") { monitor, _ in monitor.target?.quit() },
    ] + deviceCommands

    /// What `info` can show.
    struct Subject: Sendable {
        let name: String
        var arguments = ""
        let help: String
        let text: @Sendable (Monitor, _ arguments: [Substring]) -> String
    }

    static let subjects: [Subject] = [
        Subject(name: "status", help: "whether the guest runs") { monitor, _ in "VM status: \(monitor.target?.statusLine ?? "no machine")" },
        Subject(name: "version", help: "the version of emulate") { monitor, _ in monitor.version },
        Subject(name: "registers", arguments: "[-a|HART]", help: "registers of hart 0, of all or of one") { $0.registersText($1) },
    ] + deviceSubjects

    public weak var target: (any MonitorTarget)?

    private let line: any CharacterBackend
    private let version: String
    private var wasShown = false
    private var text: [UInt8] = []
    private var history: [[UInt8]] = []
    private var historyPosition = 0
    private var escapeSequence: [UInt8]?

    /// - Parameters:
    ///   - line: where commands come from and answers go; its `frontend` becomes this monitor.
    ///   - version: what `info version` shows.
    public init(line: any CharacterBackend, version: String) {
        self.line = line
        self.version = version
        line.frontend = self
    }

    /// The monitor became visible: shows the banner the first time, and the prompt.
    public func show() {
        print(wasShown ? "\n" : "\nemulate \(version) monitor - type 'help' for more information\n")
        wasShown = true
        printPrompt()
    }

    private func printPrompt() {
        print(Self.prompt)
        line.write(text)
    }

    func print(_ message: String) {
        line.write(Array(message.replacing("\n", with: "\r\n").utf8))
    }

    private func report(_ problem: String?) {
        if let problem { print(problem + "\n") }
    }

    // MARK: Line editing

    public var receiveCapacity: Int { 4096 }
    public func receiveBreak() {}

    public func receive(_ bytes: [UInt8]) {
        for byte in bytes { accept(byte) }
    }

    private func accept(_ byte: UInt8) {
        if escapeSequence != nil {
            escapeSequence?.append(byte)
            finishEscapeSequence(byte)
            return
        }
        switch byte {
        case 0x0D, 0x0A: execute()
        case 0x08, 0x7F:
            if !text.isEmpty {
                // Continuation bytes belong to one character.
                while let last = text.popLast(), last & 0xC0 == 0x80 {}
                print("\u{8} \u{8}")
            }
        case 0x03:
            text = []
            print("^C\n")
            printPrompt()
        case 0x15: replaceText([])
        case 0x1B: escapeSequence = []
        case 0x20...:
            if text.count < Self.lineLimit {
                text.append(byte)
                line.write(byte)
            }
        default: break
        }
    }

    /// Arrow keys walk through the history; other sequences are swallowed.
    private func finishEscapeSequence(_ byte: UInt8) {
        guard let sequence = escapeSequence else { return }
        if sequence.count == 1, byte == UInt8(ascii: "[") || byte == UInt8(ascii: "O") { return }
        if sequence.count < 16, !(0x40...0x7E).contains(byte) { return }
        escapeSequence = nil
        guard sequence.count == 2 else { return }
        if byte == UInt8(ascii: "A"), historyPosition > 0 {
            historyPosition -= 1
            replaceText(history[historyPosition])
        } else if byte == UInt8(ascii: "B"), historyPosition < history.count {
            historyPosition += 1
            replaceText(historyPosition < history.count ? history[historyPosition] : [])
        }
    }

    private func replaceText(_ new: [UInt8]) {
        text = new
        print("\r\u{1B}[K")
        printPrompt()
    }

    private func execute() {
        let entered = text
        text = []
        print("\n")
        let words = String(decoding: entered, as: UTF8.self).split(separator: " ")
        if let name = words.first {
            if history.last != entered { history.append(entered) }
            if let command = Self.command(String(name)) {
                command.action(self, Array(words.dropFirst()))
            } else {
                print("unknown command: '\(name)'; 'help' lists the commands\n")
            }
        }
        historyPosition = history.count
        printPrompt()
    }

    // MARK: Commands

    static func command(_ name: String) -> Command? { commands.first { $0.names.contains(name) } }

    private func showHelp(_ name: String?) {
        if let name, Self.command(name) == nil {
            print("unknown command: '\(name)'\n")
            return
        }
        for command in Self.commands where name.map(command.names.contains) ?? true {
            let usage = command.names.joined(separator: "|") + (command.arguments.isEmpty ? "" : " \(command.arguments)")
            print("\(usage) -- \(command.help)\n")
        }
    }

    private func showInfo(_ words: [Substring]) {
        if let subject = Self.subjects.first(where: { $0.name == words.first ?? "" }) {
            print(subject.text(self, Array(words.dropFirst())) + "\n")
            return
        }
        if let name = words.first { print("unknown subject: '\(name)'\n") }
        for subject in Self.subjects { print("info \(subject.name)\(subject.arguments.isEmpty ? "" : " " + subject.arguments) -- \(subject.help)\n") }
    }

    private func registersText(_ words: [Substring]) -> String {
        let hart = words.first.map { Int($0) } ?? 0
        guard words.count <= 1, words.first == "-a" || hart != nil else { return "info registers: write the number of a hart, or -a" }
        return target?.registers(hart: words.first == "-a" ? nil : hart) ?? "no machine"
    }
}
