import EmuIR
import TestSupport
import Testing

/// The parser of the text form, and the verifier, which sees what the parser lets pass.
@Suite struct TextFuzzTargets {
    @Test func text() {
        let corpus = [Array(TextTests.everyForm.utf8), Array("unit\nblock 16 count 1\n0 :jump->32".utf8)]
        Fuzzing.run("text", cases: 200) { random in
            let text = String(decoding: random.mutated(random.pick(corpus)), as: UTF8.self)
            guard let unit = try? IRUnit(text: text) else { return }
            _ = try? unit.verify()
            _ = unit.description
        }
    }
}
