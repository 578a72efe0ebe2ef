import EmuBus
import Testing
import emulate

@Suite struct ValuesTests {
    @Test(arguments: [
        ("1", 1 << 20), ("2G", 2 << 30), ("2g", 2 << 30), ("512M", 512 << 20), ("64k", 64 << 10), ("1T", 1 << 40), ("4096B", 4096),
        ("0x100", 256 << 20), ("1.5G", 3 << 29), ("0.5M", 1 << 19), ("0", 0),
    ] as [(String, UInt64)])
    func sizesTakeQEMUsUnits(text: String, bytes: UInt64) {
        #expect(Values.size(text, unit: 1 << 20) == bytes)
    }

    @Test(arguments: ["", "M", "-1", "1Q", "1MM", "1 M", "1.5", ".5G", "1.G", "1.x5G", "99999999999999999999", "20000000T", "17E", "0x", "+1"])
    func malformedSizesAreRefused(text: String) {
        #expect(Values.size(text) == nil)
    }

    @Test(arguments: ["on", "yes", "true", "y"]) func truthValues(text: String) { #expect(Values.bool(text) == true) }
    @Test(arguments: ["off", "no", "false", "n"]) func falseValues(text: String) { #expect(Values.bool(text) == false) }
    @Test(arguments: ["", "ON", "1", "0", "maybe"]) func otherWordsAreNoTruthValues(text: String) { #expect(Values.bool(text) == nil) }

    @Test(arguments: [
        ("0x1000+0x20", 0x1000...0x101f), ("1000+1", 0x1000...0x1000), ("0x1000-0x10", 0xff1...0x1000), ("10-20", 0...0x10),
        ("8000..8fff", 0x8000...0x8fff), ("ffffffffffffff00+1000", 0xffff_ffff_ffff_ff00...UInt64.max),
    ] as [(String, ClosedRange<UInt64>)])
    func addressRangesAreQEMUs(text: String, range: ClosedRange<UInt64>) { #expect(Values.addressRange(text) == range) }

    @Test(arguments: ["", "0x1000", "+10", "1000+0", "9..8", "1000+g", "1000..", "..8"])
    func malformedAddressRangesAreRefused(text: String) { #expect(Values.addressRange(text) == nil) }

    @Test func addressesAreChecked() {
        #expect(Values.isIPv4Address("10.0.2.15"))
        for text in ["10.0.2", "10.0.2.256", "10.0.2.1.1", "a.b.c.d", "10..2.1", ""] { #expect(!Values.isIPv4Address(text)) }
        #expect(Values.isUnicastMAC("52:54:00:12:34:56"))
        for text in ["53:54:00:12:34:56", "52:54:00:12:34", "52-54-00-12-34-56", "52:54:00:12:34:5g", "+2:54:00:12:34:56"] {
            #expect(!Values.isUnicastMAC(text))
        }
    }

    @Test func datesCountFrom1970() {
        #expect(CalendarDate.seconds("1970-01-01") == 0)
        #expect(CalendarDate.seconds("2000-03-01T00:00:01") == 951_868_801)
        #expect(CalendarDate.seconds("2026-08-01T12:30:45") == 1_785_587_445)
        for text in ["2026-02-29", "2026-13-01", "1969-01-01", "2026-08-01T24:00:00", "2026-8-1", "soon", "2026-08-01T12:00", ""] {
            #expect(CalendarDate.seconds(text) == nil)
        }
    }

    @Test func editDistanceCountsInsertionsDeletionsReplacementsAndSwaps() {
        #expect(editDistance("kernel", "kernel") == 0)
        #expect(editDistance("kernl", "kernel") == 1)
        #expect(editDistance("kernell", "kernel") == 1)
        #expect(editDistance("kernal", "kernel") == 1)
        #expect(editDistance("krenel", "kernel") == 1)
        #expect(editDistance("", "abc") == 3)
        #expect(editDistance("abc", "") == 3)
    }

    @Test func theNearestNameIsSuggestedAndFarOnesAreNot() {
        let names = ["machine", "memory", "monitor", "m"]
        #expect(nearest(to: "machne", among: names) == "machine")
        #expect(nearest(to: "MONITOR", among: names) == "monitor")
        #expect(nearest(to: "mach", among: names) == "machine")
        #expect(nearest(to: "xyzzy", among: names) == nil)
        #expect(nearest(to: "anything", among: []) == nil)
    }
}
