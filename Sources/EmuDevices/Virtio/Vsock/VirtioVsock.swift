import EmuBus
import Glibc

/// The socket device (virtio 1.2, 5.10): streams between the guest and programs of the host, which meet it at socket files.
///
/// A program that connects to PATH and writes `CONNECT PORT` reaches that port of the guest, and reads `OK PORT` once the guest has accepted. A
/// guest that connects to port N of the host (CID 2) reaches who listens on PATH_N.
public final class VirtioVsock: VirtioDevice, IOPoller {
    public struct State: Codable, Equatable, Sendable {
        /// There were streams, which end with this process: a driver that is restored must be told.
        var hadConnections = false
    }

    private enum Queue {
        static let receive = 0, transmit = 1, event = 2
    }

    /// Context ids of the two sides; the guest's is the user's choice.
    public static let guestCIDs: ClosedRange<Int> = 3...0xffff_fffe
    private static let hostCID: UInt64 = 2
    private static let transportReset: UInt32 = 0
    /// Streams at a time, and packets kept for a guest that takes none.
    private static let connectionLimit = 1024, packetLimit = 1024
    /// Most data of one packet to the guest.
    private static let dataLimit = 64 << 10
    /// Reads of one stream before others get their turn.
    private static let batch = 16
    private static let firstHostPort: UInt32 = 1 << 30

    private struct Key: Hashable {
        let guestPort: UInt32, hostPort: UInt32
    }

    public let stateName: String
    public let deviceID = VirtioDeviceID.vsock
    /// Only streams, which a driver takes for granted.
    public let deviceFeatures: UInt64 = 1
    public let queueSizes: [UInt16] = [128, 128, 16]
    public let hasLegacyInterface = false
    public weak var core: VirtioCore?
    private let guestCID: UInt64
    private let path: String
    private let listener: Int32
    private var listenerIndex: Int?
    private var connections: [Key: VsockConnection] = [:]
    /// Clients that have not said where to.
    private var clients: [VsockConnection] = []
    /// Packets without data that wait for buffers of the guest.
    private var packets: [VsockPacket] = []
    private var nextHostPort = VirtioVsock.firstHostPort
    /// The guest may have buffers for what arrives.
    private var hasGuestBuffers = false
    private var owesTransportReset = false

    /// - Parameters:
    ///   - name: unique on the board ("vhost-vsock0").
    ///   - guestCID: in `guestCIDs`.
    ///   - path: of the socket file to listen on.
    public init(name: String, guestCID: UInt32, path: String) throws(SocketError) {
        stateName = name
        self.guestCID = UInt64(guestCID)
        self.path = path
        listener = try SocketAddress.unix(path: path).listen()
    }

    deinit {
        close(listener)
        unlink(path)
    }

    public var state: State {
        get { State(hadConnections: !connections.isEmpty || owesTransportReset) }
        set {
            forgetEverything()
            owesTransportReset = newValue.hadConnections
            hasGuestBuffers = true
            sendTransportReset()
        }
    }

    public var configSpace: [UInt8] {
        var space = ConfigWriter()
        space.put(guestCID)
        return space.bytes
    }

    public func reset() {
        forgetEverything()
        owesTransportReset = false
    }

    private func forgetEverything() {
        connections = [:]
        clients = []
        packets = []
        hasGuestBuffers = false
    }

    public func process(queue index: Int) {
        switch index {
        case Queue.receive:
            hasGuestBuffers = true
            flushPackets()
            // Packets of the guest may have waited for room for their answers.
            receiveFromGuest()
        case Queue.transmit: receiveFromGuest()
        default: sendTransportReset()
        }
    }

    private func sendTransportReset() {
        guard owesTransportReset, let core, let chain = core.take(Queue.event) else { return }
        owesTransportReset = false
        chain.writable.store(at: 0, Self.transportReset)
        core.giveBack(Queue.event, [(chain, 4)])
        core.signal(Queue.event)
    }

    // MARK: From the guest

    private func receiveFromGuest() {
        core?.serve(Queue.transmit, while: { packets.count < Self.packetLimit }) { chain in
            guard let packet = VsockPacket(chain.readable), Int(packet.length) <= chain.readable.count - VsockPacket.size else {
                core?.fail("packet of \(chain.readable.count) bytes with its header")
                return nil
            }
            receive(packet, chain.readable.slice(VsockPacket.size, Int(packet.length)))
            return 0
        }
        flushPackets()
    }

    private func receive(_ packet: VsockPacket, _ data: GuestBuffer) {
        guard packet.sourceCID == guestCID else {
            Log.write(.guestErrors, "\(stateName): packet from context \(packet.sourceCID), which is not the guest's")
            return
        }
        guard packet.destinationCID == Self.hostCID, packet.type == VsockPacket.stream else { return refuse(packet) }
        let key = Key(guestPort: packet.sourcePort, hostPort: packet.destinationPort)
        guard let connection = connections[key] else {
            if packet.operation == VsockPacket.Operation.request { return connect(packet, key) }
            return refuse(packet)
        }
        connection.noteCredit(packet)
        switch packet.operation {
        case VsockPacket.Operation.response where connection.stage == .requested:
            connection.stage = .open
            connection.welcome()
        case VsockPacket.Operation.data where connection.stage == .open || connection.stage == .closing:
            guard connection.guestShutdown & VsockPacket.Shutdown.send == 0, connection.take(data) else { return end(connection, key) }
            if connection.owesCredit { send(VsockPacket.Operation.creditUpdate, connection) }
        case VsockPacket.Operation.shutdown:
            connection.note(shutdown: packet.flags)
            settle(connection, key)
        case VsockPacket.Operation.creditRequest: send(VsockPacket.Operation.creditUpdate, connection)
        case VsockPacket.Operation.creditUpdate: break
        case VsockPacket.Operation.reset: connections[key] = nil
        default: end(connection, key)
        }
    }

    /// Answers a packet that belongs to no stream.
    private func refuse(_ packet: VsockPacket) {
        guard packet.operation != VsockPacket.Operation.reset else { return }
        var answer = VsockPacket(
            from: (packet.destinationCID, packet.destinationPort), to: (guestCID, packet.sourcePort), VsockPacket.Operation.reset)
        answer.type = packet.type
        packets.append(answer)
    }

    private func connect(_ packet: VsockPacket, _ key: Key) {
        guard connections.count < Self.connectionLimit, let descriptor = try? SocketAddress.unix(path: "\(path)_\(packet.destinationPort)").connect() else {
            return refuse(packet)
        }
        let connection = VsockConnection(descriptor, guestPort: key.guestPort, hostPort: key.hostPort, stage: .open)
        connection.noteCredit(packet)
        connections[key] = connection
        send(VsockPacket.Operation.response, connection)
    }

    /// Ends a stream whose guest broke the rules.
    private func end(_ connection: VsockConnection, _ key: Key) {
        send(VsockPacket.Operation.reset, connection)
        connections[key] = nil
    }

    /// Ends a stream both of whose directions are done.
    private func settle(_ connection: VsockConnection, _ key: Key) {
        let isDone = connection.guestShutdown == VsockPacket.Shutdown.both
            || connection.guestShutdown & VsockPacket.Shutdown.send != 0 && connection.isHostDone
        if isDone, connection.isDrained { end(connection, key) }
    }

    // MARK: To the guest

    private func packet(_ operation: UInt16, _ connection: VsockConnection) -> VsockPacket {
        var packet = VsockPacket(from: (Self.hostCID, connection.hostPort), to: (guestCID, connection.guestPort), operation)
        connection.stamp(&packet)
        return packet
    }

    private func send(_ operation: UInt16, _ connection: VsockConnection, flags: UInt32 = 0) {
        var packet = packet(operation, connection)
        packet.flags = flags
        packets.append(packet)
        flushPackets()
    }

    private func flushPackets() {
        guard let core else { return }
        while let packet = packets.first, let chain = takeBuffer(core) {
            chain.writable.copyIn(packet.bytes)
            packets.removeFirst()
            core.giveBack(Queue.receive, [(chain, UInt32(VsockPacket.size))])
        }
        core.signal(Queue.receive)
    }

    /// A buffer of the guest with room for a header at least.
    private func takeBuffer(_ core: VirtioCore) -> DescriptorChain? {
        guard let chain = core.take(Queue.receive) else {
            hasGuestBuffers = false
            return nil
        }
        guard chain.writable.count >= VsockPacket.size else {
            core.fail("receive buffer of \(chain.writable.count) bytes")
            return nil
        }
        return chain
    }

    /// Moves what the host has sent into buffers of the guest.
    private func forward(_ connection: VsockConnection, _ key: Key) {
        guard let core else { return }
        for _ in 0..<Self.batch {
            guard packets.isEmpty, connection.credit > 0, !connection.isHostDone, let chain = takeBuffer(core) else { break }
            let room = min(chain.writable.count - VsockPacket.size, connection.credit, Self.dataLimit)
            var count: Int?
            let data = [UInt8](unsafeUninitializedCapacity: room) { buffer, initialized in
                // SAFETY: as many bytes are initialised as were received.
                count = room > 0 ? connection.read(into: UnsafeMutableRawBufferPointer(buffer)) : nil
                initialized = count ?? 0
            }
            guard let count, count > 0 else {
                core.putBack(Queue.receive, chain)
                break
            }
            connection.noteSent(count)
            var packet = packet(VsockPacket.Operation.data, connection)
            packet.length = UInt32(count)
            chain.writable.copyIn(packet.bytes)
            chain.writable.copyIn(at: VsockPacket.size, data)
            core.giveBack(Queue.receive, [(chain, UInt32(VsockPacket.size + count))])
        }
        core.signal(Queue.receive)
        if connection.isHostDone { finishHost(connection, key, hasGone: false) }
    }

    /// The host's side sends nothing more, or is gone altogether.
    private func finishHost(_ connection: VsockConnection, _ key: Key, hasGone: Bool) {
        send(VsockPacket.Operation.shutdown, connection, flags: hasGone ? VsockPacket.Shutdown.both : VsockPacket.Shutdown.send)
        if hasGone {
            connection.close()
            connection.stage = .closing
        }
        settle(connection, key)
    }

    // MARK: The host's sockets

    public func fillPoll(_ set: PollSet) {
        let isFull = connections.count + clients.count >= Self.connectionLimit
        listenerIndex = core?.isRunning ?? false && !isFull && packets.count < Self.packetLimit ? set.add(listener, .readable) : nil
        for connection in clients + connections.values {
            let events = connection.wanted(hasGuestBuffers: hasGuestBuffers)
            connection.pollIndex = events.isEmpty ? nil : set.add(connection.descriptor, events)
        }
    }

    public func handlePoll(_ set: PollSet) {
        for connection in clients {
            guard let index = connection.pollIndex, !set.ready(index).isEmpty else { continue }
            greet(connection)
        }
        // In the order of ports, so that nothing depends on how the table lies in memory.
        for (key, connection) in connections.sorted(by: { ($0.key.hostPort, $0.key.guestPort) < ($1.key.hostPort, $1.key.guestPort) }) {
            guard let index = connection.pollIndex else { continue }
            handle(connection, key, set.ready(index))
        }
        if let listenerIndex, set.ready(listenerIndex).contains(.readable) { accept() }
    }

    private func handle(_ connection: VsockConnection, _ key: Key, _ ready: PollSet.Events) {
        if ready.contains(.writable) {
            connection.flush()
            if connection.owesCredit { send(VsockPacket.Operation.creditUpdate, connection) }
        }
        if !ready.isDisjoint(with: [.readable, .hangUp, .error]), connection.stage == .open { forward(connection, key) }
        guard connections[key] === connection else { return }
        // A socket that hung up takes nothing either; a half-closed one does.
        if connection.isBroken || connection.isHostDone && !ready.isDisjoint(with: [.hangUp, .error]), connection.stage == .open {
            finishHost(connection, key, hasGone: true)
        } else {
            settle(connection, key)
        }
    }

    private func accept() {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        clients.append(VsockConnection(descriptor, guestPort: 0, hostPort: freeHostPort(), stage: .greeting))
    }

    private func freeHostPort() -> UInt32 {
        defer { nextHostPort = nextHostPort == .max - 1 ? Self.firstHostPort : nextHostPort + 1 }
        return nextHostPort
    }

    private func greet(_ connection: VsockConnection) {
        let greeting = connection.readGreeting()
        if case .incomplete = greeting { return }
        clients.removeAll { $0 === connection }
        guard case .port(let port) = greeting, connections[Key(guestPort: port, hostPort: connection.hostPort)] == nil else { return }
        connection.guestPort = port
        connection.stage = .requested
        connections[Key(guestPort: port, hostPort: connection.hostPort)] = connection
        send(VsockPacket.Operation.request, connection)
    }
}
