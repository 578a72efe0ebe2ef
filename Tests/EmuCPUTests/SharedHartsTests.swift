import EmuBus
import EmuCPU
import EmuJIT
import Foundation
import TestSupport
import Testing

/// Harts with caches of their own over one memory, as they run on threads: what passes between them.
struct SharedHartsTests {
    private static let ram: UInt64 = 0x8000_0000
    private static let code = ram + 0x1000
    private static let data = ram + 0x8000

    /// Two harts in M-mode that a test runs itself.
    private final class Pair {
        let bus = AddressSpace()
        let events = EventQueue(mode: .host)
        let harts: [RVProcessor]
        let group: HartGroup

        init(_ cpu: String = "rv64", translating: Bool = false) throws {
            try bus.map(GuestRAM(base: SharedHartsTests.ram, size: 1 << 20), name: "ram")
            let (bus, events) = (bus, events)
            harts = try (0..<2).map { index in
                let cache = TranslationCache(bus: bus)
                if translating {
                    let backend = try X86Backend(layout: RVProcessor.stateLayout, capacity: 4 << 20, isShared: true)
                    cache.hostCode = HostCodeCache(cache: cache, backend: backend, threshold: 0)
                }
                return RVProcessor(index: index, config: try RVConfig.parse(cpu), bus: bus, cache: cache, events: events, readTime: { 0 })
            }
            group = RVProcessor.makeParallel(harts, bus: bus)
        }

        func place(_ program: [UInt32], at address: UInt64) {
            for (index, word) in program.enumerated() { #expect(bus.storeMemory(address + 4 * UInt64(index), word)) }
        }

        /// Runs `count` instructions of a hart.
        @discardableResult
        func run(_ hart: Int, at pc: UInt64, _ count: Int) -> ExitReason {
            harts[hart].pc = pc
            return harts[hart].run(budget: count, clockBase: 0)
        }
    }

    private static let engines = X86Backend.isSupported ? [false, true] : [false]

    // MARK: Code

    @Test(arguments: engines) func codeAnotherHartOverwritesIsDecodedAnew(translating: Bool) throws {
        let pair = try Pair(translating: translating)
        pair.place([RVAssembly.addImmediate(5, 0, 1), RVAssembly.jump(-4)], at: Self.code)
        pair.run(0, at: Self.code, 8)
        #expect(pair.harts[0].x[5] == 1)
        pair.harts[1].x[6] = UInt64(RVAssembly.addImmediate(5, 0, 2)) | UInt64(RVAssembly.jump(-4)) << 32
        pair.harts[1].x[7] = Self.code
        pair.place([RVAssembly.storeDouble(6, 7, 0), RVAssembly.jump(0)], at: Self.data)
        pair.run(1, at: Self.data, 2)
        pair.run(0, at: Self.code, 8)
        #expect(pair.harts[0].x[5] == 2)
    }

    @Test(arguments: engines) func theFirstCodeOfAPageTakesDirectStoresFromAllHarts(translating: Bool) throws {
        let pair = try Pair(translating: translating)
        let store = [RVAssembly.storeDouble(6, 7, 0), RVAssembly.jump(-4)]
        pair.place(store, at: Self.data)
        pair.harts[1].x[7] = Self.code
        for value: Int32 in 1...3 {
            // The first time the page holds data: the store becomes a direct one.
            pair.harts[1].x[6] = UInt64(RVAssembly.addImmediate(5, 0, value)) | UInt64(RVAssembly.jump(-4)) << 32
            pair.run(1, at: Self.data, 8)
            pair.run(0, at: Self.code, 8)
            #expect(pair.harts[0].x[5] == UInt64(value))
        }
    }

    @Test func aPageNoCacheHoldsCodeOfIsWrittenDirectlyAgain() throws {
        let pair = try Pair()
        pair.place([RVAssembly.addImmediate(5, 0, 1), RVAssembly.jump(-4)], at: Self.code)
        pair.run(0, at: Self.code, 8)
        let memory = try #require(pair.bus.memory(at: Self.code)), page = memory.page(of: Self.code)
        #expect(memory.pageFlags[page] & GuestRAM.PageFlags.hasCode != 0)
        pair.place([RVAssembly.storeDouble(6, 7, 0), RVAssembly.jump(-4)], at: Self.data)
        pair.harts[1].x[7] = Self.code
        pair.run(1, at: Self.data, 8)
        #expect(memory.pageFlags[page] & GuestRAM.PageFlags.hasCode == 0)
        #expect(memory.pageFlags[page] & GuestRAM.PageFlags.writeCached != 0)
        // Its code, all zeros now, is found to have changed.
        #expect(pair.harts[0].cache.blocksInvalidated == 0)
        pair.run(0, at: Self.code, 1)
        #expect(pair.harts[0].cache.blocksInvalidated > 0)
    }

    @Test func writesOfDevicesReachEveryCache() throws {
        let pair = try Pair()
        pair.place([RVAssembly.addImmediate(5, 0, 1), RVAssembly.jump(-4)], at: Self.code)
        for hart in 0..<2 { pair.run(hart, at: Self.code, 8) }
        #expect(pair.bus.storeMemory(Self.code, RVAssembly.addImmediate(5, 0, 7)))
        for hart in 0..<2 {
            pair.run(hart, at: Self.code, 8)
            #expect(pair.harts[hart].x[5] == 7)
        }
    }

    // MARK: Loads and stores

    /// Memory most of the time, which a store of 0 takes away and one of 1 gives back.
    private final class Changing: MMIODevice {
        let name = "changing"
        let contents: GuestRAM
        private unowned let bus: AddressSpace

        init(_ bus: AddressSpace, at base: UInt64) throws {
            self.bus = bus
            contents = try GuestRAM(base: base, size: 4096, isReadOnly: true)
        }

        func read(_ offset: UInt64, size: Int) -> UInt64 { 99 }
        func write(_ offset: UInt64, _ value: UInt64, size: Int) { bus.setLoads(from: contents, isDirect: value != 0) }
        func reset() {}
    }

    @Test(arguments: engines) func loadsFindADeviceAgainOnceAnotherHartHasAskedForIt(translating: Bool) throws {
        let pair = try Pair(translating: translating)
        let device = try Changing(pair.bus, at: 0x2000_0000)
        try pair.bus.map(device, at: 0x2000_0000, size: 4096, code: device.contents)
        pair.place([RVAssembly.loadDouble(6, 5, 0), RVAssembly.jump(-4)], at: Self.code)
        pair.place([RVAssembly.storeDouble(7, 5, 0), RVAssembly.jump(0)], at: Self.data)
        for hart in pair.harts { hart.x[5] = 0x2000_0000 }
        for (isMemory, value) in [(UInt64(1), UInt64(0)), (0, 99), (1, 0), (0, 99)] {
            pair.harts[1].x[7] = isMemory
            pair.run(1, at: Self.data, 2)
            pair.run(0, at: Self.code, 8)
            #expect(pair.harts[0].x[6] == value)
        }
    }

    @Test func codeThatADeviceHoldsIsDecodedAnewByAllHarts() throws {
        let pair = try Pair()
        let device = try Changing(pair.bus, at: 0x2000_0000)
        try pair.bus.map(device, at: 0x2000_0000, size: 4096, code: device.contents)
        for value: Int32 in 1...3 {
            device.contents.host.storeBytes(of: UInt64(RVAssembly.addImmediate(5, 0, value)) | UInt64(RVAssembly.jump(-4)) << 32, as: UInt64.self)
            pair.bus.dropCode(0x2000_0000, 8)
            for hart in 0..<2 {
                pair.run(hart, at: 0x2000_0000, 8)
                #expect(pair.harts[hart].x[5] == UInt64(value))
            }
        }
        // And after everything was forgotten.
        for hart in pair.harts { hart.cache.flushAll() }
        pair.bus.dropCode(0x2000_0000, 8)
        pair.run(0, at: 0x2000_0000, 8)
        #expect(pair.harts[0].x[5] == 3)
    }

    /// Elements of 1, 2, 4 and 8 bytes.
    @Test(arguments: 0..<4) func vectorStoresAmongOthersStoreWhatTheRegistersHold(width: Int) throws {
        let pair = try Pair("rv64,v=on")
        let hart = pair.harts[0]
        hart.writeCSR(.mstatus, 3 << 9)
        // vsetvli x0, x11, e8…e64, m8; vse8…64.v v8, (x10)
        let field: UInt32 = [0, 5, 6, 7][width]
        let type = UInt32(width) << 3 | 3
        let configure: UInt32 = type << 20 | 11 << 15 | 7 << 12 | 0x57
        let store: UInt32 = 1 << 25 | 10 << 15 | field << 12 | 8 << 7 | 0x27
        pair.place([configure, store, RVAssembly.jump(0)], at: Self.code)
        for index in 0..<8 * hart.vlenb { hart.v.storeBytes(of: UInt8(truncatingIfNeeded: index + 1), toByteOffset: 8 * hart.vlenb + index, as: UInt8.self) }
        let memory = try #require(pair.bus.memory(at: Self.data, length: 512)), place = memory.host + Int(Self.data - memory.base)
        // The page is known to stores.
        pair.harts[0].x[11] = 1
        hart.x[10] = Self.data
        pair.run(0, at: Self.code, 2)
        for shift in 0..<16 {
            for count in [1, 2, 3, 7, 15, 16, 27] {
                place.initializeMemory(as: UInt8.self, repeating: 0, count: 512)
                hart.x[10] = Self.data + UInt64(shift)
                hart.x[11] = UInt64(count)
                pair.run(0, at: Self.code, 2)
                let length = count << width
                let found = (0..<512).map { place.load(fromByteOffset: $0, as: UInt8.self) }
                #expect(found == (0..<512).map { $0 >= shift && $0 < shift + length ? UInt8(truncatingIfNeeded: $0 - shift + 1) : 0 }, "\(shift), \(count)")
            }
        }
    }

    // MARK: lr and sc

    private static func sequence(after first: [UInt32]) -> RVReservation.Sequence {
        let decoder = RVDecoder(extensions: (try? RVConfig.parse("rv64").extensions) ?? RVExtensionSet())
        let words = [RVAssembly.loadReserved(6, 5)] + first
        let lr = RVReservation.annotate(decoder.decode(words[0]), next: 4, decoder) { $0 / 4 < words.count ? words[$0 / 4] : nil }
        return RVReservation.Sequence.of(lr)
    }

    @Test func arithmeticAndBranchesUpToTheStoreMakeAPlainSequence() {
        let sc = RVAssembly.storeConditional(7, 6, 5)
        #expect(Self.sequence(after: [sc]) == .plain)
        #expect(Self.sequence(after: [RVAssembly.addImmediate(6, 6, 1), RVAssembly.branchIfNotEqual(6, 7, 64), sc]) == .plain)
        #expect(Self.sequence(after: [RVAssembly.loadDouble(6, 8, 0), sc]) == .other)
        #expect(Self.sequence(after: [RVAssembly.storeDouble(6, 8, 0), sc]) == .other)
        #expect(Self.sequence(after: [RVAssembly.jump(8), RVAssembly.nop, sc]) == .other)
        // Of another register, or too far away.
        #expect(Self.sequence(after: [RVAssembly.storeConditional(7, 6, 8)]) == .other)
        #expect(Self.sequence(after: Array(repeating: RVAssembly.nop, count: 16) + [sc]) == .other)
        // Waiting for a store; the end of what is known.
        #expect(Self.sequence(after: [0x00d0_0073]) == .waiting)
        #expect(Self.sequence(after: [RVAssembly.nop]) == .unknown)
    }

    @Test(arguments: engines) func aPlainSequenceStoresWhileTheValueStands(translating: Bool) throws {
        let pair = try Pair(translating: translating)
        // lr.d x6, (x5); addi x7, x6, 1; bne x0, x0, +8 (a block of its own begins after it); sc.d x8, x7, (x5); j .
        pair.place([
            RVAssembly.loadReserved(6, 5), RVAssembly.addImmediate(7, 6, 1), RVAssembly.branchIfNotEqual(0, 0, 8), RVAssembly.storeConditional(8, 7, 5),
            RVAssembly.jump(0),
        ], at: Self.code)
        for hart in pair.harts { hart.isParallel = true }
        pair.harts[0].x[5] = Self.data
        for (value, hasChanged) in [(UInt64(41), false), (50, true), (60, false)] {
            #expect(pair.bus.storeMemory(Self.data, value))
            #expect(pair.run(0, at: Self.code, 3) == .budget)
            if hasChanged { #expect(pair.bus.storeMemory(Self.data, value + 100)) }
            pair.run(0, at: Self.code + 12, 1)
            #expect(pair.harts[0].x[8] == (hasChanged ? 1 : 0))
            #expect(pair.bus.loadMemory(Self.data, as: UInt64.self) == (hasChanged ? value + 100 : value + 1))
        }
        // Without an lr of its own it fails.
        pair.run(0, at: Self.code + 12, 1)
        #expect(pair.harts[0].x[8] == 1)
    }

    @Test(arguments: engines) func anyOtherSequenceIsExecutedAlone(translating: Bool) throws {
        let pair = try Pair(translating: translating)
        // lr.d x6, (x5); ld x7, 8(x5); sc.d x8, x7, (x5); addi x9, x9, 1; j .
        pair.place([
            RVAssembly.loadReserved(6, 5), RVAssembly.loadDouble(7, 5, 8), RVAssembly.storeConditional(8, 7, 5), RVAssembly.addImmediate(9, 9, 1),
            RVAssembly.jump(0),
        ], at: Self.code)
        let hart = pair.harts[0]
        hart.isParallel = true
        hart.x[5] = Self.data
        #expect(pair.bus.storeMemory(Self.data + 8, UInt64(77)))
        for round: UInt64 in 1...3 {
            hart.x[8] = 5
            let before = hart.cycles
            #expect(pair.run(0, at: Self.code, 100) == .exclusive)
            #expect(hart.pc == Self.code)
            #expect(hart.cycles == before)
            hart.runAlone()
            // The store ends the turn.
            #expect(hart.x[8] == 0)
            #expect(hart.x[9] == round - 1)
            #expect(hart.pc == Self.code + 12)
            #expect(pair.bus.loadMemory(Self.data, as: UInt64.self) == 77)
            pair.run(0, at: hart.pc, 2)
        }
    }

    @Test func aTrapEndsAReservation() throws {
        let pair = try Pair()
        pair.place([RVAssembly.loadReserved(6, 5), RVAssembly.addImmediate(7, 6, 1), RVAssembly.storeConditional(8, 7, 5), RVAssembly.jump(0)], at: Self.code)
        let hart = pair.harts[0]
        hart.isParallel = true
        hart.x[5] = Self.data
        pair.run(0, at: Self.code, 2)
        hart.takeTrap(cause: 3, value: 0, pc: hart.pc)
        pair.run(0, at: Self.code + 8, 1)
        #expect(hart.x[8] == 1)
    }

    // MARK: Interrupts

    @Test func aLineAnotherThreadDrivesIsSeenBeforeTheNextSlice() throws {
        let pair = try Pair()
        let hart = pair.harts[0]
        hart.writeCSR(.mie, 1 << 3)
        hart.writeCSR(.mstatus, 8)
        hart.writeCSR(.mtvec, Self.data)
        pair.place([RVAssembly.jump(0)], at: Self.code)
        pair.place([RVAssembly.jump(0)], at: Self.data)
        hart.setInterrupt(3, level: true)
        pair.run(0, at: Self.code, 2)
        #expect(hart.pc == Self.data)
        hart.setInterrupt(3, level: false)
        #expect(hart.mip == 0)
    }
}
