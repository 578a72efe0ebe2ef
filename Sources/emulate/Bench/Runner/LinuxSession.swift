import Foundation
import Glibc

/// One boot of the Debian guest in which several workloads run one after the other.
struct LinuxSession {
    /// The guest's folder (Tests/Guests/debian.sh), the programs' archive, and the image of tools when it is needed.
    let guest: String
    let programs: String
    let tools: String?

    /// What the guest's first process runs, /bench/run.
    /// - Parameter servers: ports of the host's servers, the one that gives bytes and the one that takes them.
    static func script(_ benchmarks: [Benchmark], servers: (gives: UInt16, takes: UInt16)?) -> String {
        var lines = ["cd /tmp"]
        // Which disk is which: the tools are a file system (which needs its checksum's module), the scratch disk is none.
        if benchmarks.contains(where: { $0.needs.contains(.tools) || $0.needs.contains(.scratchDisk) }) {
            lines.append("modprobe crc32c_generic 2>/dev/null")
            lines.append("for d in /dev/vd?; do if mount -t ext4 -o ro $d /mnt 2>/dev/null; then mount -t tmpfs tmpfs /mnt/tmp; else scratch=$d; fi; done")
        }
        if let servers {
            lines.append("ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; port=\(servers.gives); sink=\(servers.takes)")
        }
        for benchmark in benchmarks {
            lines.append("\(benchmark.command ?? "/bench/" + benchmark.name) || echo @bench fail \(benchmark.name) exit code $?")
        }
        // The boot's own end is told by init: "run: exit 0".
        lines.append("true")
        return lines.joined(separator: "\n")
    }

    /// The initramfs with the programs and the script in it: the kernel takes archives one after the other.
    func makeInitrd(script: String, in folder: String) throws(BenchFailure) -> String {
        let path = folder + "/initrd"
        guard var archive = FileManager.default.contents(atPath: guest + "/initrd.gz"), let added = FileManager.default.contents(atPath: programs)
        else { throw BenchFailure("\(guest)/initrd.gz or \(programs) is missing") }
        archive += added
        // An archive that is not compressed has to start at a multiple of 4.
        while archive.count % 4 != 0 { archive.append(0) }
        archive += Self.cpio("bench/run", Data((script + "\n").utf8))
        guard FileManager.default.createFile(atPath: path, contents: archive) else { throw BenchFailure("cannot write \(path)") }
        return path
    }

    /// A cpio archive ("newc") of one file.
    static func cpio(_ name: String, _ contents: Data) -> Data {
        func member(_ name: String, _ mode: UInt32, _ contents: Data) -> Data {
            let fields: [UInt32] = [0, mode, 0, 0, 1, 0, UInt32(contents.count), 0, 0, 0, 0, UInt32(name.utf8.count + 1), 0]
            let header = "070701" + fields.map { String(repeating: "0", count: 8 - String($0, radix: 16).count) + String($0, radix: 16) }.joined()
            var data = Data((header + name + "\0").utf8)
            while data.count % 4 != 0 { data.append(0) }
            data += contents
            while data.count % 4 != 0 { data.append(0) }
            return data
        }
        return member(name, 0o100755, contents) + member("TRAILER!!!", 0, Data())
    }
}

/// A server on 127.0.0.1 for the guest's network to reach.
final class ByteServer: Sendable {
    enum Service {
        /// Everyone who connects gets that many bytes.
        case gives(Int)
        /// Bytes are taken until their end; then their sender gets their number, 8 bytes in the host's order.
        case takes
    }

    let port: UInt16
    private let listener: Int32

    init(_ service: Service) throws(BenchFailure) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard listener >= 0 else { throw BenchFailure("no socket: \(String(cString: strerror(errno)))") }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            // SAFETY: an IPv4 address is one of the kinds of socket address, and `length` is its size.
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 4) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isListening else {
            close(listener)
            throw BenchFailure("cannot listen on 127.0.0.1: \(String(cString: strerror(errno)))")
        }
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { Self.serve(listener, service) }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private static func serve(_ listener: Int32, _ service: Service) {
        var chunk = (0..<(256 << 10)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        while true {
            let peer = accept(listener, nil, nil)
            if peer < 0 {
                if errno == EINTR { continue }
                return
            }
            switch service {
            case .gives(var left):
                while left > 0 {
                    let count = send(peer, chunk, min(left, chunk.count), Int32(MSG_NOSIGNAL))
                    if count <= 0 { break }
                    left -= count
                }
            case .takes:
                var taken = 0
                while true {
                    let count = recv(peer, &chunk, chunk.count, 0)
                    if count <= 0 { break }
                    taken += count
                }
                _ = send(peer, &taken, MemoryLayout<Int>.size, Int32(MSG_NOSIGNAL))
            }
            close(peer)
        }
    }
}
