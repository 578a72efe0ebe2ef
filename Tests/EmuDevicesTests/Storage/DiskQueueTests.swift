import EmuBus
import EmuDevices
import Foundation
import Glibc
import TestSupport
import Testing

/// A disk that does nothing until it is let.
private final class GatedDisk: BlockBackend, @unchecked Sendable {
    let size: UInt64 = 1 << 20
    let isReadOnly = false
    private let condition = NSCondition()
    private var permits = 0
    private(set) var done = 0
    private var threads: Set<UInt> = []

    func perform(_ operation: EmuDevices.BlockOperation) throws(HostError) {
        condition.lock()
        while permits == 0 { condition.wait() }
        permits -= 1
        done += 1
        threads.insert(UInt(pthread_self()))
        condition.unlock()
        if case .discard = operation { throw HostError("discarding", EIO) }
    }

    func allow(_ count: Int) {
        condition.lock()
        permits += count
        condition.broadcast()
        condition.unlock()
    }

    func ranOn(_ thread: UInt) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        return threads.contains(thread)
    }
}

@Suite struct DiskQueueTests {
    @Test func operationsOverlapAndCompleteOnTheMachinesThreadFromThePoll() throws {
        let disk = GatedDisk()
        let pollers = IOPollGroup()
        let queue = DiskQueue(disk, wake: pollers.wake)
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
        #expect(!disk.ranOn(thread))
    }

    @Test func drainWaitsForWhatCompletionsSubmit() throws {
        let disk = GatedDisk()
        let queue = DiskQueue(disk, wake: PollWake())
        var isFlushed = false
        queue.submit(.flush) { _ in queue.submit(.flush) { _ in isFlushed = true } }
        disk.allow(2)
        queue.drain()
        #expect(isFlushed)
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
        let disk = GatedDisk()
        var queue: DiskQueue? = DiskQueue(disk, wake: PollWake(), threads: 2)
        for _ in 0..<8 { queue?.submit(.flush) { _ in } }
        disk.allow(8)
        queue = nil
        let after = disk.done
        disk.allow(8)
        usleep(1000)
        #expect(disk.done == after)
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

    @Test(.enabled(if: QemuImg.isThere)) func qemuImgAndThisProgramSeeEachOthersLocks() throws {
        let directory = try ImageDirectory()
        let path = try image(directory)
        do {
            let writer = try DiskImages.open(path)
            let other = try QemuImg.run("info", path)
            #expect(other.code != 0 && other.text.contains("lock"), "\(other.text)")
            #expect(try QemuImg.run("info", "-U", path).code == 0)
            #expect(!writer.isReadOnly)
        }
        #expect(try QemuImg.run("info", path).code == 0)
        var options = ImageOptions()
        options.access = ImageAccess(isReadOnly: true)
        let reader = try DiskImages.open(path, options)
        #expect(try QemuImg.run("info", path).code == 0)
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
