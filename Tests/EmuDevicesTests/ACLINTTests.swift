import EmuBus
import EmuDevices
import Testing
import TestSupport

@Suite struct ACLINTTests {
    let events = EventQueue(mode: .virtual)
    let harts = [InterruptRecorder(), InterruptRecorder()]
    let clint: ACLINT

    init() { clint = ACLINT(events: events, harts: harts) }

    @Test func mtimeCountsTenMillionTicksASecond() {
        #expect(clint.ticks() == 0)
        events.run(to: 99)
        #expect(clint.ticks() == 0)
        events.run(to: 1_000_000_000)
        #expect(clint.ticks() == 10_000_000)
        #expect(clint.read(0xBFF8, size: 8) == 10_000_000)
    }

    @Test func mtimeReadsAndWritesInHalves() {
        clint.write(0xBFF8, 0x1_2345_6789, size: 8)
        clint.write(0xBFFC, 7, size: 4)
        #expect(clint.read(0xBFF8, size: 8) == 0x7_2345_6789)
        #expect(clint.read(0xBFF8, size: 4) == 0x2345_6789)
        #expect(clint.read(0xBFFC, size: 4) == 7)
        events.run(to: 1000)
        #expect(clint.ticks() == 0x7_2345_6789 + 10)
    }

    @Test func msipHoldsOneBitAndDrivesMipBit3() {
        clint.write(4, 0xFFFF_FFFF, size: 4)
        #expect(clint.read(4, size: 4) == 1)
        #expect(clint.read(0, size: 4) == 0)
        #expect(!harts[0][3] && harts[1][3])
        clint.write(4, 0xFFFF_FFFE, size: 4)
        #expect(clint.read(4, size: 4) == 0)
        #expect(!harts[1][3])
    }

    @Test func doublewordAccessReachesTwoMsips() {
        clint.write(0, 0x1_0000_0001, size: 8)
        #expect(harts[0][3] && harts[1][3])
        #expect(clint.read(0, size: 8) == 0x1_0000_0001)
    }

    @Test func timerInterruptFollowsTheComparison() {
        clint.write(0x4008, 5, size: 8)
        events.run(to: 499)
        #expect(!harts[1][7])
        events.run(to: 500)
        #expect(harts[1][7] && !harts[0][7])
        clint.write(0x4008, 6, size: 8)
        #expect(!harts[1][7])
        events.run(to: 600)
        #expect(harts[1][7])
    }

    @Test func mtimecmpIsWritableInHalves() {
        clint.write(0x4000, 0xFFFF_FFFF, size: 4)
        clint.write(0x4004, 0, size: 4)
        clint.write(0x4000, 3, size: 4)
        #expect(clint.read(0x4000, size: 8) == 3)
        #expect(clint.read(0x4004, size: 4) == 0)
        events.run(to: 300)
        #expect(harts[0][7])
    }

    @Test func comparatorsAreDisarmedAfterReset() {
        events.run(to: 1_000_000)
        #expect(!harts[0][7])
        clint.write(0x4000, 1, size: 8)
        clint.write(0, 1, size: 4)
        #expect(harts[0][7] && harts[0][3])
        clint.reset()
        #expect(!harts[0][7] && !harts[0][3])
        #expect(clint.ticks() == 0)
        events.run(to: 2_000_000)
        #expect(clint.ticks() == 10_000)
    }

    @Test func writingMtimeComparesAgain() {
        var moved = 0
        clint.timeChanged = { moved += 1 }
        clint.write(0x4000, 1000, size: 8)
        clint.write(0xBFF8, 1000, size: 8)
        #expect(harts[0][7] && moved == 1)
        clint.write(0xBFF8, 0, size: 8)
        #expect(!harts[0][7])
        events.run(to: 100_000)
        #expect(harts[0][7])
    }

    @Test func theWrapOfMtimeEndsThePendingInterrupt() {
        clint.write(0x4000, 100, size: 8)
        clint.write(0xBFF8, .max - 9, size: 8)
        #expect(harts[0][7])
        events.run(to: 999)
        #expect(harts[0][7])
        events.run(to: 1000)
        #expect(clint.ticks() == 0 && !harts[0][7])
        events.run(to: 11_000)
        #expect(harts[0][7])
    }

    @Test func aFarComparatorNeverFires() {
        clint.write(0x4000, .max - 1, size: 8)
        #expect(clint.nextChange(comparing: .max - 1) == nil)
        #expect(events.nextDeadline == .max)
        #expect(!harts[0][7])
    }

    @Test func unusedRegistersReadZeroAndIgnoreWrites() {
        for offset: UInt64 in [8, 0x3FF8, 0x4010, 0xBFF0, 0xC000, 0xFFF8] {
            clint.write(offset, .max, size: 8)
            #expect(clint.read(offset, size: 8) == 0)
            #expect(clint.read(offset + 4, size: 4) == 0)
        }
        #expect(!harts[0][3] && !harts[1][3] && !harts[0][7] && !harts[1][7])
    }

    @Test func stateRoundTrip() throws {
        clint.write(4, 1, size: 4)
        clint.write(0xBFF8, 500, size: 8)
        clint.write(0x4000, 600, size: 8)
        events.run(to: 2000)
        let otherEvents = EventQueue(mode: .virtual)
        otherEvents.restoreVirtual(now: 2000)
        let otherHarts = [InterruptRecorder(), InterruptRecorder()]
        let other = ACLINT(events: otherEvents, harts: otherHarts)
        try transplant(clint, into: other)
        #expect(other.ticks() == 520)
        #expect(otherHarts[1][3] && !otherHarts[0][3])
        otherEvents.run(to: 9_999)
        #expect(!otherHarts[0][7])
        otherEvents.run(to: 10_000)
        #expect(otherHarts[0][7])
    }

    @Test func aStateOfAnotherHartCountIsFitted() {
        var state = clint.state
        state.msip = [1]
        state.mtimecmp = [1, 2, 3]
        clint.state = state
        clint.write(4, 1, size: 4)
        #expect(clint.read(0, size: 8) == 0x1_0000_0001)
    }

    @Test func deviceTreeNode() {
        let node = clint.fdtNode(at: 0x200_0000, interruptControllers: [2, 4])
        #expect(node.name == "clint@2000000")
        #expect(node["compatible"] == Array("sifive,clint0\0riscv,clint0\0".utf8))
        #expect(node["interrupts-extended"]?.count == 32)
        #expect(node["interrupts-extended"]?.enumerated().filter { $0.offset % 4 == 3 }.map(\.element) == [2, 3, 2, 7, 4, 3, 4, 7])
    }
}
