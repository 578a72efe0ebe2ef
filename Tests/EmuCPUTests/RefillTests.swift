import EmuCPU
import Testing

/// A page whose table of leaf entries is known from another page's walk is looked up in a shorter way than one found from the root. Both
/// must come to the same.
@Suite struct RefillTests {
    /// The page whose walk finds the table, the page under test, and what that one stands for.
    private static let known: UInt64 = 0x40_0000
    private static let tested: UInt64 = 0x40_1000
    private static let frame = TestHart.ram + 0x8_0000

    private struct Outcome: Equatable {
        var loaded: UInt64
        var memory: UInt64?
        var leaf: UInt64?
        var cause: UInt64
    }

    private struct Access {
        var instruction: UInt32
        static let load = Access(instruction: 0x0005_b503)  // ld a0, 0(a1)
        static let store = Access(instruction: 0x00c5_b023)  // sd a2, 0(a1)
    }

    private let hart: TestHart
    /// Where the leaf entry of the page under test is.
    private let place: UInt64

    init() throws {
        hart = try TestHart()
        PrivilegedWalkerTests.map(hart, Self.known, leaf: PrivilegedWalkerTests.entry(Self.frame + 0x1000, PrivilegedWalkerTests.all))
        place = PrivilegedWalkerTests.map(hart, Self.tested, leaf: 0)
        hart[.satp] = PrivilegedWalkerTests.satp(8)
        hart[.mtvec] = TestHart.ram + 0x100
        hart.store(TestHart.ram + 0x100, 0x6f)  // j .
        for (offset, access) in [(0, Access.load), (0x40, .store)] as [(UInt64, Access)] {
            hart.store(TestHart.ram + offset, 0x0000_006f << 32 | UInt64(access.instruction))
        }
    }

    /// Executes one access at `address` in M-mode with the data rights of `status` and returns what it led to.
    private func run(_ access: Access, _ address: UInt64, _ status: UInt64) -> Outcome {
        hart.store(Self.frame, 0x1122_3344_5566_7788)
        hart[.mstatus] = status | 1 << 17
        hart[.mcause] = 0
        hart.cpu.pc = TestHart.ram + (access.instruction == Access.load.instruction ? 0 : 0x40)
        hart.cpu.x[10] = 0
        hart.cpu.x[11] = address
        hart.cpu.x[12] = 0x99aa_bbcc_ddee_ff00
        _ = hart.cpu.run(budget: 4, clockBase: 0)
        return Outcome(loaded: hart.cpu.x[10], memory: hart.load(Self.frame), leaf: hart.load(place), cause: hart[.mcause])
    }

    /// - Parameter fromRoot: throw away what is known of the table before the page under test is accessed.
    private func outcome(_ access: Access, leaf: UInt64, _ status: UInt64, fromRoot: Bool) -> Outcome {
        hart.store(place, leaf)
        hart.execute(.sfence_vma)
        _ = run(.load, Self.known, 1 << 11 | 1 << 18)
        if fromRoot { hart.execute(.sfence_vma) }
        return run(access, Self.tested, status)
    }

    @Test("the shorter way judges a leaf as the walk does", arguments: [1 << 11, 1 << 11 | 1 << 18, 1 << 11 | 1 << 19, 3 << 18 | 1 << 11, 0, 1 << 19] as [UInt64])
    func refillsAgree(status: UInt64) {
        // Every combination of V R W X U G A D, a reserved bit, memory types, NAPOT, and frames outside memory or in ROM.
        let frames: [UInt64] = [Self.frame, TestHart.rom, 0x4000_0000, TestHart.ram + 1 << 20]
        var leaves = (0..<256).map { PrivilegedWalkerTests.entry(Self.frame, UInt64($0)) }
        for bit in 54..<64 as Range<UInt64> { leaves.append(PrivilegedWalkerTests.entry(Self.frame, PrivilegedWalkerTests.all) | 1 << bit) }
        for frame in frames { leaves += [0xcf, 0xdf].map { PrivilegedWalkerTests.entry(frame, $0) } }
        for leaf in leaves {
            for access in [Access.load, .store] {
                let short = outcome(access, leaf: leaf, status, fromRoot: false), long = outcome(access, leaf: leaf, status, fromRoot: true)
                #expect(short == long, "leaf \(String(leaf, radix: 16)) \(String(access.instruction, radix: 16))")
            }
        }
    }

    @Test("the shorter way asks physical memory protection", arguments: [true, false])
    func refillsAreProtected(fromRoot: Bool) {
        // Entry 0 takes the frame's page away, entry 1 allows everything else.
        hart[.pmpaddr0] = Self.frame >> 2 | 0x1ff
        hart[.pmpaddr1] = .max
        hart[.pmpcfg0] = 0x1f18
        let leaf = PrivilegedWalkerTests.entry(Self.frame, PrivilegedWalkerTests.all)
        #expect(outcome(.load, leaf: leaf, 1 << 11, fromRoot: fromRoot).cause == 5)
        #expect(outcome(.store, leaf: leaf, 1 << 11, fromRoot: fromRoot).cause == 7)
    }

    @Test("a page that holds code is still written through the slow way") func codeStaysProtected() {
        let leaf = PrivilegedWalkerTests.entry(TestHart.ram, PrivilegedWalkerTests.all)
        // The page under test is the one the program runs in: what it writes is executed.
        hart.store(place, leaf)
        hart.execute(.sfence_vma)
        _ = run(.load, Self.known, 1 << 11)
        hart.cpu.x[13] = 0
        _ = run(.store, Self.tested + 0x200, 1 << 11)
        #expect(hart.load(TestHart.ram + 0x200) == 0x99aa_bbcc_ddee_ff00)
        hart.cpu.x[12] = 0x0000_006f_0070_0693  // li a3, 7; j .
        hart.cpu.pc = TestHart.ram + 0x40
        hart.cpu.x[11] = Self.tested
        _ = hart.cpu.run(budget: 2, clockBase: 0)
        hart.cpu.pc = TestHart.ram
        _ = hart.cpu.run(budget: 2, clockBase: 0)
        #expect(hart.cpu.x[13] == 7)
    }
}
