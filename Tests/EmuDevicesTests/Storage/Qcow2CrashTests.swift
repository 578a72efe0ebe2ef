import EmuBus
import EmuDevices
import TestSupport
import Testing

/// What is in the file when the program or the host dies at any moment: everything up to the last flush, and of what was written
/// after it any part, in any order.
@Suite struct Qcow2CrashTests {
    private static func kinds() -> [Qcow2Kind] {
        [
            Qcow2Kind("default") { $0.clusterSize = 4096; $0.size = 1 << 20 },
            Qcow2Kind("tables that grow") { $0.clusterSize = 512; $0.refcountBits = 64; $0.size = 1 << 20 },
            Qcow2Kind("version 2") { $0.version = 2; $0.clusterSize = 4096; $0.size = 1 << 20 },
            Qcow2Kind("extended L2") { $0.extendedL2 = true; $0.clusterSize = 16384; $0.size = 1 << 20 },
            Qcow2Kind("lazy counts") { $0.lazyRefcounts = true; $0.clusterSize = 4096; $0.size = 1 << 20 },
        ]
    }

    private struct Flushed {
        let steps: Int
        let model: [UInt8]
        /// Sectors written since, which may have any of their contents.
        var changed: Set<Int> = []

        init(steps: Int, model: [UInt8]) {
            self.steps = steps
            self.model = model
        }

        mutating func note(_ before: [UInt8], _ after: [UInt8]) {
            for sector in 0..<model.count / 512 where before[sector * 512..<(sector + 1) * 512] != after[sector * 512..<(sector + 1) * 512] { changed.insert(sector) }
        }
    }

    /// Number of random crashes looked at for each kind.
    private static let crashes = 60

    @Test(arguments: kinds())
    func aCrashLosesNothingThatWasFlushed(_ kind: Qcow2Kind) throws {
        let file = JournalFile()
        try Qcow2Image.create(file, kind.settings)
        let start = file.bytes
        file.records = true
        let disk = try Qcow2Image(file, path: "journal", isReadOnly: false)
        var use = RandomDiskUse(size: 1 << 20, seed: 21)
        // What the disk held at each flush, by the number of steps there were in the journal then, and which sectors were changed after it.
        var flushed: [Flushed] = [Flushed(steps: 0, model: use.model)]
        for round in 0..<120 {
            let before = use.model
            let isRight = try use.step(disk, maximum: 40)
            #expect(isRight)
            flushed[flushed.count - 1].note(before, use.model)
            if round % 9 == 8 {
                try disk.perform(.flush)
                flushed.append(Flushed(steps: file.steps.count, model: use.model))
            }
        }
        var random = SplitMix(seed: 77)
        for _ in 0..<Self.crashes {
            let cut = Int(random.next() % UInt64(file.steps.count + 1))
            let survivor = JournalFile(Self.survivor(start, file.steps[..<cut], dropsUnflushed: random.next() % 2 == 0, &random))
            try Self.examine(survivor, flushed.last { $0.steps <= cut }!, isLazy: kind.settings.lazyRefcounts)
        }
    }

    /// The file after a crash behind `steps`. A process that dies leaves all of them, a host that dies any of those since the last flush.
    private static func survivor(_ start: [UInt8], _ steps: ArraySlice<JournalFile.Step>, dropsUnflushed: Bool, _ random: inout SplitMix) -> [UInt8] {
        var bytes = start
        var pending: [JournalFile.Step] = []
        for step in steps {
            if case .flush = step {
                for each in pending { JournalFile.apply(each, &bytes) }
                pending = []
            } else {
                pending.append(step)
            }
        }
        for step in pending {
            if case .write = step, dropsUnflushed, random.next() % 2 == 0 { continue }
            JournalFile.apply(step, &bytes)
        }
        return bytes
    }

    private static func examine(_ file: JournalFile, _ flushed: Flushed, isLazy: Bool) throws {
        var check = try Qcow2Check(file)
        let report = try check.run()
        // Lazy counts say by the dirty bit that they are to be made anew, which opening does.
        if !isLazy { #expect(report.corruptions == 0 && report.errors == 0, "\(report.messages.prefix(3))") }
        let disk = try Qcow2Image(file, path: "journal", isReadOnly: false)
        let found = try disk.get(0, flushed.model.count)
        let lost = (0..<flushed.model.count / 512).filter { sector in
            let range = sector * 512..<(sector + 1) * 512
            return !flushed.changed.contains(sector) && found[range] != flushed.model[range]
        }
        #expect(lost.isEmpty, "sectors \(lost.prefix(8))")
        // It goes on working, and mending the leaks leaves nothing.
        try disk.put(0, [UInt8](repeating: 9, count: 4096))
        try disk.close()
        var repair = try Qcow2Check(file)
        let mended = try repair.repair(.all)
        #expect(mended.corruptions == 0 && mended.leaks == 0, "\(mended.messages.prefix(3))")
    }

    @Test func aFullHostDiskLeavesTheImageWhole() throws {
        for failure in stride(from: 0, to: 60, by: 3) {
            let file = JournalFile()
            var settings = Qcow2Image.Settings(size: 1 << 20)
            settings.clusterSize = 512
            try Qcow2Image.create(file, settings)
            let disk = try Qcow2Image(file, path: "journal", isReadOnly: false)
            try disk.put(0, [UInt8](repeating: 1, count: 8192))
            try disk.perform(.flush)
            file.failsAfter = failure
            for sector in 16..<200 {
                do throws(HostError) {
                    try disk.put(UInt64(sector) * 1024, [UInt8](repeating: 2, count: 512))
                    if sector % 8 == 0 { try disk.perform(.flush) }
                } catch {}
            }
            try? disk.close()
            file.failsAfter = nil
            var check = try Qcow2Check(file)
            let report = try check.run()
            #expect(report.corruptions == 0, "after \(failure) writes: \(report.messages.prefix(3))")
            let again = try Qcow2Image(file, path: "journal", isReadOnly: true)
            #expect(try again.get(0, 8192).allSatisfy { $0 == 1 })
        }
    }
}
