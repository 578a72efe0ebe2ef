import EmuBus
import EmuDevices
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// A disk that does nothing until it is let.
private final class GatedDisk: BlockBackend, @unchecked Sendable {
    let size: UInt64 = 1 << 20
    let isReadOnly = false
    private let condition = NSCondition()
    private var permits = 0
    private var begun = 0
    private var ended = 0
    private var threads: Set<UInt> = []
    private var moved: [(offset: UInt64, length: Int)] = []

    func perform(_ operation: EmuDevices.BlockOperation) throws(HostError) {
        condition.lock()
        begun += 1
        condition.broadcast()
        while permits == 0 { condition.wait() }
        permits -= 1
        ended += 1
        if case .read(let offset, let buffers) = operation { moved.append((offset, buffers.reduce(0) { $0 + $1.count })) }
        condition.broadcast()
        threads.insert(UInt(pthread_self()))
        condition.unlock()
        if case .discard = operation { throw HostError("discarding", EIO) }
    }

    func allow(_ count: Int) {
        condition.lock()
        permits = permits.addingReportingOverflow(count).overflow ? .max : permits + count
        condition.broadcast()
        condition.unlock()
    }

    /// What was read.
    var reads: [(offset: UInt64, length: Int)] {
        condition.lock()
        defer { condition.unlock() }
        return moved
    }

    var done: Int {
        condition.lock()
        defer { condition.unlock() }
        return ended
    }

    func waitUntil(begun: Int = 0, done: Int = 0) {
        condition.lock()
        while self.begun < begun || ended < done { condition.wait() }
        condition.unlock()
    }

    func ranOn(_ thread: UInt) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        return threads.contains(thread)
    }
}

/// Counts what is let go of.
private final class Releases: Sendable {
    let count = Atomic<Int>(0)

    final class Token: Sendable {
        private let releases: Releases
        init(_ releases: Releases) { self.releases = releases }
        deinit { releases.count.add(1, ordering: .sequentiallyConsistent) }
    }
}

@Suite struct DiskQueueTests {
    @Test func operationsOverlapAndCompleteOnTheMachinesThreadFromThePoll() throws {
        let disk = GatedDisk()
        let pollers = IOPollGroup()
        #expect(!pollers.isWoken)
        let queue = DiskQueue(disk, wake: try pollers.makeWake())
        pollers.add(queue)
        var completed: [String] = []
        let thread = UInt(pthread_self())
        for number in 0..<3 {
            queue.submit(number == 1 ? .discard(offset: 0, length: 512) : .flush) { error in
                completed.append("\(number) \(error == nil ? "ok" : "failed")")
                #expect(UInt(pthread_self()) == thread)
            }
        }
        #expect(completed.isEmpty)
        disk.allow(3)
        // The wake-up ends a wait that would be for ever.
        while completed.count < 3 { pollers.wait(timeout: .max) }
        #expect(completed == ["0 ok", "1 failed", "2 ok"])
        // A worker may raise it once more when what it announces was found already.
        while pollers.isWoken { pollers.wait(timeout: 0) }
        #expect(!disk.ranOn(thread))
    }

    @Test func drainWaitsForWhatCompletionsSubmit() throws {
        let disk = GatedDisk()
        let queue = DiskQueue(disk, wake: try PollWake())
        var isFlushed = false
        queue.submit(.flush) { _ in queue.submit(.flush) { _ in isFlushed = true } }
        disk.allow(2)
        queue.drain()
        #expect(isFlushed)
    }

    @Test(.timeLimit(.minutes(10))) func aCompletionMayDrainWhatIsDoneAlready() throws {
        let disk = GatedDisk()
        let queue = DiskQueue(disk, wake: try PollWake())
        var completed: [Int] = []
        queue.submit(.flush) { _ in
            queue.drain()
            completed.append(0)
        }
        for number in 1..<3 { queue.submit(.flush) { _ in completed.append(number) } }
        disk.allow(3)
        // The one thread has begun the third when it has left two as done, and the queue takes both at once.
        disk.waitUntil(done: 3)
        queue.drain()
        #expect(completed == [1, 2, 0])
    }

    @Test func largeOperationsAreCarriedOutInPieces() throws {
        let disk = GatedDisk()
        disk.allow(.max)
        let queue = DiskQueue(disk, wake: try PollWake())
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 20 << 20, alignment: 4096)
        defer { memory.deallocate() }
        var outcome = "not called"
        queue.submit(.read(offset: 512, into: [memory, memory])) { outcome = $0.map { "\($0)" } ?? "done" }
        queue.drain()
        #expect(outcome == "done")
        let piece: UInt64 = 16 << 20
        #expect(disk.reads.map(\.offset) == [512, 512 + piece, 512 + 2 * piece])
        #expect(disk.reads.map(\.length) == [16 << 20, 16 << 20, 8 << 20])
    }

    /// Buffers may overlap, so that little memory is asked for much.
    @Test func drainDoesNotWaitForMoreThanAGigabyte() throws {
        let disk = GatedDisk()
        let queue = DiskQueue(disk, wake: try PollWake())
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 20, alignment: 4096)
        defer { memory.deallocate() }
        let little = [UnsafeMutableRawBufferPointer(rebasing: memory[..<512])]
        var completed: [String] = []
        func submit(_ name: String, _ operation: EmuDevices.BlockOperation, then: @escaping () -> Void = {}) {
            queue.submit(operation) { error in
                completed.append("\(name) \(error.map { $0.code == ECANCELED ? "given up" : "\($0)" } ?? "done")")
                then()
            }
        }
        // Its completion runs when the drain has begun, while the large one waits in its first piece.
        submit("first", .flush) { disk.allow(.max) }
        submit("small", .read(offset: 0, into: little))
        submit("large", .read(offset: 0, into: Array(repeating: memory, count: 65)))
        submit("last", .read(offset: 0, into: little))
        disk.allow(2)
        disk.waitUntil(begun: 3)
        queue.drain()
        #expect(completed == ["first done", "small done", "large given up", "last given up"])
        #expect(disk.reads.map(\.length) == [512, 16 << 20])
    }

    @Test func withoutAWakeUpEverythingIsDoneAtOnce() throws {
        let disk = GatedDisk()
        disk.allow(1)
        let queue = DiskQueue(disk, wake: nil)
        var isDone = false
        queue.submit(.flush) { _ in isDone = true }
        #expect(isDone && disk.ranOn(UInt(pthread_self())))
    }

    @Test func aQueueThatIsDroppedLeavesNoThreadAtItsBuffers() throws {
        let disk = GatedDisk(), releases = Releases()
        var queue: DiskQueue? = DiskQueue(disk, wake: try PollWake(), threads: 2)
        for _ in 0..<8 {
            let token = Releases.Token(releases)
            queue?.submit(.flush) { _ in withExtendedLifetime(token) {} }
        }
        disk.waitUntil(begun: 2)
        // Those that have not begun are given up first; then the two are let go on, which whoever drops the queue waits for.
        Thread {
            while releases.count.load(ordering: .sequentiallyConsistent) < 6 { usleep(1000) }
            disk.allow(8)
        }.start()
        queue = nil
        #expect(disk.done == 2)
    }

    @Test func drivePropertiesSayWhatReachesTheImage() throws {
        let directory = try ImageDirectory()
        var settings = Qcow2Image.Settings(size: 1 << 20)
        settings.clusterSize = 4096
        let image = try DiskImages.open(try directory.create("a.qcow2", settings))
        try image.put(0, [UInt8](repeating: 1, count: 8192))
        let plain = ConfiguredDisk(image, DiskSettings())
        try plain.perform(.discard(offset: 0, length: 4096))
        #expect(try image.get(0, 1) == [1])
        try plain.put(65536, [UInt8](repeating: 0, count: 4096))
        #expect(try image.extent(at: 65536, limit: 4096).kind == .data)
        var wanted = DiskSettings()
        wanted.discards = true
        wanted.zeroDetection = .unmap
        let eager = ConfiguredDisk(image, wanted)
        try eager.perform(.discard(offset: 0, length: 4096))
        #expect(try image.extent(at: 0, limit: 4096).kind == .unallocated)
        try eager.put(65536, [UInt8](repeating: 0, count: 4096))
        #expect(try image.extent(at: 65536, limit: 4096).kind == .unallocated)
    }
}

@Suite struct ImageLockTests {
    private func image(_ directory: ImageDirectory) throws -> String { try directory.create("a.qcow2", Qcow2Image.Settings(size: 1 << 20)) }

    @Test func aSecondUserIsToldWhichFileAndWhoHasIt() throws {
        let directory = try ImageDirectory()
        let path = try image(directory)
        let first = try DiskImages.open(path)
        let text = message { _ = try DiskImages.open(path) }
        #expect(text.contains("'\(path)' is in use by another instance (this process"), "\(text)")
        var look = ImageOptions()
        look.access = ImageAccess(isReadOnly: true, isLocked: false)
        _ = try DiskImages.open(path, look)
        #expect(!first.isReadOnly)
    }

    @Test func aBackingFileInUseForWritingIsNamed() throws {
        let directory = try ImageDirectory()
        let base = try image(directory)
        var settings = Qcow2Image.Settings(size: 1 << 20)
        settings.backingFile = "a.qcow2"
        settings.backingFormat = "qcow2"
        let top = try directory.create("top.qcow2", settings)
        let writer = try DiskImages.open(base)
        let text = message { _ = try DiskImages.open(top) }
        #expect(text.contains("backing file of '\(top)'") && text.contains("'\(base)' is open for writing"), "\(text)")
        #expect(!writer.isReadOnly)
    }

    /// What one opening held may be held a moment longer: another test may be between fork and exec, with a copy of all descriptors.
    private func soon(_ isRight: () throws -> Bool) rethrows -> Bool {
        for _ in 0..<50 {
            if try isRight() { return true }
            usleep(10_000)
        }
        return false
    }

    @Test(.enabled(if: QemuImg.isThere, QemuImg.reason)) func qemuImgAndThisProgramSeeEachOthersLocks() throws {
        let directory = try ImageDirectory()
        let path = try image(directory)
        do {
            let writer = try DiskImages.open(path)
            let other = try QemuImg.run("info", path)
            #expect(other.code != 0 && other.errors.contains("lock"), "\(other)")
            #expect(try QemuImg.run("info", "-U", path).code == 0)
            #expect(!writer.isReadOnly)
        }
        #expect(try soon { try QemuImg.run("info", path).code == 0 })
        var options = ImageOptions()
        options.access = ImageAccess(isReadOnly: true)
        let reader = try DiskImages.open(path, options)
        #expect(try soon { try QemuImg.run("info", path).code == 0 })
        #expect(try QemuImg.run("resize", path, "2M").code != 0)
        #expect(reader.isReadOnly)
    }

    @Test func snapshotsOfAQcow2DiskAreCommittedToIt() throws {
        let directory = try ImageDirectory()
        let path = try image(directory)
        var options = ImageOptions()
        options.access = ImageAccess(isReadOnly: true)
        let overlay = try SnapshotOverlay(over: try DiskImages.open(path, options))
        try overlay.put(4096, [UInt8](repeating: 5, count: 512))
        #expect(try DiskImages.open(path, options).get(4096, 1) == [0])
        try overlay.commit()
        #expect(try overlay.get(4096, 512).allSatisfy { $0 == 5 })
        #expect(try DiskImages.open(path, options).get(4096, 512).allSatisfy { $0 == 5 })
    }
}

/// An image of any size, without contents, that cannot be written.
private final class UnwritableImage: DiskImage {
    let size: UInt64
    let isReadOnly = true
    let format = DiskFormat.raw
    let path = "unwritable"
    let allowsConcurrency = false
    let file: any ImageFile
    private(set) var reloads = 0

    init(size: UInt64) throws {
        self.size = size
        let descriptor = open("/dev/zero", O_RDONLY | O_CLOEXEC)
        try #require(descriptor >= 0)
        file = HostFile(descriptor: descriptor, name: "disk 'unwritable'")
    }

    func perform(_ operation: EmuDevices.BlockOperation) throws(HostError) {
        guard case .read(_, let buffers) = operation else { throw HostError("writing", EROFS) }
        for buffer in buffers { buffer.initializeMemory(as: UInt8.self, repeating: 0) }
    }

    func extent(at offset: UInt64, limit: UInt64) -> DiskExtent { DiskExtent(kind: .zero, length: limit) }
    func close() {}
    func writable(through file: any ImageFile) throws(DiskError) -> any DiskImage { throw DiskError("no") }
    func reload() { reloads += 1 }
}

@Suite struct SnapshotOverlayTests {
    @Test func aSizeThatIsOnlyClaimedTakesNoMemory() throws {
        let disk = try SnapshotOverlay(over: UnwritableImage(size: 1 << 61))
        try disk.put(512, [UInt8](repeating: 3, count: 512))
        #expect(try disk.get(0, 1536) == [UInt8](repeating: 0, count: 512) + [UInt8](repeating: 3, count: 512) + [UInt8](repeating: 0, count: 512))
        #expect(try disk.get((1 << 61) - 512, 512).allSatisfy { $0 == 0 })
    }

    @Test func aCommitThatFailsReadsTheImageAgainAndKeepsWhatWasWritten() throws {
        let image = try UnwritableImage(size: 1 << 20)
        let disk = try SnapshotOverlay(over: image)
        try disk.put(0, [UInt8](repeating: 3, count: 512))
        #expect(throws: DiskError.self) { try disk.commit() }
        #expect(image.reloads == 1)
        #expect(try disk.get(0, 512).allSatisfy { $0 == 3 })
    }
}
