import EmuControl
import TestSupport
import Testing

/// What debuggers send, and the files they are given.
@Suite struct ControlFuzzTargets {
    @Test func packets() {
        let corpus = ["qSupported:swbreak+", "m80000000,40", "M80000000,4:00112233", "Z0,80000000,4", "vCont;s:1;c", "qXfer:features:read:target.xml:0,fff", "X80000000,2:}\u{3}}]", "P0=0000000000000000"]
            .map { GDBPacket.frame(Array($0.utf8)) }
        Fuzzing.run("packets", cases: 200) { random in
            var reader = GDBPacketReader()
            for byte in random.mutated(random.pick(corpus)) + random.mutated(random.pick(corpus)) { _ = reader.take(byte) }
        }
    }

    @Test(arguments: [SymbolFixture.riscvDWARF5, .riscvDWARF4, .riscvCompressed]) func symbolFiles(fixture: SymbolFixture) throws {
        let whole = try fixture.bytes()
        Fuzzing.run("symbolFiles(\(fixture))", cases: 10) { random in interrogate(random.mutated(whole)) }
    }
}
