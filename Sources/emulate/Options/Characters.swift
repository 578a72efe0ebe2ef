import EmuBus
import EmuMachine

/// Readers of `-serial`, `-chardev`, `-monitor` and `-mon`.
enum CharacterOptions {
    /// Where a serial line or the monitor goes, before the `-chardev`s it may refer to are known.
    enum Target {
        case own(CharacterConfig)
        case chardev(String)
    }

    static let forms = ["stdio", "mon:stdio", "pty", "tcp:", "unix:", "file:", "null", "none", "chardev:"]

    static func serial(_ use: OptionUse) throws(CommandEnd) -> Target {
        let hasMonitor = use.value.hasPrefix("mon:")
        if let line = try interactive(use, String(use.value.dropFirst(hasMonitor ? 4 : 0)), monitor: hasMonitor) { return .own(line) }
        switch use.value {
        case "null": return .own(CharacterConfig(.null))
        case "none": return .own(CharacterConfig(.none))
        case let value where value.hasPrefix("file:"):
            guard value.count > 5 else { throw use.failed("file: needs a path") }
            return .own(CharacterConfig(.file(String(value.dropFirst(5)))))
        case let value where value.hasPrefix("chardev:"):
            return .chardev(String(value.dropFirst(8)))
        default:
            throw use.failed(
                "'\(use.value)' is not one of stdio, mon:stdio, pty, tcp:HOST:PORT, unix:PATH, file:PATH, null, none, chardev:ID" + didYouMean(kind(use.value), among: forms))
        }
    }

    static func monitor(_ use: OptionUse) throws(CommandEnd) -> Target {
        if let line = try interactive(use, use.value, monitor: false) { return .own(line) }
        switch use.value {
        case "none", "null": return .own(CharacterConfig(.none))
        case let value where value.hasPrefix("chardev:"): return .chardev(String(value.dropFirst(8)))
        default:
            throw use.failed(
                "'\(use.value)' is not one of stdio, pty, tcp:HOST:PORT, unix:PATH, none, chardev:ID"
                    + didYouMean(kind(use.value), among: ["stdio", "pty", "tcp:", "unix:", "none", "chardev:"]))
        }
    }

    /// What comes before the place: "tcp:" of "tcp::4444".
    private static func kind(_ text: String) -> String { text.firstIndex(of: ":").map { String(text[...$0]) } ?? text }

    /// A line with somebody at its end: `stdio`, `pty`, `tcp:HOST:PORT[,…]`, `unix:PATH[,…]`; nil for anything else.
    private static func interactive(_ use: OptionUse, _ text: String, monitor: Bool) throws(CommandEnd) -> CharacterConfig? {
        var config: CharacterConfig
        switch text {
        case "stdio": return stdio(monitor: monitor)
        case "pty": config = CharacterConfig(.pseudoTerminal)
        case let value where value.hasPrefix("tcp:") || value.hasPrefix("unix:"):
            let kind = String(value.prefix { $0 != ":" })
            var elements = PropertyList.split(String(value.dropFirst(kind.count + 1)))
            let place = elements.removeFirst()
            let list = try PropertyList(elements: elements, use, socketProperties, of: kind)
            config = CharacterConfig(.socket(try socket(use, kind == "tcp" ? SocketAddress(hostAndPort: place) : .unix(path: place), list)))
        default: return nil
        }
        config.hasMonitor = monitor
        config.isMultiplexed = monitor
        return config
    }

    private static let socketProperties = [
        Property("server", .bool, "wait for others to connect (default: off)"), Property("wait", .bool, "do not start before somebody has connected to a server (default: on)"),
        Property("nodelay", .bool, "send each character at once (TCP_NODELAY)"), Property("reconnect", .number(0...86400), "seconds after which a client tries again (0: never)"),
    ]

    private static func socket(_ use: OptionUse, _ address: SocketAddress?, _ list: PropertyList) throws(CommandEnd) -> SocketLineConfig {
        guard let address else { throw use.failed("tcp: needs HOST:PORT; without a host it is this computer's own address") }
        if case .unix(let path) = address, path.isEmpty { throw use.failed("unix: needs the path of a socket") }
        var config = SocketLineConfig(address)
        config.isServer = list.bool("server") ?? false
        config.waitsForClient = config.isServer && list.bool("wait") ?? true
        config.isUndelayed = list.bool("nodelay") ?? false
        config.reconnectSeconds = list.number("reconnect").flatMap { $0 == 0 ? nil : $0 }
        if config.isServer, config.reconnectSeconds != nil { throw use.failed("reconnect= is for clients; a server waits for the next one anyway") }
        return config
    }

    /// `-mon [chardev=]ID[,mode=readline]`; the id.
    static func mon(_ use: OptionUse) throws(CommandEnd) -> String {
        let list = try PropertyList(
            use, [Property("chardev", .text, "id"), Property("mode", .choice(["readline"]), "kind of monitor")], implied: "chardev")
        guard let id = list["chardev"] else { throw use.failed("needs chardev=ID") }
        return id
    }

    /// Standard input and output; with a monitor Ctrl-C is the guest's, as in QEMU.
    static func stdio(monitor: Bool) -> CharacterConfig {
        var config = CharacterConfig(.stdio)
        config.hasMonitor = monitor
        config.isMultiplexed = monitor
        config.allowsSignals = !monitor
        return config
    }

    static let chardevKinds = ["stdio", "file", "socket", "pty", "null"]

    static func chardev(_ use: OptionUse) throws(CommandEnd) -> CharacterConfig {
        var elements = PropertyList.split(use.value)
        let kind = elements.removeFirst().replacingPrefix("backend=", with: "")
        let common = [Property("id", .text, "name for chardev= and -serial chardev:"), Property("mux", .bool, "several users share it")]
        var properties = common
        switch kind {
        case "help", "?": throw .answered("Character device backends:\n" + chardevKinds.map { "  \($0)\n" }.joined())
        case "stdio": properties.append(Property("signal", .bool, "Ctrl-C ends the emulator (default: on)"))
        case "file": properties.append(Property("path", .text, "the file, created or emptied"))
        case "socket":
            properties += socketProperties + [Property("host", .text, "where to (default: this computer)"), Property("port", .number(1...65535), "TCP port"), Property("path", .text, "a socket file")]
        case "null", "pty": break
        default:
            throw use.failed(
                "unknown backend '\(kind)'" + didYouMean(kind, among: chardevKinds) + "; there are " + chardevKinds.joined(separator: ", "))
        }
        let list = try PropertyList(elements: elements, use, properties, of: "-chardev \(kind)")
        guard let id = list["id"], !id.isEmpty else { throw use.failed("needs an id: \(kind),id=char0") }
        var config: CharacterConfig
        switch kind {
        case "stdio":
            config = CharacterConfig(.stdio, id: id)
            config.allowsSignals = list.bool("signal") ?? true
        case "file":
            guard let path = list["path"], !path.isEmpty else { throw use.failed("needs path=FILE") }
            config = CharacterConfig(.file(path), id: id)
        case "pty": config = CharacterConfig(.pseudoTerminal, id: id)
        case "socket":
            let port = list.number("port").flatMap { UInt16(exactly: $0) }
            guard (list["path"] == nil) != (port == nil) else { throw use.failed("socket: needs either port=NUMBER or path=FILE") }
            config = CharacterConfig(.socket(try socket(use, port.map { .inet(host: list["host"] ?? "", port: $0) } ?? .unix(path: list["path"] ?? ""), list)), id: id)
        default: config = CharacterConfig(.null, id: id)
        }
        config.isMultiplexed = list.bool("mux") ?? false
        return config
    }
}
