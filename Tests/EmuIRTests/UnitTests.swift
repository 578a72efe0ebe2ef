import EmuIR
import Testing

@Suite struct UnitTests {
    @Test func aBlockIsFoundByTheOffsetItStartsAt() {
        let unit = Unit(blocks: [
            Block(offset: 0x10, guestCount: 1, terminator: .jump(0x20), terminatorGuest: 0),
            Block(offset: 0x20, guestCount: 1, terminator: .jump(0x10), terminatorGuest: 0),
        ])
        #expect(unit.index(of: 0x20) == 1)
        #expect(unit.index(of: 0x22) == nil)
    }
}
