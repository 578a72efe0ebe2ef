import EmuBus
import EmuCPU
import TestSupport
import Testing

/// Every row of the instruction table that does no vector arithmetic, executed by the interpreter on random operands and by
/// `InstructionReference`. (Vector rows: `VectorArithmeticTests`, `VectorMemoryTests`.)
@Suite struct InstructionReferenceTests {
    private static let rows = RVTable.all.filter { !$0.isVector || $0.format.layout == .vset || $0.format.layout == .vseti || $0.op == .vsetvl }
    private static let decoder = RVDecoder(extensions: DecodeTableTests.everything)

    @Test func instructionsDoWhatTheManualsSay() throws {
        let machine = try InstructionMachine()
        var random = SplitMix(seed: 7)
        var tested: [String] = []
        for row in Self.rows {
            var (done, attempts) = (0, 0)
            let wanted = InstructionMachine.isFloat(row) ? 100 : 150
            var failure: String?
            while done < wanted, attempts < 40 * wanted, failure == nil {
                attempts += 1
                guard let bits = instance(of: row, &random) else { continue }
                done += 1
                failure = try machine.compare(row, bits, &random)
            }
            #expect(failure == nil, "\(row.name): \(failure ?? "")")
            #expect(done >= 10 || row.mask.nonzeroBitCount > (row.length == 2 ? 12 : 28) && done > 0, "\(row.name) was hardly ever made: \(done)")
            if failure == nil { tested.append(row.name) }
        }
        CoverageLog.write("tested-scalar", tested)
    }

    /// Random bits that decode to the row and not to one that refines it.
    private func instance(of row: RVInstruction, _ random: inout SplitMix) -> UInt32? {
        var free = UInt32(truncatingIfNeeded: random.next())
        if row.format.operands.contains(.csr) { free = free & 0xfffff | UInt32(RVCSR.mscratch.rawValue) << 20 }
        // Mostly a rounding mode there is.
        if row.format.operands.contains(.rounding), random.below(4) != 0 { free |= 7 << 12 }
        if InstructionMachine.reachesMemory(row), row.length == 4, free >> 15 & 31 == 0 { free |= 9 << 15 }
        let bits = row.match | free & ~row.mask & (row.length == 2 ? 0xffff : .max)
        guard let found = Self.decoder.position(of: bits).map({ RVTable.all[$0] }) else { return nil }
        // A row that always gives way to another is still what the other is without its extension, or while that is off.
        return found.name == row.name || found.refines.contains(row.name) && found.mask == row.mask ? bits : nil
    }

    /// The table is what the report is made of.
    @Test func everyRowHasATestThatComparesIt() {
        let vectors = RVInstruction.vectors.map(\.name)
        #expect(Set(Self.rows.map(\.name)).union(vectors) == Set(RVTable.all.map(\.name)))
        CoverageLog.write("rows", RVTable.all.map { row in
            let extensions = row.needs.alternatives.first.map { $0.members.map(\.name).joined(separator: "+") } ?? ""
            return "\(row.name)\t\(extensions)"
        })
    }
}

/// A hart in M-mode that executes one instruction after the other, and the reference beside it.
final class InstructionMachine {
    private let machine: FuzzMachine
    private var reference: InstructionReference
    private var place = FuzzMap.code
    private static let memorySize = FuzzMap.dataPages << 12
    private var cpu: RVProcessor { machine.cpu }

    init() throws {
        machine = try FuzzMachine(.interpreter, cpu: "max,smrnmi=on,vlen=128")
        reference = InstructionReference(base: FuzzMap.data, vlen: 128)
        machine[.pmpaddr0] = .max
        machine[.pmpcfg0] = 0x1f
        machine[.mtvec] = FuzzMap.machineHandler
        machine[.mnstatus] = 8
        machine[.mstatus] = 0x6600
        var random = SplitMix(seed: 1)
        reference.memory = (0..<Self.memorySize).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    static func isFloat(_ row: RVInstruction) -> Bool { row.name.hasPrefix("f") && !row.name.hasPrefix("fence") }

    static func reachesMemory(_ row: RVInstruction) -> Bool { row.format.operands.contains(.memory) || row.format.operands.contains(.address) }

    /// Executes an instance of a row on both with random registers; what differs, or nil.
    func compare(_ row: RVInstruction, _ bits: UInt32, _ random: inout SplitMix) throws -> String? {
        place += 4
        if place >= FuzzMap.code + UInt64(FuzzMap.codePages) << 12 {
            place = FuzzMap.code
            machine.cache.flushAll()
        }
        setRegisters(row, bits, &random)
        loadMachine()
        machine.place([bits], at: place)
        reference.pc = place
        if row.op == .sc_w || row.op == .sc_d, random.below(3) != 0 { try reserve(bits) }
        cpu.pc = place
        let before = reference
        guard let outcome = reference.execute(row.name, bits) else { return "there is no reference" }
        _ = machine.run(1)
        defer {
            // A trap, any, ends waiting.
            if cpu.isInWFI { cpu.takeTrap(cause: 8, value: 0, pc: place) }
            cpu.privilege = 3
        }
        return difference(before, outcome).map { "\(String(bits, radix: 16)) \($0)" }
    }

    private func setRegisters(_ row: RVInstruction, _ bits: UInt32, _ random: inout SplitMix) {
        for register in 1..<32 { reference.x[register] = FuzzCase.value(&random) }
        for register in 0..<32 { reference.f[register] = FuzzCase.floatValue(&random) }
        if Self.isFloat(row) { setFloatOperands(row, bits, &random) }
        reference.flags = UInt8(random.below(32))
        reference.rounding = UInt8(random.below(16) == 0 ? random.below(8) : random.below(5))
        reference.status = [0, 1, 3][random.below(3)] << 11 | random.next() & InstructionReference.followedStatus & ~(3 << 11)
        // Where data accesses go by MPP's rights is another test's business.
        if ![.mret, .sret, .mnret].contains(row.op) { reference.status &= ~(1 << 17) }
        reference.privilege = 3
        (reference.mepc, reference.sepc, reference.mnepc) = (random.next() & ~1, random.next() & ~1, random.next() & ~1)
        reference.mnstatus = 8 | [0, 1, 3][random.below(3)] << 11
        reference.mscratch = random.next()
        if row.op == .vsetvl, bits >> 20 & 31 != 0 { reference.x[Int(bits >> 20 & 31)] = UInt64(random.below(random.below(4) == 0 ? 2048 : 256)) }
        if row.op == .vsetvli || row.op == .vsetvl, bits >> 15 & 31 != 0, random.below(2) == 0 { reference.x[Int(bits >> 15 & 31)] = UInt64(random.below(200)) }
        if Self.reachesMemory(row) { setPointer(row, bits, &random) }
    }

    /// Numbers of the format the name ends in, or of any.
    private func setFloatOperands(_ row: RVInstruction, _ bits: UInt32, _ random: inout SplitMix) {
        let source = row.name.split(separator: ".").last ?? ""
        guard let format = InstructionReference.format(source) ?? FloatFormat.allCases[random.below(3)].reference as FloatReference?, random.below(16) != 0 else { return }
        var operands = FloatOperands(format, seed: random.next())
        let boxes = format.width == 64 ? 0 : UInt64.max << UInt64(format.width)
        let (a, b, c) = operands.three()
        let special = operands.special
        for (place, value) in zip([15, 20, 27] as [UInt32], [a, b, c]) {
            reference.f[Int(bits >> place & 31)] = boxes | (random.below(6) == 0 ? special[random.below(special.count)] : value)
        }
    }

    /// The base register of an access points to where something is, mostly.
    private func setPointer(_ row: RVInstruction, _ bits: UInt32, _ random: inout SplitMix) {
        let usesStack = row.name.hasSuffix("sp") && row.length == 2
        let register = row.length == 4 ? Int(bits >> 15 & 31) : usesStack ? 2 : Int(8 + (bits >> 7 & 7))
        let isAtomic = row.format.layout == .atomic
        let size: UInt64 = row.name.hasSuffix(".q") ? 16 : row.name.hasSuffix(".d") ? 8 : row.name.hasSuffix(".w") ? 4 : row.name.hasSuffix(".h") ? 2 : 1
        var offset = 0x1000 + UInt64(random.below(0x1000))
        if isAtomic { offset &= ~(size - 1) }
        // Zama16b: anywhere inside 16 bytes.
        if row.name.hasPrefix("amo"), random.below(4) == 0 { offset = offset & ~15 + UInt64(random.below(Int(17 - size))) }
        reference.x[register] = FuzzMap.data + offset
        let hasFault = random.below(16) == 0 && !row.name.hasPrefix("cbo.") && row.op != .jalr
        if hasFault { reference.x[register] = 0x2000_0000 + 16 * UInt64(random.below(100)) }
        if row.name.hasPrefix("amocas"), !hasFault, random.below(2) == 0 {
            let target = Int(bits >> 7 & 31)
            _ = reference.store(FuzzMap.data + offset, Int(min(size, 8)), reference.x[target])
            if size == 16 { _ = reference.store(FuzzMap.data + offset + 8, 8, target == 0 ? 0 : reference.x[target + 1]) }
        }
    }

    private func loadMachine() {
        for register in 1..<32 { cpu.x[register] = reference.x[register] }
        for register in 0..<32 { cpu.f[register] = reference.f[register] }
        machine[.mstatus] = reference.status | 0x6600
        machine[.fcsr] = UInt64(reference.rounding) << 5 | UInt64(reference.flags)
        machine[.mepc] = reference.mepc
        machine[.sepc] = reference.sepc
        machine[.mnepc] = reference.mnepc
        machine[.mnstatus] = reference.mnstatus
        machine[.mscratch] = reference.mscratch
        reference.memory.withUnsafeBytes { (machine.ram.host + Int(FuzzMap.data - FuzzMap.ram)).copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: $0.count) }
    }

    /// lr to x0 at the same address before an sc.
    private func reserve(_ bits: UInt32) throws {
        let reserving = bits & (31 << 15 | 7 << 12) | 2 << 27 | 0x2f
        machine.place([reserving], at: FuzzMap.data - 16)
        machine.cache.flushAll()
        cpu.pc = FuzzMap.data - 16
        _ = machine.run(1)
        let pc = reference.pc
        _ = reference.execute(bits >> 12 & 7 == 2 ? "lr.w" : "lr.d", reserving)
        reference.pc = pc
    }

    private func difference(_ before: InstructionReference, _ outcome: InstructionReference.Outcome) -> String? {
        if case .trap(let cause, let value) = outcome {
            // A trap changes nothing but what it tells.
            if cpu.pc != FuzzMap.machineHandler || machine[.mcause] != cause { return "does not raise exception \(cause)" }
            if machine[.mtval] != value || machine[.mepc] != before.pc { return "mtval \(hex(machine[.mtval])), mepc \(hex(machine[.mepc])), not \(hex(value)), \(hex(before.pc))" }
            reference = before
            // mstatus and mepc took what was interrupted.
            reference.status = machine[.mstatus] & InstructionReference.followedStatus
            reference.mepc = before.pc
        } else {
            if cpu.pc != reference.pc { return cpu.pc == FuzzMap.machineHandler ? "raises exception \(machine[.mcause])" : "goes to \(hex(cpu.pc)), not \(hex(reference.pc))" }
            if cpu.privilege != reference.privilege { return "goes on in mode \(cpu.privilege), not \(reference.privilege)" }
        }
        for register in 1..<32 where cpu.x[register] != reference.x[register] { return "x\(register): \(hex(cpu.x[register])), not \(hex(reference.x[register])); \(inputs(before))" }
        for register in 0..<32 where cpu.f[register] != reference.f[register] { return "f\(register): \(hex(cpu.f[register])), not \(hex(reference.f[register])); \(inputs(before))" }
        if machine[.fflags] != UInt64(reference.flags) { return "fflags \(machine[.fflags]), not \(reference.flags); \(inputs(before))" }
        let status = machine[.mstatus] & InstructionReference.followedStatus
        if status != reference.status { return "mstatus \(hex(status)), not \(hex(reference.status))" }
        for (csr, value) in [(RVCSR.mscratch, reference.mscratch), (.mepc, reference.mepc), (.sepc, reference.sepc), (.vtype, reference.vtype), (.vl, reference.vl)]
        where machine[csr] != value { return "\(csr): \(hex(machine[csr])), not \(hex(value))" }
        let found = UnsafeRawBufferPointer(start: machine.ram.host + Int(FuzzMap.data - FuzzMap.ram), count: Self.memorySize)
        if !found.elementsEqual(reference.memory), let at = zip(found, reference.memory).enumerated().first(where: { $1.0 != $1.1 })?.offset { return "memory \(hex(FuzzMap.data + UInt64(at))): \(found[at]), not \(reference.memory[at])" }
        return nil
    }

    private func inputs(_ before: InstructionReference) -> String {
        "x " + before.x.map { String($0, radix: 16) }.joined(separator: " ") + " f " + before.f.map { String($0, radix: 16) }.joined(separator: " ") + " frm \(before.rounding)"
    }
}
