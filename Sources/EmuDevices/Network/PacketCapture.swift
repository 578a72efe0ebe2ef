import EmuBus
import Glibc

/// Records the frames that pass between a card and its network in a file that Wireshark and tcpdump read (pcap, 2.4, microseconds).
///
/// SAFETY: `file` is opened in init and closed in deinit; frames are read within the call that brings them, as far as they go.
public final class PacketCapture: NetworkBackend, NetworkReceiver {
    public weak var receiver: (any NetworkReceiver)?
    private let network: any NetworkBackend
    private let file: UnsafeMutablePointer<FILE>
    private let path: String
    private let limit: Int
    private let clock: () -> UInt64
    private var hasFailed = false

    /// LINKTYPE_ETHERNET
    private static let linkType: UInt32 = 1
    private static let magic: UInt32 = 0xa1b2_c3d4

    /// - Parameters:
    ///   - network: what the card was to be plugged into.
    ///   - limit: bytes of each frame that are kept.
    ///   - clock: nanoseconds since 1970.
    public init(of network: any NetworkBackend, path: String, limit: Int = 65536, clock: @escaping () -> UInt64) throws(HostError) {
        guard let file = fopen(path, "we") else { throw HostError("creating \(path)", errno) }
        self.network = network
        self.file = file
        self.path = path
        self.limit = limit
        self.clock = clock
        write([Self.magic, 4 << 16 | 2, 0, 0, UInt32(clamping: limit), Self.linkType])
        fflush(file)
        network.receiver = self
    }

    deinit { fclose(file) }

    public func send(_ frame: UnsafeRawBufferPointer) {
        record(frame)
        network.send(frame)
    }

    public func receiverReady() { network.receiverReady() }
    public var takesLargeSegments: Bool { network.takesLargeSegments }
    public var vouchesForChecksums: Bool { network.vouchesForChecksums }

    public func receive(_ frame: UnsafeRawBufferPointer) -> Bool {
        guard let receiver, receiver.receive(frame) else { return receiver == nil }
        record(frame)
        return true
    }

    private func record(_ frame: UnsafeRawBufferPointer) {
        let time = clock() / 1000
        let kept = min(frame.count, limit)
        write([UInt32(truncatingIfNeeded: time / 1_000_000), UInt32(time % 1_000_000), UInt32(kept), UInt32(clamping: frame.count)])
        fwrite(frame.baseAddress, 1, kept, file)
        // Whoever watches the file sees it at once, and nothing is lost with the process.
        if fflush(file) != 0, !hasFailed {
            hasFailed = true
            Log.write(.guestErrors, "\(path): frames are missing: \(String(cString: strerror(errno)))")
        }
    }

    private func write(_ words: [UInt32]) {
        let bytes = words.map(\.littleEndian)
        _ = bytes.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
    }
}
