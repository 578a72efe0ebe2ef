import EmuIR
import TestSupport
import Testing

/// The parser of the text form, and the verifier, which sees what the parser lets pass.
@Suite struct TextFuzzTargets {
    @Test func text() {
        Fuzzing.read("ir-text", cases: 200, seeds: [Array(TextTests.everyForm.utf8), Array("unit\nblock 16 count 1\n0 :jump->32".utf8)]) { bytes in
            guard let unit = try? IRUnit(text: String(decoding: bytes, as: UTF8.self)) else { return }
            _ = try? unit.verify()
            _ = unit.description
        }
    }
}
