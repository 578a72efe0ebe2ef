import EmuBus
import EmuMachine
import Glibc

/// Where GDB finds the stub.
public enum GDBEndpoint: Equatable, Sendable {
    /// An empty host is this computer alone.
    case tcp(host: String, port: UInt16)
    /// A socket file.
    case unix(path: String)

    /// As `-gdb` takes it.
    public var text: String {
        switch self {
        case .tcp(let host, let port): "tcp:\(host.contains(":") ? "[\(host)]" : host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    private func failed(_ problem: String) -> ConfigError { ConfigError("-gdb \(text)", problem) }

    private func failed(_ what: String, _ code: Int32) -> ConfigError { failed("\(what): \(String(cString: strerror(code)))") }

    // MARK: Listening

    /// Opens the socket on which clients arrive.
    func listen() throws(ConfigError) -> Int32 {
        switch self {
        case .tcp(let host, let port): try listen(host: host.isEmpty ? "127.0.0.1" : host, port: port)
        case .unix(let path): try listen(path: path)
        }
    }

    private func listen(host: String, port: UInt16) throws(ConfigError) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0, let first = list else { throw failed("'\(host)' is no address of this computer: \(String(cString: gai_strerror(code)))") }
        defer { freeaddrinfo(list) }
        var problem = EADDRNOTAVAIL
        var next: UnsafeMutablePointer<addrinfo>? = first
        while let address = next {
            let descriptor = socket(address.pointee.ai_family, Int32(SOCK_STREAM.rawValue), 0)
            if descriptor >= 0 {
                var on: Int32 = 1
                setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
                if Glibc.bind(descriptor, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0, Glibc.listen(descriptor, 4) == 0 {
                    return Self.prepared(descriptor)
                }
            }
            problem = errno
            if descriptor >= 0 { close(descriptor) }
            next = address.pointee.ai_next
        }
        if problem == EADDRINUSE { throw failed("somebody else listens on port \(port); choose another, for example -gdb tcp:\(self.host):\(port &+ 1)") }
        throw failed("cannot listen on \(host) port \(port)", problem)
    }

    private var host: String { if case .tcp(let host, _) = self { host } else { "" } }

    private func listen(path: String) throws(ConfigError) -> Int32 {
        guard var address = Self.address(path) else {
            throw failed("a socket's path is 1 to \(Self.pathLimit) bytes long, this one \(path.utf8.count)")
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw failed("socket", errno) }
        if !Self.bind(descriptor, &address) {
            // What another run left behind answers nobody.
            guard errno == EADDRINUSE, Self.isAbandoned(path), unlink(path) == 0, Self.bind(descriptor, &address) else {
                let code = errno
                close(descriptor)
                if code == EADDRINUSE { throw failed("the file is there already, and is not an abandoned socket") }
                throw failed("cannot create the socket", code)
            }
        }
        // Before anybody can connect: a debugger may do to the guest what it likes.
        guard chmod(path, 0o600) == 0, Glibc.listen(descriptor, 4) == 0 else {
            let code = errno
            close(descriptor)
            throw failed("cannot listen", code)
        }
        return Self.prepared(descriptor)
    }

    private static func prepared(_ descriptor: Int32) -> Int32 {
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        return descriptor
    }

    private static let pathLimit = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    private static func address(_ path: String) -> sockaddr_un? {
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count <= pathLimit, !bytes.contains(0) else { return nil }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // SAFETY: the path and the zero behind it fit, and the structure starts out as zeroes.
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }

    private static func bind(_ descriptor: Int32, _ address: inout sockaddr_un) -> Bool {
        withGeneric(&address) { Glibc.bind(descriptor, $0, $1) == 0 }
    }

    /// SAFETY: the pointer is only used during the call.
    private static func withGeneric(_ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Bool) -> Bool {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }

    /// A socket file nobody listens on.
    private static func isAbandoned(_ path: String) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK, var address = address(path) else { return false }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        return !withGeneric(&address) { connect(descriptor, $0, $1) == 0 } && errno == ECONNREFUSED
    }
}
