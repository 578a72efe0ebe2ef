import EmuControl
import Testing

@Suite struct SymbolPlaceTests {
    @Test("a place is written as its symbol, with the distance in hexadecimal unless it is the symbol itself")
    func text() {
        #expect(SymbolPlace(name: "main", offset: 0).text == "main")
        #expect(SymbolPlace(name: "main", offset: 0x1c).text == "main+0x1c")
    }
}
