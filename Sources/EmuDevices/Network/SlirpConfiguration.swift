import Glibc

/// An IPv4 address.
public struct IPv4Address: Equatable, Sendable, CustomStringConvertible {
    /// In host byte order: 10.0.2.15 is 0x0a00_020f.
    public var value: UInt32

    public init(_ value: UInt32) { self.value = value }

    /// Dotted decimal with four parts; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { part in part.allSatisfy(\.isASCII) && part.first != "+" ? UInt8(part) : nil }
        guard parts.count == 4, bytes.count == 4 else { return nil }
        value = bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    public var description: String {
        (0..<4).map { String((value >> (24 - 8 * $0)) & 0xff) }.joined(separator: ".")
    }

    var inAddress: in_addr { in_addr(s_addr: value.bigEndian) }
}

/// One `hostfwd=` rule: connections to a port of the host go to a port of the guest.
public struct HostForward: Equatable, Sendable {
    public var isUDP: Bool
    /// 0.0.0.0, the default as in QEMU, is every address of the host: give 127.0.0.1 to stay on this machine.
    public var hostAddress: IPv4Address
    /// 0 lets the host choose.
    public var hostPort: UInt16
    /// nil is the first address the DHCP server gives out.
    public var guestAddress: IPv4Address?
    public var guestPort: UInt16

    public init(isUDP: Bool, hostAddress: IPv4Address, hostPort: UInt16, guestAddress: IPv4Address?, guestPort: UInt16) {
        self.isUDP = isUDP
        self.hostAddress = hostAddress
        self.hostPort = hostPort
        self.guestAddress = guestAddress
        self.guestPort = guestPort
    }

    /// Parses QEMU's `[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport`.
    public init(parsing text: String) throws(NetworkError) {
        func fail(_ what: String) -> NetworkError {
            NetworkError("hostfwd=\(text): \(what); write [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport, for example tcp:127.0.0.1:2222-:22")
        }
        guard let dash = text.firstIndex(of: "-") else { throw fail("no '-' between host and guest") }
        let host = text[..<dash].split(separator: ":", omittingEmptySubsequences: false)
        let guest = text[text.index(after: dash)...].split(separator: ":", omittingEmptySubsequences: false)
        guard host.count == 3 else { throw fail("the host side needs protocol, address and port") }
        guard guest.count == 2 else { throw fail("the guest side needs address and port") }
        switch host[0] {
        case "tcp", "": isUDP = false
        case "udp": isUDP = true
        default: throw fail("protocol '\(host[0])' is neither tcp nor udp")
        }
        guard let hostAddress = host[1].isEmpty ? IPv4Address(0) : IPv4Address(host[1]) else {
            throw fail("'\(host[1])' is not an IPv4 address")
        }
        guard let hostPort = UInt16(host[2]) else { throw fail("host port '\(host[2])' is not a number up to 65535") }
        if !guest[0].isEmpty {
            guard let address = IPv4Address(guest[0]) else { throw fail("'\(guest[0])' is not an IPv4 address") }
            guestAddress = address
        }
        guard let guestPort = UInt16(guest[1]), guestPort > 0 else { throw fail("guest port '\(guest[1])' is not a number from 1 to 65535") }
        self.hostAddress = hostAddress
        self.hostPort = hostPort
        self.guestPort = guestPort
    }

    public var description: String {
        "\(isUDP ? "udp" : "tcp"):\(hostAddress):\(hostPort)-\(guestAddress.map(\.description) ?? ""):\(guestPort)"
    }
}

/// One `guestfwd=` rule: each connection of the guest to an address of its network talks to a program of the host.
public struct GuestForward: Equatable, Sendable {
    public var address: IPv4Address
    public var port: UInt16
    /// A program, found by PATH, and its arguments, with the connection as its standard input and output. Words are told apart as a shell does it
    /// (blanks, quotes, backslashes), but no shell runs: there are no variables, patterns, pipes or redirections.
    public var command: String

    /// Parses QEMU's `[tcp]:server:port-cmd:command`.
    public init(parsing text: String) throws(NetworkError) {
        func fail(_ what: String) -> NetworkError {
            NetworkError("guestfwd=\(text): \(what); write [tcp]:server:port-cmd:COMMAND, for example tcp:10.0.2.100:7-cmd:cat")
        }
        guard let dash = text.firstIndex(of: "-") else { throw fail("no '-' between address and command") }
        let parts = text[..<dash].split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "tcp" || parts[0].isEmpty else { throw fail("the address needs protocol tcp, server and port") }
        guard let address = IPv4Address(parts[1]) else { throw fail("'\(parts[1])' is not an IPv4 address") }
        guard let port = UInt16(parts[2]), port > 0 else { throw fail("port '\(parts[2])' is not a number from 1 to 65535") }
        let target = text[text.index(after: dash)...]
        guard target.hasPrefix("cmd:"), target.count > 4 else { throw fail("only cmd:COMMAND can stand behind the address") }
        self.address = address
        self.port = port
        command = String(target.dropFirst(4))
    }
}

/// The options of `-netdev user`, in QEMU's words and with QEMU's defaults.
public struct SlirpConfiguration: Sendable {
    public var network = IPv4Address(0x0a00_0200)
    public var mask = IPv4Address(0xffff_ff00)
    /// The host as the guest sees it. Connections to it reach the host's loopback.
    public var host = IPv4Address(0x0a00_0202)
    public var nameServer = IPv4Address(0x0a00_0203)
    public var dhcpStart = IPv4Address(0x0a00_020f)
    /// Cuts the guest off from host and outside; only `hostfwd` works.
    public var isRestricted = false
    public var hasIPv4 = true
    public var hasIPv6 = true
    /// Name the DHCP server gives the guest.
    public var guestName: String?
    public var domainName: String?
    public var searchDomains: [String] = []
    /// Directory of the host served by TFTP.
    public var tftpDirectory: String?
    public var tftpServerName: String?
    public var bootFile: String?
    public var hostForwards: [HostForward] = []
    public var guestForwards: [GuestForward] = []

    public static let optionNames = [
        "net", "host", "dns", "dhcpstart", "restrict", "ipv4", "ipv6", "hostname", "domainname", "dnssearch",
        "tftp", "tftp-server-name", "bootfile", "hostfwd", "guestfwd",
    ]

    public init() {}

    /// - Parameter options: those of `-netdev user` without `id`, in order; `hostfwd` and `dnssearch` may come repeatedly.
    public init(options: [(name: String, value: String)]) throws(NetworkError) {
        var given: [String: IPv4Address] = [:]
        for (name, value) in options {
            switch name {
            case "net": try setNetwork(value)
            case "host", "dns", "dhcpstart":
                guard let address = IPv4Address(value) else { throw NetworkError("\(name)=\(value): not an IPv4 address") }
                given[name] = address
            case "restrict": isRestricted = try Self.flag(name, value)
            case "ipv4": hasIPv4 = try Self.flag(name, value)
            case "ipv6": hasIPv6 = try Self.flag(name, value)
            case "hostname": guestName = value
            case "domainname": domainName = value
            case "dnssearch": searchDomains.append(value)
            case "tftp": tftpDirectory = value
            case "tftp-server-name": tftpServerName = value
            case "bootfile": bootFile = value
            case "guestfwd": guestForwards.append(try GuestForward(parsing: value))
            case "hostfwd": hostForwards.append(try HostForward(parsing: value))
            default: throw NetworkError("\(name)=\(value): -netdev user has no such option; it has \(Self.optionNames.joined(separator: ", "))")
            }
        }
        if !hasIPv4 && !hasIPv6 { throw NetworkError("ipv4=off,ipv6=off: leaves no network; switch one on") }
        host = try inside("host", given["host"], 2)
        nameServer = try inside("dns", given["dns"], 3)
        dhcpStart = try inside("dhcpstart", given["dhcpstart"], 15)
        if host == nameServer { throw NetworkError("host=\(host),dns=\(nameServer): must differ") }
    }

    private static func flag(_ name: String, _ value: String) throws(NetworkError) -> Bool {
        switch value {
        case "on", "yes", "y", "true": return true
        case "off", "no", "n", "false": return false
        default: throw NetworkError("\(name)=\(value): write on or off")
        }
    }

    /// "10.0.2.0/24", "10.0.2.0/255.255.255.0", or without a mask that of the address's class.
    private mutating func setNetwork(_ text: String) throws(NetworkError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPv4Address(parts[0]) else { throw NetworkError("net=\(text): not an IPv4 network like 10.0.2.0/24") }
        if parts.count == 1 {
            mask = IPv4Address(address.value >> 31 == 0 ? 0xff00_0000 : address.value >> 30 == 2 ? 0xffff_0000 : 0xffff_ff00)
        } else if let bits = UInt32(parts[1]), (4...30).contains(bits) {
            mask = IPv4Address(UInt32.max << (32 - bits))
        } else if let given = IPv4Address(parts[1]), (~given.value &+ 1) & ~given.value == 0, (4...30).contains(given.value.nonzeroBitCount) {
            mask = given
        } else {
            throw NetworkError("net=\(text): the mask is neither 4 to 30 bits nor an address like 255.255.255.0")
        }
        network = IPv4Address(address.value & mask.value)
    }

    /// The address given for an option, or the default: the network's `number`-th host.
    private func inside(_ name: String, _ given: IPv4Address?, _ number: UInt32) throws(NetworkError) -> IPv4Address {
        // Small networks hold fewer hosts than the usual numbers ask for.
        let address = given ?? IPv4Address(network.value | number & ~mask.value)
        guard address.value & mask.value == network.value, address.value & ~mask.value != 0, address.value | mask.value != .max else {
            throw NetworkError("\(name)=\(address): not a host of network \(network)/\(mask)")
        }
        return address
    }
}
