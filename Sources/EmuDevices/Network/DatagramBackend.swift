import EmuBus
import Glibc

/// A network of datagrams, each one frame: to one peer, or to a multicast group that any number of machines share
/// (as QEMU's `-netdev dgram` and `-netdev socket,udp=|mcast=` have it).
public final class DatagramBackend: NetworkBackend, IOPoller {
    public weak var receiver: (any NetworkReceiver)?
    private let descriptor: Int32
    /// Where frames go, as the kernel takes it.
    private let target: [UInt8]
    private let file: String?
    private var index: Int?
    private var backlog = FrameBacklog()
    private var buffer = [UInt8](repeating: 0, count: 65536)
    /// Datagrams taken in one go.
    private static let batch = 256

    /// - Parameters:
    ///   - local: where frames arrive.
    ///   - remote: where they go.
    public init(local: SocketAddress, remote: SocketAddress) throws(NetworkError) {
        do throws(SocketError) {
            target = try remote.resolved()
            descriptor = try local.datagrams()
        } catch { throw NetworkError(error.description) }
        if case .unix(let path) = local { file = path } else { file = nil }
    }

    /// - Parameters:
    ///   - group: a multicast address and a port.
    ///   - interface: the address of this computer that leads to the group; nil lets the host choose.
    public init(group: IPv4Address, port: UInt16, interface: IPv4Address?) throws(NetworkError) {
        guard group.value >> 28 == 0xe else { throw NetworkError("\(group) is not a multicast address, which are 224.0.0.0 to 239.255.255.255") }
        do throws(SocketError) {
            target = try SocketAddress.inet(host: group.description, port: port).resolved()
            descriptor = try SocketAddress.inet(host: group.description, port: port).datagrams(group: group.value)
        } catch { throw NetworkError(error.description) }
        file = nil
        var membership = ip_mreq(imr_multiaddr: group.inAddress, imr_interface: (interface ?? IPv4Address(0)).inAddress)
        guard setsockopt(descriptor, Int32(IPPROTO_IP), IP_ADD_MEMBERSHIP, &membership, socklen_t(MemoryLayout<ip_mreq>.size)) == 0 else {
            let code = errno
            close(descriptor)
            throw NetworkError("joining \(group): \(String(cString: strerror(code)))")
        }
        // Other machines of this computer are reached, too.
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_IP), IP_MULTICAST_LOOP, &on, socklen_t(MemoryLayout<Int32>.size))
        if let interface {
            var address = interface.inAddress
            setsockopt(descriptor, Int32(IPPROTO_IP), IP_MULTICAST_IF, &address, socklen_t(MemoryLayout<in_addr>.size))
        }
    }

    deinit {
        close(descriptor)
        if let file { unlink(file) }
    }

    public func send(_ frame: UnsafeRawBufferPointer) {
        // A datagram that cannot be sent is lost, as on a real network.
        target.withUnsafeBytes { raw in
            guard let address = raw.baseAddress else { return }
            // SAFETY: the address is as long as the resolver said.
            _ = sendto(
                descriptor, frame.baseAddress, frame.count, Int32(MSG_NOSIGNAL), address.assumingMemoryBound(to: sockaddr.self),
                socklen_t(raw.count))
        }
    }

    public func receiverReady() { backlog.resume(receiver) }

    public func fillPoll(_ set: PollSet) { index = backlog.isEmpty ? set.add(descriptor, .readable) : nil }

    public func handlePoll(_ set: PollSet) {
        guard let index, set.ready(index).contains(.readable) else { return }
        for _ in 0..<Self.batch where backlog.isEmpty {
            let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
            guard count > 0 else { return }
            buffer.withUnsafeBytes { backlog.deliver(UnsafeRawBufferPointer(rebasing: $0[..<count]), to: receiver) }
        }
    }
}
