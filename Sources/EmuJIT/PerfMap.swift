import EmuBus
import Glibc
import Synchronization

/// Tells Linux perf the names of generated functions: `/tmp/perf-PID.map`, a line "start size name" per function, in hexadecimal.
///
/// Several threads may add names. Lines are collected and written when 4 KiB have come together, on `flush()` and at the end of the object's life.
public final class PerfMap: Sendable {
    public let path: String
    private let descriptor: Int32
    private let pending = Mutex<[UInt8]>([])

    private static let flushSize = 4 << 10

    /// - Throws: when the file cannot be made.
    public init() throws(HostError) {
        path = "/tmp/perf-\(getpid()).map"
        // Everybody can write to /tmp: follow no link that somebody put there.
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw HostError("--perf-map: writing \(path)", errno) }
    }

    deinit {
        flush()
        close(descriptor)
    }

    /// Names `size` bytes of code from `start`. Line ends in the name become spaces.
    public func add(start: UInt, size: Int, name: String) {
        let isFull = pending.withLock { pending in
            pending += "\(String(start, radix: 16)) \(String(size, radix: 16)) ".utf8
            for byte in name.utf8 { pending.append(byte < 0x20 ? 0x20 : byte) }
            pending.append(0x0a)
            return pending.count >= Self.flushSize
        }
        if isFull { flush() }
    }

    /// Writes what has been collected. Names that the disk does not take are lost; the program goes on.
    public func flush() {
        pending.withLock { pending in
            pending.withUnsafeBytes { bytes in
                var rest = bytes
                while !rest.isEmpty {
                    // SAFETY: `rest` is not empty and lies within `pending`.
                    let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                    if count < 0 && errno == EINTR { continue }
                    if count <= 0 { break }
                    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                }
            }
            pending.removeAll(keepingCapacity: true)
        }
    }
}
