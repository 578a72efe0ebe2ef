import EmuBus
import EmuCPU
import TestSupport
import Testing

/// What instructions that are no plain loads and stores may reach: cache blocks, store-conditional, compare-and-swap.
@Suite struct AccessRightTests {
    private static let page = SingleStepper.page
    /// cbo.inval, cbo.clean, cbo.flush, cbo.zero of (s0)
    private static let cacheBlocks: [(bits: UInt32, isZero: Bool)] = [(0x0004_200f, false), (0x0014_200f, false), (0x0024_200f, false), (0x0044_200f, true)]
    /// sc.w t1, t0, (s0); sc.d t1, t0, (s0)
    private static let storeConditional: [UInt32] = [0x1854_232f, 0x1854_332f]

    /// A hart in S-mode with `page` readable and writable, PMP rights `rights` for the 64 bytes at its middle, and all for the rest.
    private static func make(_ rights: UInt64) throws -> SingleStepper {
        let stepper = try SingleStepper()
        let hart = stepper.hart
        stepper.map(page, SingleStepper.used | SingleStepper.read | SingleStepper.write)
        hart[.menvcfg] |= 0xf0
        hart[.pmpcfg0] = 0
        hart[.pmpaddr0] = (page + 0x800) >> 2 | 7
        hart[.pmpaddr1] = .max
        hart[.pmpcfg0] = 0x1f00 | 0x18 | rights
        hart.cpu.privilege = Mode.supervisor
        return stepper
    }

    @Test(arguments: [0, 1, 3, 4, 5, 7] as [UInt64]) func cacheBlocksObeyMemoryProtection(rights: UInt64) throws {
        let stepper = try Self.make(rights)
        for (bits, isZero) in Self.cacheBlocks {
            for offset in [0x800, 0x83f] as [UInt64] {
                stepper.hart.store(Self.page + 0x800, 0x1234)
                stepper.hart.cpu.x[8] = Self.page + offset
                let allowed = rights & (isZero ? 2 : 3) != 0
                #expect(try stepper.execute(bits) == (allowed ? nil : .init(7, Self.page + offset)), "rights \(rights)")
                #expect(stepper.hart.load(Self.page + 0x800) == (allowed && isZero ? 0 : 0x1234))
            }
            // The blocks beside it are open.
            for offset in [0x7c0, 0x840] as [UInt64] {
                stepper.hart.cpu.x[8] = Self.page + offset
                #expect(try stepper.execute(bits) == nil)
            }
        }
    }

    @Test(arguments: [0, 1, 3, 4, 5, 7] as [UInt64]) func storeConditionalNeedsTheRightEvenWithoutReservation(rights: UInt64) throws {
        let stepper = try Self.make(rights)
        stepper.hart.cpu.x[8] = Self.page + 0x808
        for bits in Self.storeConditional {
            stepper.hart.cpu.x[6] = 7
            #expect(try stepper.execute(bits) == (rights & 2 != 0 ? nil : .init(7, Self.page + 0x808)), "rights \(rights)")
            #expect(stepper.hart.cpu.x[6] == (rights & 2 != 0 ? 1 : 7))
        }
    }

    @Test func storeConditionalFaultsAsAStoreWhereThePageForbidsIt() throws {
        for (flags, cause) in [
            (0, 15), (SingleStepper.used | SingleStepper.read, 15), (SingleStepper.used | SingleStepper.execute, 15),
            (SingleStepper.used | SingleStepper.read | SingleStepper.write | SingleStepper.user, 15), (SingleStepper.used | SingleStepper.read | SingleStepper.write, nil),
        ] as [(UInt64, UInt64?)] {
            let stepper = try SingleStepper()
            stepper.map(Self.page, flags)
            stepper.hart.cpu.x[8] = Self.page + 16
            for bits in Self.storeConditional { #expect(try stepper.execute(bits) == cause.map { .init($0, Self.page + 16) }) }
        }
        // Nothing is there, or it is no memory that can be written.
        for physical in [0x1_0000_0000, TestHart.rom] as [UInt64] {
            let stepper = try SingleStepper()
            PrivilegedWalkerTests.map(stepper.hart, Self.page, leaf: PrivilegedWalkerTests.entry(physical, 0xc7))
            stepper.hart.cpu.views.flush()
            stepper.hart.cpu.x[8] = Self.page
            for bits in Self.storeConditional { #expect(try stepper.execute(bits) == .init(7, Self.page)) }
        }
    }

    /// amocas.w, .d, .q, .b and .h with rd = x0 compare with zero and write no register.
    @Test(arguments: [(0x2854_202f, 4), (0x2854_302f, 8), (0x2864_402f, 16), (0x2854_002f, 1), (0x2854_102f, 2)] as [(UInt32, UInt64)])
    func compareAndSwapWithoutDestination(bits: UInt32, size: UInt64) throws {
        let stepper = try SingleStepper()
        let hart = stepper.hart
        stepper.map(Self.page, SingleStepper.used | SingleStepper.read | SingleStepper.write)
        hart.cpu.x[8] = Self.page
        // t0, or t1 and t2 for the pair.
        for register in 5...7 { hart.cpu.x[register] = 0x1111_1111_1111_1111 }
        let mask: UInt64 = size >= 8 ? .max : 1 << (8 * size) - 1
        for (old, swaps) in [(0, true), (.max, false), (1, false)] as [(UInt64, Bool)] {
            hart.store(Self.page, old)
            hart.store(Self.page + 8, 0)
            #expect(try stepper.execute(bits) == nil)
            #expect(hart.load(Self.page) == (swaps ? old & ~mask | 0x1111_1111_1111_1111 & mask : old))
            #expect(hart.load(Self.page + 8) == (swaps && size == 16 ? 0x1111_1111_1111_1111 : 0))
            #expect(hart.cpu.x[0] == 0)
        }
        // Half of a pair that differs is enough.
        hart.store(Self.page, 0)
        hart.store(Self.page + 8, 1 << 63)
        #expect(try stepper.execute(bits) == nil)
        #expect((hart.load(Self.page) == 0) == (size == 16) && hart.load(Self.page + 8) == 1 << 63)
    }

    @Test func cacheBlocksObeyAnEntryThatCoversPartOfThem() throws {
        let stepper = try Self.make(7)
        // The last eight bytes of the block are closed.
        stepper.hart.cpu.privilege = Mode.machine
        stepper.hart[.pmpcfg0] = 0
        stepper.hart[.pmpaddr0] = (Self.page + 0x838) >> 2
        stepper.hart[.pmpcfg0] = 0x1f00 | 0x18
        stepper.hart.cpu.privilege = Mode.supervisor
        stepper.hart.cpu.x[8] = Self.page + 0x801
        for (bits, _) in Self.cacheBlocks { #expect(try stepper.execute(bits) == .init(7, Self.page + 0x801)) }
    }

    /// The store part of a compare-and-swap is checked whether or not it happens, and every fault of an AMO is a store's.
    @Test func atomicsNeedTheRightToStore() throws {
        // amocas.w, .d, .q x12, x10, (s0); amoadd.w, amomaxu.b
        for bits in [0x28a4_262f, 0x28a4_362f, 0x28a4_462f, 0x00a4_262f, 0xe0a4_062f] as [UInt32] {
            let stepper = try Self.make(1)
            stepper.hart.cpu.x[8] = Self.page + 0x800
            // Not what memory holds.
            stepper.hart.cpu.x[12] = 1
            #expect(try stepper.execute(bits) == .init(7, Self.page + 0x800), "\(hex(UInt64(bits)))")
        }
    }
}
