import EmuBus
import EmuDevices
import Foundation
import Glibc
import TestSupport
import Testing

/// What comes from networks and goes to them: a guest's frames, another machine's, a program's of the host that talks to a guest's socket.
@Suite struct NetworkFuzzTargets {
    /// Frames a guest sends: ARP, DHCP, DNS and TFTP over UDP, TCP, ICMP, IPv6's neighbour solicitation.
    private static let frames: [[UInt8]] = {
        let ethernet: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34, 0x56]
        func ip(_ kind: UInt8, _ target: [UInt8], _ payload: [UInt8]) -> [UInt8] {
            let length = 20 + payload.count
            var header: [UInt8] = [0x45, 0, UInt8(length >> 8), UInt8(length & 255), 0, 1, 0, 0, 64, kind, 0, 0, 10, 0, 2, 15] + target
            var sum: UInt32 = stride(from: 0, to: 20, by: 2).reduce(0) { $0 + UInt32(header[$1]) << 8 + UInt32(header[$1 + 1]) }
            sum = (sum & 0xffff) + sum >> 16
            header[10] = UInt8(~sum >> 8 & 255)
            header[11] = UInt8(~sum & 255)
            return ethernet + [8, 0] + header + payload
        }
        func udp(_ port: Int, _ payload: [UInt8]) -> [UInt8] {
            [0, 68, UInt8(port >> 8), UInt8(port & 255), UInt8((8 + payload.count) >> 8), UInt8((8 + payload.count) & 255), 0, 0] + payload
        }
        let dhcp: [UInt8] = [1, 1, 6, 0, 1, 2, 3, 4] + Array(repeating: 0, count: 228) + [99, 130, 83, 99, 53, 1, 1, 55, 2, 3, 6, 255]
        let dns: [UInt8] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 0, 0, 1, 0, 1]
        return [
            ethernet + [8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2],
            ip(17, [255, 255, 255, 255], udp(67, dhcp)), ip(17, [10, 0, 2, 3], udp(53, dns)), ip(17, [10, 0, 2, 2], udp(69, [0, 1] + Array("file\0octet\0blksize\0512\0".utf8))),
            ip(6, [10, 0, 2, 2], [0, 80, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 255, 255, 0, 0, 0, 0]), ip(1, [10, 0, 2, 2], [8, 0, 0xf7, 0xfe, 0, 1, 0, 0]),
            ethernet + [0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 58, 255] + Array(repeating: 0xfe, count: 32) + [135, 0, 0, 0, 0, 0, 0, 0] + Array(repeating: 0xfe, count: 16),
        ]
    }()

    /// What the card makes of frames, and the user network, which may reach nothing outside.
    @Test func userNetwork() throws {
        try Fuzzing.run("user-network", cases: 20) { input in
            let events = EventQueue(mode: .virtual)
            var configuration = SlirpConfiguration()
            configuration.isRestricted = true
            let network = try SlirpBackend(configuration, events: events)
            for _ in 0..<40 where input.hasMore {
                let frame = input.below(4) == 0 ? input.bytes(input.below(1600)) : input.mutated(input.pick(Self.frames))
                frame.withUnsafeBytes { network.send($0) }
                events.run(to: events.now + UInt64(input.below(1 << 28)))
            }
        }
    }

    // MARK: Peers

    private static func connection(_ path: String) throws -> Int32 { try SocketAddress.unix(path: path).connect() }

    private static func send(_ bytes: [UInt8], to descriptor: Int32) { _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)) }

    /// Frames of another machine over a stream, each behind its length.
    @Test func cable() throws {
        try FuzzFolder.each("cable", cases: 20) { input, folder in
            let cable = try StreamBackend(listening: .unix(path: folder.file("s"))), card = Card(cable), group = IOPollGroup()
            group.add(cable)
            for _ in 0..<4 where input.hasMore {
                let peer = try Self.connection(folder.file("s"))
                defer { close(peer) }
                group.wait(timeout: 0)
                for _ in 0..<12 where input.hasMore {
                    let length = input.below(4) == 0 ? input.extreme() : UInt64(input.below(80)), frame = input.bytes(input.below(80))
                    Self.send(withUnsafeBytes(of: UInt32(truncatingIfNeeded: length).bigEndian) { Array($0) } + frame, to: peer)
                    group.wait(timeout: 0)
                    card.send(frame)
                }
            }
        }
    }

    /// Programs of the host that connect to the socket of a guest, whose driver answers anything.
    @Test func hostSockets() throws {
        try FuzzFolder.each("vsock-host", cases: 20) { input, folder in
            let device = try VirtioVsock(name: "vsock", guestCID: 3, path: folder.file("v")), bench = try VirtioBench(.modernSplit, device), group = IOPollGroup()
            group.add(device)
            bench.driver.start(queueCount: 3, size: 16)
            guard let receive = bench.driver.queues[0], let transmit = bench.driver.queues[1] else { return }
            for _ in 0..<12 { receive.add([bench.driver.writable(4096)]) }
            receive.notify()
            for _ in 0..<3 where input.hasMore {
                let peer = try Self.connection(folder.file("v"))
                defer { close(peer) }
                // A device in need of a reset takes nothing more.
                for _ in 0..<10 where input.hasMore && transmit.freeSlots > 0 {
                    Self.send(input.below(2) == 0 ? Array("CONNECT \(input.below(0x10000))\n".utf8) : input.bytes(input.below(40)), to: peer)
                    group.wait(timeout: 0)
                    let payload = input.bytes(input.below(20)), ports = (0..<2).map { _ in UInt32(input.below(0x10000)) }
                    var packet: [UInt8] = .little(UInt64(3)) + .little(UInt64(2)) + .little(ports[0]) + .little(ports[1])
                    packet += .little(UInt32(input.below(8) == 0 ? 1 << 30 : payload.count)) + .little(UInt16(1)) + .little(UInt16(input.below(9)))
                    packet += (0..<3).flatMap { _ in [UInt8].little(UInt32(truncatingIfNeeded: input.extreme())) } + payload
                    transmit.add([bench.driver.readable(packet)])
                    transmit.notify()
                    _ = transmit.used()
                }
            }
        }
    }
}
