import EmuBus
import EmuDevices
import Testing

@Suite struct HTIFTests {
    final class Requests { var seen: [PowerRequest] = [] }

    static let ram: UInt64 = 0x8000_0000
    static let tohost = ram + 0x1000, fromhost = ram + 0x1040
    let bus = AddressSpace()
    let console = BufferedConsole()
    let requests = Requests()
    /// Mailboxes in memory.
    let htif: HTIF
    /// Mailboxes as registers.
    let registers: HTIF

    init() throws {
        try bus.map(GuestRAM(base: Self.ram, size: 0x4000), name: "ram")
        let requests = requests
        htif = HTIF(bus: bus, mailboxes: .init(tohost: Self.tohost, fromhost: Self.fromhost)) { requests.seen.append($0) }
        registers = HTIF(name: "htif1", bus: bus, mailboxes: nil) { requests.seen.append($0) }
        htif.backend = console
    }

    private func send(_ command: UInt64) {
        _ = bus.storeMemory(Self.tohost, command)
        htif.poll()
    }
    private func answer() -> UInt64 {
        let value = bus.loadMemory(Self.fromhost, as: UInt64.self) ?? .max
        _ = bus.storeMemory(Self.fromhost, UInt64(0))
        htif.poll()
        return value
    }
    /// Makes a system call and returns its result.
    private func call(_ arguments: UInt64...) -> Int64? {
        let block = Self.ram + 0x2000
        for (index, value) in arguments.enumerated() { _ = bus.storeMemory(block + 8 * UInt64(index), value) }
        send(block)
        return bus.loadMemory(block, as: Int64.self)
    }

    @Test func anOddPayloadEndsTheRun() {
        send(1)
        send(3 << 1 | 1)
        #expect(requests.seen == [.poweroff(code: 0), .failure(code: 3)])
        #expect(bus.loadMemory(Self.tohost, as: UInt64.self) == 0)
    }

    @Test func zeroIsNoCommand() {
        htif.poll()
        #expect(requests.seen.isEmpty && console.output.isEmpty)
    }

    @Test func putCharacterReachesTheConsole() {
        for byte in "hi".utf8 { send(1 << 56 | 1 << 48 | UInt64(byte)) }
        #expect(console.text == "hi")
        #expect(answer() == 0)
    }

    @Test func getCharacterIsAnsweredWhenOneIsTyped() {
        send(1 << 56)
        #expect(answer() == 0)
        console.type("ab")
        #expect(answer() == 1 << 56 | 0x161)
        #expect(answer() == 0)
        send(1 << 56)
        #expect(answer() == 1 << 56 | 0x162)
    }

    @Test func answersWaitForAnEmptyMailbox() {
        console.type("xy")
        send(1 << 56)
        send(1 << 56)
        #expect(answer() == 1 << 56 | 0x178)
        #expect(answer() == 1 << 56 | 0x179)
    }

    @Test func inputIsTakenAsTheGuestAsks() {
        console.type(String(repeating: "z", count: 40))
        #expect(htif.receiveCapacity == 0)
        for _ in 0..<40 {
            send(1 << 56)
            #expect(answer() == 1 << 56 | 0x17A)
        }
        #expect(htif.receiveCapacity == 16)
    }

    @Test func writeSystemCallPrints() {
        _ = bus.storeMemory(Self.ram, UInt64(0x0A6F_6C6C_6548))
        #expect(call(64, 1, Self.ram, 6) == 6)
        #expect(answer() == 1)
        #expect(call(64, 2, Self.ram, 1) == 1)
        #expect(console.text == "Hello\nH")
    }

    @Test func badSystemCallsReturnErrors() {
        #expect(call(64, 0, Self.ram, 1) == -9)
        #expect(call(64, 1, Self.ram + 0x3FFF, 2) == -14)
        #expect(call(64, 1, 0, .max) == -14)
        #expect(call(64, 1, .max, 1) == -14)
        #expect(call(63, 0, Self.ram, 1) == -38)
        #expect(console.output.isEmpty)
        #expect(answer() == 1)
    }

    @Test func exitSystemCallEndsTheRun() {
        _ = call(93, 5)
        #expect(requests.seen == [.failure(code: 5)])
    }

    @Test func aCallBlockOutsideMemoryDoesNoHarm() {
        send(0x7FFF_FFFE)
        send(Self.ram + 0x3FFE)
        send(0xFFFF_FFFF_FFFE)
        send(.max)
        #expect(answer() == 0 && requests.seen.isEmpty)
    }

    @Test func mailboxesOutsideMemoryDoNoHarm() {
        let lost = HTIF(bus: bus, mailboxes: .init(tohost: .max - 3, fromhost: 0)) { _ in }
        lost.poll()
    }

    @Test func aGuestThatNeverListensCannotFillTheHost() {
        for _ in 0..<5000 { send(1 << 56) }
        for _ in 0..<5000 { _ = call(64, 1, Self.ram, 0) }
        #expect(htif.state.wantedCharacters == 1024 && htif.state.answers.count == 1024)
    }

    @Test func registersCarryTheMailboxes() {
        registers.backend = console
        registers.write(8, 1 << 56 | 1 << 48 | 0x41, size: 8)
        registers.write(8, 0x42, size: 4)
        #expect(console.text == "A")
        registers.write(12, 1 << 24 | 1 << 16, size: 4)
        #expect(console.text == "AB" && registers.read(8, size: 8) == 0)
        console.type("k")
        registers.write(8, 1 << 56, size: 8)
        #expect(registers.read(0, size: 4) == 0x16B && registers.read(4, size: 4) == 1 << 24)
        registers.write(0, 0, size: 8)
        #expect(registers.read(0, size: 8) == 0)
        registers.write(16, 1, size: 8)
        #expect(registers.read(16, size: 8) == 0 && requests.seen.isEmpty)
        registers.write(8, 1, size: 8)
        #expect(requests.seen == [.poweroff(code: 0)])
    }

    @Test func resetForgetsEverything() {
        console.type("abc")
        send(1 << 56)
        send(1 << 56)
        htif.reset()
        #expect(htif.receiveCapacity == 16)
        #expect(answer() == 1 << 56 | 0x161)
        #expect(answer() == 0)
    }

    @Test func stateRoundTrip() throws {
        console.type("pq")
        send(1 << 56)
        send(1 << 56)
        send(1 << 56)
        let other = HTIF(bus: bus, mailboxes: .init(tohost: Self.tohost, fromhost: Self.fromhost)) { _ in }
        try transplant(htif, into: other)
        #expect(bus.loadMemory(Self.fromhost, as: UInt64.self) == 1 << 56 | 0x170)
        _ = bus.storeMemory(Self.fromhost, UInt64(0))
        other.poll()
        #expect(bus.loadMemory(Self.fromhost, as: UInt64.self) == 1 << 56 | 0x171)
        _ = bus.storeMemory(Self.fromhost, UInt64(0))
        other.receive([0x72])
        #expect(bus.loadMemory(Self.fromhost, as: UInt64.self) == 1 << 56 | 0x172)
    }

    @Test func deviceTreeNode() {
        #expect(htif.fdtNode(at: 0x100_0000)["reg"] == nil)
        #expect(registers.fdtNode(at: 0x100_0000)["reg"]?.count == 16)
        #expect(htif.fdtNode(at: 0)["compatible"] == Array("ucb,htif0\0".utf8))
    }
}
