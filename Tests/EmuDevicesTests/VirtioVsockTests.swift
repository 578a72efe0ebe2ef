import EmuBus
import EmuDevices
import Glibc
import TestSupport
import Testing

private enum Operation {
    static let request: UInt16 = 1, response: UInt16 = 2, reset: UInt16 = 3, shutdown: UInt16 = 4, data: UInt16 = 5
    static let creditUpdate: UInt16 = 6, creditRequest: UInt16 = 7
}

/// A packet as the guest's driver sees it.
private struct Packet: Equatable {
    var source: UInt32, destination: UInt32, operation: UInt16
    var flags: UInt32 = 0, room: UInt32 = 65536, passedOn: UInt32 = 0
    var data: [UInt8] = []
    var sourceCID: UInt64 = 7, destinationCID: UInt64 = 2, type: UInt16 = 1

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for cid in [sourceCID, destinationCID] { bytes += .little(cid) }
        for word in [source, destination, UInt32(data.count)] { bytes += .little(word) }
        for half in [type, operation] { bytes += .little(half) }
        for word in [flags, room, passedOn] { bytes += .little(word) }
        return bytes + data
    }

    init(_ source: UInt32, _ destination: UInt32, _ operation: UInt16, _ data: [UInt8] = []) {
        self.source = source
        self.destination = destination
        self.operation = operation
        self.data = data
    }

    init(received bytes: [UInt8]) {
        func number(_ offset: Int, _ count: Int) -> UInt64 { (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) } }
        self.init(UInt32(number(16, 4)), UInt32(number(20, 4)), UInt16(number(30, 2)), Array(bytes[44..<44 + Int(number(24, 4))]))
        (sourceCID, destinationCID, type) = (number(0, 8), number(8, 8), UInt16(number(28, 2)))
        (flags, room, passedOn) = (UInt32(number(32, 4)), UInt32(number(36, 4)), UInt32(number(40, 4)))
    }
}

/// A guest with the socket device, and programs of the host around it, all on one thread.
private final class Meeting {
    let bench: VirtioBench
    let device: VirtioVsock
    let path: String
    private let folder: String
    private let pollers = IOPollGroup()
    private var buffers: [UInt16: MockBuffer] = [:]
    private var descriptors: [Int32] = []

    init(_ setup: VirtioSetup = .modernSplit, buffers: Int = 12) throws {
        var template = Array("/tmp/emulate-vsock-XXXXXX".utf8CString)
        let made = mkdtemp(&template)
        folder = String(cString: try #require(made))
        path = folder + "/v"
        device = try VirtioVsock(name: "vhost-vsock0", guestCID: 7, path: path)
        bench = try VirtioBench(setup, device)
        bench.driver.start(queueCount: 3, size: 16)
        pollers.add(device)
        offer(buffers)
    }

    deinit {
        for descriptor in descriptors { close(descriptor) }
        for name in ["v", "v_80"] { unlink(folder + "/" + name) }
        rmdir(folder)
    }

    func offer(_ count: Int) { offer((0..<count).map { _ in bench.driver.writable(4096) }) }

    private func offer(_ list: [MockBuffer]) {
        let queue = bench.driver.queues[0]!
        for buffer in list { buffers[queue.add([buffer])] = buffer }
        queue.notify()
    }

    /// What the device has sent since the last call; the buffers go back to it.
    func received() -> [Packet] {
        for _ in 0..<4 { pollers.wait(timeout: 0) }
        let used = bench.driver.queues[0]!.used().map { (buffer: buffers[$0.id]!, count: Int($0.written)) }
        let packets = used.map { Packet(received: Array(bench.driver.contents($0.buffer).prefix($0.count))) }
        offer(used.map(\.buffer))
        return packets
    }

    func send(_ packet: Packet) { send(packet.bytes) }
    func send(_ bytes: [UInt8]) {
        bench.driver.queues[1]!.add([bench.driver.readable(bytes)])
        bench.driver.queues[1]!.kick()
        _ = bench.driver.queues[1]!.used()
    }

    /// A program of the host that has connected.
    func client() throws -> Int32 {
        let descriptor = try SocketAddress.unix(path: path).connect()
        descriptors.append(descriptor)
        return descriptor
    }

    func listen(_ port: Int) throws -> Int32 {
        let descriptor = try SocketAddress.unix(path: "\(path)_\(port)").listen()
        descriptors.append(descriptor)
        return descriptor
    }

    func accepted(_ listener: Int32) throws -> Int32 {
        let descriptor = accept(listener, nil, nil)
        try #require(descriptor >= 0)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        descriptors.append(descriptor)
        return descriptor
    }

    func write(_ descriptor: Int32, _ bytes: [UInt8]) { #expect(Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count) }
    func write(_ descriptor: Int32, _ text: String) { write(descriptor, Array(text.utf8)) }

    /// What a program can read now; nil at the end of the stream, which is a reset where something was not read.
    func read(_ descriptor: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        return count == 0 || count < 0 && errno == ECONNRESET ? nil : Array(bytes.prefix(max(0, count)))
    }

    /// A stream from port 1000 of the guest to port 80 of the host: the program's end.
    func stream() throws -> Int32 {
        let listener = try listen(80)
        send(Packet(1000, 80, Operation.request))
        #expect(received().map(\.operation) == [Operation.response])
        return try accepted(listener)
    }
}

@Suite struct VirtioVsockTests {
    @Test(arguments: [VirtioSetup.modernSplit, .modernPacked, .pciSplit, .pciPacked])
    func guestsReachProgramsOfTheHost(_ setup: VirtioSetup) throws {
        let meeting = try Meeting(setup)
        #expect(meeting.bench.driver.config(0, size: 8) == 7)
        let program = try meeting.stream()
        meeting.send(Packet(1000, 80, Operation.data, Array("hello".utf8)))
        #expect(meeting.read(program) == Array("hello".utf8))
        meeting.write(program, "world")
        let answer = try #require(meeting.received().first)
        #expect(answer.operation == Operation.data && answer.data == Array("world".utf8) && answer.source == 80 && answer.destination == 1000)
        #expect(answer.sourceCID == 2 && answer.destinationCID == 7 && answer.passedOn == 5)
        // A clean end.
        var end = Packet(1000, 80, Operation.shutdown)
        end.flags = 3
        meeting.send(end)
        #expect(meeting.received().map(\.operation) == [Operation.reset])
        #expect(meeting.read(program) == nil)
        meeting.send(Packet(1000, 80, Operation.data, [1]))
        #expect(meeting.received().map(\.operation) == [Operation.reset])
    }

    @Test func programsOfTheHostReachTheGuest() throws {
        let meeting = try Meeting()
        let program = try meeting.client()
        meeting.write(program, "CONNECT 22\nearly")
        let request = try #require(meeting.received().first)
        #expect(request.operation == Operation.request && request.destination == 22)
        #expect(meeting.read(program) == [])
        var response = Packet(22, request.source, Operation.response)
        response.room = 3
        meeting.send(response)
        #expect(meeting.read(program) == Array("OK \(request.source)\n".utf8))
        // As much as the guest has room for, then the rest.
        #expect(meeting.received().map(\.data) == [Array("ear".utf8)])
        var credit = Packet(22, request.source, Operation.creditUpdate)
        credit.room = 3
        credit.passedOn = 3
        meeting.send(credit)
        #expect(meeting.received().map(\.data) == [Array("ly".utf8)])
        meeting.send(Packet(22, request.source, Operation.reset))
        #expect(meeting.received().isEmpty && meeting.read(program) == nil)
    }

    @Test func aGuestThatRefusesIsTold() throws {
        let meeting = try Meeting()
        let program = try meeting.client()
        meeting.write(program, "CONNECT 23\n")
        let request = try #require(meeting.received().first)
        meeting.send(Packet(23, request.source, Operation.reset))
        _ = meeting.received()
        #expect(meeting.read(program) == nil)
        // Nobody listens on port 81 of the host.
        meeting.send(Packet(5, 81, Operation.request))
        let answer = try #require(meeting.received().first)
        #expect(answer.operation == Operation.reset && answer.source == 81 && answer.destination == 5)
    }

    @Test(arguments: ["HELLO\n", "CONNECT\n", "CONNECT 99999999999\n", "CONNECT -1\n", "CONNECT 1 2\n", "CONNECT " + String(repeating: "1", count: 40)])
    func greetingsThatAreNoneEndTheClient(_ greeting: String) throws {
        let meeting = try Meeting()
        let program = try meeting.client()
        meeting.write(program, greeting)
        #expect(meeting.received().isEmpty)
        #expect(meeting.read(program) == nil)
    }

    @Test func halfOfAStreamCanEnd() throws {
        let meeting = try Meeting()
        let program = try meeting.stream()
        meeting.write(program, "last")
        shutdown(program, Int32(SHUT_WR))
        let packets = meeting.received()
        #expect(packets.map(\.operation) == [Operation.data, Operation.shutdown] && packets[1].flags == 2)
        meeting.send(Packet(1000, 80, Operation.data, Array("more".utf8)))
        #expect(meeting.read(program) == Array("more".utf8))
        var end = Packet(1000, 80, Operation.shutdown)
        end.flags = 2
        meeting.send(end)
        #expect(meeting.received().map(\.operation) == [Operation.reset])
        #expect(meeting.read(program) == nil)
    }

    @Test func aProgramThatGoesEndsBothHalves() throws {
        let meeting = try Meeting()
        let program = try meeting.stream()
        shutdown(program, Int32(SHUT_RDWR))
        let packets = meeting.received()
        #expect(packets.allSatisfy { $0.operation == Operation.shutdown } && packets.last?.flags == 3)
        // The driver confirms, and the stream is gone.
        meeting.send(Packet(1000, 80, Operation.reset))
        meeting.send(Packet(1000, 80, Operation.creditRequest))
        #expect(meeting.received().map(\.operation) == [Operation.reset])
    }

    @Test func creditIsGivenAsTheHostReads() throws {
        let meeting = try Meeting()
        let program = try meeting.stream()
        let block = [UInt8](repeating: 9, count: 32 << 10)
        var got = 0
        var told: UInt32 = 0
        for _ in 0..<12 {
            meeting.send(Packet(1000, 80, Operation.data, block))
            got += meeting.read(program)?.count ?? 0
            for packet in meeting.received() where packet.operation == Operation.creditUpdate { told = packet.passedOn }
            got += meeting.read(program)?.count ?? 0
        }
        #expect(got == 12 * block.count && told >= 256 << 10)
        meeting.send(Packet(1000, 80, Operation.creditRequest))
        let answer = try #require(meeting.received().first)
        #expect(answer.operation == Operation.creditUpdate && answer.room == 256 << 10 && answer.passedOn == UInt32(got))
    }

    @Test func moreThanThereIsRoomForEndsTheStream() throws {
        let meeting = try Meeting()
        _ = try meeting.stream()
        // The program never reads: its socket takes some, the device keeps its room's worth, and then it is enough.
        let block = [UInt8](repeating: 9, count: 128 << 10)
        let mark = meeting.bench.driver.heapMark
        var packets: [Packet] = []
        for _ in 0..<64 where packets.last?.operation != Operation.reset {
            meeting.send(Packet(1000, 80, Operation.data, block))
            meeting.bench.driver.free(downTo: mark)
            packets = meeting.received()
        }
        #expect(packets.last?.operation == Operation.reset && !meeting.bench.needsReset)
    }

    @Test func packetsThatMakeNoSenseAreRefused() throws {
        let meeting = try Meeting()
        _ = try meeting.stream()
        func answer(_ change: (inout Packet) -> Void) -> [UInt16] {
            var packet = Packet(1000, 80, Operation.data)
            change(&packet)
            meeting.send(packet)
            return meeting.received().map(\.operation)
        }
        #expect(answer { $0.destinationCID = 9 } == [Operation.reset])
        #expect(answer { $0.type = 2 } == [Operation.reset])
        #expect(answer { $0.source = 77 } == [Operation.reset])
        #expect(answer { $0.source = 77; $0.operation = Operation.reset }.isEmpty)
        #expect(answer { $0.sourceCID = 1 }.isEmpty)
        #expect(answer { $0.operation = 99 } == [Operation.reset])
        #expect(answer { $0.operation = Operation.response } == [Operation.reset])
        #expect(!meeting.bench.needsReset)
        // A length beyond the buffer.
        var bytes = Packet(1000, 80, Operation.data, [1, 2, 3]).bytes
        bytes[24] = 4
        meeting.send(bytes)
        #expect(meeting.bench.needsReset)
    }

    @Test func aGuestWithoutBuffersStopsWhatItSends() throws {
        let meeting = try Meeting(buffers: 0)
        // Every one of these wants an answer; those that do not fit wait in the driver's ring.
        let mark = meeting.bench.driver.heapMark
        for port in 0..<1024 as Range<UInt32> {
            meeting.send(Packet(port, 99, Operation.data))
            meeting.bench.driver.free(downTo: mark)
        }
        let queue = meeting.bench.driver.queues[1]!
        queue.add([meeting.bench.driver.readable(Packet(1, 99, Operation.data).bytes)])
        queue.kick()
        #expect(queue.used().isEmpty && !meeting.bench.needsReset)
        meeting.offer(8)
        #expect(queue.used().count == 1)
    }

    @Test func aRestoredDriverIsToldThatItsStreamsAreGone() throws {
        let meeting = try Meeting()
        _ = try meeting.stream()
        let saved = try meeting.device.encodedState()
        let other = try Meeting()
        let event = other.bench.driver.writable(4)
        other.bench.driver.queues[2]!.add([event])
        other.bench.driver.queues[2]!.kick()
        #expect(other.bench.driver.queues[2]!.used().isEmpty)
        try other.device.restoreState(from: saved)
        #expect(other.bench.driver.queues[2]!.used().map(\.written) == [4])
    }
}
