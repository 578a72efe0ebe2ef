import EmuBus
import EmuDevices
import Glibc
import TestSupport
import Testing

private enum Kind {
    static let read: UInt32 = 0, write: UInt32 = 1, flush: UInt32 = 4, identify: UInt32 = 8, discard: UInt32 = 11, writeZeroes: UInt32 = 13
}

private enum Status {
    static let ok: UInt8 = 0, ioError: UInt8 = 1, unsupported: UInt8 = 2
}

private enum Feature {
    static let readOnly: UInt64 = 1 << 5, flush: UInt64 = 1 << 9, configWCE: UInt64 = 1 << 11
    static let discard: UInt64 = 1 << 13, writeZeroes: UInt64 = 1 << 14
}

/// A disk in memory that records what is asked of it and fails or delays on request.
private final class RecordingDisk: DelayingBackend {
    let size: UInt64
    let isReadOnly: Bool
    var log: [String] = []
    var failure: HostError?
    var isDelayed = false
    var delayed: [() -> Void] = []

    init(size: UInt64 = 1 << 20, isReadOnly: Bool = false) {
        self.size = size
        self.isReadOnly = isReadOnly
    }

    func perform(_ operation: BlockOperation) throws(HostError) {
        switch operation {
        case .read(let offset, let buffers):
            log.append("read \(offset)")
            for buffer in buffers { for index in buffer.indices { buffer[index] = 0x5a } }
        case .write(let offset, let buffers): log.append("write \(offset)+\(buffers.reduce(0) { $0 + $1.count })")
        case .flush: log.append("flush")
        case .discard(let offset, let length): log.append("discard \(offset)+\(length)")
        case .writeZeroes(let offset, let length, let mayUnmap): log.append("zero \(offset)+\(length) \(mayUnmap)")
        }
        if let failure { throw failure }
    }
}

extension VirtioMockDriver {
    fileprivate func header(_ kind: UInt32, _ sector: UInt64) -> MockBuffer {
        readable(.little(kind) + .little(UInt32(0)) + .little(sector))
    }

    /// Does one request and returns its status; nil when the device did not answer.
    fileprivate func request(_ kind: UInt32, sector: UInt64 = 0, _ data: [MockBuffer] = [], indirect: Bool = false) -> UInt8? {
        let status = writable(1)
        store(status.address, [0xff])
        let queue = queues[0]!
        queue.add([header(kind, sector)] + data + [status], indirect: indirect)
        queue.kick()
        guard queue.used().count == 1 else { return nil }
        acknowledgeInterrupts()
        return contents(status)[0]
    }

    fileprivate func range(_ sector: UInt64, _ sectors: UInt32, flags: UInt32 = 0) -> MockBuffer {
        readable(.little(sector) + .little(sectors) + .little(flags))
    }
}

@Suite struct VirtioBlockTests {
    private func pattern(_ sector: Int) -> [UInt8] { [UInt8](repeating: UInt8(truncatingIfNeeded: sector), count: 512) }

    @Test(arguments: VirtioSetup.allCases, [false, true])
    func dataArrivesInTheFileAndComesBack(_ setup: VirtioSetup, indirect: Bool) throws {
        let file = try TemporaryFile(sectors: 256)
        let bench = try VirtioBench(setup, VirtioBlock(name: "virtio-blk0", disk: RawImage(path: file.path)))
        let driver = bench.driver
        driver.start(size: 16)
        var model = file.bytes
        var random = SplitMix(seed: 99)
        let mark = driver.heapMark
        for _ in 0..<60 {
            driver.free(downTo: mark)
            let sector = Int(random.next() % 248), sectors = 1 + Int(random.next() % 8)
            let range = sector * 512..<(sector + sectors) * 512
            // Two pieces that do not end on sector boundaries.
            let cut = 1 + Int(random.next() % UInt64(range.count - 1))
            if random.next() % 2 == 0 {
                let bytes = (0..<range.count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                let data = [driver.readable(Array(bytes[..<cut])), driver.readable(Array(bytes[cut...]))]
                #expect(driver.request(Kind.write, sector: UInt64(sector), data, indirect: indirect) == Status.ok)
                model.replaceSubrange(range, with: bytes)
            } else {
                let data = [driver.writable(cut), driver.writable(range.count - cut)]
                #expect(driver.request(Kind.read, sector: UInt64(sector), data, indirect: indirect) == Status.ok)
                let isEqual = data.flatMap(driver.contents) == Array(model[range])
                #expect(isEqual)
            }
        }
        #expect(driver.request(Kind.flush) == Status.ok)
        let isEqual = file.bytes == model
        #expect(isEqual)
    }

    @Test func usedLengthCountsDataAndStatus() throws {
        let bench = try VirtioBench(.modernSplit, VirtioBlock(name: "virtio-blk0", disk: RecordingDisk()))
        bench.driver.start()
        let queue = bench.driver.queues[0]!
        queue.add([bench.driver.header(Kind.read, 0), bench.driver.writable(1024), bench.driver.writable(1)])
        queue.kick()
        #expect(queue.used().map(\.written) == [1025])
    }

    @Test(arguments: VirtioSetup.allCases)
    func configurationDescribesTheDisk(_ setup: VirtioSetup) throws {
        let bench = try VirtioBench(setup, VirtioBlock(name: "virtio-blk0", disk: RecordingDisk(size: 5 << 30)))
        #expect(bench.driver.config(0, size: 8) == 10 << 20)
        #expect(bench.driver.config(12, size: 4) == 254)
        #expect(bench.driver.config(16, size: 2) == 10402 && bench.driver.config(18, size: 1) == 16 && bench.driver.config(19, size: 1) == 63)
        #expect(bench.driver.config(20, size: 4) == 512)
        #expect(bench.driver.config(32, size: 1) == 1)
        #expect(bench.driver.config(34, size: 2) == 1)
        #expect(bench.driver.config(40, size: 4) == 1 && bench.driver.config(52, size: 4) == 1 && bench.driver.config(56, size: 1) == 1)
        let bits = bench.driver.offeredFeatures()
        #expect(bits & (Feature.flush | Feature.configWCE | Feature.discard | Feature.writeZeroes | Feature.readOnly)
            == Feature.flush | Feature.configWCE | Feature.discard | Feature.writeZeroes)
    }

    @Test func readOnlyDiskRefusesEveryChange() throws {
        let file = try TemporaryFile(sectors: 16)
        let before = file.bytes
        let bench = try VirtioBench(.modernSplit, VirtioBlock(name: "virtio-blk0", disk: RawImage(path: file.path, readOnly: true)))
        let driver = bench.driver
        #expect(driver.offeredFeatures() & (Feature.readOnly | Feature.discard | Feature.writeZeroes) == Feature.readOnly)
        driver.start()
        #expect(driver.request(Kind.write, [driver.readable(pattern(1))]) == Status.ioError)
        #expect(driver.request(Kind.discard, [driver.range(0, 1)]) == Status.ioError)
        #expect(driver.request(Kind.writeZeroes, [driver.range(0, 1)]) == Status.ioError)
        #expect(driver.request(Kind.flush) == Status.ok)
        let target = driver.writable(512)
        #expect(driver.request(Kind.read, sector: 3, [target]) == Status.ok)
        #expect(driver.contents(target) == pattern(3))
        #expect(file.bytes == before)
    }

    @Test func requestsBeyondTheDiskOrOfOddLengthFail() throws {
        let disk = RecordingDisk(size: 8 * 512)
        let bench = try VirtioBench(.modernSplit, VirtioBlock(name: "virtio-blk0", disk: disk))
        let driver = bench.driver
        driver.start()
        for (sector, length) in [(8, 512), (7, 1024), (UInt64.max, 512), (1 << 55, 512), (0, 511), (0, 513)] as [(UInt64, Int)] {
            #expect(driver.request(Kind.read, sector: sector, [driver.writable(length)]) == Status.ioError)
            #expect(driver.request(Kind.write, sector: sector, [driver.readable([UInt8](repeating: 0, count: length))]) == Status.ioError)
        }
        for (sector, sectors) in [(8, 1), (0, 9), (UInt64.max, 1), (1, .max)] as [(UInt64, UInt32)] {
            #expect(driver.request(Kind.discard, [driver.range(sector, sectors)]) == Status.ioError)
            #expect(driver.request(Kind.writeZeroes, [driver.range(sector, sectors)]) == Status.ioError)
        }
        #expect(driver.request(Kind.discard, [driver.readable([1, 2, 3])]) == Status.ioError)
        #expect(disk.log.isEmpty)
    }

    @Test func discardAndWriteZeroesReachTheDiskAndUnknownFlagsAreRefused() throws {
        let disk = RecordingDisk()
        let bench = try VirtioBench(.modernSplit, VirtioBlock(name: "virtio-blk0", disk: disk))
        let driver = bench.driver
        driver.start()
        #expect(driver.request(Kind.discard, [driver.range(2, 3)]) == Status.ok)
        #expect(driver.request(Kind.writeZeroes, [driver.range(4, 1)]) == Status.ok)
        #expect(driver.request(Kind.writeZeroes, [driver.range(5, 1, flags: 1)]) == Status.ok)
        #expect(disk.log == ["discard 1024+1536", "zero 2048+512 false", "zero 2560+512 true"])
        #expect(driver.request(Kind.discard, [driver.range(2, 3, flags: 1)]) == Status.unsupported)
        #expect(driver.request(Kind.writeZeroes, [driver.range(2, 3, flags: 2)]) == Status.unsupported)
        #expect(driver.request(99) == Status.unsupported)
    }

    @Test func slowOperationsYieldToTheMachine() throws {
        let disk = RecordingDisk(size: 1 << 30)
        let bench = try VirtioBench(.modernSplit, VirtioBlock(name: "virtio-blk0", disk: disk))
        bench.driver.start(size: 16)
        let queue = bench.driver.queues[0]!
        for _ in 0..<4 {
            queue.add([bench.driver.header(Kind.writeZeroes, 0), bench.driver.range(0, 1 << 17), bench.driver.writable(1)])
        }
        queue.kick()
        #expect(disk.log.count == 1)
        for _ in 0..<3 { bench.runEvents() }
        #expect(disk.log.count == 4)
        #expect(queue.used().count == 4)
    }

    @Test func identifyReturnsTheSerialPaddedWithZeroes() throws {
        let bench = try VirtioBench(.modernSplit, VirtioBlock(name: "virtio-blk0", disk: RecordingDisk(), serial: "disk-1"))
        bench.driver.start()
        let target = bench.driver.writable(20)
        #expect(bench.driver.request(Kind.identify, [target]) == Status.ok)
        #expect(bench.driver.contents(target) == Array("disk-1".utf8) + [UInt8](repeating: 0, count: 14))
    }

    @Test func usedLengthEndsWhereTheAnswerIsShorterThanTheBuffer() throws {
        let bench = try VirtioBench(.modernSplit, VirtioBlock(name: "virtio-blk0", disk: RecordingDisk()))
        bench.driver.start(size: 16)
        let queue = bench.driver.queues[0]!
        for (kind, length) in [(Kind.identify, 20), (Kind.identify, 64), (Kind.flush, 64)] {
            queue.add([bench.driver.header(kind, 0), bench.driver.writable(length), bench.driver.writable(1)])
        }
        queue.kick()
        #expect(queue.used().map(\.written) == [21, 20, 0])
    }

    @Test func writesAreFlushedUnlessTheDriverFlushesItself() throws {
        func log(_ features: UInt64, writeback: UInt64?) throws -> [String] {
            let disk = RecordingDisk()
            let bench = try VirtioBench(.modernSplit, VirtioBlock(name: "virtio-blk0", disk: disk))
            bench.driver.start(features)
            if let writeback { bench.slot.write(0x120, writeback, size: 1) }
            #expect(bench.driver.request(Kind.write, [bench.driver.readable(pattern(1))]) == Status.ok)
            return disk.log
        }
        // The cache mode is switched by the driver, or follows from what it negotiated.
        #expect(try log(.max, writeback: nil) == ["write 0+512"])
        #expect(try log(.max, writeback: 0) == ["write 0+512", "flush"])
        #expect(try log(.max, writeback: 1) == ["write 0+512"])
        #expect(try log(~Feature.configWCE, writeback: nil) == ["write 0+512"])
        #expect(try log(~Feature.flush, writeback: nil) == ["write 0+512", "flush"])
        #expect(try log(~(Feature.flush | Feature.configWCE), writeback: nil) == ["write 0+512", "flush"])
    }

    @Test func hostErrorsReachTheGuestAndTheHandler() throws {
        let disk = RecordingDisk()
        let device = VirtioBlock(name: "virtio-blk0", disk: disk)
        var reported: [Int32] = []
        device.hostErrorHandler = { reported.append($0.code) }
        let bench = try VirtioBench(.modernSplit, device)
        bench.driver.start()
        disk.failure = HostError("writing", ENOSPC)
        #expect(bench.driver.request(Kind.write, [bench.driver.readable(pattern(1))]) == Status.ioError)
        disk.failure = nil
        #expect(bench.driver.request(Kind.write, [bench.driver.readable(pattern(1))]) == Status.ok)
        #expect(reported == [ENOSPC])
        #expect(!bench.needsReset)
    }

    @Test func requestsOfMoreThanAGigabyteAreRefused() throws {
        let disk = RecordingDisk(size: 8 << 30)
        let bench = try VirtioBench(.modernSplit, VirtioBlock(name: "virtio-blk0", disk: disk))
        bench.driver.start(size: 128)
        // The same memory again and again.
        func pieces(_ count: Int, isWritable: Bool) -> [MockBuffer] {
            Array(repeating: MockBuffer(VirtioBench.ramBase + (16 << 20), 16 << 20, isWritable: isWritable), count: count)
        }
        for (kind, data, status) in [
            (Kind.write, pieces(64, isWritable: false), Status.ok), (Kind.write, pieces(64, isWritable: false) + [bench.driver.readable(pattern(1))], Status.ioError),
            (Kind.read, pieces(65, isWritable: true), Status.ioError),
        ] {
            #expect(bench.driver.request(kind, data) == status)
            // So much at once ends a round of service.
            bench.runEvents()
        }
        #expect(disk.log == ["write 0+\(1 << 30)"] && !bench.needsReset)
        // Who keeps to what the device says stays below.
        #expect(UInt64(bench.driver.config(8, size: 4)) * UInt64(bench.driver.config(12, size: 4)) <= BlockOperation.greatestLength)
    }

    @Test(arguments: VirtioSetup.allCases)
    func operationsMayCompleteLater(_ setup: VirtioSetup) throws {
        let disk = RecordingDisk()
        let bench = try VirtioBench(setup, VirtioBlock(name: "virtio-blk0", disk: disk))
        let driver = bench.driver
        driver.start()
        disk.isDelayed = true
        let target = driver.writable(512)
        let queue = driver.queues[0]!
        queue.add([driver.header(Kind.read, 0), target, driver.writable(1)])
        queue.kick()
        #expect(queue.used().isEmpty && !bench.interrupted)
        disk.drain()
        #expect(queue.used().map(\.written) == [513])
        #expect(bench.interrupted)
        #expect(driver.contents(target).allSatisfy { $0 == 0x5a })
        // A reset waits for what is under way, so that nothing writes to memory afterwards.
        queue.add([driver.header(Kind.read, 1), driver.writable(512), driver.writable(1)])
        queue.kick()
        driver.write(VirtioMockDriver.Offset.status, 0)
        #expect(disk.log.last == "read 512")
        #expect(!bench.interrupted)
    }

    @Test(arguments: VirtioSetup.allCases)
    func requestsWithoutHeaderOrStatusBreakTheDevice(_ setup: VirtioSetup) throws {
        for shape in 0..<3 {
            let bench = try VirtioBench(setup, VirtioBlock(name: "virtio-blk0", disk: RecordingDisk()))
            let driver = bench.driver
            driver.start()
            switch shape {
            case 0: driver.queues[0]!.add([driver.readable([UInt8](repeating: 0, count: 15)), driver.writable(1)])
            case 1: driver.queues[0]!.add([driver.header(Kind.flush, 0)])
            default: driver.queues[0]!.add([driver.writable(16)])
            }
            driver.queues[0]!.kick()
            #expect(bench.needsReset)
        }
    }

    @Test func randomRequestsNeverTouchTheHostOutsideTheDisk() throws {
        let file = try TemporaryFile(sectors: 16)
        let bench = try VirtioBench(.modernSplit, VirtioBlock(name: "virtio-blk0", disk: RawImage(path: file.path)))
        let driver = bench.driver
        var random = SplitMix(seed: 4711)
        for _ in 0..<2_000 {
            driver.freeEverything()
            driver.start(size: 8)
            let kind = UInt32(random.next() % 16)
            let sector = random.next() % 4 == 0 ? random.next() : random.next() % 20
            let data = driver.readable((0..<Int(random.next() % 3) * 256).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            let target = driver.writable(Int(random.next() % 5) * 256)
            driver.queues[0]!.add([driver.header(kind, sector), data, target, driver.writable(1)])
            driver.queues[0]!.kick()
        }
        #expect(file.bytes.count == 16 * 512)
    }
}
