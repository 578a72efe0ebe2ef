import EmuCPU
import Testing

/// mseccfg: Smepmp and who may poll Zkr's entropy source.
@Suite struct PrivilegedSecurityTests {
    private static let lockdown: UInt64 = 1, allowlist: UInt64 = 2, bypass: UInt64 = 4

    private static func rights(_ hart: TestHart, _ mode: UInt8) -> String {
        zip("rwx", [RVAccess.load, .store, .fetch]).map { PrivilegedPMPTests.allows(hart, 0x1000, 4, $1, mode) ? String($0) : "-" }.joined()
    }

    /// "Smepmp Physical Memory Protection Rules", the truth table: LRWX, M-mode, S- and U-mode.
    private static let table: [(flags: UInt64, machine: String, others: String)] = [
        (0b0000, "---", "---"), (0b0001, "---", "--x"), (0b0010, "rw-", "r--"), (0b0011, "rw-", "rw-"),
        (0b0100, "---", "r--"), (0b0101, "---", "r-x"), (0b0110, "---", "rw-"), (0b0111, "---", "rwx"),
        (0b1000, "---", "---"), (0b1001, "--x", "---"), (0b1010, "--x", "--x"), (0b1011, "r-x", "--x"),
        (0b1100, "r--", "---"), (0b1101, "r-x", "---"), (0b1110, "rw-", "---"), (0b1111, "r--", "r--"),
    ]

    /// A pmpcfg byte of NAPOT mode with LRWX as the manual's table writes them.
    private static func configuration(_ flags: UInt64) -> UInt64 {
        0x18 | (flags >> 3 & 1) << 7 | flags >> 2 & 1 | (flags >> 1 & 1) << 1 | (flags & 1) << 2
    }

    @Test func lockdownGivesTheRightsOfTheTable() throws {
        for row in Self.table {
            let hart = try TestHart(openPMP: false)
            hart[.pmpaddr0] = .max
            hart[.mseccfg] = Self.lockdown | Self.bypass
            hart[.pmpcfg0] = Self.configuration(row.flags)
            #expect(hart[.pmpcfg0] == Self.configuration(row.flags))
            #expect(Self.rights(hart, Mode.machine) == row.machine, "LRWX \(String(row.flags, radix: 2)) in M-mode")
            for mode in [Mode.supervisor, Mode.user] { #expect(Self.rights(hart, mode) == row.others, "LRWX \(String(row.flags, radix: 2))") }
            for mode in Mode.all {
                let page = hart.cpu.pmpPage(0x1000, privilege: mode)
                let text = Self.rights(hart, mode)
                #expect(page.uniform && (page.read, page.write, page.execute) == (text.contains("r"), text.contains("w"), text.contains("x")))
            }
        }
    }

    @Test func machineModeWithoutAnEntryFollowsThePolicy() throws {
        for (bits, expected) in [(0, "rwx"), (Self.lockdown, "rw-"), (Self.allowlist, "---"), (Self.lockdown | Self.allowlist, "---")] {
            let hart = try TestHart(openPMP: false)
            hart[.mseccfg] = bits
            #expect(Self.rights(hart, Mode.machine) == expected, "mseccfg \(bits)")
            #expect(Self.rights(hart, Mode.supervisor) == "---")
            #expect(hart.cpu.pmpPage(0x1000, privilege: Mode.machine).execute == expected.contains("x"))
        }
    }

    @Test func lockdownAndAllowlistStayUntilReset() throws {
        let hart = try TestHart()
        hart[.mseccfg] = 0
        #expect(hart[.mseccfg] == 0)
        hart[.mseccfg] = Self.lockdown
        hart[.mseccfg] = Self.allowlist
        #expect(hart[.mseccfg] == Self.lockdown | Self.allowlist)
        hart[.mseccfg] = 0
        #expect(hart[.mseccfg] == Self.lockdown | Self.allowlist)
        hart.cpu.reset()
        // S-mode may poll the entropy source, as the device tree says.
        #expect(hart[.mseccfg] == 1 << 9)
    }

    @Test func bypassOpensLockedEntriesAndCannotComeBack() throws {
        let hart = try TestHart(openPMP: false)
        hart[.mseccfg] = Self.bypass
        hart[.pmpaddr0] = 0x1000 >> 2
        hart[.pmpaddr1] = 0x2000 >> 2
        hart[.pmpcfg0] = 0x8900
        // Locked, its bottom too, but nothing holds.
        hart[.pmpaddr0] = 0x400
        hart[.pmpaddr1] = 0x900
        hart[.pmpcfg0] = 0x8b00
        #expect((hart[.pmpaddr0], hart[.pmpaddr1], hart[.pmpcfg0]) == (0x400, 0x900, 0x8b00))
        hart[.mseccfg] = Self.bypass
        #expect(hart[.mseccfg] == Self.bypass)
        // Given up while an entry is locked, it is gone, and the entry holds.
        hart[.mseccfg] = 0
        hart[.mseccfg] = Self.bypass
        hart[.pmpcfg0] = 0
        hart[.pmpaddr1] = 0
        #expect((hart[.mseccfg], hart[.pmpcfg0], hart[.pmpaddr1]) == (0, 0x8b00, 0x900))
    }

    @Test func codeForMachineModeIsNotAddedUnderLockdown() throws {
        for row in Self.table {
            let hart = try TestHart(openPMP: false)
            hart[.mseccfg] = Self.lockdown
            hart[.pmpcfg0] = Self.configuration(row.flags)
            #expect((hart[.pmpcfg0] == 0) == row.machine.contains("x"), "LRWX \(String(row.flags, radix: 2))")
        }
    }

    @Test func writeWithoutReadStaysReservedOutsideLockdown() throws {
        let hart = try TestHart(openPMP: false)
        hart[.pmpcfg0] = 0x1a
        #expect(hart[.pmpcfg0] == 0x18)
    }

    @Test func theRegisterExistsWithAnyOfItsFields() throws {
        #expect(try TestHart().reads(.mseccfg))
        let zkr = try TestHart("rv64,smepmp=off,zkr=on")
        zkr[.mseccfg] = Self.lockdown | 1 << 8 | 1 << 9
        #expect(zkr[.mseccfg] == 1 << 8 | 1 << 9)
        #expect(try !TestHart("rva22s64").reads(.mseccfg))
    }

    // MARK: Zkr

    @Test func seedGivesSixteenBitsOncePolled() throws {
        let hart = try TestHart()
        var seen: Set<UInt64> = []
        for _ in 0..<64 {
            let value = try #require(hart.csr(.csrrw, .seed, 0))
            #expect(value >> 16 == 0x8000, "ES16 and no other bits")
            seen.insert(value & 0xffff)
        }
        #expect(seen.count > 50)
        // Looking without polling shows nothing; a poll must write, whatever it writes.
        #expect(hart[.seed] == 0)
        #expect(hart.csr(.csrrs, .seed) == nil && hart.csr(.csrrc, .seed) == nil)
        #expect(hart.csr(.csrrs, .seed, 5) != nil && hart.csr(.csrrc, .seed, 0) != nil)
    }

    @Test func seedBelowMachineModeNeedsItsBit() throws {
        for (bits, supervisor, user) in [(0, false, false), (1 << 9, true, false), (1 << 8, false, true), (3 << 8, true, true)] as [(UInt64, Bool, Bool)] {
            let hart = try TestHart()
            hart[.mseccfg] = bits
            hart.cpu.privilege = Mode.supervisor
            #expect((hart.csr(.csrrw, .seed, 0) != nil) == supervisor)
            hart.cpu.privilege = Mode.user
            #expect((hart.csr(.csrrw, .seed, 0) != nil) == user)
        }
    }

    @Test func seededHartsRepeatAndDiffer() throws {
        func values(index: Int, seed: UInt64?) throws -> [UInt64?] {
            var config = try RVConfig.parse("rv64")
            config.entropySeed = seed
            let base = try TestHart()
            let cpu = RVProcessor(index: index, config: config, bus: base.bus, cache: base.cache, events: base.events, readTime: { 0 })
            return withExtendedLifetime(base) {
                (0..<8).map { _ in cpu.executeCSR(.csrrwi, DecodedOp(.csrrwi, rd: 2, imm: 0x15)) ? cpu.x[2] : nil }
            }
        }
        #expect(try values(index: 0, seed: 1) == values(index: 0, seed: 1))
        #expect(try values(index: 0, seed: 1) != values(index: 1, seed: 1))
        #expect(try values(index: 0, seed: 1) != values(index: 0, seed: 2))
        #expect(try values(index: 0, seed: nil) != values(index: 0, seed: nil))
    }
}
