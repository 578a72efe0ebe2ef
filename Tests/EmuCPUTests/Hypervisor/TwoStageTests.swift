import EmuBus
import EmuCPU
import Testing

/// Two-stage translation (privileged manual, "Two-Stage Address Translation"), over tables built by hand.
@Suite struct TwoStageTests {
    typealias Rights = GuestTables.Rights
    static let virtual: UInt64 = 0x12_3456_7000

    private func entry(_ physical: UInt64, _ flags: UInt64) -> UInt64 { PrivilegedWalkerTests.entry(physical, flags) }

    static let causes: [(access: RVAccess, page: UInt64, guestPage: UInt64)] = [(.load, 13, 21), (.store, 15, 23), (.fetch, 12, 20)]

    @Test("every pair of modes reaches its last levels", arguments: [8, 9, 10] as [UInt64], [8, 9, 10] as [UInt64])
    func modes(mode: UInt64, guestMode: UInt64) throws {
        let tables = try GuestTables(mode: mode, guestMode: guestMode)
        // The highest guest physical address the second stage takes.
        let guest = UInt64(1) << (14 + 9 * (guestMode - 5)) - 0x1000
        tables.map(Self.virtual, to: guest & (1 << 56 - 1))
        tables.mapSecond(guest & (1 << 56 - 1), to: GuestTables.page)
        #expect(tables.page(Self.virtual | 0xabc, .load)?.physicalPage == GuestTables.page)
        // One bit more, where the first stage has it, is too much.
        if guestMode < 10 {
            tables.map(Self.virtual, to: guest + 0x1000)
            #expect(tables.fault(Self.virtual, .store) == 23)
        }
    }

    @Test func eachStageCanBeBare() throws {
        let tables = try GuestTables()
        tables.map(Self.virtual, to: GuestTables.guestPage)
        tables.mapSecond(GuestTables.guestPage, to: GuestTables.page)
        let cpu = tables.hart.cpu
        let second = cpu.walk(GuestTables.guestPage + 8, .load, rights: Rights.guest | 1, space: 0, guestSpace: tables.guestSpace)
        #expect(PrivilegedWalkerTests.page(second)?.physicalPage == GuestTables.page)
        // Without a second stage the guest's tables are where it says.
        let none = cpu.walk(TestHart.ram, .fetch, rights: Rights.guest | 1, space: 0, guestSpace: 0)
        #expect(PrivilegedWalkerTests.page(none)?.physicalPage == TestHart.ram)
        let hart = try TestHart("rv64,h=on")
        PrivilegedWalkerTests.map(hart, 0x40_0000, leaf: PrivilegedWalkerTests.entry(GuestTables.page, PrivilegedWalkerTests.all))
        let first = hart.cpu.walk(0x40_0000, .load, rights: Rights.guest | 1, space: PrivilegedWalkerTests.satp(8), guestSpace: 0)
        #expect(PrivilegedWalkerTests.page(first)?.physicalPage == GuestTables.page)
    }

    /// What the manual says of one access, written down again from its text.
    static func expected(_ access: RVAccess, first: UInt64, second: UInt64, rights: UInt64) -> UInt64? {
        let isUser = rights & 1 == 0
        func right(_ entry: UInt64, _ bit: UInt64) -> Bool { entry & bit != 0 }
        let causes = Self.causes.first { $0.access == access }
        let readable = right(first, 2) || rights & Rights.mxr != 0 && right(first, 8)
        let own = access == .fetch ? right(first, 8) : access == .load ? readable : right(first, 4)
        let mayReach = isUser == right(first, 16) || !isUser && rights & Rights.sum != 0 && access != .fetch
        if !own || !mayReach { return causes?.page }
        let secondReadable = right(second, 2) || rights & Rights.secondMXR != 0 && right(second, 8)
        let others = access == .fetch ? right(second, 8) : access == .load ? secondReadable : right(second, 4)
        return others && right(second, 16) ? nil : causes?.guestPage
    }

    @Test("rights of both stages, U, SUM and both MXR: every combination")
    func permissions() throws {
        let tables = try GuestTables()
        // R W X U, with A and D; writable and not readable is reserved.
        let entries = (0..<16 as Range<UInt64>).map { $0 << 1 | 0xc1 }.filter { $0 & 6 != 4 && $0 & 0xe != 0 }
        let first = tables.map(Self.virtual, to: GuestTables.guestPage) + GuestTables.distance
        let second = tables.mapSecond(GuestTables.guestPage, to: GuestTables.page)
        for own in entries {
            tables.hart.store(first, entry(GuestTables.guestPage, own))
            for others in entries {
                tables.hart.store(second, entry(GuestTables.page, others))
                for (access, _, _) in Self.causes {
                    for choice in 0..<16 as Range<UInt64> {
                        var rights = choice & 1
                        if choice & 2 != 0 { rights |= Rights.sum }
                        if choice & 4 != 0 { rights |= Rights.mxr }
                        // HS-mode's MXR counts in both stages.
                        if choice & 8 != 0 { rights |= Rights.mxr | Rights.secondMXR }
                        let expected = Self.expected(access, first: own, second: others, rights: rights)
                        #expect(tables.fault(Self.virtual, access, rights) == expected, "\(access), \(hex(own)) then \(hex(others)), rights \(hex(rights))")
                    }
                }
            }
        }
    }

    @Test("HLVX wants the right to execute in both stages, not the right to read")
    func executeForRead() throws {
        let tables = try GuestTables()
        let first = tables.map(Self.virtual, to: GuestTables.guestPage) + GuestTables.distance
        let second = tables.mapSecond(GuestTables.guestPage, to: GuestTables.page)
        for (own, others, cause) in [(0xc9, 0xd9, nil), (0xc3, 0xd9, 13), (0xc9, 0xd3, 21), (0xcf, 0xdf, nil)] as [(UInt64, UInt64, UInt64?)] {
            tables.hart.store(first, entry(GuestTables.guestPage, own))
            tables.hart.store(second, entry(GuestTables.page, others))
            #expect(tables.fault(Self.virtual, .load, Rights.supervisor | Rights.executeForRead) == cause, "\(hex(own)) then \(hex(others))")
        }
    }

    @Test("a table the second stage hides is a guest-page fault of the access's own kind, told with the entry's address and a pseudoinstruction")
    func hiddenTables() throws {
        let tables = try GuestTables()
        let leaf = tables.map(Self.virtual, to: GuestTables.guestPage)
        tables.mapSecond(GuestTables.guestPage, to: GuestTables.page)
        let position = tables.mapSecond(leaf & ~0xfff, to: (leaf & ~0xfff) + GuestTables.distance)
        let hart = tables.hart
        hart[.mtvec] = TestHart.ram
        // Not there; not readable: the right to execute is not enough for reading, whatever MXR says.
        for flags in [0, 0xd9] as [UInt64] {
            hart.store(position, flags == 0 ? 0 : entry((leaf & ~0xfff) + GuestTables.distance, flags))
            for (access, _, cause) in Self.causes {
                #expect(tables.fault(Self.virtual, access, Rights.supervisor | Rights.mxr | Rights.secondMXR) == cause)
                tables.enter()
                hart.cpu.takeTrap(cause: cause, value: Self.virtual, pc: 0)
                #expect(hart[.mtval2] == leaf >> 2 && hart[.mtinst] == 0x3000 && hart[.mtval] == Self.virtual)
            }
        }
        // Readable, but the accessed bit cannot be written: a write of the table.
        hart.store(position, entry((leaf & ~0xfff) + GuestTables.distance, 0xd3))
        hart[.menvcfg] = 1 << 61
        hart[.henvcfg] = 1 << 61
        tables.map(Self.virtual, to: GuestTables.guestPage, 0x0f)
        #expect(tables.fault(Self.virtual, .load) == 21)
        tables.enter()
        hart.cpu.takeTrap(cause: 21, value: Self.virtual, pc: 0)
        #expect(hart[.mtval2] == leaf >> 2 && hart[.mtinst] == 0x3020)
    }

    @Test("who marks pages accessed and dirty: henvcfg.ADUE in the first stage, menvcfg.ADUE in the second")
    func accessedAndDirty() throws {
        for choice in 0..<4 as Range<UInt64> {
            let tables = try GuestTables("rv64,h=on,svade=on")
            let hart = tables.hart
            let (second, first) = (choice & 1 != 0, choice & 3 == 3)
            hart[.menvcfg] = choice & 1 != 0 ? 1 << 61 : 0
            hart[.henvcfg] = choice & 2 != 0 ? 1 << 61 : 0
            // A bit that menvcfg has not is read-only zero in henvcfg.
            #expect(hart[.henvcfg] >> 61 & 1 == (first ? 1 : 0))
            let own = tables.map(Self.virtual, to: GuestTables.guestPage, 0x0f) + GuestTables.distance
            let others = tables.mapSecond(GuestTables.guestPage, to: GuestTables.page, 0x1f)
            #expect(tables.fault(Self.virtual, .store) == (first ? nil : 15))
            #expect((hart.load(own) ?? 0) & 0xc0 == (first ? 0xc0 : 0))
            tables.map(Self.virtual, to: GuestTables.guestPage, 0xcf)
            #expect(tables.fault(Self.virtual, .load) == (second ? nil : 21))
            #expect((hart.load(others) ?? 0) & 0xc0 == (second ? (first ? 0xc0 : 0x40) : 0))
        }
    }

    @Test("memory types and NAPOT pages in both stages")
    func otherEntries() throws {
        let tables = try GuestTables()
        let hart = tables.hart
        let first = tables.map(Self.virtual, to: GuestTables.guestPage) + GuestTables.distance
        let second = tables.mapSecond(GuestTables.guestPage, to: GuestTables.page)
        let own = entry(GuestTables.guestPage, 0xcf), others = entry(GuestTables.page, 0xdf)
        for (menvcfg, henvcfg) in [(0, 0), (1, 0), (1, 1)] as [(UInt64, UInt64)] {
            hart[.menvcfg] = menvcfg << 62
            hart[.henvcfg] = henvcfg << 62
            hart.store(first, own | 1 << 61)
            hart.store(second, others)
            #expect(tables.fault(Self.virtual, .load) == (henvcfg == 1 ? nil : 13))
            hart.store(first, own)
            hart.store(second, others | 1 << 62)
            #expect(tables.fault(Self.virtual, .load) == (menvcfg == 1 ? nil : 21))
        }
        hart.store(second, others)
        // 64 KiB leaves: the low bits of the page number come from the address.
        let napot = Self.virtual & ~0xffff | GuestTables.guestPage & 0xffff
        hart.store(tables.map(napot, to: 0) + GuestTables.distance, entry(GuestTables.guestPage & ~0xffff | 0x8000, 0xcf | 1 << 63))
        #expect(tables.page(napot, .load)?.physicalPage == GuestTables.page)
        hart.store(second, entry(GuestTables.page & ~0xffff | 0x8000, 0xdf | 1 << 63))
        #expect(tables.page(napot, .load)?.physicalPage == GuestTables.page & ~0xffff | GuestTables.guestPage & 0xffff)
    }

    @Test("superpages of both stages meet in one small page")
    func superpages() throws {
        let tables = try GuestTables()
        tables.map(Self.virtual & ~0x1f_ffff, to: 0x4020_0000, level: 1)
        tables.mapSecond(0x4000_0000, to: 0x8000_0000, level: 2)
        let page = try #require(tables.page(Self.virtual, .load))
        #expect(page.physicalPage == 0x8020_0000 + Self.virtual & 0x1f_ffff && page.superpage)
        // A misaligned one in the second stage is a guest-page fault.
        tables.mapSecond(0x4000_0000, to: 0x8020_0000, level: 2)
        #expect(tables.fault(Self.virtual, .load) == 21)
    }

    @Test("shadow stacks are the first stage's affair; the second must let them be read and written")
    func shadowStacks() throws {
        let tables = try GuestTables("max")
        let hart = tables.hart
        hart[.menvcfg] = 8
        hart[.henvcfg] = 8
        tables.map(Self.virtual, to: GuestTables.guestPage, 0xc5)
        for (flags, load, store) in [(0xdf, nil, nil), (0xd3, 23, 23), (0xd5, 23, 23)] as [(UInt64, UInt64?, UInt64?)] {
            tables.mapSecond(GuestTables.guestPage, to: GuestTables.page, flags)
            #expect(tables.fault(Self.virtual, .shadowLoad) == load && tables.fault(Self.virtual, .shadowStore) == store, "\(hex(flags))")
        }
        hart[.henvcfg] = 0
        #expect(tables.fault(Self.virtual, .shadowLoad) == 15)
    }

    @Test("what a debugger is told agrees with what happens")
    func explanations() throws {
        let tables = try GuestTables()
        let hart = tables.hart
        tables.map(Self.virtual, to: GuestTables.guestPage)
        tables.mapSecond(GuestTables.guestPage, to: GuestTables.page, 0xd3)
        tables.enter()
        let read = hart.cpu.explain(Self.virtual | 0x10, .load)
        #expect(read.fault == nil && read.physical == GuestTables.page | 0x10 && read.isGuest && read.steps.count == 6)
        #expect(read.steps.map(\.isSecondStage) == [false, false, false, true, true, true])
        #expect(hart.cpu.explain(Self.virtual, .store).fault == 23 && hart.cpu.explain(Self.virtual, .fetch).fault == 20)
        #expect(hart.cpu.explain(Self.virtual + 0x1000, .load).fault == 13)
        #expect(hart.cpu.mappings(space: tables.space, guestSpace: tables.guestSpace, limit: 10).map(\.physical) == [GuestTables.guestPage])
    }
}
