import EmuBus
import EmuDevices
import Testing
import TestSupport

@Suite struct UART16550Tests {
    let events = EventQueue(mode: .virtual)
    let sink = InterruptRecorder()
    let console = BufferedConsole()
    let uart: UART16550

    init() {
        uart = UART16550(events: events, interrupt: InterruptLine(sink, 10))
        uart.backend = console
    }

    private func read(_ register: UInt64) -> UInt64 { uart.read(register, size: 1) }
    private func write(_ register: UInt64, _ value: UInt64) { uart.write(register, value, size: 1) }
    private var interrupted: Bool { sink[10] }
    private func drain(_ count: Int) -> String { String(decoding: (0..<count).map { _ in UInt8(read(0)) }, as: UTF8.self) }

    private func endHold() { events.run(to: events.now + UART16550.holdTime) }

    // MARK: Registers

    @Test func powerOnValues() {
        #expect((0...7).map { read($0) } == [0, 0, 0x01, 0, 0, 0x60, 0xB0, 0])
        #expect(!interrupted)
    }

    @Test func reservedBitsReadZero() {
        write(1, 0xFF)
        write(4, 0xFF)
        write(7, 0xA5)
        #expect(read(1) == 0x0F)
        #expect(read(4) == 0x1F)
        #expect(read(7) == 0xA5)
    }

    @Test func statusRegistersAreReadOnly() {
        write(5, 0xFF)
        write(6, 0xFF)
        #expect(read(5) == 0x60 && read(6) == 0xB0)
    }

    @Test func divisorLatchTakesThePlaceOfDataAndInterruptEnable() {
        write(1, 0x01)
        write(3, 0x83)
        write(0, 0x34)
        write(1, 0x12)
        #expect(read(0) == 0x34 && read(1) == 0x12 && read(3) == 0x83)
        write(3, 0x03)
        #expect(read(1) == 0x01)
        #expect(console.output.isEmpty)
    }

    @Test func wideAccessesReachTheLowestRegister() {
        uart.write(0, 0x4242_4241, size: 4)
        #expect(console.text == "A")
        #expect(uart.read(4, size: 4) == 0)
        #expect(uart.read(8, size: 1) == 0)
    }

    // MARK: Transmitter

    @Test func transmittedBytesReachTheBackendAtOnce() {
        for byte in "ok\n".utf8 { write(0, UInt64(byte)) }
        #expect(console.text == "ok\n")
        #expect(read(5) == 0x60)
    }

    @Test func withoutABackendOutputIsDropped() {
        uart.backend = nil
        write(0, 0x41)
        #expect(read(5) == 0x60)
    }

    @Test func transmitInterruptIsClearedByReadingItsIdentity() {
        write(1, 0x02)
        #expect(interrupted)
        #expect(read(2) == 0x02)
        #expect(!interrupted)
        #expect(read(2) == 0x01)
        write(0, 0x41)
        #expect(interrupted && read(2) == 0x02 && !interrupted)
    }

    @Test func transmitInterruptRisesOnlyWhenNewlyEnabled() {
        write(1, 0x02)
        _ = read(2)
        write(1, 0x02)
        #expect(!interrupted)
        write(1, 0x00)
        write(1, 0x02)
        #expect(interrupted)
    }

    @Test func aHigherInterruptLeavesTheTransmitInterruptPending() {
        write(1, 0x03)
        console.type("x")
        #expect(read(2) == 0x04)
        #expect(read(0) == 0x78)
        #expect(read(2) == 0x02)
        #expect(read(2) == 0x01)
    }

    // MARK: Receiver without FIFOs

    @Test func aReceivedCharacterRaisesDataReady() {
        write(1, 0x01)
        console.type("x")
        #expect(interrupted && read(2) == 0x04 && read(5) == 0x61)
        #expect(read(0) == 0x78)
        #expect(!interrupted && read(5) == 0x60 && read(2) == 0x01)
    }

    @Test func theBackendWaitsForTheHoldingRegister() {
        console.type("abc")
        #expect(uart.receiveCapacity == 0)
        #expect(drain(3) == "abc")
        #expect(read(5) == 0x60)
        #expect(console.readyCalls == 3)
    }

    @Test func withoutFIFOsAnOverrunReplacesTheCharacter() {
        write(1, 0x04)
        uart.receive([0x61, 0x62])
        #expect(interrupted && read(2) == 0x06)
        #expect(read(5) == 0x63)
        #expect(read(5) == 0x61 && !interrupted)
        #expect(read(0) == 0x62)
    }

    // MARK: FIFOs

    @Test func identityShowsEnabledFIFOs() {
        write(2, 0x01)
        #expect(read(2) == 0xC1)
        write(2, 0x00)
        #expect(read(2) == 0x01)
    }

    @Test(arguments: [(UInt64(0x01), 1), (0x41, 4), (0x81, 8), (0xC1, 14)])
    func triggerLevels(control: UInt64, level: Int) {
        write(2, control)
        write(1, 0x01)
        uart.receive(Array(repeating: 0x61, count: level - 1))
        #expect(!interrupted)
        uart.receive([0x61])
        #expect(interrupted && read(2) == 0xC4)
        _ = read(0)
        #expect(!interrupted)
    }

    @Test func theFIFOHoldsSixteenAndAnOverrunLosesTheNewcomer() {
        write(2, 0x01)
        endHold()
        #expect(uart.receiveCapacity == 16)
        uart.receive(Array("0123456789abcdefX".utf8))
        #expect(uart.receiveCapacity == 0)
        #expect(read(5) == 0x63 && read(5) == 0x61)
        #expect(drain(16) == "0123456789abcdef")
        #expect(read(5) == 0x60)
    }

    @Test func theBackendRefillsAsTheGuestReads() {
        write(2, 0x01)
        endHold()
        let text = String(repeating: "the quick brown fox ", count: 10)
        console.type(text)
        #expect(drain(text.utf8.count) == text)
        #expect(read(5) == 0x60)
    }

    @Test func clearingTheReceiveFIFODropsItsContents() {
        write(2, 0x01)
        uart.receive([1, 2, 3])
        write(2, 0x03)
        #expect(read(5) == 0x60 && read(2) == 0xC1)
    }

    @Test func clearBitsCountOnlyTogetherWithTheEnableBit() {
        uart.receive([1])
        write(2, 0x02)
        #expect(read(5) == 0x61)
    }

    @Test func switchingTheFIFOsEmptiesThem() {
        uart.receive([1])
        write(2, 0x01)
        #expect(read(5) == 0x60)
        uart.receive([1, 2])
        write(2, 0x00)
        #expect(read(5) == 0x60)
    }

    @Test func clearingAFullFIFOTellsTheBackend() {
        write(2, 0x01)
        uart.receive(Array(repeating: 0, count: 16))
        write(2, 0x03)
        #expect(console.readyCalls == 0)
        endHold()
        #expect(drain(16) == String(repeating: "\0", count: 16))
        #expect(console.readyCalls > 0)
    }

    @Test func aClearedReceiverHoldsTheLineAndGetsUnreadInputAgain() {
        write(2, 0x01)
        endHold()
        console.type("poweroff -f\n")
        // What Linux's driver does when it opens the port.
        write(2, 0x03)
        #expect(read(5) == 0x60 && read(0) == 0)
        console.type("more")
        #expect(read(5) == 0x60)
        let copy = uart.state
        endHold()
        #expect(drain(16) == "poweroff -f\nmore")
        uart.state = copy
        endHold()
        #expect(drain(12) == "poweroff -f\n")
    }

    @Test func inputTakenBackTwiceKeepsItsOrder() {
        write(2, 0x01)
        endHold()
        console.type("abcdef")
        write(2, 0x00)
        endHold()
        // One character has arrived again, the others wait.
        write(2, 0x01)
        endHold()
        #expect(drain(6) == "abcdef")
    }

    // MARK: Receive time-out

    /// 115200 baud, 8 data bits, no parity, one stop bit: 10 bits of 1/115200 s.
    private let fourCharacters: UInt64 = 4 * 10 * 1_000_000_000 / 115_200

    private func setUpTimeout() {
        write(3, 0x83)
        write(0, 2)
        write(1, 0)
        write(3, 0x03)
        write(2, 0xC1)
        write(1, 0x01)
    }

    @Test func charactersBelowTheTriggerTimeOutAfterFourCharacterTimes() {
        setUpTimeout()
        uart.receive([0x61, 0x62])
        events.run(to: fourCharacters - 5)
        #expect(!interrupted && read(2) == 0xC1)
        events.run(to: fourCharacters)
        #expect(interrupted && read(2) == 0xCC)
    }

    @Test func aNewCharacterOrAReadRestartsTheTimeout() {
        setUpTimeout()
        uart.receive([0x61, 0x62])
        events.run(to: fourCharacters / 2)
        uart.receive([0x63])
        events.run(to: fourCharacters)
        #expect(!interrupted)
        _ = read(0)
        events.run(to: fourCharacters * 3 / 2)
        #expect(!interrupted)
        events.run(to: fourCharacters * 2)
        #expect(interrupted)
    }

    @Test func readingTheBufferClearsTheTimeoutInterrupt() {
        setUpTimeout()
        uart.receive([0x61, 0x62])
        events.run(to: fourCharacters)
        #expect(interrupted)
        #expect(read(0) == 0x61)
        #expect(!interrupted)
        events.run(to: fourCharacters * 2)
        #expect(interrupted && read(2) == 0xCC)
        #expect(read(0) == 0x62)
        events.run(to: fourCharacters * 100)
        #expect(!interrupted && events.nextDeadline == .max)
    }

    @Test(arguments: [(UInt64(0x00), UInt64(14)), (0x03, 20), (0x07, 22), (0x04, 15), (0x1F, 24)])
    func characterTimeFollowsTheLineFormat(lineControl: UInt64, halfBits: UInt64) {
        setUpTimeout()
        write(3, lineControl)
        uart.receive([0x61])
        let time = 4 * (halfBits * 16 * 1_000_000_000 / 3_686_400)
        events.run(to: time - 1)
        #expect(!interrupted)
        events.run(to: time)
        #expect(interrupted)
    }

    @Test func aZeroDivisorIsHarmless() {
        setUpTimeout()
        write(3, 0x83)
        write(0, 0)
        write(3, 0x03)
        uart.receive([0x61])
        events.run(to: 1_000_000)
        #expect(interrupted)
    }

    // MARK: Line errors

    @Test func aBreakIsANullCharacterWithItsFlag() {
        write(1, 0x05)
        uart.receiveBreak()
        #expect(read(2) == 0x06)
        #expect(read(5) == 0x71)
        #expect(read(5) == 0x61)
        #expect(read(2) == 0x04 && read(0) == 0)
    }

    @Test func inTheFIFOABreakShowsWhenItsCharacterReachesTheTop() {
        write(2, 0x01)
        uart.receive([0x61])
        uart.receiveBreak()
        uart.receive([0x62])
        #expect(read(5) == 0xE1)
        #expect(read(0) == 0x61)
        #expect(read(5) == 0xF1)
        #expect(read(5) == 0x61)
        #expect(drain(2) == "\0b")
    }

    @Test func lineStatusPrecedesDataTransmitAndModemInterrupts() {
        write(1, 0x0F)
        write(4, 0x10)  // loopback drops CTS, DSR and DCD
        write(4, 0x00)
        uart.receiveBreak()
        #expect(read(2) == 0x06)
        _ = read(5)
        #expect(read(2) == 0x04)
        _ = read(0)
        #expect(read(2) == 0x02)
        #expect(read(2) == 0x00)
        #expect(interrupted)
        #expect(read(6) == 0xBB)
        #expect(read(2) == 0x01 && !interrupted)
    }

    @Test func breakControlReachesTheBackend() {
        write(3, 0x43)
        write(3, 0x43)
        write(3, 0x03)
        #expect(console.breaks == [true, false])
    }

    // MARK: Loopback and modem

    @Test func loopbackReturnsOutputToTheReceiver() {
        write(2, 0x01)
        write(4, 0x10)
        write(0, 0x5A)
        #expect(console.output.isEmpty)
        #expect(read(5) == 0x61 && read(0) == 0x5A)
    }

    @Test func loopbackOverruns() {
        write(4, 0x10)
        write(0, 1)
        write(0, 2)
        #expect(read(5) == 0x63 && read(0) == 2)
    }

    @Test func loopbackCutsTheLineOffUntilItEnds() {
        write(4, 0x10)
        console.type("later")
        #expect(uart.receiveCapacity == 0 && read(5) == 0x60)
        write(4, 0x00)
        #expect(drain(5) == "later")
    }

    @Test(arguments: [(UInt64(0x11), UInt64(0x20)), (0x12, 0x10), (0x14, 0x40), (0x18, 0x80), (0x1A, 0x90)])
    func loopbackConnectsModemOutputsToInputs(control: UInt64, status: UInt64) {
        write(4, control)
        #expect(read(6) & 0xF0 == status)
        write(4, 0)
        #expect(read(6) & 0xF0 == 0xB0)
    }

    @Test func modemChangesAreReportedOnce() {
        write(4, 0x1B)  // CTS, DSR and DCD stay asserted
        #expect(read(6) == 0xB0)
        write(4, 0x19)
        #expect(read(6) == 0xA1)
        #expect(read(6) == 0xA0)
    }

    @Test func onlyTheEndOfARingIsReported() {
        write(4, 0x1B)
        write(4, 0x1F)
        #expect(read(6) == 0xF0)
        write(4, 0x1B)
        #expect(read(6) == 0xB4)
    }

    @Test func aBreakInLoopbackReachesTheOwnReceiver() {
        write(4, 0x10)
        write(3, 0x40)
        #expect(read(5) == 0x71)
        #expect(console.breaks.isEmpty)
    }

    // MARK: Reset and state

    @Test func resetReturnsToPowerOn() {
        setUpTimeout()
        write(7, 9)
        uart.receive([1, 2])
        uart.reset()
        #expect((1...7).map { read($0) } == [0, 0x01, 0, 0, 0x60, 0xB0, 0])
        #expect(events.nextDeadline == .max && !interrupted)
    }

    @Test func stateRoundTrip() throws {
        setUpTimeout()
        write(4, 0x0B)
        uart.receive([0x61])
        uart.receiveBreak()
        events.run(to: 1000)
        let otherEvents = EventQueue(mode: .virtual)
        otherEvents.restoreVirtual(now: 1000)
        let otherSink = InterruptRecorder()
        let other = UART16550(events: otherEvents, interrupt: InterruptLine(otherSink, 10))
        try transplant(uart, into: other)
        otherEvents.run(to: fourCharacters - 5)
        #expect(!otherSink[10])
        otherEvents.run(to: fourCharacters)
        #expect(otherSink[10] && other.read(2, size: 1) == 0xCC)
        #expect(other.read(4, size: 1) == 0x0B)
        #expect(other.read(5, size: 1) == 0xE1 && other.read(0, size: 1) == 0x61)
        #expect(other.read(5, size: 1) == 0xF1 && other.read(0, size: 1) == 0)
    }

    @Test func anOverfullSavedFIFOIsCut() {
        var state = uart.state
        state.received = Array(repeating: 0x61, count: 99)
        uart.state = state
        #expect(uart.receiveCapacity == 0)
        _ = read(0)
        #expect(uart.receiveCapacity == 1)
    }

    @Test func deviceTreeNode() {
        let node = uart.fdtNode(at: 0x1000_0000, interruptParent: 5)
        #expect(node.name == "serial@10000000")
        #expect(node["compatible"] == Array("ns16550a\0".utf8))
        #expect(node["clock-frequency"] == [0, 0x38, 0x40, 0])
        #expect(node["interrupts"] == [0, 0, 0, 10])
    }
}
