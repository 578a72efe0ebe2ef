import EmuBus
import EmuDevices
import Testing

@Suite struct TestFinisherTests {
    private func requests(_ writes: (offset: UInt64, value: UInt64, size: Int)...) -> [PowerRequest] {
        var seen: [PowerRequest] = []
        let finisher = TestFinisher { seen.append($0) }
        for access in writes { finisher.write(access.offset, access.value, size: access.size) }
        return seen
    }

    @Test func passPowersOffWithTheCodeOfTheHighHalf() {
        #expect(requests((0, 0x5555, 4)) == [.poweroff(code: 0)])
        #expect(requests((0, 0x7_5555, 4)) == [.poweroff(code: 7)])
    }

    @Test func failReportsTheCodeOfTheHighHalf() {
        #expect(requests((0, 0xFFFF_3333, 4)) == [.failure(code: 0xFFFF)])
    }

    @Test func resetIsRequested() {
        #expect(requests((0, 0x7777, 4)) == [.reset])
    }

    @Test func halfwordWritesCarryNoCode() {
        #expect(requests((0, 0x5555, 2), (0, 0x3333, 2)) == [.poweroff(code: 0), .failure(code: 0)])
    }

    @Test func otherValuesAndOffsetsDoNothing() {
        #expect(requests((0, 0, 4), (0, 0x5554, 4), (2, 0x5555, 2), (4, 0x5555, 4)) == [])
    }

    @Test func readsAreZero() {
        #expect(TestFinisher { _ in }.read(0, size: 4) == 0)
    }

    @Test func deviceTreeNodes() {
        let node = TestFinisher { _ in }.fdtNode(at: 0x10_0000, phandle: 6)
        #expect(node.name == "test@100000" && node["phandle"] == [0, 0, 0, 6])
        #expect(node["compatible"] == Array("sifive,test1\0sifive,test0\0syscon\0".utf8))
        let power = TestFinisher.powerNodes(finisher: 6)
        #expect(power.map(\.name) == ["poweroff", "reboot"])
        #expect(power.map { $0["value"] } == [[0, 0, 0x55, 0x55], [0, 0, 0x77, 0x77]])
        #expect(power.allSatisfy { $0["regmap"] == [0, 0, 0, 6] && $0["offset"] == [0, 0, 0, 0] })
    }
}
