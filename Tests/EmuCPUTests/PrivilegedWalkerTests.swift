import EmuBus
import EmuCPU
import Testing

/// Page-table walks over hand-built tables in RAM: the root at +0x1000, further levels at +0x2000, +0x3000 …
@Suite struct PrivilegedWalkerTests {
    static let root = TestHart.ram + 0x1000
    /// V R W X A D: a supervisor page that allows everything.
    static let all: UInt64 = 0xcf

    static func satp(_ mode: UInt64) -> UInt64 { mode << 60 | 7 << 44 | root >> 12 }
    static func entry(_ physical: UInt64, _ flags: UInt64) -> UInt64 { (physical >> 12) << 10 | flags }

    /// Maps the page of `address` to `physical`, with the leaf at `leafLevel`; returns where the leaf's entry is.
    @discardableResult
    static func map(_ hart: TestHart, mode: UInt64 = 8, _ address: UInt64, leaf: UInt64, leafLevel: Int = 0) -> UInt64 {
        var table = root
        var level = Int(mode) - 6
        while true {
            let position = table + (address >> UInt64(12 + 9 * level) & 0x1ff) * 8
            if level == leafLevel {
                hart.store(position, leaf)
                return position
            }
            let next = root + 0x1000 * UInt64(Int(mode) - 5 - level)
            hart.store(position, entry(next, 1))
            table = next
            level -= 1
        }
    }

    static func walk(_ hart: TestHart, _ address: UInt64, _ access: RVAccess = .load, mode: UInt64 = 8, rights: UInt64 = 1) -> RVTranslation {
        hart.cpu.walk(address, access, rights: rights, space: satp(mode))
    }

    static func page(_ translation: RVTranslation) -> RVPage? {
        if case .page(let page) = translation { return page }
        return nil
    }

    static func fault(_ translation: RVTranslation) -> UInt64? {
        if case .fault(let cause) = translation { return cause }
        return nil
    }

    @Test func withoutTranslationEveryAddressIsItself() throws {
        let hart = try TestHart()
        let page = try #require(Self.page(hart.cpu.walk(0xffff_ffff_8000_1234, .store, rights: 3, space: 0)))
        #expect(page.physicalPage == 0xffff_ffff_8000_1000 && page.readable && page.writable && page.executable && !page.superpage)
    }

    @Test(arguments: [(8, 0x12_3456_7000), (9, 0x7654_3210_f000), (10, 0xab_cdef_0123_4000 & 0xff_ffff_ffff_ffff)] as [(UInt64, UInt64)])
    func everyModeReachesItsLastLevel(mode: UInt64, address: UInt64) throws {
        let hart = try TestHart()
        // Half of these have the top translated bit set and need the sign extension.
        let width = 12 + 9 * (mode - 5)
        let virtual = UInt64(bitPattern: Int64(bitPattern: address << (64 - width)) >> Int64(64 - width))
        Self.map(hart, mode: mode, virtual, leaf: Self.entry(0x8008_0000, Self.all))
        let page = try #require(Self.page(Self.walk(hart, virtual | 0xabc, mode: mode)))
        #expect(page.physicalPage == 0x8008_0000 && page.readable && page.writable && page.executable && !page.superpage)
    }

    @Test(arguments: [8, 9, 10] as [UInt64])
    func addressesMustBeSignExtended(mode: UInt64) throws {
        let hart = try TestHart()
        let top = UInt64(1) << (12 + 9 * (mode - 5) - 1)
        for (access, cause) in [(RVAccess.load, 13), (.store, 15), (.fetch, 12)] as [(RVAccess, UInt64)] {
            #expect(Self.fault(Self.walk(hart, top, access, mode: mode)) == cause)
            #expect(Self.fault(Self.walk(hart, top << 1, access, mode: mode)) == cause)
        }
    }

    @Test(arguments: [(8, 1), (8, 2), (9, 3), (10, 4)] as [(UInt64, Int)])
    func superpagesTakeTheirLowBitsFromTheAddress(mode: UInt64, level: Int) throws {
        let hart = try TestHart()
        let size = UInt64(1) << UInt64(12 + 9 * level)
        let leaf = Self.map(hart, mode: mode, 3 * size, leaf: Self.entry(5 * size, Self.all), leafLevel: level)
        let page = try #require(Self.page(Self.walk(hart, 3 * size + 0x5_6123, mode: mode)))
        #expect(page.physicalPage == 5 * size + 0x5_6000 && page.superpage)
        // A leaf whose physical address is not a multiple of its size is misaligned.
        hart.store(leaf, Self.entry(5 * size + 0x1000, Self.all))
        #expect(Self.fault(Self.walk(hart, 3 * size, mode: mode)) == 13)
    }

    @Test("bits 60 and 59 are reserved without Svrsw60t59b and the software's with it, at every level", arguments: [59, 60] as [UInt64])
    func bitsForSoftware(bit: UInt64) throws {
        for (cpu, isFree) in [("rv64", true), ("rv64,svrsw60t59b=off", false)] {
            let hart = try TestHart(cpu)
            let good = Self.entry(0x8008_0000, Self.all)
            let leaf = Self.map(hart, 0x40_0000, leaf: good | 1 << bit)
            #expect((Self.page(Self.walk(hart, 0x40_0000))?.physicalPage == 0x8008_0000) == isFree, "\(cpu)")
            hart.store(leaf, good)
            hart.store(Self.root, try #require(hart.load(Self.root)) | 1 << bit)
            hart.cpu.views.flush()
            #expect((Self.page(Self.walk(hart, 0x40_0000)) != nil) == isFree, "\(cpu), pointer")
        }
    }

    @Test func malformedEntriesFault() throws {
        let hart = try TestHart()
        let leaf = Self.map(hart, 0x40_0000, leaf: 0)
        let good = Self.entry(0x8008_0000, Self.all)
        let bad: [UInt64] = [
            good & ~1,  // not valid
            good & ~2, good & ~0xa,  // writable but not readable
            good | 1 << 54, good | 1 << 57, good | 1 << 58,  // reserved bits
            good | 3 << 61,  // reserved memory type
            good & ~0xe,  // a pointer at the last level
        ]
        for entry in bad {
            hart.store(leaf, entry)
            #expect(Self.fault(Self.walk(hart, 0x40_0000)) == 13, "\(hex(entry))")
        }
        hart.store(leaf, good)
        #expect(Self.page(Self.walk(hart, 0x40_0000)) != nil)
        // Pointers to the next level must leave U, A, D, N and the memory type alone.
        let pointer = Self.root
        let goodPointer = try #require(hart.load(pointer))
        for bit in [4, 6, 7, 61, 62, 63] as [UInt64] {
            hart.store(pointer, goodPointer | 1 << bit)
            // Valid pointers may be remembered up to the next fence.
            hart.cpu.views.flush()
            #expect(Self.fault(Self.walk(hart, 0x40_0000)) == 13, "bit \(bit)")
        }
    }

    @Test func userBitSeparatesUserFromSupervisor() throws {
        let hart = try TestHart()
        Self.map(hart, 0x1000, leaf: Self.entry(0x8008_0000, Self.all))
        #expect(Self.fault(Self.walk(hart, 0x1000, rights: 0)) == 13)
        #expect(Self.fault(Self.walk(hart, 0x1000, .fetch, rights: 0)) == 12)
        Self.map(hart, 0x1000, leaf: Self.entry(0x8008_0000, Self.all | 0x10))
        #expect(Self.page(Self.walk(hart, 0x1000, .store, rights: 0)) != nil)
        #expect(Self.fault(Self.walk(hart, 0x1000, .load, rights: 1)) == 13)
        // SUM opens loads and stores, never fetches.
        let sum = try #require(Self.page(Self.walk(hart, 0x1000, .store, rights: 1 | 4)))
        #expect(sum.readable && sum.writable && !sum.executable)
        #expect(Self.fault(Self.walk(hart, 0x1000, .fetch, rights: 1 | 4)) == 12)
    }

    @Test func makeExecutableReadableAffectsLoadsOnly() throws {
        let hart = try TestHart()
        Self.map(hart, 0x1000, leaf: Self.entry(0x8008_0000, 0xc9))  // V X A D
        #expect(Self.fault(Self.walk(hart, 0x1000)) == 13)
        #expect(Self.page(Self.walk(hart, 0x1000, rights: 1 | 8)) != nil)
        #expect(Self.fault(Self.walk(hart, 0x1000, .store, rights: 1 | 8)) == 15)
        #expect(Self.page(Self.walk(hart, 0x1000, .fetch))?.readable == false)
    }

    @Test func permissionsFollowTheEntry() throws {
        let hart = try TestHart()
        Self.map(hart, 0x1000, leaf: Self.entry(0x8008_0000, 0xc3))  // V R A D
        #expect(Self.page(Self.walk(hart, 0x1000)) != nil)
        #expect(Self.fault(Self.walk(hart, 0x1000, .store)) == 15)
        #expect(Self.fault(Self.walk(hart, 0x1000, .fetch)) == 12)
    }

    @Test func napotPagesSpan64KiB() throws {
        let hart = try TestHart()
        let leaf = Self.entry(0x8008_8000, Self.all) | 1 << 63
        Self.map(hart, 0x7_3000, leaf: leaf)
        #expect(Self.page(Self.walk(hart, 0x7_3000))?.physicalPage == 0x8008_3000)
        for wrong in [0x8008_0000, 0x8008_1000, 0x8008_4000, 0x8008_9000] as [UInt64] {
            Self.map(hart, 0x7_3000, leaf: Self.entry(wrong, Self.all) | 1 << 63)
            #expect(Self.fault(Self.walk(hart, 0x7_3000)) == 13)
        }
        // Only at the last level.
        Self.map(hart, 0x40_0000, leaf: Self.entry(0x8000_0000, Self.all) | 1 << 63, leafLevel: 1)
        #expect(Self.fault(Self.walk(hart, 0x40_0000)) == 13)
        let without = try TestHart("rv64,svnapot=off")
        Self.map(without, 0x7_3000, leaf: leaf)
        #expect(Self.fault(Self.walk(without, 0x7_3000)) == 13)
    }

    @Test func memoryTypesNeedMenvcfg() throws {
        let hart = try TestHart()
        for type in [1, 2] as [UInt64] {
            Self.map(hart, 0x1000, leaf: Self.entry(0x8008_0000, Self.all) | type << 61)
            hart.set(.menvcfg, 1 << 62)
            #expect(Self.page(Self.walk(hart, 0x1000)) != nil)
            hart.clear(.menvcfg, 1 << 62)
            #expect(Self.fault(Self.walk(hart, 0x1000)) == 13)
        }
    }

    @Test func hardwareSetsAccessedAndDirtyBits() throws {
        let hart = try TestHart()
        #expect(hart[.menvcfg] >> 61 & 1 == 1)  // ADUE is on after reset because svade is not offered
        let clean = Self.entry(0x8008_0000, 0x0f)
        let leaf = Self.map(hart, 0x1000, leaf: clean)
        let loaded = try #require(Self.page(Self.walk(hart, 0x1000)))
        #expect(hart.load(leaf) == clean | 0x40)
        // A clean page must come back for the first store.
        #expect(loaded.readable && !loaded.writable)
        #expect(Self.page(Self.walk(hart, 0x1000, .store))?.writable == true)
        #expect(hart.load(leaf) == clean | 0xc0)
    }

    @Test func refusedAccessesMarkNothing() throws {
        let hart = try TestHart()
        let leaf = Self.map(hart, 0x1000, leaf: Self.entry(0x8008_0000, 0x03))
        #expect(Self.fault(Self.walk(hart, 0x1000, .store)) == 15)
        #expect(hart.load(leaf) == Self.entry(0x8008_0000, 0x03))
    }

    @Test(arguments: ["rv64,svade=on", "rv64,svadu=off,svade=on"])
    func svadeFaultsInstead(option: String) throws {
        let hart = try TestHart(option)
        let leaf = Self.map(hart, 0x1000, leaf: Self.entry(0x8008_0000, 0x0f))
        for (access, cause) in [(RVAccess.load, 13), (.store, 15), (.fetch, 12)] as [(RVAccess, UInt64)] {
            #expect(Self.fault(Self.walk(hart, 0x1000, access)) == cause)
        }
        hart.store(leaf, Self.entry(0x8008_0000, 0x4f))
        #expect(Self.page(Self.walk(hart, 0x1000))?.writable == false)
        #expect(Self.fault(Self.walk(hart, 0x1000, .store)) == 15)
    }

    @Test func markingAPageDropsCodeInTheTable() throws {
        let hart = try TestHart()
        let leaf = Self.map(hart, 0x1000, leaf: Self.entry(0x8008_0000, 0x0f))
        let ops = [DecodedOp(.addi), DecodedOp(.blockEnd)]
        _ = ops.withUnsafeBufferPointer { hart.cache.insert(leaf & ~7, mode: 0, $0, byteLength: 4, secondPage: 0) }
        _ = Self.walk(hart, 0x1000)
        #expect(hart.cache.blocksInvalidated == 1)
    }

    @Test func tablesOutsideMemoryAreAccessFaults() throws {
        let hart = try TestHart()
        for (access, cause) in [(RVAccess.load, 5), (.store, 7), (.fetch, 1)] as [(RVAccess, UInt64)] {
            #expect(Self.fault(hart.cpu.walk(0x1000, access, rights: 1, space: 8 << 60 | 0x10_0000)) == cause)
            hart.store(Self.root, Self.entry(0x1000_0000, 1))
            #expect(Self.fault(Self.walk(hart, 0x1000, access)) == cause)
        }
    }

    @Test func readOnlyTablesCannotBeMarked() throws {
        let hart = try TestHart()
        let rom = try #require(hart.bus.memories.first { $0.contains(TestHart.rom, 1) })
        Self.map(hart, 0x1000, leaf: 0)
        // The last level lies in ROM: walking works, updating does not.
        hart.store(Self.root + 0x1000, Self.entry(TestHart.rom, 1))
        let entries = [Self.entry(0x8008_0000, 0xcf), Self.entry(0x8008_0000, 0x0f)]
        entries.withUnsafeBytes { #expect(rom.load($0, at: TestHart.rom)) }
        #expect(Self.page(Self.walk(hart, 0x0)) != nil)
        #expect(Self.fault(Self.walk(hart, 0x1000)) == 5)
    }

    @Test func protectionAppliesToTableAccesses() throws {
        let hart = try TestHart()
        let leaf = Self.map(hart, 0x1000, leaf: Self.entry(0x8008_0000, 0x0f))
        // Entry 0: the leaf's 8 bytes, read only; entry 1: everything.
        hart[.pmpaddr1] = .max
        hart[.pmpaddr0] = leaf >> 2
        hart[.pmpcfg0] = 0x1f19
        #expect(Self.fault(Self.walk(hart, 0x1000)) == 5)  // A could not be set
        #expect(hart.load(leaf) == Self.entry(0x8008_0000, 0x0f))
        hart.store(leaf, Self.entry(0x8008_0000, 0xcf))
        #expect(Self.page(Self.walk(hart, 0x1000)) != nil)
        hart[.pmpcfg0] = 0x1f18
        for (access, cause) in [(RVAccess.load, 5), (.store, 7), (.fetch, 1)] as [(RVAccess, UInt64)] {
            #expect(Self.fault(Self.walk(hart, 0x1000, access)) == cause)
        }
    }

    @Test func impossibleModesOfARestoredStateFault() throws {
        let hart = try TestHart()
        for mode in [1, 7, 11, 15] as [UInt64] { #expect(Self.fault(Self.walk(hart, 0, mode: mode)) == 13) }
    }
}
