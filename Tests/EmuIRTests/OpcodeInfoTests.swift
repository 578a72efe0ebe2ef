import EmuIR
import Testing

@Suite struct OpcodeInfoTests {
    @Test func everyOpcodeHasItsRow() {
        #expect(OpcodeInfo.table.count == Opcode.allCases.count)
        #expect(Opcode.allCases.allSatisfy { $0.info.opcode == $0 })
    }

    @Test func namesAreUnique() {
        let names = Opcode.allCases.map { $0.info.name.description }
        #expect(Set(names).count == names.count)
    }

    @Test func whatAccessesMemoryMayLeaveAndIsNotPure() {
        for info in OpcodeInfo.table where info.readsMemory || info.writesMemory {
            #expect(info.mayLeave && !info.isPure, "\(info.name)")
        }
        #expect(OpcodeInfo.table.filter { $0.shape.syntax == .load }.allSatisfy { $0.readsMemory && ($0.accessBytes > 0 || $0.isVector) })
        #expect(OpcodeInfo.table.filter { $0.shape.syntax == .store }.allSatisfy { $0.writesMemory && ($0.accessBytes > 0 || $0.isVector) })
    }

    @Test func theNumberOfBytesIsTheOneInTheName() {
        for info in OpcodeInfo.table where info.accessBytes > 0 {
            let bits = info.name.description.split(separator: ".")[1].filter(\.isNumber)
            #expect(Int(bits) == 8 * Int(info.accessBytes), "\(info.name)")
        }
    }

    @Test func whatHasAFloatingOperandIsGuarded() {
        for info in OpcodeInfo.table where !info.isVector {
            let kinds = [info.shape.dst, info.shape.a, info.shape.b, info.shape.c]
            #expect(kinds.contains(.float) == info.isGuarded, "\(info.name)")
        }
    }

    @Test func whatMayRaiseAFloatingExceptionIsNotPure() {
        let pure = OpcodeInfo.table.filter { $0.isGuarded && $0.isPure }.map { $0.name.description }
        #expect(pure.allSatisfy { $0.hasPrefix("fsgnj") || $0.hasPrefix("fmv") })
        #expect(pure.count == 10)
    }

    @Test func vectorOperationsAreThoseWithVectorOperandsOrATypeAndMayBeLeftToTheInterpreter() {
        for info in OpcodeInfo.table {
            let kinds = [info.shape.dst, info.shape.a, info.shape.b, info.shape.c]
            #expect((kinds.contains(.vector) || info.name.description.hasPrefix("vset") || info.opcode == .vgetLength) == info.isVector, "\(info.name)")
            #expect(!info.isVector || info.mayLeave && !info.isPure, "\(info.name)")
        }
    }
}
