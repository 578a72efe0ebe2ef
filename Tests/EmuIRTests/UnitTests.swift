import EmuIR
import Testing

@Suite struct UnitTests {
    @Test func aBlockIsFoundByTheOffsetItStartsAt() {
        let unit = IRUnit(blocks: [
            IRBlock(offset: 0x10, guestCount: 1, terminator: .jump(0x20), terminatorGuest: 0),
            IRBlock(offset: 0x20, guestCount: 1, terminator: .jump(0x10), terminatorGuest: 0),
        ])
        #expect(unit.index(of: 0x20) == 1)
        #expect(unit.index(of: 0x22) == nil)
    }
}
