import EmuBus
import EmuDevices
import EmuMachine

/// Readers of `-netdev` and `-nic`, and of `-object filter-dump`.
enum NetworkOptions {
    static let userProperties: [Property] = [
        Property("hostfwd", .text, "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport: forward a port of the host; may be repeated"),
        Property("guestfwd", .text, "[tcp]:server:port-cmd:COMMAND: run COMMAND for each connection to that address of the network; may be repeated"),
        Property("restrict", .bool, "let the guest reach nothing but its forwards (default: off)"),
        Property("net", .text, "the guest's network (default: 10.0.2.0/24)"),
        Property("host", .ipv4, "address of the host in it (default: x.x.x.2)"),
        Property("dns", .ipv4, "address of the name server in it (default: x.x.x.3)"),
        Property("dhcpstart", .ipv4, "first address given out by DHCP (default: x.x.x.15)"),
        Property("ipv4", .bool, "IPv4 (default: on)"),
        Property("ipv6", .bool, "IPv6 (default: on)"),
        Property("hostname", .text, "the guest's name, told by DHCP"),
        Property("domainname", .text, "the guest's domain, told by DHCP"),
        Property("dnssearch", .text, "search domain, told by DHCP; may be repeated"),
        Property("tftp", .text, "directory served read-only by TFTP"),
        Property("tftp-server-name", .text, "name of the TFTP server, told by DHCP"),
        Property("bootfile", .text, "boot file, told by DHCP"),
    ]

    private static let port = PropertyKind.number(0...65535)

    private static func address(_ prefix: String) -> [Property] {
        [
            Property("\(prefix).type", .choice(["inet", "unix"]), "inet (default) or unix"),
            Property("\(prefix).host", .text, "host (default: this computer)"), Property("\(prefix).port", port, "port"),
            Property("\(prefix).path", .text, "socket file"),
        ]
    }

    /// One kind of network: its name, what it is, its properties, and how they become a configuration.
    private struct Backend: Sendable {
        let name: String
        let summary: String
        let properties: [Property]
        let make: @Sendable (PropertyList, OptionUse) throws -> NetdevConfig.Kind
    }

    private static let backends: [Backend] = [
        Backend(name: "user", summary: "through the host's own connections", properties: userProperties, make: user),
        Backend(
            name: "stream", summary: "a cable to another machine over a connection",
            properties: address("addr") + [
                Property("server", .bool, "wait for the other side (default: off)"),
                Property("reconnect", .number(0...86400), "seconds after which a lost peer is tried again (default: 0, never)"),
            ], make: stream),
        Backend(
            name: "dgram", summary: "a cable of datagrams, or a multicast group", properties: address("local") + address("remote"), make: datagrams),
        Backend(
            name: "socket", summary: "as stream and dgram, in QEMU's older words",
            properties: [
                Property("listen", .text, "[host]:port: wait for the other side"), Property("connect", .text, "host:port of the other side"),
                Property("mcast", .text, "address:port of a multicast group"), Property("udp", .text, "host:port of the other side"),
                Property("localaddr", .text, "with mcast an address of this computer, with udp host:port"),
            ], make: socket),
        Backend(
            name: "tap", summary: "a tap interface of this computer",
            properties: [
                Property("ifname", .text, "its name (default: the host chooses)"), Property("script", .choice(["no"]), "no: nothing is run to set it up"),
                Property("downscript", .choice(["no"]), "the same when emulate ends"), Property("vhost", .choice(["off"]), "accepted"),
            ], make: tap),
    ]

    static let kinds = backends.map(\.name)
    /// For help: all kinds but `user` with their properties.
    static var help: String {
        backends.dropFirst().map { "\($0.name): \($0.summary)\n" + $0.properties.map { "  \($0.usage): \($0.help)" }.joined(separator: "\n") }.joined(separator: "\n")
    }

    private static let id = Property("id", .text, "name for -device …,netdev=")
    private static let queues = Property(
        "queues", .number(1...UInt64(VirtioNetConfig.maximumPairs)), "most pairs of queues a card with mq=on has (default: 1)")

    static func netdev(_ use: OptionUse) throws(CommandEnd) -> NetdevConfig {
        let (backend, elements) = try split(use)
        let properties = try PropertyList(elements: elements, use, [id, queues] + backend.properties, of: "-netdev \(backend.name)")
        guard let name = properties["id"], !name.isEmpty else { throw use.failed("needs an id: -netdev \(backend.name),id=net0") }
        return NetdevConfig(id: name, kind: try make(backend, properties, use), queues: Int(properties.number("queues") ?? 1))
    }

    /// - Parameter index: number of `-nic` options before this one.
    static func nic(_ use: OptionUse, index: Int) throws(CommandEnd) -> (NetdevConfig, DeviceConfig)? {
        if use.value == "none" { return nil }
        let (backend, elements) = try split(use)
        let models = Devices.all.filter { $0.required == ["netdev"] }.map(\.name)
        let own = [
            id, Property("model", .choice(models), "the network card (default: \(models[0]))"),
            Property("mac", .mac, "its Ethernet address"),
        ]
        let properties = try PropertyList(elements: elements, use, own + backend.properties, of: "-nic \(backend.name)")
        // '#' cannot begin a name a user gives.
        let name = properties["id"] ?? "#nic\(index)"
        var device = DeviceConfig(driver: properties["model"] ?? models[0])
        device.properties.append(.init(name: "netdev", value: name))
        if let mac = properties["mac"] { device.properties.append(.init(name: "mac", value: mac)) }
        return (NetdevConfig(id: name, kind: try make(backend, properties, use)), device)
    }

    /// The backend, and everything after its name.
    private static func split(_ use: OptionUse) throws(CommandEnd) -> (Backend, [String]) {
        var elements = PropertyList.split(use.value)
        let kind = elements.removeFirst().replacingPrefix("type=", with: "")
        if kind == "help" || kind == "?" { throw .answered("Network backends:\n" + columns(backends.map { ("  " + $0.name, $0.summary) })) }
        guard let backend = backends.first(where: { $0.name == kind }) else {
            throw use.failed(
                "unknown network backend '\(kind)'" + didYouMean(kind, among: kinds) + "; there is " + kinds.joined(separator: ", "))
        }
        if elements.contains("help") || elements.contains("?") {
            throw .answered("\(use.option) \(kind) options:\n" + columns(backend.properties.map { ("  " + $0.usage, $0.help) }))
        }
        return (backend, elements)
    }

    private static func make(_ backend: Backend, _ properties: PropertyList, _ use: OptionUse) throws(CommandEnd) -> NetdevConfig.Kind {
        do { return try backend.make(properties, use) } catch let error as CommandEnd { throw error } catch { throw use.failed("\(error)") }
    }

    // MARK: Kinds

    @Sendable private static func user(_ properties: PropertyList, _ use: OptionUse) throws -> NetdevConfig.Kind {
        let options = properties.items.filter { item in userProperties.contains { $0.name == item.name } }
        _ = try SlirpConfiguration(options: options)
        return .user(options.map { DeviceConfig.Property(name: $0.name, value: $0.value) })
    }

    /// The address whose parts are called PREFIX.type, PREFIX.host …; nil when there is none of them.
    private static func address(_ prefix: String, _ properties: PropertyList, _ use: OptionUse) throws(CommandEnd) -> SocketAddress? {
        let path = properties["\(prefix).path"], port = properties.number("\(prefix).port")
        if properties["\(prefix).type"] == "unix" || path != nil {
            guard let path, !path.isEmpty, port == nil else { throw use.failed("\(prefix).type=unix needs \(prefix).path= and no port") }
            return .unix(path: path)
        }
        guard let port else {
            if properties["\(prefix).host"] == nil, properties["\(prefix).type"] == nil { return nil }
            throw use.failed("\(prefix).type=inet needs \(prefix).port=")
        }
        return .inet(host: properties["\(prefix).host"] ?? "", port: UInt16(truncatingIfNeeded: port))
    }

    @Sendable private static func stream(_ properties: PropertyList, _ use: OptionUse) throws -> NetdevConfig.Kind {
        guard let address = try address("addr", properties, use) else { throw use.failed("needs addr.port= or addr.path=") }
        let listens = properties.bool("server") ?? false
        let seconds = properties.number("reconnect") ?? 0
        if listens, seconds > 0 { throw use.failed("reconnect= is for the side that connects, not for server=on") }
        return .stream(address, listens: listens, retryInterval: seconds > 0 ? seconds * 1_000_000_000 : nil)
    }

    @Sendable private static func datagrams(_ properties: PropertyList, _ use: OptionUse) throws -> NetdevConfig.Kind {
        guard let remote = try address("remote", properties, use) else { throw use.failed("needs remote.port= or remote.path=") }
        if case .inet(let host, let port) = remote, let group = IPv4Address(host), group.value >> 28 == 0xe {
            return .multicast(group, port: port, interface: properties["local.host"].flatMap { IPv4Address($0) })
        }
        guard let local = try address("local", properties, use) else { throw use.failed("needs local.port= or local.path=") }
        return .datagrams(local: local, remote: remote)
    }

    @Sendable private static func socket(_ properties: PropertyList, _ use: OptionUse) throws -> NetdevConfig.Kind {
        let ways = ["listen", "connect", "mcast", "udp"].filter { properties[$0] != nil }
        guard ways.count == 1, let way = ways.first, let value = properties[way] else { throw use.failed("needs one of listen=, connect=, mcast=, udp=") }
        func parsed(_ name: String, _ value: String) throws(CommandEnd) -> SocketAddress {
            guard let address = SocketAddress(hostAndPort: value) else { throw use.failed("\(name)=\(value) is not HOST:PORT") }
            return address
        }
        let local = properties["localaddr"]
        let address = try parsed(way, value)
        switch way {
        case "mcast":
            guard case .inet(let host, let port) = address, let group = IPv4Address(host) else { throw use.failed("mcast=\(value) is not an IPv4 address and a port") }
            return .multicast(group, port: port, interface: local.flatMap { IPv4Address($0) })
        case "udp":
            guard let local else { throw use.failed("udp= needs localaddr=HOST:PORT, where frames arrive") }
            return .datagrams(local: try parsed("localaddr", local), remote: address)
        default: return .stream(address, listens: way == "listen", retryInterval: nil)
        }
    }

    @Sendable private static func tap(_ properties: PropertyList, _ use: OptionUse) throws -> NetdevConfig.Kind { .tap(interface: properties["ifname"]) }

    // MARK: Captures

    static let captureProperties: [Property] = [
        Property("id", .text, "name"), Property("netdev", .text, "the -netdev whose frames are recorded"), Property("file", .text, "the file"),
        Property("maxlen", .number(64...65536), "bytes kept of a frame (default: 65536)"),
    ]

    /// `-object filter-dump,…`.
    static func capture(_ elements: [String], _ use: OptionUse) throws(CommandEnd) -> CaptureConfig {
        let properties = try PropertyList(elements: elements, use, captureProperties, of: "-object filter-dump")
        guard let netdev = properties["netdev"], let file = properties["file"], !file.isEmpty else { throw use.failed("filter-dump needs netdev= and file=") }
        return CaptureConfig(netdev: netdev, file: file, limit: Int(properties.number("maxlen") ?? 65536))
    }
}
