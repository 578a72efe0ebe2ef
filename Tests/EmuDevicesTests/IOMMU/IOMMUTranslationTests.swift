import EmuBus
import EmuDevices
import Testing

/// The rules of "Process to translate an IOVA", asked through the translation-request interface.
@Suite struct IOMMUTranslationTests {
    private typealias Bench = IOMMUBench

    private func started(_ configuration: RISCVIOMMU.Configuration = .init(), levels: Int = 1) throws -> IOMMUBench {
        let bench = try IOMMUBench(configuration)
        bench.startQueues()
        bench.start(levels: levels)
        return bench
    }

    private static let base: RISCVIOMMU.Configuration = {
        var configuration = RISCVIOMMU.Configuration()
        configuration.hasMessageTables = false
        return configuration
    }()

    @Test func capabilitiesTellWhatIsThere() throws {
        let always: UInt64 = 0x10 | 1 << 15 | 1 << 24 | 2 << 28 | 1 << 31 | 56 << 32 | 3 << 42
        let first: UInt64 = 7 << 9 | 7 << 38, second: UInt64 = 7 << 17, messages: UInt64 = 1 << 22
        for (hasFirst, hasSecond, hasMessages) in [(true, true, true), (false, true, true), (true, false, false), (false, false, false)] {
            var configuration = RISCVIOMMU.Configuration()
            (configuration.hasFirstStage, configuration.hasSecondStage, configuration.hasMessageTables) = (hasFirst, hasSecond, hasMessages)
            let expected = always | (hasFirst ? first : 0) | (hasSecond ? second : 0) | (hasMessages ? messages : 0)
            let bench = try IOMMUBench(configuration)
            bench.put(0, .max)
            #expect(bench.get(0) == expected && bench.get(4, size: 4) == expected >> 32)
        }
    }

    @Test func bareTranslatesNothingAndOffLetsNothingPass() throws {
        let bench = try IOMMUBench()
        bench.startQueues()
        #expect(bench.get(16) == 1 && bench.translate(0x1234_5000) == 0x1234_5000)
        bench.put(16, 0)
        #expect(bench.cause(0x1000) == 256)
        var configuration = RISCVIOMMU.Configuration()
        configuration.isOffAfterReset = true
        #expect(try IOMMUBench(configuration).get(16) == 0)
    }

    @Test func modesThatDoNotExistLeaveTheModeAsItIs() throws {
        let bench = try IOMMUBench()
        for mode: UInt64 in 5...15 {
            bench.put(16, mode | 1 << 10)
            #expect(bench.get(16) == 1 | 1 << 10)
        }
        // Busy, reserved bits.
        bench.put(16, 0x3f0 | 0xffc << 52 | 4)
        #expect(bench.get(16) == 4)
    }

    // MARK: Device contexts

    @Test(arguments: [true, false], 1...3) func deviceIDsSelectContexts(isExtended: Bool, levels: Int) throws {
        let bench = try started(isExtended ? .init() : Self.base, levels: levels)
        let bits = isExtended ? [6, 15, 24][levels - 1] : [7, 16, 24][levels - 1]
        let ids: [UInt64] = [0, 1, 1 << UInt64(bits) - 1, 1 << UInt64(bits - 1), 0x2a & (1 << UInt64(bits) - 1)]
        for (index, id) in ids.enumerated() {
            let field = bench.table(3)
            bench.setContext(id, first: field)
            bench.map(field, 0x1000, to: 0x10_0000 + UInt64(index) << 12)
        }
        for (index, id) in ids.enumerated() { #expect(bench.translate(0x1000, device: id) == 0x10_0000 + UInt64(index) << 12, "\(id)") }
        #expect(bench.cause(0x1000, device: 3) == 258)
        if levels < 3 { #expect(bench.cause(0x1000, device: 1 << UInt64(bits)) == 260) }
    }

    @Test func directoryEntriesAreChecked() throws {
        let bench = try started(levels: 2)
        #expect(bench.cause(0x1000) == 258)
        _ = bench.context(8)
        let good = bench.word(bench.root)
        for (entry, cause) in [(good & ~1, 258), (good | 2, 259), (good | 1 << 9, 259), (good | 1 << 54, 259), (good | 1 << 63, 259), (1 | 5 << 10, 257)] as [(UInt64, UInt64)] {
            bench.store(bench.root, entry)
            #expect(bench.cause(0x1000) == cause, "\(hex(entry))")
        }
        bench.put(16, 3 | 7 << 10)
        #expect(bench.cause(0x1000) == 257)
    }

    /// Words of a context to set, by index.
    private static let misconfigured: [(String, [Int: UInt64])] = [
        ("EN_ATS", [0: 3]), ("EN_PRI", [0: 5]), ("T2GPA", [0: 9]), ("PRPR", [0: 0x41]), ("SBE", [0: 0x401]), ("SXL", [0: 0x801]),
        ("reserved tc 12", [0: 0x1001]), ("reserved tc 32", [0: 1 | 1 << 32]), ("DPE without PDTV", [0: 0x201]),
        ("iohgatp 7", [1: 7 << 60]), ("iohgatp 11", [1: 11 << 60]), ("root not aligned", [1: 8 << 60 | 2]),
        ("ta 0", [2: 1]), ("ta 32", [2: 1 << 32]), ("RCID", [2: 1 << 40]), ("MCID", [2: 1 << 52]),
        ("iosatp 1", [3: 1 << 60]), ("iosatp 11", [3: 11 << 60]), ("iosatp reserved", [3: 8 << 60 | 1 << 44]), ("pdtp 4", [0: 0x21, 3: 4 << 60]),
        ("pdtp 8", [0: 0x21, 3: 8 << 60]), ("MSI without second stage", [4: 1 << 60]), ("msiptp 2", [1: 8 << 60, 4: 2 << 60]),
        ("msiptp reserved", [1: 8 << 60, 4: 1 << 60 | 1 << 44]), ("mask", [5: 1 << 52]), ("pattern", [6: 1 << 63]), ("reserved", [7: 1]),
    ]

    @Test func contextsAreChecked() throws {
        let bench = try started()
        for (name, words) in Self.misconfigured {
            bench.setContext(8)
            #expect(bench.translate(0x1000) == 0x1000)
            for (index, word) in words { bench.store(bench.context(8) + 8 * UInt64(index), word) }
            #expect(bench.cause(0x1000) == 259, "\(name)")
        }
        // Custom bits are anybody's.
        bench.setContext(8, control: 1 | 0xff << 24)
        #expect(bench.translate(0x1000) == 0x1000)
    }

    @Test func stagesThatAreLeftOutCannotBeUsed() throws {
        var configuration = RISCVIOMMU.Configuration()
        (configuration.hasFirstStage, configuration.hasSecondStage) = (false, false)
        let bench = try started(configuration)
        for (second, first, control) in [(0, 8, 1), (8, 0, 1), (0, 1, 0x21)] as [(UInt64, UInt64, UInt64)] {
            bench.setContext(8, control: control, second: second << 60, first: first << 60)
            #expect(bench.cause(0x1000) == 259)
        }
    }

    @Test func faultsOfTranslationCanBeHidden() throws {
        let bench = try started()
        bench.setContext(8, control: 1 | 1 << 4, first: bench.table(3))
        #expect(bench.translate(0x1000) == nil && bench.takeFault() == nil)
        // Those that no valid context stands behind cannot.
        bench.setContext(8, control: 1 << 4)
        #expect(bench.cause(0x1000) == 258)
        bench.setContext(8, control: 1 | 1 << 4 | 2)
        #expect(bench.cause(0x1000) == 259)
    }

    // MARK: First stage

    @Test(arguments: 3...5) func firstStageMapsPagesOfAllSizes(levels: Int) throws {
        let bench = try started()
        let field = bench.table(levels)
        bench.setContext(8, first: field)
        for level in 0..<levels {
            let size = UInt64(4096) << UInt64(9 * level), address = size * 3, target = size * 5
            bench.map(field, address, to: target, level: level)
            for offset in [0, size / 2 & ~0xfff, size - 4096] { #expect(bench.translate(address + offset) == target + offset) }
            // A superpage's target must be aligned.
            if level > 0 {
                bench.map(field, address, to: target + 4096, level: level)
                #expect(bench.cause(address) == 13)
            }
            bench.store(bench.entry(field, address, level: level), 0)
        }
        let high = UInt64.max << UInt64(11 + 9 * levels)
        bench.map(field, high, to: 0x7000)
        #expect(bench.translate(high) == 0x7000)
        // The bits above must be like the highest that is translated.
        for address in [1 << UInt64(11 + 9 * levels), 1 << 63] as [UInt64] where address != high { #expect(bench.cause(address) == 13) }
    }

    @Test func naturallyAlignedRangesAreOneEntry() throws {
        let bench = try started()
        let field = bench.table(3)
        bench.setContext(8, first: field)
        for page: UInt64 in 0..<16 { bench.map(field, 0x1_0000 + page << 12, to: 0x40_8000, Bench.all | 1 << 63) }
        #expect(bench.translate(0x1_3000) == 0x40_3000 && bench.translate(0x1_f000) == 0x40_f000)
        bench.map(field, 0x1_0000, to: 0x40_4000, Bench.all | 1 << 63)
        #expect(bench.cause(0x1_0000) == 13)
        // A superpage cannot be part of one.
        bench.map(field, 0x4000_0000, to: 0x20_0000, Bench.all | 1 << 63, level: 1)
        #expect(bench.cause(0x4000_0000) == 13)
    }

    /// Flags of a leaf, and the causes for reads, writes and fetches by a device.
    private static let leaves: [(UInt64, [UInt64?])] = [
        (Bench.all, [nil, nil, nil]), (Bench.all & ~1, [13, 15, 12]), (Bench.all & ~2, [13, 15, 12]), (Bench.all & ~4, [nil, 15, nil]),
        (Bench.all & ~6, [13, 15, nil]), (Bench.all & ~8, [nil, nil, 12]), (Bench.all & ~0x10, [13, 15, 12]), (Bench.all & ~0x40, [13, 15, 12]),
        (Bench.all & ~0x80, [nil, 15, nil]), (Bench.all | 1 << 54, [13, 15, 12]), (Bench.all | 1 << 59, [13, 15, 12]), (Bench.all | 1 << 61, [nil, nil, nil]),
        (Bench.all | 2 << 61, [nil, nil, nil]), (Bench.all | 3 << 61, [13, 15, 12]), (Bench.all | 0x320, [nil, nil, nil]), (1, [13, 15, 12]),
    ]

    @Test func leavesSayWhatIsAllowed() throws {
        let bench = try started()
        let field = bench.table(3)
        bench.setContext(8, first: field)
        for (flags, causes) in Self.leaves {
            bench.map(field, 0x1000, to: 0x9000, flags)
            for (access, cause) in zip([IOMMUBench.Access.read, .write, .execute], causes) {
                #expect(bench.cause(0x1000, access) == cause, "\(hex(flags)) \(access)")
            }
        }
        bench.map(field, 0x1000, to: 0x9000, Bench.all | 2 << 61)
        _ = bench.translate(0x1000)
        #expect(bench.get(616) >> 7 & 3 == 2)
    }

    @Test func pointersToTablesAreChecked() throws {
        let bench = try started()
        let field = bench.table(3)
        bench.setContext(8, first: field)
        bench.map(field, 0x1000, to: 0x9000)
        let position = bench.entry(field, 0x1000, level: 1), good = bench.word(position)
        for bit: UInt64 in [4, 6, 7, 54, 61, 63] {
            bench.store(position, good | 1 << bit)
            #expect(bench.cause(0x1000) == 13, "\(bit)")
        }
        bench.store(position, 1 | 5 << 10)
        for (access, cause) in zip([IOMMUBench.Access.read, .write, .execute], [5, 7, 1] as [UInt64]) { #expect(bench.cause(0x1000, access) == cause) }
    }

    @Test func accessedAndDirtyAreSetWhereTheContextSaysSo() throws {
        let bench = try started()
        let field = bench.table(3)
        bench.setContext(8, control: 1 | 1 << 8, first: field)
        bench.map(field, 0x1000, to: 0x9000, 0x1f)
        let position = bench.entry(field, 0x1000)
        #expect(bench.translate(0x1000, .read) == 0x9000 && bench.word(position) & 0xff == 0x5f)
        #expect(bench.translate(0x1000, .write) == 0x9000 && bench.word(position) & 0xff == 0xdf)
        // What is refused marks nothing.
        bench.map(field, 0x1000, to: 0x9000, 0x13)
        #expect(bench.cause(0x1000, .write) == 15 && bench.word(position) & 0xff == 0x13)
    }

    // MARK: Second stage

    @Test(arguments: 3...5) func secondStageTranslatesGuestAddresses(levels: Int) throws {
        let bench = try started()
        let second = bench.table(levels, isSecond: true)
        bench.setContext(8, second: second)
        // Two bits more than the first stage, which are not sign-extended.
        let highest = UInt64(1) << UInt64(14 + 9 * levels) - 4096
        bench.map(second, highest, to: 0x9000, isSecond: true)
        bench.map(second, 0x20_0000, to: 0x4000_0000, level: 1, isSecond: true)
        #expect(bench.translate(highest) == 0x9000 && bench.translate(0x20_5000) == 0x4000_5000)
        for (access, cause) in zip([IOMMUBench.Access.read, .write, .execute], [21, 23, 20] as [UInt64]) {
            _ = bench.translate(highest + 4096, access)
            let fault = try #require(bench.takeFault())
            #expect(fault[0] & 0xfff == cause && fault[2] == highest + 4096 && fault[3] == highest + 4096)
        }
        bench.map(second, 0x1000, to: 0x9000, Bench.all & ~Bench.user, isSecond: true)
        #expect(bench.cause(0x1000) == 21)
    }

    @Test func bothStagesTranslateEachOther() throws {
        let bench = try started()
        let second = bench.table(3, isSecond: true), first = bench.table(3)
        bench.setContext(8, second: second, first: first)
        bench.map(first, 0x1000, to: 0x5000)
        bench.map(second, 0x5000, to: 0xb000, isSecond: true)
        // The guest's tables are at guest addresses, which nothing maps yet.
        let root = IOMMUBench.root(first)
        _ = bench.translate(0x1000, .write)
        var fault = try #require(bench.takeFault())
        #expect(fault[0] & 0xfff == 23 && fault[2] == 0x1000 && fault[3] == root | 1)
        bench.map(second, root & ~0x1f_ffff, to: root & ~0x1f_ffff, level: 1, isSecond: true)
        #expect(bench.translate(0x1000, .write) == 0xb000)
        // Neither stage alone decides.
        bench.map(second, 0x5000, to: 0xb000, Bench.all & ~(Bench.write | Bench.dirty), isSecond: true)
        _ = bench.translate(0x1000, .write)
        fault = try #require(bench.takeFault())
        #expect(fault[0] & 0xfff == 23 && fault[3] == 0x5000 && bench.translate(0x1000, .read) == 0xb000)
    }

    @Test func updatesOfGuestTablesAreWritesOfTheSecondStage() throws {
        let bench = try started()
        let second = bench.table(3, isSecond: true), first = bench.table(3)
        bench.setContext(8, control: 1 | 1 << 8, second: second, first: first)
        bench.map(first, 0x1000, to: 0x5000, 0x1f)
        bench.map(second, 0x5000, to: 0xb000, isSecond: true)
        let root = IOMMUBench.root(first) & ~0x1f_ffff
        bench.map(second, root, to: root, Bench.all & ~Bench.dirty, level: 1, isSecond: true)
        _ = bench.translate(0x1000)
        let fault = try #require(bench.takeFault())
        #expect(fault[0] & 0xfff == 21 && fault[3] & 3 == 3)
        bench.setContext(8, control: 1 | 3 << 7, second: second, first: first)
        #expect(bench.translate(0x1000) == 0xb000)
        #expect(bench.word(bench.entry(second, root, level: 1, isSecond: true)) & Bench.dirty != 0)
    }

    // MARK: Processes

    @Test(arguments: [(1, 8), (2, 17), (3, 20)] as [(UInt64, UInt64)]) func processIDsSelectContexts(mode: UInt64, bits: UInt64) throws {
        let bench = try started()
        let root = bench.pages()
        bench.setContext(8, control: 0x21, first: mode << 60 | root >> 12)
        let highest: UInt64 = 1 << (bits - 1)
        let id: UInt64 = (highest - 1) & 0xa_5a5a | highest
        var table = root
        for (level, shift, mask) in [(2, 17, 7), (1, 8, 0x1ff)] as [(UInt64, UInt64, UInt64)] where level < mode {
            let position = table + 8 * (id >> shift & mask)
            table = bench.pages()
            bench.store(position, IOMMUBench.pageNumber(table) | 1)
        }
        let field = bench.table(3)
        bench.map(field, 0x1000, to: 0x9000)
        let position = table + 16 * (id & 0xff)
        bench.store(position, 1, field)
        #expect(bench.translate(0x1000, process: id) == 0x9000)
        #expect(bench.cause(0x1000, process: id ^ 1) == 266)
        if bits < 20 { #expect(bench.cause(0x1000, process: id | 1 << bits) == 260) }
        // No process: nothing is translated, unless 0 is the default.
        #expect(bench.translate(0x1000) == 0x1000)
        for (attributes, stage) in [(1 | 8, field), (1 | 1 << 32, field), (1, 7 << 60), (1, field | 1 << 44)] as [(UInt64, UInt64)] {
            bench.store(position, attributes, stage)
            #expect(bench.cause(0x1000, process: id) == 267)
        }
        bench.store(root, 1 | 2)
        if mode > 1 { #expect(bench.cause(0x1000, process: 0) == 267) }
        bench.setContext(8, control: 0x21, first: mode << 60 | 5)
        #expect(bench.cause(0x1000, process: id) == 265)
    }

    @Test func zeroIsTheDefaultProcessWhereTheContextSaysSo() throws {
        let bench = try started()
        let root = bench.pages(), field = bench.table(3)
        bench.map(field, 0x1000, to: 0x9000)
        bench.store(root, 1, field)
        bench.setContext(8, control: 0x221, first: 1 << 60 | root >> 12)
        #expect(bench.translate(0x1000) == 0x9000)
        // A directory that is none translates nothing; no directory, no processes.
        bench.setContext(8, control: 0x21)
        #expect(bench.translate(0x1000, process: 5) == 0x1000)
        bench.setContext(8)
        #expect(bench.cause(0x1000, process: 5) == 260)
        bench.translateFault(process: 5, isPrivileged: true) { #expect($0[0] == 260 | 5 << 12 | 3 << 32 | 2 << 34 | 8 << 40 && $0[2] == 0x1000) }
    }

    @Test func privilegeIsTheProcessContextsToAllow() throws {
        let bench = try started()
        let root = bench.pages(), field = bench.table(3)
        bench.map(field, 0x1000, to: 0x9000)
        bench.map(field, 0x2000, to: 0xa000, Bench.all & ~Bench.user)
        bench.setContext(8, control: 0x21, first: 1 << 60 | root >> 12)
        bench.store(root, 1, field)
        #expect(bench.cause(0x2000, process: 0, isPrivileged: true) == 260)
        bench.store(root, 3, field)
        #expect(bench.translate(0x2000, process: 0, isPrivileged: true) == 0xa000 && bench.cause(0x2000, process: 0) == 13)
        #expect(bench.cause(0x1000, process: 0, isPrivileged: true) == 13 && bench.translate(0x1000, process: 0) == 0x9000)
        bench.store(root, 7, field)
        #expect(bench.translate(0x1000, process: 0, isPrivileged: true) == 0x9000)
        #expect(bench.cause(0x1000, .execute, process: 0, isPrivileged: true) == 12)
    }

    @Test func processDirectoriesOfGuestsAreAtGuestAddresses() throws {
        let bench = try started()
        let second = bench.table(3, isSecond: true), root = bench.pages(), field = bench.table(3)
        bench.map(field, 0x1000, to: 0x5000)
        bench.store(root, 1, field)
        bench.setContext(8, control: 0x21, second: second, first: 1 << 60 | root >> 12)
        bench.translateFault(.write, process: 0) { #expect($0[0] & 0xfff == 23 && $0[3] == root | 1) }
        for page in [root, IOMMUBench.root(field)] { bench.map(second, page & ~0x1f_ffff, to: page & ~0x1f_ffff, level: 1, isSecond: true) }
        bench.map(second, 0x5000, to: 0xc000, isSecond: true)
        #expect(bench.translate(0x1000, .write, process: 0) == 0xc000)
    }

    // MARK: Messages

    @Test func messagesGoWhereTheirTableSays() throws {
        let bench = try started()
        let second = bench.table(3, isSecond: true), table = bench.pages()
        // Files at 0x2800_0000 + n * 0x2000, four of them: bits 1 and 2 of the page number choose.
        bench.setContext(8, second: second, messages: (1 << 60 | table >> 12, 6, 0x2_8000))
        bench.map(second, 0x2800_1000, to: 0x7000, isSecond: true)
        bench.store(table + 16 * 3, IOMMUBench.pageNumber(0x2400_5000) | 7, .max)
        #expect(bench.translate(0x2800_6000, .write) == 0x2400_5000 && bench.translate(0x2800_6000) == 0x2400_5000)
        #expect(bench.cause(0x2800_6000, .execute) == 1)
        #expect(bench.cause(0x2800_4000, .write) == 262)
        // No file's page: as every other.
        #expect(bench.translate(0x2800_1000, .write) == 0x7000 && bench.cause(0x2800_8000, .write) == 23)
        for entry: UInt64 in [1, 3, 5, 7 | 8, 7 | 1 << 54, 7 | 1 << 63] {
            bench.store(table, entry)
            #expect(bench.cause(0x2800_0000, .write) == 263, "\(entry)")
        }
        bench.setContext(8, second: second, messages: (1 << 60 | 5, 6, 0x2_8000))
        #expect(bench.cause(0x2800_0000, .write) == 261)
    }
}

extension IOMMUBench {
    /// Makes a request at 0x1000 that fails and shows its record.
    func translateFault(_ access: Access = .read, process: UInt64? = nil, isPrivileged: Bool = false, _ check: ([UInt64]) -> Void) {
        _ = translate(0x1000, access, process: process, isPrivileged: isPrivileged)
        check(takeFault() ?? [0, 0, 0, 0])
    }
}
