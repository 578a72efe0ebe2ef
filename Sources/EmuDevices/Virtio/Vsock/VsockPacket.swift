/// The header of every packet of the socket device (virtio 1.2, 5.10.6).
struct VsockPacket: Equatable {
    enum Operation {
        static let request: UInt16 = 1, response: UInt16 = 2, reset: UInt16 = 3, shutdown: UInt16 = 4, data: UInt16 = 5
        static let creditUpdate: UInt16 = 6, creditRequest: UInt16 = 7
    }

    /// What the sender will not do any more.
    enum Shutdown {
        static let receive: UInt32 = 1, send: UInt32 = 2
        static let both = receive | send
    }

    static let size = 44
    static let stream: UInt16 = 1

    var sourceCID: UInt64
    var destinationCID: UInt64
    var sourcePort: UInt32
    var destinationPort: UInt32
    var length: UInt32 = 0
    var type = Self.stream
    var operation: UInt16
    var flags: UInt32 = 0
    /// Bytes the sender has room for altogether, and how many it has passed on so far.
    var room: UInt32 = 0
    var passedOn: UInt32 = 0

    init(from source: (cid: UInt64, port: UInt32), to destination: (cid: UInt64, port: UInt32), _ operation: UInt16) {
        sourceCID = source.cid
        sourcePort = source.port
        destinationCID = destination.cid
        destinationPort = destination.port
        self.operation = operation
    }

    /// nil when the buffer is too short.
    init?(_ buffer: GuestBuffer) {
        guard let sourceCID: UInt64 = buffer.load(at: 0), let destinationCID: UInt64 = buffer.load(at: 8), let sourcePort: UInt32 = buffer.load(at: 16),
              let destinationPort: UInt32 = buffer.load(at: 20), let length: UInt32 = buffer.load(at: 24), let type: UInt16 = buffer.load(at: 28),
              let operation: UInt16 = buffer.load(at: 30), let flags: UInt32 = buffer.load(at: 32), let room: UInt32 = buffer.load(at: 36),
              let passedOn: UInt32 = buffer.load(at: 40) else { return nil }
        self.init(from: (sourceCID, sourcePort), to: (destinationCID, destinationPort), operation)
        self.length = length
        self.type = type
        self.flags = flags
        self.room = room
        self.passedOn = passedOn
    }

    var bytes: [UInt8] {
        var writer = ConfigWriter()
        for cid in [sourceCID, destinationCID] { writer.put(cid) }
        for word in [sourcePort, destinationPort, length] { writer.put(word) }
        for half in [type, operation] { writer.put(half) }
        for word in [flags, room, passedOn] { writer.put(word) }
        return writer.bytes
    }
}
