import EmuBus
import EmuDevices
import Foundation
import Glibc
import TestSupport
import Testing

/// The NVM command set, where its data lies, and what a driver can do wrong.
@Suite struct NVMeIOTests {
    private static let read: UInt8 = 2, write: UInt8 = 1

    @Test func dataGoesBothWays() throws {
        let bench = try NVMeBench.started()
        let data = bench.pages(1)
        bench.fill(data + 512, [UInt8](repeating: 0xab, count: 1024))
        #expect(bench.run(1, Self.write, namespace: 1, prp1: data + 512, bench.blocks(10, 2)) == 0)
        #expect(bench.disk.content[5120..<6144].allSatisfy { $0 == 0xab } && bench.disk.content[5119] == 9 && bench.disk.content[6144] == 12)
        #expect(bench.run(1, Self.read, namespace: 1, prp1: data, bench.blocks(9, 4)) == 0)
        #expect([0, 512, 1536].map { bench.bytes(data + $0, 1)[0] } == [9, 0xab, 12])
    }

    @Test func blocksOf4096BytesAreOffered() throws {
        let bench = try NVMeBench.started(blockSize: 4096)
        let data = bench.pages(1)
        #expect(bench.run(0, 6, namespace: 1, prp1: data, [0]) == 0)
        #expect(bench.bytes(data, 2) == [0, 1] && bench.bytes(data + 130, 1) == [12])
        #expect(bench.run(1, Self.read, namespace: 1, prp1: data, bench.blocks(255, 1)) == 0)
        #expect(bench.bytes(data, 1) == [0xf8])
        #expect(bench.run(1, Self.read, namespace: 1, prp1: data, bench.blocks(256, 1)) == 0x80)
    }

    // MARK: Where data lies

    /// `count` separate pages and a list of them that goes on in a second page after `split` entries.
    private func list(_ bench: NVMeBench, _ count: Int, split: Int? = nil) -> (list: UInt64, pages: [UInt64]) {
        let pages = (0..<count).map { _ in bench.pages(2) }
        let first = bench.pages(1), second = bench.pages(1)
        let start = first + UInt64(4096 - 8 * (split.map { $0 + 1 } ?? count))
        for (index, page) in pages.enumerated() {
            if let split, index >= split { bench.put(second + 8 * UInt64(index - split), page) } else { bench.put(start + 8 * UInt64(index), page) }
        }
        if split != nil { bench.put(first + 4088, second) }
        return (start, pages)
    }

    @Test(arguments: [nil, 3, 1]) func listsOfPagesAreFollowed(split: Int?) throws {
        let bench = try NVMeBench.started()
        let (list, pages) = list(bench, 7, split: split)
        let first = bench.pages(1)
        // From the middle of the first page: 2 sectors there, 8 in each other page but the last.
        #expect(bench.run(1, Self.read, namespace: 1, prp1: first + 3072, prp2: list, bench.blocks(0, 2 + 6 * 8 + 5)) == 0)
        #expect(bench.bytes(first + 3072, 1) == [0] && bench.bytes(first + 3584, 1) == [1])
        let firsts: [UInt8] = [2, 10, 18, 26, 34, 42, 50]
        #expect(pages.map { bench.bytes($0, 1)[0] } == firsts)
        #expect(bench.bytes(pages[6] + 4 * 512, 1) == [54] && bench.bytes(pages[6] + 5 * 512, 1) == [0])
    }

    @Test func largerPagesAreUsed() throws {
        let bench = try NVMeBench()
        bench.enable(configuration: 0x46_0201)
        // Queues begin at a page of that size.
        #expect(bench.status & 3 == 2)
        bench.write(0x14, 0)
        let ring = (bench.pages(48) + 0xffff) & ~0xffff
        bench.write(0x28, ring, size: 8)
        bench.write(0x30, ring + 0x1_0000, size: 8)
        bench.write(0x14, 0x46_0201)
        #expect(bench.isReady)
        bench.pairs[0] = NVMeBench.Pair(submission: ring, completion: ring + 0x1_0000, size: 16)
        #expect(bench.run(0, 6, prp1: ring + 0x2_0000 - 4096, [1]) == 0)
    }

    @Test func pointersThatMakeNoSenseAreErrors() throws {
        let bench = try NVMeBench.started()
        let page = bench.pages(2)
        func run(_ prp1: UInt64, _ prp2: UInt64 = 0, sectors: UInt32) -> Int { bench.run(1, Self.read, namespace: 1, prp1: prp1, prp2: prp2, bench.blocks(0, sectors)) }
        #expect(run(page + 2, sectors: 1) == 0x13)
        #expect(run(0, sectors: 1) == 0x04 && run(.max - 3, sectors: 1) == 0x04 && run(PCIBench.ecam, sectors: 1) == 0x04)
        #expect(run(PCIBench.ram + PCIBench.ramSize - 4, sectors: 1) == 0x04)
        #expect(run(page, page + 4, sectors: 16) == 0x13 && run(page, 0, sectors: 16) == 0x04)
        // Lists: outside memory, crooked, with a crooked entry, leading to a crooked one.
        #expect(run(page, 0x1000, sectors: 24) == 0x04 && run(page, page + 4, sectors: 24) == 0x13)
        bench.put(page, page + 512)
        #expect(run(bench.pages(1), page, sectors: 24) == 0x13)
        bench.put(page + 4088, page + 8)
        #expect(run(bench.pages(1), page + 4088, sectors: 24) == 0x13)
        // A list that is its own successor ends with the data.
        for index in 0..<512 { bench.put(page + UInt64(8 * index), page) }
        #expect(run(bench.pages(1), page + 4088, sectors: 1024) == 0)
        #expect(bench.isReady)
    }

    // MARK: Limits

    @Test func rangesAndNamespacesAreChecked() throws {
        let bench = try NVMeBench.started()
        let data = bench.pages(1)
        for (first, count, status) in [(UInt64(2047), UInt32(1), 0), (2047, 2, 0x80), (2048, 1, 0x80), (.max, 1, 0x80), (1 << 63, 8, 0x80), (0, 1025, 0x02), (0, 65536, 0x02)] {
            #expect(bench.run(1, Self.read, namespace: 1, prp1: data, prp2: data, bench.blocks(first, count)) == status)
        }
        for namespace: UInt32 in [0, 2, .max] { #expect(bench.run(1, Self.read, namespace: namespace, prp1: data, bench.blocks(0, 1)) == 0x0b) }
        for flags: UInt8 in [1, 2, 0x40, 0x80] { #expect(bench.run(1, Self.read, namespace: 1, prp1: data, bench.blocks(0, 1), flags: flags) == 0x02) }
        for opcode: UInt8 in [4, 5, 0x0c, 0x19, 0xff] { #expect(bench.run(1, opcode, namespace: 1) == 0x01) }
        for opcode: UInt8 in [3, 0x10, 0x80, 0xff] { #expect(bench.run(0, opcode) == 0x01) }
    }

    @Test func readOnlyDisksAreWriteProtected() throws {
        let bench = try NVMeBench.started(NotedDisk(sectors: 64, isReadOnly: true))
        let data = bench.pages(1)
        #expect(bench.run(1, Self.write, namespace: 1, prp1: data, bench.blocks(0, 1)) == 0x20)
        #expect(bench.run(1, 8, namespace: 1, bench.blocks(0, 1)) == 0x20)
        #expect(bench.run(1, 9, namespace: 1, prp1: data, [0, 4]) == 0x20)
        #expect(bench.run(0, 6, namespace: 1, prp1: data, [0]) == 0 && bench.bytes(data + 99, 1) == [1])
    }

    // MARK: Flush, zeroes, deallocation

    @Test func writesAreStableWhenTheyMustBe() throws {
        let bench = try NVMeBench.started()
        let data = bench.pages(1)
        bench.run(1, Self.write, namespace: 1, prp1: data, bench.blocks(0, 1))
        bench.run(1, Self.write, namespace: 1, prp1: data, bench.blocks(1, 1, flags: 1 << 30))
        bench.run(1, 0, namespace: .max)
        #expect(bench.run(0, 9, [6, 0]) == 0)
        bench.run(1, Self.write, namespace: 1, prp1: data, bench.blocks(2, 1))
        #expect(bench.disk.log == ["write 0", "write 512", "flush", "flush", "write 1024", "flush"])
    }

    @Test func zeroesAndDeallocationNeedNoData() throws {
        let bench = try NVMeBench.started()
        #expect(bench.run(1, 8, namespace: 1, bench.blocks(8, 8)) == 0)
        #expect(bench.run(1, 8, namespace: 1, bench.blocks(0, 1, flags: 1 << 25)) == 0)
        #expect(bench.disk.content[..<512].allSatisfy { $0 == 0 } && bench.run(1, 8, namespace: 1, bench.blocks(2000, 100)) == 0x80)
        let list = bench.pages(1)
        for (index, (blocks, first)) in [(UInt32(4), UInt64(0)), (0, 5), (8, 100)].enumerated() {
            bench.put(list + UInt64(16 * index) + 4, blocks)
            bench.put(list + UInt64(16 * index) + 8, first)
        }
        #expect(bench.run(1, 9, namespace: 1, prp1: list, [2, 4]) == 0)
        #expect(bench.run(1, 9, namespace: 1, prp1: list, [2, 3]) == 0)
        #expect(bench.disk.log == ["zero 4096+4096", "zero 0+512 unmap", "discard 0+2048", "discard 51200+4096"])
        // All or nothing.
        bench.put(list + 40, UInt64(2047))
        #expect(bench.run(1, 9, namespace: 1, prp1: list, [2, 4]) == 0x80 && bench.disk.log.count == 4)
        bench.put(list + 40, UInt64(100))
        #expect(bench.run(1, 9, namespace: 1, prp1: list, [255, 0]) == 0 && bench.disk.log.count == 4)
    }

    @Test(arguments: [(EIO, 2, 0x281), (EIO, 1, 0x280), (ENOSPC, 1, 0x81), (EIO, 0, 0x280)] as [(Int32, UInt8, Int)])
    func failuresOfTheHostReachTheGuest(_ code: Int32, _ opcode: UInt8, _ status: Int) throws {
        let bench = try NVMeBench.started()
        var told: [Int32] = []
        bench.controller.hostErrorHandler = { told.append($0.code) }
        bench.disk.failure = HostError("testing", code)
        #expect(bench.run(1, opcode, namespace: 1, prp1: bench.pages(1), bench.blocks(0, 1)) == status)
        #expect(told == [code])
    }

    // MARK: Abuse

    @Test func aResetWithCommandsInHandForgetsThem() throws {
        let bench = try NVMeBench.started()
        bench.disk.isDelayed = true
        for _ in 0..<8 { bench.add(1, 0, namespace: 1) }
        bench.ring(1)
        bench.write(0x14, 0)
        #expect(bench.disk.log.count == 8 && bench.completions(1, acknowledge: false).isEmpty)
        bench.disk.isDelayed = false
        bench.enable()
        bench.createPair(1)
        #expect(bench.run(1, 0, namespace: 1) == 0)
    }

    @Test func longServiceIsCutAndGoesOn() throws {
        let bench = try NVMeBench(NotedDisk(sectors: 1024))
        bench.enable()
        bench.createPair(1, size: 256)
        let page = bench.pages(2)
        for index in 0..<512 { bench.put(page + UInt64(8 * index), page + 4096) }
        for _ in 0..<200 { bench.add(1, Self.write, namespace: 1, prp1: page + 4096, prp2: page, bench.blocks(0, 1024)) }
        bench.ring(1)
        let first = bench.disk.log.count
        #expect(first >= 100 && first < 200)
        // Ringing again does not make it take longer.
        bench.ring(1)
        #expect(bench.disk.log.count == first)
        bench.pci.events.run(to: bench.pci.events.now + 100_000)
        #expect(bench.disk.log.count == 200)
    }

    /// One store lets several queues go on at once; together they get no more than one would.
    @Test func oneStoreStartsOneRoundForAllQueuesAndNoneStarves() throws {
        let bench = try NVMeBench(NotedDisk(sectors: 1024))
        bench.enable()
        let page = bench.pages(2)
        for index in 0..<512 { bench.put(page + UInt64(8 * index), page + 4096) }
        // Each queue has its own place on the disk, and work for three rounds.
        for queue in 1...3 { bench.createPair(queue, size: 512) }
        bench.function.write(4, UInt16(2))
        for queue in 1...3 {
            for _ in 0..<400 { bench.add(queue, Self.write, namespace: 1, prp1: page + 4096, prp2: page, bench.blocks(UInt64(queue), 1021)) }
            bench.ring(queue)
        }
        #expect(bench.disk.log.isEmpty)
        bench.function.enable()
        let first = bench.disk.log
        #expect(first.count >= 100 && first.count < 200 && Set(first) == ["write 512"])
        bench.pci.events.run(to: bench.pci.events.now + 10_000)
        #expect(Set(bench.disk.log[first.count...]) == ["write 1024"])
        bench.pci.events.run(to: bench.pci.events.now + 10_000)
        #expect(Set(bench.disk.log[(2 * first.count)...]) == ["write 1536"])
        bench.pci.events.run(to: bench.pci.events.now + 1_000_000)
        #expect(bench.disk.log.count == 1200)
    }

    @Test func equalControllersSaveEqualStates() throws {
        func state(_ vectors: [UInt32], _ features: [UInt32]) throws -> Data {
            let bench = try NVMeBench.started()
            for vector in vectors { #expect(bench.run(0, 9, [9, vector | 1 << 16]) == 0) }
            for feature in features { #expect(bench.run(0, 9, [feature, 1]) == 0) }
            return try bench.controller.encodedState()
        }
        #expect(try state([0, 1, 2, 3, 4], [1, 5, 6, 8, 10, 11]) == state([4, 3, 2, 1, 0], [1, 5, 6, 8, 10, 11].reversed()))
    }

    /// Requests for events in a damaged file are dropped where there can be none, and the names of the others are taken.
    @Test func restoredEventRequestsAreChecked() throws {
        let bench = try NVMeBench.started()
        let id = bench.add(0, 12)
        bench.ring(0)
        var text = String(decoding: try bench.controller.encodedState(), as: UTF8.self)
        text.replace("\"requests\":[{", with: "\"requests\":[{\"id\":1,\"queue\":77},{\"id\":2,\"queue\":-1},{")
        try bench.controller.restoreState(from: Data(text.utf8))
        bench.add(0, 2, id: id)
        bench.ring(0)
        #expect(bench.completions().map(\.status) == [3])
        bench.write(0x1000 + 8 * 60, 0)
        #expect(bench.completions().map(\.id) == [id])
    }

    @Test func savedStateContinuesWhereItWasTaken() throws {
        let first = try NVMeBench.started(), second = try NVMeBench()
        #expect(first.run(0, 9, [6, 0]) == 0)
        first.add(1, 0, namespace: 1)
        first.ring(1)
        second.fill(PCIBench.ram, first.bytes(PCIBench.ram, Int(PCIBench.ramSize)))
        try second.controller.restoreState(from: try first.controller.encodedState())
        #expect(try second.controller.encodedState() == first.controller.encodedState())
        #expect(second.pci.interrupts.high == [1])
        second.pairs = first.pairs
        #expect(second.completions(1).count == 1)
        #expect(second.runResult(0, 10, [6])?.result == 0 && second.run(1, 0, namespace: 1) == 0)
    }

    @Test(arguments: [UInt64(1), 2, 3, 4]) func randomDriversHurtNobody(seed: UInt64) throws {
        let bench = try NVMeBench.started(NotedDisk(sectors: 64))
        var random = SplitMix(seed: seed)
        let page = bench.pages(4)
        func address() -> UInt64 { [page, page + 4096, page + 8 * (random.next() % 512), PCIBench.ram, 0, random.next()][Int(random.next() % 6)] }
        for _ in 0..<4000 {
            switch random.next() % 8 {
            case 0: bench.write(0x1000 + 4 * (random.next() % 12), random.next() % 20)
            case 1 where random.next() % 16 == 0: bench.write(random.next() % 0x40 & ~3, random.next())
            case 2 where random.next() % 16 == 0: bench.function.write(4, UInt16(truncatingIfNeeded: random.next() & 7))
            case 3:
                for index: UInt64 in 0..<8 { bench.put(page + 8 * (random.next() % 512) + index &* 0, address()) }
            default:
                let queue = Int(random.next() % 2)
                bench.add(
                    queue, UInt8(random.next() % 14), namespace: UInt32(random.next() % 3), prp1: address(), prp2: address(),
                    (0..<6).map { _ in UInt32(truncatingIfNeeded: random.next() % 3 == 0 ? random.next() : random.next() % 20) },
                    id: UInt16(random.next() % 64))
                bench.ring(queue)
                _ = bench.completions(queue)
            }
            if !bench.isReady || bench.pairs[1] == nil {
                bench.function.place(0, at: NVMeBench.base)
                bench.function.enable()
                bench.enable()
                bench.pairs[1] = bench.pairs[0]
            }
        }
        bench.pci.events.run(to: bench.pci.events.now + 1_000_000)
        let saved = try bench.controller.encodedState()
        try bench.controller.restoreState(from: saved)
        bench.controller.reset()
        bench.function.place(0, at: NVMeBench.base)
        bench.function.enable()
        bench.enable()
        bench.createPair(1)
        #expect(bench.run(1, 0, namespace: 1) == 0)
    }
}
