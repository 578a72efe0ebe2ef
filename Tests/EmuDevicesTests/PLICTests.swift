import EmuBus
import EmuDevices
import Testing
import TestSupport

@Suite struct PLICTests {
    let machine = InterruptRecorder()
    let supervisor = InterruptRecorder()
    let plic: PLIC

    init() { plic = PLIC(sources: 96, contexts: [InterruptLine(machine, 11), InterruptLine(supervisor, 9)]) }

    private func setPriority(_ source: UInt64, _ priority: UInt64) { plic.write(4 * source, priority, size: 4) }
    private func enable(_ context: UInt64, _ sources: Int...) {
        for word in 0..<4 {
            let bits = sources.filter { $0 / 32 == word }.reduce(UInt64(0)) { $0 | 1 << UInt64($1 % 32) }
            plic.write(0x2000 + 0x80 * context + 4 * UInt64(word), bits, size: 4)
        }
    }
    private func setThreshold(_ context: UInt64, _ value: UInt64) { plic.write(0x20_0000 + 0x1000 * context, value, size: 4) }
    private func claim(_ context: UInt64) -> UInt64 { plic.read(0x20_0004 + 0x1000 * context, size: 4) }
    private func complete(_ context: UInt64, _ source: UInt64) { plic.write(0x20_0004 + 0x1000 * context, source, size: 4) }
    private func pending(_ word: UInt64) -> UInt64 { plic.read(0x1000 + 4 * word, size: 4) }

    @Test func anEnabledSourceAboveTheThresholdInterrupts() {
        setPriority(10, 1)
        enable(1, 10)
        plic.setInterrupt(10, level: true)
        #expect(supervisor[9] && !machine[11])
        #expect(pending(0) == 1 << 10)
        #expect(claim(1) == 10)
        #expect(!supervisor[9] && pending(0) == 0)
        plic.setInterrupt(10, level: false)
        complete(1, 10)
        #expect(!supervisor[9] && claim(1) == 0)
    }

    @Test func theThresholdMasksEqualPrioritiesButNotTheClaim() {
        setPriority(3, 4)
        enable(0, 3)
        setThreshold(0, 4)
        plic.setInterrupt(3, level: true)
        #expect(!machine[11])
        setThreshold(0, 3)
        #expect(machine[11])
        setThreshold(0, 7)
        #expect(!machine[11])
        #expect(claim(0) == 3)
    }

    @Test func priorityZeroNeverInterruptsNorIsClaimed() {
        enable(0, 5)
        plic.setInterrupt(5, level: true)
        #expect(!machine[11] && claim(0) == 0 && pending(0) == 1 << 5)
        setPriority(5, 1)
        #expect(machine[11] && claim(0) == 5)
    }

    @Test func theHighestPriorityIsClaimedFirstThenTheLowestNumber() {
        enable(0, 1, 2, 33, 96)
        setPriority(1, 2)
        setPriority(2, 5)
        setPriority(33, 5)
        setPriority(96, 7)
        for source in [33, 1, 2, 96] { plic.setInterrupt(source, level: true) }
        #expect([claim(0), claim(0), claim(0), claim(0), claim(0)] == [96, 2, 33, 1, 0])
    }

    @Test func aClaimTakesTheSourceFromEveryContext() {
        setPriority(7, 1)
        enable(0, 7)
        enable(1, 7)
        plic.setInterrupt(7, level: true)
        #expect(machine[11] && supervisor[9])
        #expect(claim(1) == 7)
        #expect(!machine[11] && !supervisor[9])
        #expect(claim(0) == 0)
    }

    @Test func aHighLevelComesBackOnlyAfterCompletion() {
        setPriority(10, 1)
        enable(0, 10)
        plic.setInterrupt(10, level: true)
        #expect(claim(0) == 10)
        plic.setInterrupt(10, level: false)
        plic.setInterrupt(10, level: true)
        #expect(!machine[11])
        complete(0, 10)
        #expect(machine[11] && pending(0) == 1 << 10)
    }

    @Test func aForwardedRequestOutlivesItsLevel() {
        setPriority(10, 1)
        enable(0, 10)
        plic.setInterrupt(10, level: true)
        plic.setInterrupt(10, level: false)
        #expect(machine[11] && claim(0) == 10)
        complete(0, 10)
        #expect(!machine[11])
    }

    @Test func completionOfASourceNotEnabledIsIgnored() {
        setPriority(10, 1)
        enable(0, 10)
        plic.setInterrupt(10, level: true)
        #expect(claim(0) == 10)
        complete(1, 10)
        #expect(!machine[11])
        enable(0)
        complete(0, 10)
        enable(0, 10)
        #expect(!machine[11])
        complete(0, 10)
        #expect(machine[11])
    }

    @Test func completionOfNonexistentSourcesIsIgnored() {
        for source: UInt64 in [0, 97, 1023, 0xFFFF_FFFF] { complete(0, source) }
        #expect(claim(0) == 0)
    }

    @Test func changingEnablesAndPrioritiesDrivesTheOutput() {
        setPriority(40, 3)
        plic.setInterrupt(40, level: true)
        #expect(!machine[11])
        enable(0, 40)
        #expect(machine[11])
        setPriority(40, 0)
        #expect(!machine[11])
        setPriority(40, 1)
        #expect(machine[11])
        enable(0)
        #expect(!machine[11])
    }

    @Test func registersKeepOnlyImplementedBits() {
        setPriority(1, 0xFFFF_FFFF)
        #expect(plic.read(4, size: 4) == 7)
        setPriority(0, 7)
        #expect(plic.read(0, size: 4) == 0)
        setPriority(97, 7)
        #expect(plic.read(4 * 97, size: 4) == 0)
        for word: UInt64 in 0..<5 { plic.write(0x2000 + 4 * word, 0xFFFF_FFFF, size: 4) }
        #expect((0..<5).map { plic.read(0x2000 + 4 * $0, size: 4) } == [0xFFFF_FFFE, 0xFFFF_FFFF, 0xFFFF_FFFF, 1, 0])
        setThreshold(1, 0xFFFF_FFFA)
        #expect(plic.read(0x20_1000, size: 4) == 2)
    }

    @Test func pendingBitsAreReadOnly() {
        plic.write(0x1000, 0xFFFF_FFFF, size: 4)
        #expect(pending(0) == 0)
        plic.setInterrupt(2, level: true)
        plic.write(0x1000, 0, size: 4)
        #expect(pending(0) == 4)
    }

    @Test func absentContextsReadZeroAndIgnoreWrites() {
        for offset: UInt64 in [0x2100, 0x1F_FFFC, 0x20_2000, 0x20_2004, 0x5F_FFFC, 0x20_0008, 0x1080] {
            plic.write(offset, 0xFFFF_FFFF, size: 4)
            #expect(plic.read(offset, size: 4) == 0)
        }
    }

    @Test func sourcesOutsideTheRangeAreNotWired() {
        for number in [-1, 0, 97, 5000] { plic.setInterrupt(number, level: true) }
        #expect((0..<4).allSatisfy { pending($0) == 0 })
    }

    @Test func resetClearsRegistersAndForwardsLevelsAgain() {
        setPriority(10, 1)
        enable(0, 10)
        plic.setInterrupt(10, level: true)
        _ = claim(0)
        plic.reset()
        #expect(!machine[11] && plic.read(40, size: 4) == 0 && pending(0) == 1 << 10)
        setPriority(10, 1)
        enable(0, 10)
        #expect(machine[11] && claim(0) == 10)
    }

    @Test func stateRoundTrip() throws {
        setPriority(10, 2)
        setPriority(11, 3)
        enable(1, 10, 11)
        setThreshold(1, 1)
        plic.setInterrupt(10, level: true)
        plic.setInterrupt(11, level: true)
        #expect(claim(1) == 11)
        let target = InterruptRecorder()
        let other = PLIC(sources: 96, contexts: [InterruptLine(target, 11), InterruptLine(target, 9)])
        try transplant(plic, into: other)
        #expect(target[9] && !target[11])
        #expect(other.read(0x20_1004, size: 4) == 10)
        #expect(!target[9])
        other.write(0x20_1004, 11, size: 4)
        #expect(target[9] && other.read(0x20_1004, size: 4) == 11)
    }

    @Test func aDamagedStateIsFitted() {
        var state = plic.state
        state.priority = [255, 255]
        state.level = []
        state.pending = [.max, 0, 0, .max, 5]
        state.inService = []
        state.enable = [.max]
        state.threshold = []
        plic.state = state
        #expect(claim(0) == 1)
        #expect(pending(3) == 1)
        plic.setInterrupt(96, level: true)
        #expect(plic.read(0, size: 4) == 0)
    }

    @Test func deviceTreeNode() {
        let node = plic.fdtNode(at: 0xC00_0000, phandle: 5, outputs: [(4, 11), (4, 9)])
        #expect(node.name == "plic@c000000")
        #expect(node["riscv,ndev"] == [0, 0, 0, 96])
        #expect(node["phandle"] == [0, 0, 0, 5])
        #expect(node["interrupt-controller"] == [])
        #expect(node["interrupts-extended"] == [0, 0, 0, 4, 0, 0, 0, 11, 0, 0, 0, 4, 0, 0, 0, 9])
    }
}
