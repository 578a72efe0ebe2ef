import EmuBus
import EmuDevices
import Foundation
import Glibc
import TestSupport
import Testing

/// An image of every kind the format allows.
struct Qcow2Kind: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let settings: Qcow2Image.Settings

    init(_ name: String, _ change: (inout Qcow2Image.Settings) -> Void = { _ in }) {
        testDescription = name
        var settings = Qcow2Image.Settings(size: 4 << 20)
        change(&settings)
        self.settings = settings
    }

    static let all = [
        Qcow2Kind("default"),
        Qcow2Kind("version 2") { $0.version = 2 },
        Qcow2Kind("512-byte clusters, 64-bit counts") { $0.clusterSize = 512; $0.refcountBits = 64 },
        Qcow2Kind("1-bit counts") { $0.clusterSize = 4096; $0.refcountBits = 1 },
        Qcow2Kind("2 MiB clusters") { $0.clusterSize = 2 << 20 },
        Qcow2Kind("extended L2") { $0.extendedL2 = true },
        Qcow2Kind("lazy counts") { $0.lazyRefcounts = true; $0.clusterSize = 8192 },
        Qcow2Kind("preallocated") { $0.preallocation = .metadata },
        Qcow2Kind("preallocated extended L2") { $0.preallocation = .full; $0.extendedL2 = true; $0.clusterSize = 16384 },
        Qcow2Kind("size within a cluster") { $0.size = (4 << 20) - 512 * 3 },
    ]
}

@Suite struct Qcow2Tests {
    private func check(_ path: String) throws -> Qcow2Check.Report {
        // The image may still be open here.
        var check = try Qcow2Check(try HostFile.openImage(path, ImageAccess(isReadOnly: true, isLocked: false)))
        return try check.run()
    }

    @Test(arguments: Qcow2Kind.all)
    func randomUseKeepsEveryByteAndLeavesNothingToMend(_ kind: Qcow2Kind) throws {
        let directory = try ImageDirectory()
        let path = try directory.create("a.qcow2", kind.settings)
        var use = RandomDiskUse(size: Int(kind.settings.size), seed: 11)
        for _ in 0..<2 {
            // Open and closed more than once: what was written is there.
            let disk = try DiskImages.open(path)
            for _ in 0..<60 {
                let isRight = try use.step(disk, maximum: 300)
                #expect(isRight)
            }
            try disk.close()
            let report = try check(path)
            #expect(report.corruptions == 0 && report.leaks == 0 && report.errors == 0, "\(report.messages.prefix(3))")
            if QemuImg.isThere {
                let other = try QemuImg.run("check", "-U", "-f", "qcow2", path)
                #expect(other.code == 0, "\(other.text)")
            }
        }
        let isEqual = try DiskImages.open(path).get(0, use.model.count) == use.model
        #expect(isEqual)
        guard QemuImg.isThere else { return }
        let raw = directory("a.raw")
        try QemuImg.run("convert", "-f", "qcow2", "-O", "raw", path, raw)
        let isSame = try DiskImages.open(raw).get(0, use.model.count) == use.model
        #expect(isSame)
    }

    @Test(.enabled(if: QemuImg.isThere), arguments: ["compat=0.10", "compat=1.1", "cluster_size=4k", "compression_type=zstd", "extended_l2=on,cluster_size=32k", "refcount_bits=64"], [false, true])
    func imagesOfQemuImgAreReadAndWritten(_ options: String, isCompressed: Bool) throws {
        let directory = try ImageDirectory()
        let raw = directory("a.raw"), path = directory("a.qcow2")
        // Compressible, with holes.
        let content = (0..<1 << 20).map { $0 >> 16 & 3 == 1 ? 0 : UInt8(truncatingIfNeeded: $0 >> 7 ^ $0 >> 13) }
        #expect(FileManager.default.createFile(atPath: raw, contents: Data(content)))
        let made = isCompressed
            ? try QemuImg.run("convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, raw, path)
            : try QemuImg.run("convert", "-f", "raw", "-O", "qcow2", "-o", options, raw, path)
        #expect(made.code == 0, "\(made.text)")
        let disk = try DiskImages.open(path)
        var use = RandomDiskUse(size: content.count, seed: 3)
        use.model = content
        let isEqual = try disk.get(0, content.count) == content
        #expect(isEqual)
        for _ in 0..<60 {
            let isRight = try use.step(disk, maximum: 100)
            #expect(isRight)
        }
        try disk.close()
        #expect(FileManager.default.createFile(atPath: raw, contents: Data(use.model)))
        let other = try QemuImg.run("check", "-U", "-f", "qcow2", path)
        #expect(other.code == 0, "\(other.text)")
        #expect(try QemuImg.run("compare", "-U", "-f", "raw", "-F", "qcow2", raw, path).code == 0)
    }

    @Test func backingImagesShowThroughWhereNothingWasWritten() throws {
        let directory = try ImageDirectory()
        var settings = Qcow2Image.Settings(size: 1 << 20)
        settings.clusterSize = 4096
        do {
            let base = try DiskImages.open(try directory.create("base.qcow2", settings))
            try base.put(0, [UInt8](repeating: 1, count: 512 << 10))
            try base.close()
        }
        // The middle is smaller than the top; the rest of the top reads as zeroes.
        settings.size = 256 << 10
        settings.backingFile = "base.qcow2"
        settings.backingFormat = "qcow2"
        _ = try directory.create("middle.qcow2", settings)
        settings.size = 1 << 20
        settings.backingFile = "middle.qcow2"
        settings.extendedL2 = true
        settings.clusterSize = 16384
        let top = try DiskImages.open(try directory.create("top.qcow2", settings))
        #expect(top.chain.count == 3)
        try top.put(8192 + 512, [UInt8](repeating: 2, count: 512))
        #expect(try top.get(8192, 1536) == [UInt8](repeating: 1, count: 512) + [UInt8](repeating: 2, count: 512) + [UInt8](repeating: 1, count: 512))
        #expect(try top.get(256 << 10, 4096).allSatisfy { $0 == 0 })
        // Discarded, the old data must not come back from below.
        try top.perform(.discard(offset: 0, length: 64 << 10))
        #expect(try top.get(0, 64 << 10).allSatisfy { $0 == 0 })
        #expect(try top.get(64 << 10, 512).allSatisfy { $0 == 1 })
        #expect(try top.resolvedExtent(at: 64 << 10, limit: 1 << 20).depth == 2)
    }

    @Test(arguments: [false, true])
    func snapshotsKeepWhatTheDiskWas(_ isExtended: Bool) throws {
        let directory = try ImageDirectory()
        var settings = Qcow2Image.Settings(size: 1 << 20)
        settings.clusterSize = 16384
        settings.extendedL2 = isExtended
        let path = try directory.create("a.qcow2", settings)
        let disk = try #require(try DiskImages.open(path) as? Qcow2Image)
        var use = RandomDiskUse(size: 1 << 20, seed: 5)
        var states: [[UInt8]] = []
        for number in 0..<3 {
            for _ in 0..<40 {
                let isRight = try use.step(disk, maximum: 200)
                #expect(isRight)
            }
            try disk.createSnapshot("s\(number)", seconds: 1_000_000, nanoseconds: 0)
            states.append(use.model)
        }
        for _ in 0..<40 { _ = try use.step(disk, maximum: 200) }
        try disk.applySnapshot("s1")
        let isBack = try disk.get(0, 1 << 20) == states[1]
        #expect(isBack)
        use.model = states[1]
        for _ in 0..<40 {
            let isRight = try use.step(disk, maximum: 200)
            #expect(isRight)
        }
        try disk.deleteSnapshot("s1")
        #expect(message { try disk.applySnapshot("s1") }.contains("has no snapshot 's1'; it has 's0', 's2'"))
        try disk.close()
        let now = try disk.get(0, 1 << 20) == use.model
        #expect(now)
        let report = try check(path)
        #expect(report.corruptions == 0 && report.leaks == 0, "\(report.messages.prefix(3))")
        if QemuImg.isThere {
            let other = try QemuImg.run("check", "-f", "qcow2", "-U", path)
            #expect(other.code == 0, "\(other.text)")
            #expect(try QemuImg.run("snapshot", "-l", "-U", path).text.contains("s2"))
        }
    }

    @Test func sizeChangesKeepTheRestAndAddZeroes() throws {
        let directory = try ImageDirectory()
        var settings = Qcow2Image.Settings(size: 1 << 20)
        settings.clusterSize = 512
        let path = try directory.create("a.qcow2", settings)
        let disk = try #require(try DiskImages.open(path) as? Qcow2Image)
        try disk.put(0, [UInt8](repeating: 7, count: 1 << 20))
        try disk.resize(to: (512 << 10) + 512)
        try disk.resize(to: 64 << 20)
        #expect(disk.size == 64 << 20)
        #expect(try disk.get(0, (512 << 10) + 512).allSatisfy { $0 == 7 })
        #expect(try disk.get((512 << 10) + 512, 600 << 10).allSatisfy { $0 == 0 })
        try disk.put((64 << 20) - 512, [UInt8](repeating: 8, count: 512))
        try disk.close()
        let report = try check(path)
        #expect(report.corruptions == 0 && report.leaks == 0, "\(report.messages.prefix(3))")
    }

    @Test func compressedClustersAreReadByQemuImgAndOverwritten() throws {
        let directory = try ImageDirectory()
        for compression in [Qcow2Header.Compression.zlib, .zstd] {
            var settings = Qcow2Image.Settings(size: 1 << 20)
            settings.compression = compression
            let path = try directory.create("\(compression).qcow2", settings)
            let disk = try #require(try DiskImages.open(path) as? Qcow2Image)
            var model = [UInt8](repeating: 0, count: 1 << 20)
            for cluster in 0..<16 {
                let bytes = (0..<65536).map { UInt8(truncatingIfNeeded: $0 / 100 &* (cluster + 1)) }
                let buffer = TransferBuffer(65536)
                buffer.memory.copyBytes(from: bytes)
                #expect(try disk.writeCompressed(UInt64(cluster) << 16, buffer.memory))
                model.replaceSubrange(cluster << 16..<(cluster + 1) << 16, with: bytes)
            }
            try disk.put(100 * 512, [UInt8](repeating: 0xee, count: 512))
            model.replaceSubrange(100 * 512..<101 * 512, with: repeatElement(0xee, count: 512))
            let isEqual = try disk.get(0, 1 << 20) == model
            #expect(isEqual)
            try disk.close()
            let report = try check(path)
            #expect(report.corruptions == 0 && report.leaks == 0 && report.compressedClusters == 15, "\(report.messages.prefix(3))")
            guard QemuImg.isThere else { continue }
            #expect(try QemuImg.run("check", path, "-U").code == 0)
            try QemuImg.run("convert", "-U", "-O", "raw", path, directory("\(compression).raw"))
            let isSame = try DiskImages.open(directory("\(compression).raw")).get(0, 1 << 20) == model
            #expect(isSame)
        }
    }
}
