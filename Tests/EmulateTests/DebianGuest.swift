import Foundation
import Glibc

/// The guest that `make guest` put into the cache.
struct DebianGuest {
    /// True when the user asked for the tests that need no download.
    static var isLeftOut: Bool { ProcessInfo.processInfo.environment["EMULATE_OFFLINE"] != nil }

    /// Where the scripts in Tests/Guests put what they make.
    static var cache: String {
        let environment = ProcessInfo.processInfo.environment
        return environment["EMULATE_CACHE"] ?? (environment["XDG_CACHE_HOME"] ?? (environment["HOME"] ?? "") + "/.cache") + "/emulate"
    }

    private let folder: String
    var image: String { path("Image") }
    var initrd: String { path("initrd.gz") }

    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    init() throws {
        folder = Self.cache + "/debian-13-riscv64"
        guard FileManager.default.fileExists(atPath: folder + "/stamp") else {
            throw Missing(description: "no guest in \(folder): run 'make guest', or set EMULATE_OFFLINE to leave these tests out")
        }
    }

    func path(_ name: String) -> String { folder + "/" + name }
}

/// Programs of the host that tests compare with or prepare images with.
enum HostTool {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Runs a program from the PATH (with the administrator's folders) and returns its standard output. Throws unless it exits with 0.
    @discardableResult
    static func run(_ name: String, _ arguments: String..., input: String? = nil) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [name] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(
            ["PATH": (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin") + ":/usr/sbin:/sbin"]) { $1 }
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        let source = Pipe()
        process.standardInput = source
        try process.run()
        if let input { try source.fileHandleForWriting.write(contentsOf: Data(input.utf8)) }
        try source.fileHandleForWriting.close()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: "\(name) \(arguments.joined(separator: " ")) exited with \(process.terminationStatus)")
        }
        return String(decoding: data, as: UTF8.self)
    }
}

/// A TCP server on 127.0.0.1 that gives one answer to everybody who sends a request.
final class LoopbackServer: Sendable {
    let port: UInt16
    private let listener: Int32

    struct Failure: Error { let call: String, code: Int32 }

    init(response: Data) throws {
        (listener, port) = try Self.listen()
        let listener = listener
        Thread.detachNewThread {
            while true {
                let peer = accept(listener, nil, nil)
                if peer < 0 { return }
                var request = [UInt8](repeating: 0, count: 4096)
                _ = Glibc.read(peer, &request, request.count)
                var rest = [UInt8](response)[...]
                while !rest.isEmpty {
                    let count = rest.withUnsafeBytes { send(peer, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                    if count <= 0 { break }
                    rest = rest.dropFirst(count)
                }
                close(peer)
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private static func listen() throws -> (Int32, UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(call: "socket", code: errno) }
        var address = loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) == 0 && Glibc.listen(descriptor, 4) == 0 && getsockname(descriptor, generic, &length) == 0
            }
        }
        guard code else { throw Failure(call: "listen", code: errno) }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    private static func loopback(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    /// A port nobody listens on now.
    static func freePort() throws -> UInt16 {
        let (descriptor, port) = try listen()
        close(descriptor)
        return port
    }

    /// Connects to a port until what comes back contains `expected`; false when the time is up.
    static func read(port: UInt16, until expected: String, seconds: Double) throws -> Bool {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while deadline.timeIntervalSinceNow > 0 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { throw Failure(call: "socket", code: errno) }
            defer { close(descriptor) }
            var limit = timeval(tv_sec: 5, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            var address = loopback(port: port)
            let connected = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
            }
            if connected {
                var text = ""
                var chunk = [UInt8](repeating: 0, count: 4096)
                while true {
                    let count = Glibc.read(descriptor, &chunk, chunk.count)
                    if count <= 0 { break }
                    text += String(decoding: chunk[..<count], as: UTF8.self)
                    if text.contains(expected) { return true }
                }
            }
            usleep(200_000)
        }
        return false
    }
}
