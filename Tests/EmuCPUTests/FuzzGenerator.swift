import EmuCPU
import TestSupport

/// Makes random programs of the rows of the instruction table: segments of straight code that end in jumps to each other, with
/// loads and stores all over the place, control registers, and loops.
struct FuzzGenerator {
    private static let jumps: Set<RVOp> = [.jal, .jalr, .beq, .bne, .blt, .bge, .bltu, .bgeu]
    private static let rare: Set<RVOp> = [
        .ecall, .ebreak, .mret, .sret, .mnret, .sctrclr, .wfi, .wrs_nto, .wrs_sto, .pause, .sfence_vma, .sinval_vma, .sfence_w_inval, .sfence_inval_ir, .fence_i,
        .hfence_vvma, .hfence_gvma, .hinval_vvma, .hinval_gvma, .illegal,
    ]
    private static let control: Set<RVOp> = [.csrrw, .csrrs, .csrrc, .csrrwi, .csrrsi, .csrrci]
    /// The processor a seed's program is made for: vectors of 128, 256 or 512 bits.
    static func cpu(seed: UInt64) -> String { "max,smrnmi=on,vlen=\(128 << (seed % 3))" }
    /// What all of them have.
    static let present = (try? RVConfig.parse(cpu(seed: 0)))?.extensions ?? RVExtensionSet()
    private static let rows = RVTable.all.filter {
        $0.needs.isMet(by: present) && !jumps.contains($0.op) && !control.contains($0.op) && !$0.isVector
    }
    private static let vectorRows = RVInstruction.vectors.filter { $0.needs.isMet(by: present) && $0.match & 0x707f != 0x7057 }
    /// Ciphers and hashes, which want vectors of 32-bit words, some of 64-bit ones, and whole groups of them.
    private static let cipherRows = vectorRows.filter { ($0.op.rawValue >= RVOp.vgmul.rawValue && $0.op.rawValue <= RVOp.vsm3c.rawValue) || $0.op == .vclmul || $0.op == .vclmulh }
    private static let rareRows = rows.filter { rare.contains($0.op) }
    private static let plainRows = rows.filter { !rare.contains($0.op) }
    private static let memoryRows = plainRows.filter(reachesMemory)
    private static let floatRows = plainRows.filter(isFloat)
    private static let integerRows = plainRows.filter { !isFloat($0) && !reachesMemory($0) }
    private static let controlRows = RVTable.all.filter { control.contains($0.op) }
    /// Compressed jumps and branches that go a few instructions further, and those through ra and t0.
    private static let shortJumps: [UInt32] = {
        let decoder = RVDecoder(extensions: present)
        return (0...0xffff as ClosedRange<UInt32>).filter { bits in
            guard bits & 3 != 3, let position = decoder.position(of: bits), jumps.contains(RVTable.all[position].op) else { return false }
            let r = decoder.decode(bits)
            return RVTable.all[position].op == .jalr ? r.rs1 == 1 || r.rs1 == 5 : (2...20).contains(r.imm)
        }
    }()

    private static func isFloat(_ row: RVInstruction) -> Bool { row.name.hasPrefix("f") && !row.name.hasPrefix("fence") }

    private static func reachesMemory(_ row: RVInstruction) -> Bool {
        row.format.operands.contains(.memory) || row.format.operands.contains(.address)
    }

    /// Registers that are worth reading and writing; writing others would take the code's handlers or the whole memory away.
    private static let csrs: [RVCSR] = RVCSR.allCases.filter {
        switch $0 {
        case .mtvec, .stvec, .vstvec, .mscratch, .sscratch, .vsscratch, .satp, .vsatp, .hgatp, .hedeleg, .hideleg, .pmpcfg0, .pmpcfg2, .mseccfg, .medeleg, .seed: false
        default: !(RVCSR.pmpaddr0.rawValue...RVCSR.pmpaddr15.rawValue ~= $0.rawValue)
        }
    }

    private var random: SplitMix
    /// This program has vector instructions, and hardly anything else.
    private var hasVectors = false
    private var hasManyVectors = false
    /// Half of its vector instructions are ciphers and hashes.
    private var hasCiphers = false

    init(seed: UInt64) { random = SplitMix(seed: seed) }

    private mutating func pick<T>(_ choices: [T]) -> T { choices[random.below(choices.count)] }

    /// The case of a seed; always the same.
    static func program(seed: UInt64) -> FuzzCase {
        var generator = FuzzGenerator(seed: seed)
        return generator.program(seed: seed)
    }

    private mutating func program(seed: UInt64) -> FuzzCase {
        // Mostly in one page; now and then over its end.
        let offset = random.below(4) == 0 ? 0xf00 + UInt64(random.below(0x80)) * 2 : UInt64(random.below(0x400)) * 2
        var result = FuzzCase(seed: seed, cpu: Self.cpu(seed: seed), start: FuzzMap.code + offset)
        let count = 1 + random.below(16)
        // Which kinds of instructions this program has many of.
        let weights = (0..<4).map { _ in 1 + random.below(8) }
        hasVectors = random.below(3) == 0
        hasManyVectors = hasVectors && random.below(3) != 0
        hasCiphers = hasManyVectors && seed % 4 == 1
        var fixes: [(position: Int, target: Int)] = []
        for segment in 0..<count {
            result.segments.append(result.code.count)
            if hasManyVectors && random.below(4) != 0 { result.code.append(vectorType()) }
            for _ in 0...random.below(random.below(3) == 0 ? 20 : 6) { body(&result.code, weights) }
            let target = random.below(3) == 0 ? segment : random.below(count)
            switch random.below(10) {
            case 0: break
            case 1, 2:
                fixes.append((result.code.count, target))
                result.code.append(pick([0x6f, 0xef]))
            case 3:
                // auipc t0; addi t0; jalr
                fixes.append((result.code.count, target))
                result.code += [0x0000_0297, 0x0002_8293, 0x0002_8067 | pick([0, 1, 5]) << 7]
            case 5:
                // A return, perhaps from one of the calls.
                result.code.append(RVAssembly.jumpRegister(0, 1))
            case 6:
                // A switch: auipc t1; addi t1; the same again behind a branch over it; jalr
                fixes.append((result.code.count, target))
                result.code += [0x0000_0317, 0x0003_0313, RVAssembly.branchIfNotEqual(UInt32(random.below(32)), UInt32(random.below(32)), 12)]
                fixes.append((result.code.count, random.below(count)))
                result.code += [0x0000_0317, 0x0003_0313, 0x0003_0067 | pick([0, 0, 1]) << 7]
            case 4:
                // A counted loop.
                result.code.append(0xfffe_0e13)
                fixes.append((result.code.count, segment))
                result.code.append(RVAssembly.branchIfNotEqual(28, 0, 0))
            default:
                fixes.append((result.code.count, target))
                let function: UInt32 = pick([0, 1, 4, 5, 6, 7])
                result.code.append(function << 12 | UInt32(random.below(32)) << 20 | UInt32(random.below(32)) << 15 | 0x63)
            }
        }
        // The last segment must not run into what is no code.
        fixes.append((result.code.count, 0))
        result.code.append(0x6f)
        var addresses: [UInt64] = []
        var address = result.start
        for bits in result.code {
            addresses.append(address)
            address += bits & 3 == 3 ? 4 : 2
        }
        for (position, target) in fixes {
            let distance = Int32(truncatingIfNeeded: Int64(addresses[result.segments[target]]) - Int64(addresses[position]))
            let bits = result.code[position]
            switch bits & 0x7f {
            case 0x6f: result.code[position] = RVAssembly.jump(distance) | bits & 0xfff
            case 0x17: result.code[position + 1] |= UInt32(bitPattern: max(-2048, min(2047, distance))) << 20
            default: result.code[position] = RVAssembly.branchIfNotEqual(bits >> 15 & 31, bits >> 20 & 31, distance) & ~(7 << 12) | bits & (7 << 12)
            }
        }
        return result
    }

    private mutating func body(_ code: inout [UInt32], _ weights: [Int]) {
        if random.below(40) == 0 { return code.append(rareInstruction()) }
        if random.below(60) == 0 { return code.append(pick(Self.shortJumps)) }
        if hasVectors && random.below(hasManyVectors ? 8 : 2) != 1 { return code.append(vectorInstruction()) }
        var left = random.below(weights.reduce(0, +) + 1)
        for (kind, weight) in weights.enumerated() {
            if left < weight {
                switch kind {
                case 0: return code.append(instance(of: Self.integerRows))
                case 1: return code.append(instance(of: Self.memoryRows))
                case 2: return code.append(instance(of: Self.floatRows))
                default: return code.append(random.below(4) == 0 ? controlInstruction() : instance(of: Self.plainRows))
                }
            }
            left -= weight
        }
        code.append(instance(of: Self.integerRows))
    }

    /// A vector instruction, often on registers that suit any group; now and then one that sets another type, mostly a legal one.
    private mutating func vectorInstruction() -> UInt32 {
        if random.below(hasManyVectors ? 16 : 5) == 0 { return vectorType() }
        let aligned: UInt32 = random.below(4) == 0 ? 0 : 7 << 7 | 7 << 20
        if hasCiphers && random.below(2) == 0 { return instance(of: Self.cipherRows, aligned | (aligned != 0 && random.below(2) == 0 ? 7 << 15 : 0)) }
        // Half of them without a mask.
        return instance(of: Self.vectorRows, aligned | (aligned != 0 ? 7 << 15 : 0)) | (random.below(2) == 0 ? 1 << 25 : 0)
    }

    /// Sets the type of vectors, mostly a legal one, and their length: a small one, what a register holds, or all there is.
    private mutating func vectorType() -> UInt32 {
        let legal: [UInt32] = [0x00, 0x08, 0x10, 0x18, 0x01, 0x09, 0x0a, 0x11, 0x12, 0x19, 0x1b, 0x07, 0x0f, 0x17, 0x06, 0xd0, 0xd1, 0xd8, 0xd9]
        if hasCiphers && random.below(4) != 0 {
            let type: UInt32 = pick([0xd0, 0xd0, 0xd1, 0xd2, 0xd3, 0xd7, 0xd8, 0xd9, 0xda])
            return random.below(2) == 0 ? 0x7057 | type << 20 | 12 << 7 : 0xc000_7057 | type << 20 | UInt32(4 * (1 + random.below(7))) << 15
        }
        let type = random.below(16) == 0 ? UInt32(random.below(1024)) : pick(legal)
        let (length, destination) = (UInt32(random.below(32)) << 15, pick([0, 12] as [UInt32]) << 7)
        // Now and then vsetvl, whose type is whatever a register holds.
        if random.below(16) == 0 { return 0x8000_7057 | UInt32(random.below(32)) << 20 | length | destination }
        return switch random.below(4) {
        case 0: 0xc000_7057 | type << 20 | length | destination
        case 1: 0x7057 | type << 20 | length | destination
        default: 0x7057 | type << 20 | 12 << 7
        }
    }

    private mutating func rareInstruction() -> UInt32 {
        switch random.below(8) {
        // Fences of one address space or one address.
        case 0, 1: return 0x1200_0073 | pick([0, 8, 9]) << 15 | pick([0, 12]) << 20
        case 2: return 0x0000_100f
        // satp from a register that holds one of two good values.
        case 3: return RVAssembly.writeCSR(UInt32(RVCSR.satp.rawValue), 23)
        // Something undefined.
        case 4: return UInt32(truncatingIfNeeded: random.next()) | 3
        default: return instance(of: Self.rareRows)
        }
    }

    private mutating func controlInstruction() -> UInt32 {
        var row = instance(of: Self.controlRows)
        // Half of them are plain reads, which do not end their block.
        if random.below(2) == 0 { row = 2 << 12 | row & 0xf80 | 0x73 }
        return row & 0x000f_ffff | UInt32(pick(Self.csrs).rawValue) << 20
    }

    /// An instance of a row whose accesses mostly go where something is.
    /// - Parameter cleared: bits that are zero unless the row fixes them.
    private mutating func instance(of rows: [RVInstruction], _ cleared: UInt32 = 0) -> UInt32 {
        let row = pick(rows)
        var free = UInt32(truncatingIfNeeded: random.next()) & ~cleared
        // Few registers, so that results are used.
        if row.length == 4, random.below(2) == 0 { free &= ~(24 << 7 | 24 << 15 | 24 << 20) }
        if row.format.operands.contains(.rounding), random.below(2) == 0 { free = free & ~(7 << 12) | 7 << 12 }
        if Self.reachesMemory(row) && row.length == 4 && random.below(16) != 0 {
            free = free & ~(31 << 15) | UInt32(pick(FuzzCase.pointers)) << 15
            // Mostly short distances; a store's low bits lie elsewhere and stay.
            if random.below(4) != 0 { free = free & 0x03ff_ffff | (random.below(2) == 0 ? 0xffc0_0000 : 0) & (1 << 31 | 0x7c00_0000) }
            // Some values are instructions.
            if random.below(4) == 0 { free = free & ~(31 << 20) | UInt32(pick(FuzzCase.instructions)) << 20 }
        }
        // Pointers last longer than other values.
        if row.length == 4, row.format.hasIntegerDestination, FuzzCase.pointers.contains(Int(free >> 7 & 31)), random.below(8) != 0 {
            free = free & ~(31 << 7) | 12 << 7
        }
        return row.match | free & ~row.mask & (row.length == 2 ? 0xffff : .max)
    }
}
