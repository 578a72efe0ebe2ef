import EmuCPU
import Testing

@Suite struct PrivilegedPMPTests {
    static func allows(_ hart: TestHart, _ address: UInt64, _ size: UInt64 = 1, _ access: RVAccess = .load, _ mode: UInt8 = Mode.supervisor) -> Bool {
        hart.cpu.pmpAllows(address, size: size, access, privilege: mode)
    }

    @Test func onlyMachineModePassesWhereNothingMatches() throws {
        let hart = try TestHart(openPMP: false)
        #expect(Self.allows(hart, 0x8000_0000, 8, .store, Mode.machine))
        #expect(!Self.allows(hart, 0x8000_0000, 8, .load, Mode.supervisor))
        #expect(!Self.allows(hart, 0x8000_0000, 8, .fetch, Mode.user))
    }

    @Test func napotSizesAreReadFromTheLowOnes() throws {
        let hart = try TestHart(openPMP: false)
        hart[.pmpcfg0] = 0x19
        for log in 3..<56 as Range<UInt64> {
            let size: UInt64 = 1 << log
            let base = log < 55 ? size : 0
            hart[.pmpaddr0] = base >> 2 | (size >> 3) - 1
            #expect(Self.allows(hart, base) && Self.allows(hart, base + size - 1), "2^\(log)")
            #expect(!Self.allows(hart, base + size), "2^\(log)")
            #expect(base == 0 || !Self.allows(hart, base - 1), "2^\(log)")
        }
        hart[.pmpaddr0] = .max
        #expect(Self.allows(hart, 0) && Self.allows(hart, 1 << 56 - 8, 8))
    }

    @Test func na4CoversFourBytes() throws {
        let hart = try TestHart(openPMP: false)
        hart[.pmpaddr0] = 0x8000_0010 >> 2
        hart[.pmpcfg0] = 0x11
        #expect(Self.allows(hart, 0x8000_0010, 4))
        #expect(!Self.allows(hart, 0x8000_0010, 8) && !Self.allows(hart, 0x8000_000f) && !Self.allows(hart, 0x8000_0014))
    }

    @Test func topOfRangeBeginsAtTheEntryBelow() throws {
        let hart = try TestHart(openPMP: false)
        hart[.pmpaddr0] = 0x1000 >> 2
        hart[.pmpaddr1] = 0x2004 >> 2
        hart[.pmpcfg0] = 0x0900
        #expect(!Self.allows(hart, 0xfff) && Self.allows(hart, 0x1000) && Self.allows(hart, 0x2003) && !Self.allows(hart, 0x2004))
        // Entry 0 begins at address 0; a range that ends before it begins matches nothing.
        hart[.pmpcfg0] = 0x09
        #expect(Self.allows(hart, 0) && Self.allows(hart, 0xfff) && !Self.allows(hart, 0x1000))
        hart[.pmpaddr1] = 0x1000 >> 2
        hart[.pmpcfg0] = 0x0900
        #expect(!Self.allows(hart, 0) && !Self.allows(hart, 0x1000))
    }

    @Test func theLowestMatchingEntryDecidesAndMustMatchAll() throws {
        let hart = try TestHart(openPMP: false)
        hart[.pmpaddr0] = 0x100c >> 2  // NA4, no rights
        hart[.pmpaddr1] = .max  // NAPOT, all rights
        hart[.pmpcfg0] = 0x1f10
        #expect(!Self.allows(hart, 0x100c, 4) && Self.allows(hart, 0x1008, 4) && Self.allows(hart, 0x1010, 8))
        #expect(!Self.allows(hart, 0x1008, 8))
        // Even M-mode fails on a partial match, while a full match of an unlocked entry does not bind it.
        #expect(!Self.allows(hart, 0x1008, 8, .load, Mode.machine))
        #expect(Self.allows(hart, 0x100c, 4, .store, Mode.machine))
    }

    @Test func eachRightIsItsOwn() throws {
        let hart = try TestHart(openPMP: false)
        hart[.pmpaddr0] = .max
        for rights in [0, 1, 3, 4, 5, 7] as [UInt64] {
            hart[.pmpcfg0] = 0x18 | rights
            #expect(Self.allows(hart, 0x1000, 4, .load) == (rights & 1 != 0))
            #expect(Self.allows(hart, 0x1000, 4, .store) == (rights & 2 != 0))
            #expect(Self.allows(hart, 0x1000, 4, .fetch) == (rights & 4 != 0))
            #expect(Self.allows(hart, 0x1000, 4, .load, Mode.machine))
        }
    }

    @Test func lockedEntriesBindMachineModeAndStayUntilReset() throws {
        let hart = try TestHart(openPMP: false)
        hart[.pmpaddr0] = 0x1000 >> 2
        hart[.pmpaddr1] = 0x2000 >> 2
        hart[.pmpcfg0] = 0x8900  // entry 1: locked TOR, read only
        #expect(Self.allows(hart, 0x1800, 4, .load, Mode.machine))
        #expect(!Self.allows(hart, 0x1800, 4, .store, Mode.machine))
        // Neither the entry nor the bottom of its range can be changed; others can.
        hart[.pmpcfg0] = 0x1f1f
        hart[.pmpaddr0] = 0
        hart[.pmpaddr1] = 0
        hart[.pmpaddr2] = 0x3000 >> 2
        #expect(hart[.pmpcfg0] == 0x891f && hart[.pmpaddr0] == 0x400 && hart[.pmpaddr1] == 0x800 && hart[.pmpaddr2] == 0xc00)
        hart.cpu.reset()
        #expect(hart[.pmpcfg0] == 0 && Self.allows(hart, 0x1800, 4, .store, Mode.machine))
        hart[.pmpaddr1] = 4
        #expect(hart[.pmpaddr1] == 4)
    }

    @Test func anEntryLockedWhileOffIsLocked() throws {
        let hart = try TestHart(openPMP: false)
        hart[.pmpcfg2] = 0x80
        hart[.pmpcfg2] = 0x1f
        hart[.pmpaddr8] = 1
        #expect(hart[.pmpcfg2] == 0x80 && hart[.pmpaddr8] == 0)
        #expect(Self.allows(hart, 0x1000, 4, .load, Mode.machine))
    }

    @Test func wholePagesAgreeWithSingleBytes() throws {
        var random = SeededGenerator(state: 42)
        for _ in 0..<40 {
            let hart = try TestHart(openPMP: false)
            for (index, csr) in [RVCSR.pmpaddr0, .pmpaddr1, .pmpaddr2, .pmpaddr3].enumerated() {
                // Addresses within four pages, some at page edges.
                var address = random.next() & 0x3fff
                if index & 1 == 0 { address &= ~0xfff }
                hart[csr] = address >> 2 | (random.next() & 1 != 0 ? 0x1ff : 0)
            }
            hart[.pmpcfg0] = random.next() & 0x9f9f_9f9f
            for page in stride(from: 0, to: 0x4000, by: 0x1000) as StrideTo<UInt64> {
                for mode in Mode.all {
                    let whole = hart.cpu.pmpPage(page, privilege: mode)
                    if !whole.uniform { continue }
                    for address in stride(from: page, to: page + 0x1000, by: 4) {
                        #expect(Self.allows(hart, address, 4, .load, mode) == whole.read)
                        #expect(Self.allows(hart, address, 4, .store, mode) == whole.write)
                        #expect(Self.allows(hart, address, 4, .fetch, mode) == whole.execute)
                    }
                }
            }
        }
    }

    @Test func aPageCutByAnEntryIsNotUniform() throws {
        let hart = try TestHart(openPMP: false)
        hart[.pmpaddr0] = 0x1800 >> 2
        hart[.pmpaddr1] = .max
        hart[.pmpcfg0] = 0x1f09
        #expect(hart.cpu.pmpPage(0x1000, privilege: Mode.user).uniform == false)
        #expect(hart.cpu.pmpPage(0x0, privilege: Mode.user) == (true, false, false, true))
        #expect(hart.cpu.pmpPage(0x2000, privilege: Mode.user) == (true, true, true, true))
    }

    @Test func accessesPastTheEndOfTheAddressSpaceFail() throws {
        let hart = try TestHart()
        #expect(!Self.allows(hart, .max - 3, 8, .load, Mode.machine))
    }
}
