import EmuCPU
import EmuIR
import Foundation
import TestSupport
import Testing

/// Random code run by the interpreter and as IR leaves the same registers, flags, memory and program counter.
@Suite struct RVTranslatorSemanticsTests {
    private static let data = TestHart.ram + 0x2_0000
    /// Base registers of memory accesses, which no generated instruction writes.
    private static let pointers: [(register: UInt8, address: UInt64)] = [(2, data + 0x1000), (8, data + 0x1040), (9, data + 0x1240)]
    private static let dataSize: UInt64 = 0x2000
    private static let decoder = RVDecoder(extensions: DecodeTableTests.everything)

    private static let jumps: Set<RVOp> = [.jal, .jalr, .beq, .bne, .blt, .bge, .bltu, .bgeu]
    /// What would end a block, or depends on more than registers and memory.
    private static let excluded: Set<RVOp> = jumps.union([
        .ecall, .ebreak, .mret, .sret, .mnret, .sctrclr, .wfi, .wrs_nto, .wrs_sto, .pause, .sfence_vma, .sinval_vma, .sfence_w_inval, .sfence_inval_ir,
        .fence_i, .illegal, .csrrw, .csrrs, .csrrc, .csrrwi, .csrrsi, .csrrci, .sc_w, .sc_d,
        // No guest is there.
        .hfence_vvma, .hfence_gvma, .hinval_vvma, .hinval_gvma,
        .hlv_b, .hlv_bu, .hlv_h, .hlv_hu, .hlvx_hu, .hlv_w, .hlv_wu, .hlvx_wu, .hlv_d, .hsv_b, .hsv_h, .hsv_w, .hsv_d,
        // Nothing is a shadow stack to M-mode.
        .ssamoswap_w, .ssamoswap_d,
    ])
    private static let bodyRows = RVTable.all.filter { !excluded.contains($0.op) && !$0.op.isVector }
    private static let jumpRows = RVTable.all.filter { jumps.contains($0.op) }

    // MARK: Generation

    private func pick<T>(_ choices: [T], _ random: inout SplitMix) -> T { choices[random.below(choices.count)] }

    /// An instance of a row that is safe to execute: accesses go through a pointer, pointers stay.
    private func instance(of rows: [RVInstruction], _ random: inout SplitMix) -> UInt32 {
        while true {
            let row = pick(rows, &random)
            var free = UInt32(truncatingIfNeeded: random.next())
            // Few registers, so that results are used.
            if row.length == 4, random.below(2) == 0 { free &= ~(24 << 7 | 24 << 15 | 24 << 20) }
            // Mostly the dynamic rounding mode, and truncation.
            if row.format.operands.contains(.rounding), random.below(4) != 0 { free = free & ~(7 << 12) | pick([7, 7, 1], &random) << 12 }
            let reachesMemory = row.format.operands.contains(.memory) || row.format.operands.contains(.address)
            if reachesMemory && row.length == 4 && row.op != .jalr { free = free & ~(31 << 15) | UInt32(pick(Self.pointers, &random).register) << 15 }
            let bits = row.match | free & ~row.mask & (row.length == 2 ? 0xffff : .max)
            let r = Self.decoder.decode(bits)
            if r.rv != row.op || isReservedRounding(row, r) { continue }
            let isPointer = { register in Self.pointers.contains { $0.register == register } }
            if row.format.hasIntegerDestination && isPointer(r.rd) { continue }
            if reachesMemory && row.op != .jalr && !isPointer(r.rs1) { continue }
            return bits
        }
    }

    private func isReservedRounding(_ row: RVInstruction, _ r: DecodedOp) -> Bool {
        let rounds = row.format.operands.contains(.rounding) || row.format.operands.contains(.exactRounding)
        return rounds && (r.imm == 5 || r.imm == 6)
    }

    private func value(_ random: inout SplitMix) -> UInt64 {
        switch random.below(6) {
        case 0: pick([0, 1, 2, 63, 64, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 63, .max, .max - 1, .max >> 1], &random)
        case 1: UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: random.next())))
        case 2: random.next() & 0xffff_ffff
        default: random.next() >> UInt64(random.below(64))
        }
    }

    private func floatValue(_ random: inout SplitMix) -> UInt64 {
        let boxed = 0xffff_ffff_0000_0000 as UInt64
        switch random.below(6) {
        case 0: return pick([0, 1 << 63, 0x7ff0 << 48, 0x7ff8 << 48, 0x7ff4 << 48, 0x3ff0 << 48, boxed, boxed | 0x7f80_0000, boxed | 0x7fa0_0000], &random)
        case 1: return (Double(Int32(truncatingIfNeeded: random.next())) / 16).bitPattern
        case 2: return boxed | UInt64((Float(Int16(truncatingIfNeeded: random.next())) / 8).bitPattern)
        case 3: return boxed | random.next() & 0xffff_ffff
        case 4: return 0xffff_ffff_ffff_0000 | random.next() & 0xffff
        default: return random.next()
        }
    }

    // MARK: Comparison

    /// What a block can change.
    private struct State: Equatable {
        var pc: UInt64
        var integers: [UInt64]
        var floats: [UInt64]
        var flags: UInt64
        var status: UInt64
        var memory: Data

        init(_ hart: TestHart) throws {
            let cpu = hart.cpu
            pc = cpu.pc
            integers = (0..<32).map { cpu.x[$0] }
            floats = (0..<32).map { cpu.f[$0] }
            flags = hart[.fflags]
            status = hart[.mstatus]
            memory = Data(bytes: try #require(hart.bus.memoryPointer(data, dataSize)), count: Int(dataSize))
        }

        /// The first thing that differs, for a message.
        func difference(_ other: State) -> String? {
            if pc != other.pc { return "pc: \(String(pc, radix: 16)), \(String(other.pc, radix: 16))" }
            for (name, a, b) in [("x", integers, other.integers), ("f", floats, other.floats)] {
                if let at = a.indices.first(where: { a[$0] != b[$0] }) { return "\(name)\(at): \(String(a[at], radix: 16)), \(String(b[at], radix: 16))" }
            }
            if memory != other.memory { return "memory + \(zip(memory, other.memory).prefix { $0 == $1 }.count)" }
            if flags != other.flags { return "fflags: \(flags), \(other.flags)" }
            return status != other.status ? "mstatus: \(String(status, radix: 16)), \(String(other.status, radix: 16))" : nil
        }
    }

    private func prepare(_ hart: TestHart, seed: UInt64, pc: UInt64) {
        var random = SplitMix(seed: seed)
        hart.cpu.pc = pc
        for register in 1..<32 { hart.cpu.x[register] = value(&random) }
        for register in 0..<32 { hart.cpu.f[register] = floatValue(&random) }
        for (register, address) in Self.pointers { hart.cpu.x[Int(register)] = address }
        hart[.mstatus] |= 3 << 13
        hart[.fflags] = 0
        hart[.frm] = UInt64(pick([0, 0, 0, 1, 2, 3, 4], &random))
    }

    private func fillMemory(_ hart: TestHart) {
        var random = SplitMix(seed: 5)
        for offset in 0..<Self.dataSize / 8 { hart.store(Self.data + 8 * offset, floatValue(&random)) }
    }

    /// Runs each of `count` random blocks both ways, `change` having been made to the IR.
    private func compare(seed: UInt64, count: Int, _ change: (inout IRUnit) -> Void) throws {
        var random = SplitMix(seed: seed)
        let reference = try TestHart()
        var code = try TranslatedCode()
        fillMemory(reference)
        fillMemory(code.hart)
        var lowered = 0
        for _ in 0..<count {
            var guest = (0..<random.below(12)).map { _ in instance(of: Self.bodyRows, &random) }
            guest.append(instance(of: Self.jumpRows, &random))
            let offset = UInt64(random.below(1900)) * 2
            let pc = TranslatedCode.page + offset
            var unit = IRUnit(blocks: [try code.lower(guest, at: offset)])
            change(&unit)
            let addresses = guest.dropLast().reduce(into: [pc]) { $0.append($0[$0.count - 1] + ($1 & 3 == 3 ? 4 : 2)) }
            try #require(unit.blocks[0].guestCount == guest.count)

            let values = random.next()
            reference.cache.flushAll()
            try #require(TranslatedCode.place(guest, at: pc, reference))
            prepare(reference, seed: values, pc: pc)
            _ = reference.cpu.run(budget: guest.count, clockBase: reference.events.now)
            prepare(code.hart, seed: values, pc: pc)
            var executor = IRExecutor(code.hart, page: TranslatedCode.page, addresses: addresses)
            try executor.run(unit.blocks[0])
            let difference = try State(reference).difference(State(code.hart))
            #expect(difference == nil, "interpreter, IR of\n\(listing(guest, pc))\n\(unit)")
            if difference != nil { return }
            lowered += unit.blocks[0].instructions.count { $0.op != .interpret }
        }
        #expect(lowered > count, "there was next to nothing to compare")
    }

    private func listing(_ guest: [UInt32], _ pc: UInt64) -> String {
        let disassembler = RVDisassembler(extensions: DecodeTableTests.everything, aliases: true)
        return guest.map { disassembler.text(bits: $0, address: pc).text }.joined(separator: "\n")
    }

    @Test func loweredCodeDoesWhatTheInterpreterDoes() throws {
        try compare(seed: 1, count: 1500) { _ in }
    }

    @Test("optimised code does what the interpreter does", arguments: IROptimizer.Pass.allCases)
    func onePass(pass: IROptimizer.Pass) throws {
        var optimizer = IROptimizer(passes: [pass])
        try compare(seed: 2, count: 300) { optimizer.run(&$0) }
    }

    @Test func optimisedCodeDoesWhatTheInterpreterDoes() throws {
        var optimizer = IROptimizer()
        try compare(seed: 3, count: 1500) {
            optimizer.run(&$0)
            #expect(throws: Never.self) { [unit = $0] in try unit.verify() }
        }
    }
}
