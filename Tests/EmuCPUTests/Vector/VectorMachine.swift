import EmuBus
import EmuCPU
import EmuJIT
import TestSupport
import Testing

/// A hart that executes one vector instruction after the other.
final class VectorMachine {
    static let data = FuzzMap.data
    let machine: FuzzMachine
    var cpu: RVProcessor { machine.cpu }
    let vlenb: Int
    private var place = FuzzMap.code
    private static let handler = FuzzMap.machineHandler
    /// The jump is executed, too: translated code is entered for whole blocks only.
    var executesBlocks = false

    init(vlen: Int, more: String = "", engine: FuzzEngine = .interpreter, features: HostFeatures = .current) throws {
        machine = try FuzzMachine(engine, cpu: "max,vlen=\(vlen)\(more)", features: features)
        vlenb = vlen / 8
        machine[.pmpaddr0] = .max
        machine[.pmpcfg0] = 0x1f
        machine[.mtvec] = Self.handler
        machine[.mstatus] = 0x6600
    }

    subscript(_ csr: RVCSR) -> UInt64 {
        get { machine[csr] }
        set { machine[csr] = newValue }
    }

    /// Executes one instruction in M-mode; the exception it raised, or nil.
    func execute(_ bits: UInt32) -> UInt64? {
        place += 4
        if place >= FuzzMap.code + UInt64(FuzzMap.codePages) << 12 {
            place = FuzzMap.code
            machine.cache.flushAll()
        }
        // A jump to itself behind it: code is translated by blocks.
        machine.place([bits, 0x6f], at: place)
        cpu.pc = place
        _ = machine.run(executesBlocks ? 2 : 1)
        return cpu.pc == place + 4 ? nil : machine[.mcause]
    }

    /// vsetvl by registers x30 and x31, which keep what they held.
    func configure(vtype: UInt64, vl: UInt64) {
        let kept = (cpu.x[30], cpu.x[31])
        cpu.x[30] = vl
        cpu.x[31] = vtype
        #expect(execute(1 << 31 | 31 << 20 | 30 << 15 | 7 << 12 | 0x57) == nil)
        (cpu.x[30], cpu.x[31]) = kept
    }

    var registers: [UInt8] {
        get { Array(UnsafeRawBufferPointer(start: cpu.v, count: 32 * vlenb)) }
        set { newValue.withUnsafeBytes { cpu.v.copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: 32 * vlenb) } }
    }
}

extension RVInstruction {
    /// An instance with random operands.
    func instance(_ random: inout SplitMix) -> UInt32 { match | UInt32(truncatingIfNeeded: random.next()) & ~mask }

    /// It works on vector registers.
    var isVector: Bool { op.isVector }

    /// Rows of the vector extension and of those that build on it.
    static let vectors = RVTable.all.filter(\.isVector)
}

extension UInt64 {
    /// A vtype, by the bits of an element and log2 of LMUL.
    static func vtype(_ sew: Int, _ lmul: Int) -> UInt64 { UInt64(sew.trailingZeroBitCount - 3) << 3 | UInt64(lmul & 7) }
}
