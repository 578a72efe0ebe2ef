import EmuBus
import EmuDevices
import TestSupport
import Testing

@Suite struct ACLINTSSWITests {
    private let harts = [InterruptRecorder(), InterruptRecorder()]

    @Test func writingOneRaisesAnEdgeAtThatHart() {
        let sswi = ACLINTSSWI(harts: harts)
        sswi.write(4, 1, size: 4)
        sswi.write(4, 0xffff_ffff, size: 4)
        #expect(harts.map { $0.rises[1] ?? 0 } == [0, 2])
        #expect(harts[1].high.isEmpty)
    }

    @Test func evenValuesAndAbsentHartsDoNothing() {
        let sswi = ACLINTSSWI(harts: harts)
        sswi.write(0, 2, size: 4)
        sswi.write(8, 1, size: 4)
        sswi.write(0x3ffc, 1, size: 4)
        #expect(harts.map { $0.rises.count } == [0, 0])
        #expect(sswi.read(0, size: 4) == 0)
    }
}
