import Glibc

/// A socket could not be had: what was attempted and why it failed.
public struct SocketError: Error, CustomStringConvertible, Sendable {
    public let description: String

    init(_ description: String) { self.description = description }
    init(_ action: String, _ code: Int32) { description = "\(action): \(String(cString: strerror(code)))" }
}

/// Where a socket of this process listens, or one of somebody else's is.
public enum SocketAddress: Equatable, Sendable {
    /// An address of the internet protocols; an empty host is this computer alone.
    case inet(host: String, port: UInt16)
    /// A socket file.
    case unix(path: String)

    /// "127.0.0.1:1234", "[::1]:1234" or a path.
    public var text: String {
        switch self {
        case .inet(let host, let port): "\(host.contains(":") ? "[\(host)]" : host):\(port)"
        case .unix(let path): path
        }
    }

    /// "HOST:PORT"; brackets around a host that has colons of its own. Nil for anything else.
    public init?(hostAndPort text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }), let port = UInt16(digits) else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        self = .inet(host: host, port: port)
    }

    // MARK: Sockets

    /// A stream socket on which clients arrive, not blocking. A socket file that nobody listens on any more is replaced.
    public func listen() throws(SocketError) -> Int32 {
        switch self {
        case .inet(let host, let port):
            return try open(.stream, "listen") { descriptor, address in
                var on: Int32 = 1
                setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
                return address.use { Glibc.bind(descriptor, $0, $1) } == 0 && Glibc.listen(descriptor, Self.backlog) == 0
            } failed: { code in
                code == EADDRINUSE
                    ? SocketError("somebody else listens on port \(port); choose another") : SocketError("cannot listen on \(host.isEmpty ? "this computer's" : host) port \(port)", code)
            }
        case .unix(let path):
            return try open(.stream, "listen") { descriptor, address in
                bind(descriptor, address, path, .stream) && chmod(path, 0o600) == 0 && Glibc.listen(descriptor, Self.backlog) == 0
            } failed: { Self.fileProblem($0) }
        }
    }

    /// A stream socket that is connected or about to be, not blocking.
    /// - Parameter patience: milliseconds an address gets to answer, so that the socket is connected; 0 does not wait for any.
    public func connect(patience: Int32 = 0) throws(SocketError) -> Int32 {
        try open(.stream, "connect") { descriptor, address in
            if address.use({ Glibc.connect(descriptor, $0, $1) }) == 0 { return true }
            return errno == EINPROGRESS && (patience == 0 || Self.becomesConnected(descriptor, within: patience))
        } failed: { SocketError("cannot connect to \(text)", $0) }
    }

    /// A datagram socket of this address, not blocking.
    /// - Parameter group: a multicast address to listen to; then others may use the same port.
    public func datagrams(group: UInt32? = nil) throws(SocketError) -> Int32 {
        try open(.datagram, "bind") { descriptor, address in
            if case .unix(let path) = self { return bind(descriptor, address, path, .datagram) }
            var on: Int32 = 1
            if group != nil { setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size)) }
            return address.use { Glibc.bind(descriptor, $0, $1) } == 0
        } failed: { SocketError("cannot bind to \(text)", $0) }
    }

    /// The address as the kernel takes it, for sending datagrams there.
    public func resolved() throws(SocketError) -> [UInt8] {
        guard let first = try addresses(.datagram).first else { throw SocketError("\(text) is no address") }
        return first.bytes
    }

    // MARK: Details

    private enum Kind { case stream, datagram
        var type: Int32 { self == .stream ? Int32(SOCK_STREAM.rawValue) : Int32(SOCK_DGRAM.rawValue) }
    }

    private static let backlog: Int32 = 4

    /// A `sockaddr` of some family.
    private struct Address {
        var family: Int32
        var bytes: [UInt8]

        /// SAFETY: the pointer is only used during the call, for as many bytes as there are.
        func use(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
            bytes.withUnsafeBytes { raw in
                guard let base = raw.baseAddress else { return -1 }
                return body(base.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
            }
        }
    }

    /// A socket for the first of the addresses for which `prepare` succeeds.
    private func open(
        _ kind: Kind, _ action: String, prepare: (Int32, Address) -> Bool, failed: (Int32) -> SocketError
    ) throws(SocketError) -> Int32 {
        var code = EADDRNOTAVAIL
        for address in try addresses(kind) {
            let descriptor = socket(address.family, kind.type, 0)
            guard descriptor >= 0 else {
                code = errno
                continue
            }
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            if prepare(descriptor, address) { return descriptor }
            code = errno
            close(descriptor)
        }
        throw failed(code)
    }

    private func addresses(_ kind: Kind) throws(SocketError) -> [Address] {
        switch self {
        case .unix(let path):
            guard let address = Self.address(path) else {
                throw SocketError("a socket's path is 1 to \(Self.pathLimit) bytes long, this one \(path.utf8.count)")
            }
            return [address]
        case .inet(let host, let port):
            var hints = addrinfo()
            hints.ai_socktype = kind.type
            hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
            var list: UnsafeMutablePointer<addrinfo>?
            let code = getaddrinfo(host.isEmpty ? "127.0.0.1" : host, String(port), &hints, &list)
            guard code == 0 else { throw SocketError("'\(host)' is not known: \(String(cString: gai_strerror(code)))") }
            defer { freeaddrinfo(list) }
            var found: [Address] = []
            var next = list
            while let info = next {
                // SAFETY: the resolver says how long the address is.
                let raw = UnsafeRawBufferPointer(start: info.pointee.ai_addr, count: Int(info.pointee.ai_addrlen))
                found.append(Address(family: info.pointee.ai_family, bytes: Array(raw)))
                next = info.pointee.ai_next
            }
            return found
        }
    }

    private static let pathLimit = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    private static func address(_ path: String) -> Address? {
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count <= pathLimit, !bytes.contains(0) else { return nil }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // SAFETY: the path and the zero behind it fit, and the structure starts out as zeroes.
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return Address(family: AF_UNIX, bytes: withUnsafeBytes(of: address) { Array($0) })
    }

    /// Binds to a socket file; what another run left behind answers nobody.
    private func bind(_ descriptor: Int32, _ address: Address, _ path: String, _ kind: Kind) -> Bool {
        if address.use({ Glibc.bind(descriptor, $0, $1) }) == 0 { return true }
        return errno == EADDRINUSE && Self.isAbandoned(address, path, kind) && unlink(path) == 0 && address.use { Glibc.bind(descriptor, $0, $1) } == 0
    }

    /// A socket file nobody listens on. Leaves errno as bind does when there is another file.
    private static func isAbandoned(_ address: Address, _ path: String, _ kind: Kind) -> Bool {
        defer { errno = EADDRINUSE }
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
        let descriptor = socket(AF_UNIX, kind.type, 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        return address.use { Glibc.connect(descriptor, $0, $1) } != 0 && errno == ECONNREFUSED
    }

    /// Waits for a connection that is under way; errno says why it did not come about.
    private static func becomesConnected(_ descriptor: Int32, within milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        var count: Int32
        repeat { count = poll(&entry, 1, milliseconds) } while count < 0 && errno == EINTR
        guard count > 0 else {
            if count == 0 { errno = ETIMEDOUT }
            return false
        }
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else { return false }
        errno = code
        return code == 0
    }

    private static func fileProblem(_ code: Int32) -> SocketError {
        code == EADDRINUSE
            ? SocketError("the file is there already, and is not an abandoned socket") : SocketError("cannot create the socket", code)
    }
}
