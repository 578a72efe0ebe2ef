import EmuBus
import EmuDevices
import Glibc

/// Shares one host line between several guest devices and the monitor, driven by an escape character (Ctrl-A), as
/// QEMU's multiplexer does: output of all ports is shown, input goes to the port in focus.
public final class SerialMux: CharacterFrontend {
    /// What a key after the escape character does.
    public enum Command: CaseIterable, Sendable {
        case help, quit, sync, timestamps, sendBreak, switchFocus, explain

        /// The key, lower case.
        public var key: Character {
            switch self {
            case .help: "h"
            case .quit: "x"
            case .sync: "s"
            case .timestamps: "t"
            case .sendBreak: "b"
            case .switchFocus: "c"
            case .explain: "w"
            }
        }

        public var summary: String {
            switch self {
            case .help: "print this help"
            case .quit: "exit emulator"
            case .sync: "save disk data back to file (if -snapshot)"
            case .timestamps: "toggle console timestamps"
            case .sendBreak: "send break (magic sysrq)"
            case .switchFocus: "switch between console and monitor"
            case .explain: "say why the guest does not move"
            }
        }
    }

    /// One user of the line.
    public final class Port: CharacterBackend {
        public weak var frontend: (any CharacterFrontend)?
        /// Called when this port gets the focus.
        public var onFocus: (() -> Void)?
        fileprivate unowned let mux: SerialMux
        fileprivate var pending: [UInt8] = []

        fileprivate init(mux: SerialMux) { self.mux = mux }

        public func write(_ bytes: UnsafeRawBufferPointer) { mux.write(bytes) }

        public func setBreak(_ active: Bool) { mux.line.setBreak(active) }

        public func frontendReady() { deliver() }

        /// Hands over what the frontend takes.
        fileprivate func deliver() {
            while !pending.isEmpty, let frontend {
                let count = min(frontend.receiveCapacity, pending.count)
                if count <= 0 { return }
                let bytes = Array(pending[..<count])
                pending.removeFirst(count)
                frontend.receive(bytes)
            }
        }
    }

    /// Input kept for a port that does not read, so that the escape character still works meanwhile.
    public static let pendingLimit = 64 << 10
    public static let defaultEscape: UInt8 = 1

    /// Ctrl-A x.
    public var onQuit: (() -> Void)?
    /// Ctrl-A s.
    public var onSync: (() -> Void)?
    /// Ctrl-A w: what is to be printed.
    public var onExplain: (() -> String)?

    private let line: any CharacterBackend
    private let escape: UInt8
    private let now: () -> UInt64
    private var ports: [Port] = []
    private var focus = 0
    private var sawEscape = false
    private var timestampsFrom: UInt64?
    private var atLineStart = true
    /// The guest runs on for a moment, unheard.
    private var hasQuit = false

    /// - Parameters:
    ///   - line: the host line to share; its `frontend` becomes this multiplexer.
    ///   - escape: the code of the escape character, `-echr`.
    ///   - now: host time in nanoseconds, for the timestamps.
    public init(
        line: any CharacterBackend, escape: UInt8 = SerialMux.defaultEscape,
        now: @escaping () -> UInt64 = HostClock.now
    ) {
        self.line = line
        self.escape = escape
        self.now = now
        line.frontend = self
    }

    /// A further user of the line. The first has the focus at the start.
    public func addPort() -> Port {
        let port = Port(mux: self)
        ports.append(port)
        return port
    }

    // MARK: From the host

    public var receiveCapacity: Int {
        guard ports.indices.contains(focus) else { return Self.pendingLimit }
        return max(0, Self.pendingLimit - ports[focus].pending.count)
    }

    public func receive(_ bytes: [UInt8]) {
        for byte in bytes {
            if sawEscape {
                sawEscape = false
                if byte == escape { keep(byte) } else { perform(byte) }
            } else if byte == escape {
                sawEscape = true
            } else {
                keep(byte)
            }
        }
        deliverFocused()
    }

    public func receiveBreak() {
        guard ports.indices.contains(focus) else { return }
        ports[focus].frontend?.receiveBreak()
    }

    private func keep(_ byte: UInt8) {
        if ports.indices.contains(focus) { ports[focus].pending.append(byte) }
    }

    private func deliverFocused() {
        if ports.indices.contains(focus) { ports[focus].deliver() }
    }

    private func perform(_ byte: UInt8) {
        let key = Character(UnicodeScalar(byte)).lowercased()
        let command = key == "?" ? .help : Command.allCases.first { String($0.key) == key }
        switch command {
        case .help: printHelp()
        case .quit:
            print("emulate: terminated\r\n")
            hasQuit = true
            onQuit?()
        case .sync: onSync?()
        case .timestamps:
            timestampsFrom = timestampsFrom == nil ? now() : nil
            atLineStart = true
        case .sendBreak: receiveBreak()
        case .switchFocus: switchFocus()
        case .explain: if let onExplain { print("\r\n" + onExplain().replacing("\n", with: "\r\n")) }
        case nil: break  // as QEMU: an unknown key is swallowed with the escape character
        }
    }

    private func switchFocus() {
        guard ports.count > 1 else { return }
        deliverFocused()
        focus = (focus + 1) % ports.count
        ports[focus].onFocus?()
    }

    private var escapeName: String {
        escape < 0x20 ? "C-\(Character(UnicodeScalar(escape | 0x60)))" : "'\(Character(UnicodeScalar(escape)))'"
    }

    private func printHelp() {
        var text = "\r\n"
        for command in Command.allCases { text += "\(escapeName) \(command.key)    \(command.summary)\r\n" }
        text += "\(escapeName) \(escapeName)  sends \(escapeName)\r\n"
        print(text)
    }

    private func print(_ text: String) { line.write(Array(text.utf8)) }

    // MARK: To the host

    private func write(_ bytes: UnsafeRawBufferPointer) {
        if hasQuit { return }
        guard let start = timestampsFrom else {
            line.write(bytes)
            if let last = bytes.last { atLineStart = last == UInt8(ascii: "\n") }
            return
        }
        var stamped: [UInt8] = []
        for byte in bytes {
            if atLineStart {
                stamped += Self.timestamp(milliseconds: (now() &- start) / 1_000_000).utf8
                atLineStart = false
            }
            stamped.append(byte)
            if byte == UInt8(ascii: "\n") { atLineStart = true }
        }
        line.write(stamped)
    }

    private static func timestamp(milliseconds: UInt64) -> String {
        func digits(_ value: UInt64, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        let seconds = milliseconds / 1000
        return "[\(digits(seconds / 3600, 2)):\(digits(seconds / 60 % 60, 2)):\(digits(seconds % 60, 2))."
            + "\(digits(milliseconds % 1000, 3))] "
    }
}
