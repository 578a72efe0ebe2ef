import EmuBus
import EmuDevices
import Testing
import TestSupport

@Suite struct GoldfishRTCTests {
    /// 2025-01-01 00:00:00 UTC in nanoseconds.
    static let epoch: UInt64 = 1_735_689_600_000_000_000
    let events = EventQueue(mode: .virtual)
    let sink = InterruptRecorder()
    let rtc: GoldfishRTC

    init() {
        rtc = GoldfishRTC(
            events: events, interrupt: InterruptLine(sink, 11), wallClock: GoldfishRTC.virtualClock(events, epoch: Self.epoch))
    }

    private func read(_ offset: UInt64) -> UInt64 { rtc.read(offset, size: 4) }
    private func write(_ offset: UInt64, _ value: UInt64) { rtc.write(offset, value, size: 4) }
    private func readTime() -> UInt64 {
        let low = read(0)
        return read(4) << 32 | low
    }
    private func setAlarm(_ time: UInt64) {
        write(0x0C, time >> 32)
        write(0x08, time & 0xFFFF_FFFF)
    }

    @Test func timeFollowsTheClock() {
        #expect(readTime() == Self.epoch)
        events.run(to: 12_345)
        #expect(readTime() == Self.epoch + 12_345)
    }

    @Test func readingTheLowHalfLatchesTheHighHalf() {
        #expect(read(4) == 0)
        _ = read(0)
        events.run(to: 1 << 34)
        #expect(read(4) == Self.epoch >> 32)
        _ = read(0)
        #expect(read(4) == (Self.epoch + 1 << 34) >> 32)
    }

    @Test func theGuestCanSetTheTime() {
        events.run(to: 1000)
        write(4, 1)
        write(0, 5)
        #expect(readTime() == 0x1_0000_0005)
        events.run(to: 1010)
        #expect(readTime() == 0x1_0000_000F)
        rtc.reset()
        #expect(readTime() == Self.epoch + 1010)
    }

    @Test func anAlarmInterruptsWhenItsTimeHasCome() {
        write(0x10, 1)
        setAlarm(Self.epoch + 500)
        #expect(read(0x18) == 1 && read(0x08) == (Self.epoch + 500) & 0xFFFF_FFFF && read(0x0C) == (Self.epoch + 500) >> 32)
        events.run(to: 499)
        #expect(!sink[11])
        events.run(to: 500)
        #expect(sink[11] && read(0x18) == 0)
        write(0x1C, 1)
        #expect(!sink[11])
        events.run(to: 5000)
        #expect(sink.rises[11] == 1)
    }

    @Test func anAlarmInThePastFiresAtOnce() {
        events.run(to: 1000)
        write(0x10, 1)
        setAlarm(Self.epoch)
        #expect(sink[11] && read(0x18) == 0)
    }

    @Test func theInterruptIsMaskedButRemembered() {
        setAlarm(Self.epoch + 500)
        events.run(to: 600)
        #expect(!sink[11])
        write(0x10, 1)
        #expect(sink[11])
        write(0x10, 0)
        #expect(!sink[11])
    }

    @Test func clearingTheAlarmDisarmsIt() {
        write(0x10, 1)
        setAlarm(Self.epoch + 500)
        write(0x14, 1)
        #expect(read(0x18) == 0)
        events.run(to: 1000)
        #expect(!sink[11])
    }

    @Test func settingTheTimeMovesAnArmedAlarm() {
        write(0x10, 1)
        setAlarm(Self.epoch + 1_000_000)
        write(0, (Self.epoch + 999_000) & 0xFFFF_FFFF)
        events.run(to: 999)
        #expect(!sink[11])
        events.run(to: 1000)
        #expect(sink[11])
    }

    @Test func anAlarmBeyondTheEndOfTimeNeverFires() {
        setAlarm(.max)
        #expect(read(0x18) == 1)
        events.run(to: 1 << 60)
        #expect(read(0x18) == 1)
    }

    @Test func unusedOffsetsReadZero() {
        write(0x20, 1)
        #expect(read(0x14) == 0 && read(0x1C) == 0 && read(0x20) == 0 && read(0xFFC) == 0)
    }

    @Test func theHostClockIsAPresentTime() {
        #expect(GoldfishRTC.hostClock() > Self.epoch)
    }

    @Test func stateRoundTrip() throws {
        write(0x10, 1)
        write(4, 7)
        write(0, 0)
        setAlarm(7 << 32 + 1000)
        _ = read(0)
        events.run(to: 400)
        let otherEvents = EventQueue(mode: .virtual)
        otherEvents.restoreVirtual(now: 400)
        let otherSink = InterruptRecorder()
        let other = GoldfishRTC(
            events: otherEvents, interrupt: InterruptLine(otherSink, 11),
            wallClock: GoldfishRTC.virtualClock(otherEvents, epoch: Self.epoch))
        try transplant(rtc, into: other)
        #expect(other.read(4, size: 4) == 7)
        otherEvents.run(to: 999)
        #expect(!otherSink[11])
        otherEvents.run(to: 1000)
        #expect(otherSink[11] && other.time == 7 << 32 + 1000)
    }

    @Test func deviceTreeNode() {
        let node = rtc.fdtNode(at: 0x10_1000, interruptParent: 5)
        #expect(node.name == "rtc@101000" && node["compatible"] == Array("google,goldfish-rtc\0".utf8))
        #expect(node["interrupts"] == [0, 0, 0, 11] && node["interrupt-parent"] == [0, 0, 0, 5])
    }
}
