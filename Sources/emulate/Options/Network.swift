import EmuBus
import EmuDevices
import EmuMachine

/// Readers of `-netdev` and `-nic`.
enum NetworkOptions {
    static let kinds = NetdevConfig.Kind.allCases.map(\.rawValue)

    static let userProperties: [Property] = [
        Property("hostfwd", .text, "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport: forward a port of the host; may be repeated"),
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

    private static let id = Property("id", .text, "name for -device …,netdev=")

    static func netdev(_ use: OptionUse) throws(CommandEnd) -> NetdevConfig {
        let elements = try userElements(use)
        let properties = try PropertyList(elements: elements, use, [id] + userProperties, of: "-netdev user")
        guard let name = properties["id"], !name.isEmpty else { throw use.failed("needs an id: -netdev user,id=net0") }
        return try config(use, name, properties)
    }

    /// - Parameter index: number of `-nic` options before this one.
    static func nic(_ use: OptionUse, index: Int) throws(CommandEnd) -> (NetdevConfig, DeviceConfig)? {
        if use.value == "none" { return nil }
        let models = Devices.all.filter { $0.required == ["netdev"] }.map(\.name)
        let own = [
            id, Property("model", .choice(models), "the network card (default: \(models[0]))"),
            Property("mac", .mac, "its Ethernet address"),
        ]
        let properties = try PropertyList(elements: try userElements(use), use, own + userProperties, of: "-nic user")
        // '#' cannot begin a name a user gives.
        let name = properties["id"] ?? "#nic\(index)"
        var device = DeviceConfig(driver: properties["model"] ?? models[0])
        device.properties.append(.init(name: "netdev", value: name))
        if let mac = properties["mac"] { device.properties.append(.init(name: "mac", value: mac)) }
        return (try config(use, name, properties), device)
    }

    /// Everything after the backend's name.
    private static func userElements(_ use: OptionUse) throws(CommandEnd) -> [String] {
        var elements = PropertyList.split(use.value)
        let kind = elements.removeFirst().replacingPrefix("type=", with: "")
        if kind == "help" || kind == "?" { throw .answered("Network backends:\n" + kinds.map { "  \($0)\n" }.joined()) }
        guard kinds.contains(kind) else {
            throw use.failed(
                "unknown network backend '\(kind)'" + didYouMean(kind, among: kinds) + "; there is " + kinds.joined(separator: ", "))
        }
        if elements.contains("help") || elements.contains("?") {
            throw .answered("\(use.option) user options:\n" + columns(userProperties.map { ("  " + $0.usage, $0.help) }))
        }
        return elements
    }

    private static func config(_ use: OptionUse, _ name: String, _ properties: PropertyList) throws(CommandEnd) -> NetdevConfig {
        let options = properties.items.filter { item in userProperties.contains { $0.name == item.name } }
        do throws(NetworkError) {
            _ = try SlirpConfiguration(options: options)
        } catch {
            throw use.failed(error.description)
        }
        var config = NetdevConfig(id: name)
        config.options = options.map { DeviceConfig.Property(name: $0.name, value: $0.value) }
        return config
    }
}
