import EmuBus
import EmuControl

/// Reader of `-gdb`.
enum GDBOptions {
    /// Where `-s` listens.
    static let defaultPort: UInt16 = 1234

    /// Nil for none.
    static func endpoint(_ use: OptionUse) throws(CommandEnd) -> SocketAddress? {
        var elements = PropertyList.split(use.value)
        let place = elements.removeFirst()
        // QEMU's words for what is the only way here: the stub listens, and nobody waits for a client.
        for element in elements where !["server", "server=on", "nowait", "wait=off", "nodelay", "nodelay=on"].contains(element) {
            throw use.failed("'\(element)' is not possible: the stub listens (server=on) and the guest does not wait for a client (wait=off); -S makes it wait")
        }
        if place == "none" { return nil }
        if place.hasPrefix("unix:") {
            let path = String(place.dropFirst(5))
            guard !path.isEmpty else { throw use.failed("unix: needs the path of a socket") }
            return .unix(path: path)
        }
        guard place.hasPrefix("tcp:") else {
            throw use.failed("'\(place)' is not one of tcp::PORT, tcp:HOST:PORT, unix:PATH, none" + didYouMean(place, among: ["tcp::1234", "unix:", "none"]))
        }
        let rest = place.dropFirst(4)
        guard let colon = rest.lastIndex(of: ":") else { throw use.failed("'\(place)' has no host: tcp::\(rest) is this computer only, tcp:0.0.0.0:\(rest) all its addresses") }
        let digits = rest[rest.index(after: colon)...]
        guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }), let port = UInt16(digits) else {
            throw use.failed("'\(digits)' is not a port from 0 to 65535")
        }
        var host = String(rest[..<colon])
        // An IPv6 address has colons of its own.
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        return .inet(host: host, port: port)
    }
}
