import EmuBus
import EmuDevices
import TestSupport
import Testing

/// The controller's life, admin commands, queues.
@Suite struct NVMeControllerTests {
    @Test func capabilitiesSayWhatThereIs() throws {
        let bench = try NVMeBench()
        let capabilities = bench.read(0, size: 8)
        #expect(capabilities & 0xffff == 2047 && capabilities >> 16 & 1 == 1 && capabilities >> 37 & 0xff == 1 && capabilities >> 52 & 0xf == 4)
        #expect(bench.read(8) == 0x1_0400 && bench.status == 0)
        #expect(bench.function.read(9, as: UInt8.self) == 2 && bench.function.read(10, as: UInt16.self) == 0x0108)
    }

    @Test func enablingMakesReadyAndDisablingResets() throws {
        let bench = try NVMeBench.started()
        #expect(bench.isReady)
        bench.write(0x14, 0)
        #expect(bench.status == 0 && bench.read(0x24) == 0xf_000f && bench.read(0x28, size: 8) != 0)
        bench.enable()
        #expect(bench.isReady)
        bench.createPair(1)
    }

    /// Command set 1, pages of 2^17, another arbitration.
    @Test(arguments: [UInt64(0x46_0011), 0x46_0281, 0x46_0801]) func impossibleConfigurationsAreFatal(_ configuration: UInt64) throws {
        let bench = try NVMeBench()
        bench.enable(configuration: configuration)
        #expect(bench.status & 3 == 2)
        bench.enable()
        #expect(bench.isReady)
    }

    @Test func adminQueuesMustBePossible() throws {
        let bench = try NVMeBench()
        bench.enable(size: 1)
        #expect(bench.status & 3 == 2)
        // Memory is looked at when it is used.
        bench.enable()
        bench.write(0x14, 0)
        bench.write(0x28, 0x1000, size: 8)
        bench.write(0x14, 0x46_0001)
        #expect(bench.isReady)
        bench.write(0x1000, 1)
        #expect(bench.status & 2 != 0)
        bench.enable()
        bench.write(0x14, 0)
        bench.write(0x30, .max << 12, size: 8)
        bench.write(0x14, 0x46_0001)
        bench.add(0, 6, prp1: bench.pages(1), [1])
        bench.ring(0)
        #expect(bench.status & 2 != 0)
    }

    @Test func shutdownFlushesAndSaysSo() throws {
        let bench = try NVMeBench.started()
        bench.disk.isDelayed = true
        bench.write(0x14, 0x46_4001)
        #expect(bench.status >> 2 & 3 == 1)
        bench.disk.drain()
        #expect(bench.status >> 2 & 3 == 2 && bench.disk.log == ["flush"])
    }

    @Test func registersTakeTheirWidths() throws {
        let bench = try NVMeBench()
        bench.write(0x28, 0x1234_5678, size: 4)
        bench.write(0x2c, 0x9abc, size: 4)
        #expect(bench.read(0x28, size: 8) == 0x9abc_1234_5000)
        bench.write(0x14, 1, size: 2)
        #expect(bench.status == 0 && bench.read(0x14, size: 2) == 0)
        bench.write(0, .max)
        bench.write(0x1c, .max)
        #expect(bench.status == 0)
    }

    // MARK: Identify, log pages, features

    @Test func identifyDescribesControllerAndNamespace() throws {
        let bench = try NVMeBench.started()
        let page = bench.pages(1)
        #expect(bench.run(0, 6, prp1: page, [1]) == 0)
        let controller = bench.bytes(page, 4096)
        #expect(controller[0..<4] == [0x36, 0x1b, 0xf4, 0x1a] && controller[4..<24] == Array("SN 1                ".utf8)[...])
        #expect(controller[77] == 7 && controller[512] == 0x66 && controller[513] == 0x44 && controller[516] == 1 && controller[525] == 7)
        #expect(String(decoding: controller[768..<804], as: UTF8.self) == "nqn.2014-08.org.nvmexpress:uuid:" + String(decoding: controller[800..<804], as: UTF8.self))
        #expect(bench.run(0, 6, namespace: 1, prp1: page, [0]) == 0)
        #expect(bench.bytes(page, 8) == [0, 8, 0, 0, 0, 0, 0, 0] && bench.bytes(page + 130, 1) == [9])
        #expect(bench.run(0, 6, prp1: page, [2]) == 0)
        #expect(bench.bytes(page, 8) == [1, 0, 0, 0, 0, 0, 0, 0])
        #expect(bench.run(0, 6, namespace: 1, prp1: page, [2]) == 0)
        #expect(bench.bytes(page, 4) == [0, 0, 0, 0])
        #expect(bench.run(0, 6, namespace: 1, prp1: page, [3]) == 0)
        #expect(bench.bytes(page, 4) == [3, 16, 0, 0] && bench.bytes(page + 20, 4) == [0, 0, 0, 0])
        for (namespace, kind, status) in [(UInt32(0), UInt32(0), 0x0b), (2, 0, 0x0b), (.max, 2, 0x0b), (0, 3, 0x0b), (1, 0x20, 0x02)] {
            #expect(bench.run(0, 6, namespace: namespace, prp1: page, [kind]) == status)
        }
    }

    @Test func logPagesAreCutToWhatWasAskedFor() throws {
        let bench = try NVMeBench.started()
        let page = bench.pages(1)
        #expect(bench.run(1, 0xff, namespace: 1) == 0x01)
        #expect(bench.run(0, 2, prp1: page, [1 | 15 << 16]) == 0)
        let entry = bench.bytes(page, 64)
        #expect(entry[0] == 1 && entry[8] == 1 && entry[12] == 0x02 && entry[13] == 0x80)
        #expect(bench.run(0, 2, namespace: .max, prp1: page + 256, [2 | 0 << 16]) == 0)
        #expect(bench.bytes(page + 256, 8) == [0, 0x43, 1, 100, 0, 0, 0, 0])
        #expect(bench.run(0, 2, prp1: page, [3 | 1 << 16, 0, 8]) == 0)
        #expect(bench.bytes(page, 8) == Array("1.0     ".utf8))
        for (words, status) in [([0x55], 0x109), ([3, 0, 3], 0x02), ([3, 0, 516], 0x02), ([3, 0, 0, 1], 0x02)] as [([UInt32], Int)] {
            #expect(bench.run(0, 2, prp1: page, words) == status)
        }
        #expect(bench.run(0, 2, prp1: 0x1000, [2]) == 0x04)
    }

    @Test func featuresAreKeptUntilTheControllerIsReset() throws {
        let bench = try NVMeBench()
        bench.enable()
        #expect(bench.runResult(0, 9, [7, 0x0001_0001])?.result == 0x0003_0003)
        #expect(bench.runResult(0, 10, [6])?.result == 1)
        #expect(bench.run(0, 9, [6, 0]) == 0)
        #expect(bench.runResult(0, 10, [6])?.result == 0 && bench.runResult(0, 10, [6 | 1 << 8])?.result == 1)
        #expect(bench.runResult(0, 10, [6 | 3 << 8])?.result == 4)
        #expect(bench.run(0, 9, [9, 1 << 16 | 2]) == 0)
        let vector = bench.runResult(0, 10, [9, 2])?.result
        #expect(vector == 0x1_0002)
        for (opcode, words, status) in [
            (9, [6 | 1 << 31, 0], 0x10d), (9, [0x55], 0x02), (10, [0x55], 0x02), (9, [7, 0xffff], 0x02), (9, [2, 1], 0x02), (9, [4, 1 << 16], 0x02),
            (10, [9, 5], 0x02), (10, [6 | 4 << 8], 0x02),
        ] as [(UInt8, [UInt32], Int)] {
            #expect(bench.run(0, opcode, words) == status)
        }
        bench.createPair(1)
        #expect(bench.run(0, 9, [7, 0]) == 0x0c)
        bench.enable()
        #expect(bench.runResult(0, 10, [6])?.result == 1)
    }

    // MARK: Queues

    @Test func queuesThatCannotBeAreRefused() throws {
        let bench = try NVMeBench.started()
        let page = bench.pages(1)
        func completion(_ id: UInt32, _ address: UInt64, size: UInt32 = 15, flags: UInt32 = 3) -> Int { bench.run(0, 5, prp1: address, [id | size << 16, flags]) }
        #expect([0, 1, 5, 0xffff].map { completion($0, page) } == [0x101, 0x101, 0x101, 0x101])
        #expect(completion(2, page, size: 0) == 0x102 && completion(2, page, size: 2048) == 0x102 && completion(2, page, flags: 2) == 0x02)
        #expect(completion(2, page, flags: 3 | 1 << 16) == 0x108)
        #expect(completion(2, page + 16) == 0x13 && completion(2, 0x1000) == 0x02 && completion(2, .max << 12) == 0x02)
        func submission(_ id: UInt32, _ flags: UInt32, size: UInt32 = 15) -> Int { bench.run(0, 1, prp1: page, [id | size << 16, flags]) }
        #expect(submission(2, 0x2_0001) == 0x100 && submission(2, 1) == 0x100 && submission(1, 0x1_0001) == 0x101 && submission(2, 0x1_0001, size: 4000) == 0x102)
        #expect(bench.run(0, 4, [1]) == 0x10c && bench.run(0, 4, [0]) == 0x101 && bench.run(0, 0, [2]) == 0x101 && bench.run(0, 0, [0xffff]) == 0x101)
        #expect(bench.run(0, 0, [1]) == 0 && bench.run(0, 4, [1]) == 0 && bench.run(0, 4, [1]) == 0x101)
        bench.createPair(1)
        // Entry sizes that do not exist.
        bench.enable(configuration: 0x47_0001)
        #expect(completion(1, page) == 0x102)
    }

    @Test func severalQueuesWorkSideBySide() throws {
        let bench = try NVMeBench.started()
        bench.createPair(2, size: 2)
        bench.createPair(4, size: 2048)
        let data = bench.pages(1)
        for round in 0..<5 {
            for queue in [1, 2, 4] {
                let result = bench.runResult(queue, 2, namespace: 1, prp1: data, bench.blocks(UInt64(round), 1))
                #expect(result?.status == 0 && result?.queue == UInt16(queue) && bench.bytes(data, 1) == [UInt8(round)])
            }
        }
    }

    @Test func commandsWaitForRoomInTheirCompletionQueue() throws {
        let bench = try NVMeBench.started()
        for _ in 0..<15 { bench.add(1, 0, namespace: 1) }
        bench.pairs[2] = nil
        bench.ring(1)
        #expect(bench.disk.log.count == 15)
        bench.add(1, 0, namespace: 1)
        bench.ring(1)
        #expect(bench.disk.log.count == 15)
        #expect(bench.completions(1).count == 15)
        #expect(bench.disk.log.count == 16 && bench.completions(1).count == 1)
    }

    @Test func deletingAQueueCompletesWhatItHasBegun() throws {
        let bench = try NVMeBench.started()
        bench.disk.isDelayed = true
        bench.add(1, 0, namespace: 1)
        bench.ring(1)
        #expect(bench.completions(1).isEmpty)
        #expect(bench.run(0, 0, [1]) == 0)
        #expect(bench.completions(1, acknowledge: false).count == 1)
    }

    @Test func namesInUseAreConflicts() throws {
        let bench = try NVMeBench.started()
        bench.disk.isDelayed = true
        bench.add(1, 0, namespace: 1, id: 7)
        bench.add(1, 0, namespace: 1, id: 7)
        bench.ring(1)
        #expect(bench.completions(1).map(\.status) == [0x03])
        bench.disk.drain()
        #expect(bench.completions(1).map(\.status) == [0])
    }

    @Test func doorbellsThatMakeNoSenseAreReportedOnce() throws {
        let bench = try NVMeBench.started()
        let request = bench.add(0, 12)
        bench.ring(0)
        #expect(bench.completions().isEmpty)
        bench.write(0x1000 + 8 * 3, 1)
        #expect(bench.completions() == [NVMeResult(result: 0x01_0000, status: 0, id: request, queue: 0)])
        // Masked until the driver reads the error log.
        bench.add(0, 12)
        bench.ring(0)
        bench.write(0x1008, 16)
        bench.write(0x100c, 1)
        bench.write(0x1ff8, 0)
        #expect(bench.completions().isEmpty)
        bench.add(0, 2, prp1: bench.pages(1), [1])
        bench.ring(0)
        #expect(bench.completions().map(\.result) == [0, 0x01_0100])
        for width in [1, 2, 8] { bench.write(0x1008, 3, size: width) }
        #expect(bench.isReady)
    }

    @Test func eventRequestsAreLimitedAndCanBeAborted() throws {
        let bench = try NVMeBench.started()
        let ids = (0..<4).map { _ in bench.add(0, 12) }
        bench.ring(0)
        #expect(bench.run(0, 12) == 0x105)
        bench.add(0, 8, [UInt32(ids[1]) << 16])
        bench.ring(0)
        let results = bench.completions()
        #expect(results.map(\.status) == [0x07, 0] && results[0].id == ids[1] && results[1].result == 0)
        #expect(bench.runResult(0, 8, [1 | 99 << 16])?.result == 1)
        // A threshold below what the drive has.
        #expect(bench.run(0, 9, [11, 2]) == 0)
        bench.add(0, 9, [4, 300])
        bench.ring(0)
        #expect(bench.completions().map(\.result).contains(0x02_0101))
    }

    // MARK: Interrupts

    @Test func thePinIsUpWhileCompletionsWait() throws {
        let bench = try NVMeBench.started()
        #expect(bench.pci.interrupts.high == [])
        bench.add(1, 0, namespace: 1)
        bench.ring(1)
        #expect(bench.pci.interrupts.high == [1])
        bench.write(0x0c, 1)
        #expect(bench.pci.interrupts.high == [] && bench.read(0x10) == 1)
        bench.write(0x10, 1)
        #expect(bench.pci.interrupts.high == [1])
        _ = bench.completions(1)
        #expect(bench.pci.interrupts.high == [])
    }

    @Test func vectorsReplaceThePin() throws {
        let bench = try NVMeBench()
        bench.function.write(bench.function.capabilities(0x11)[0] + 2, UInt16(1 << 15))
        let target = bench.pages(1)
        for vector: UInt64 in 0..<5 {
            bench.write(0x2000 + 16 * vector, target + 4 * vector, size: 8)
            bench.write(0x2008 + 16 * vector, 0x50 + vector, size: 8)
        }
        bench.enable()
        bench.createPair(1, vector: 4)
        #expect(bench.pci.word(target) == 0x50 && bench.pci.word(target + 16) == 0)
        bench.run(1, 0, namespace: 1)
        #expect(bench.pci.word(target + 16) == 0x54 && bench.pci.interrupts.rises.isEmpty)
        #expect(bench.run(0, 5, prp1: bench.pages(1), [2 | 3 << 16, 3 | 5 << 16]) == 0x108)
    }

    @Test func nothingMovesWithoutBusMastering() throws {
        let bench = try NVMeBench.started()
        bench.function.write(4, UInt16(2))
        bench.add(1, 0, namespace: 1)
        bench.ring(1)
        #expect(bench.completions(1).isEmpty)
        bench.function.enable()
        #expect(bench.completions(1).count == 1)
    }
}
