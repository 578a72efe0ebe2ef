import CHost
import EmuBus
import Glibc

/// A tap interface of the host: what the guest sends arrives there as if from a cable. Making one takes the right to (CAP_NET_ADMIN), using
/// one that was made for this user does not.
///
/// SAFETY: frames are the caller's for the length of a call, or `buffer`'s, of which only what was read is handed on.
public final class TapBackend: NetworkBackend, IOPoller {
    public weak var receiver: (any NetworkReceiver)?
    /// The interface's name.
    public let interface: String
    private let descriptor: Int32
    private var index: Int?
    private var backlog = FrameBacklog()
    private var buffer = [UInt8](repeating: 0, count: 65536 + 64)
    private static let batch = 256

    /// - Parameter interface: its name; nil lets the host choose one.
    public init(interface: String?) throws(NetworkError) {
        var name = [CChar](repeating: 0, count: Int(HOST_INTERFACE_NAME_SIZE))
        if let interface {
            let bytes = Array(interface.utf8)
            guard !bytes.isEmpty, bytes.count < name.count, !bytes.contains(0) else { throw NetworkError("ifname=\(interface): a name has 1 to \(name.count - 1) bytes") }
            for (index, byte) in bytes.enumerated() { name[index] = CChar(bitPattern: byte) }
        }
        descriptor = host_open_tap(&name)
        guard descriptor >= 0 else {
            let code = errno
            let advice = code == EPERM || code == EACCES ? "; make it first with 'ip tuntap add mode tap user $USER name NAME', or run as root" : ""
            throw NetworkError("the tap interface \(interface ?? "") cannot be had: \(String(cString: strerror(code)))\(advice)")
        }
        self.interface = name.withUnsafeBufferPointer { String(decoding: $0.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) }
    }

    deinit { close(descriptor) }

    public func send(_ frame: UnsafeRawBufferPointer) { _ = write(descriptor, frame.baseAddress, frame.count) }

    public func receiverReady() { backlog.resume(receiver) }

    public func fillPoll(_ set: PollSet) { index = backlog.isEmpty ? set.add(descriptor, .readable) : nil }

    public func handlePoll(_ set: PollSet) {
        guard let index, set.ready(index).contains(.readable) else { return }
        for _ in 0..<Self.batch where backlog.isEmpty {
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            buffer.withUnsafeBytes { backlog.deliver(UnsafeRawBufferPointer(rebasing: $0[..<count]), to: receiver) }
        }
    }
}
