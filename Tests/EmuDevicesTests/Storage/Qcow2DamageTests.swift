import EmuBus
import EmuDevices
import Foundation
import TestSupport
import Testing

/// Images that are damaged, or made to do harm: a clear error or an I/O error, and nothing worse.
@Suite struct Qcow2DamageTests {
    /// A small image with everything in it: snapshots, compressed clusters, zero clusters, several L2 tables.
    static func rich(_ change: (inout Qcow2Image.Settings) -> Void = { _ in }) throws -> JournalFile {
        let file = JournalFile()
        var settings = Qcow2Image.Settings(size: 256 << 10)
        settings.clusterSize = 512
        change(&settings)
        try Qcow2Image.create(file, settings)
        let disk = try Qcow2Image(file, path: "journal", isReadOnly: false)
        var use = RandomDiskUse(size: Int(settings.size), seed: 2)
        for _ in 0..<20 { _ = try use.step(disk, maximum: 60) }
        try disk.createSnapshot("first", seconds: 0, nanoseconds: 0)
        for _ in 0..<20 { _ = try use.step(disk, maximum: 60) }
        let cluster = TransferBuffer(Int(settings.clusterSize), zeroed: true)
        for number in 0..<8 { _ = try disk.writeCompressed(UInt64(number * 3) * settings.clusterSize, cluster.part(0..<Int(settings.clusterSize))) }
        try disk.createSnapshot("second", seconds: 0, nanoseconds: 0)
        try disk.close()
        return file
    }

    @Test(arguments: [false, true])
    func noMutationOfAnImageDoesHarm(_ isExtended: Bool) throws {
        let image = try Self.rich {
            if isExtended {
                $0.extendedL2 = true
                $0.clusterSize = 16384
                $0.size = 1 << 20
            }
        }.bytes
        var random = SplitMix(seed: isExtended ? 41 : 40)
        for round in 0..<(isExtended ? 40 : 250) {
            var bytes = image
            for _ in 0...random.next() % 4 {
                // Half of them in the header, the rest where metadata is likely: at the start of clusters.
                let position = random.next() % 2 == 0 ? Int(random.next() % 112) : Int(random.next() % UInt64(bytes.count / 512)) * 512 + Int(random.next() % 64)
                guard position < bytes.count else { continue }
                switch random.next() % 4 {
                case 0: bytes[position] ^= 1 << UInt8(random.next() % 8)
                case 1: bytes[position] = 0xff
                case 2: bytes[position] = UInt8(truncatingIfNeeded: random.next())
                default:
                    // A whole entry that points at something that exists.
                    let start = position / 8 * 8
                    guard start + 8 <= bytes.count else { continue }
                    let target = random.next() % UInt64(bytes.count / 512) * 512 | (random.next() % 4) << 62
                    for byte in 0..<8 { bytes[start + byte] = UInt8(truncatingIfNeeded: target >> UInt64(56 - 8 * byte)) }
                }
            }
            if random.next() % 10 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
            Qcow2Exercise.run(bytes, seed: UInt64(round))
        }
    }

    private func refused(_ offset: Int, _ value: [UInt8]) throws -> String {
        var bytes = try Self.rich().bytes
        bytes.replaceSubrange(offset..<offset + value.count, with: value)
        return message { _ = try Qcow2Image(JournalFile(bytes), path: "journal", isReadOnly: true) }
    }

    @Test func impossibleHeadersAreRefusedByName() throws {
        #expect(try refused(0, [0]).contains("not a qcow2 image"))
        #expect(try refused(4, [0, 0, 0, 4]).contains("version 4 is not supported"))
        #expect(try refused(20, [0, 0, 0, 8]).contains("cluster size of 2^8"))
        #expect(try refused(20, [0, 0, 0, 63]).contains("cluster size of 2^63"))
        #expect(try refused(24, [0x7f]).contains("too few for its size"))
        #expect(try refused(32, [0, 0, 0, 1]).contains("encrypted"))
        #expect(try refused(36, [0x10, 0, 0, 0]).contains("L1 table is larger than 32 MiB"))
        #expect(try refused(40, [0, 0, 0, 0x10]).contains("L1 table is not inside the file"))
        #expect(try refused(47, [1]).contains("L1 table is not inside the file"))
        #expect(try refused(48, [0xff]).contains("refcount table is not inside the file"))
        #expect(try refused(56, [0xff]).contains("larger than 8 MiB"))
        #expect(try refused(60, [0xff]).contains("more than 65536 snapshots"))
        #expect(try refused(64, [0xff]).contains("snapshot table is not inside the file"))
        #expect(try refused(96, [0, 0, 0, 7]).contains("2^7 bits"))
        #expect(try refused(100, [0, 0, 0, 20]).contains("header length 20"))
        #expect(try refused(8, [0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 3, 0xff]).contains("name of its backing file is not inside"))
    }

    @Test func unknownIncompatibleFeaturesAreRefusedWithTheirName() throws {
        #expect(try refused(72, [0x80]).contains("incompatible feature 63"))
        // Named by the image itself.
        #expect(try refused(79, [4]).contains("external data file"))
        #expect(try refused(79, [8]).contains("compression type contradicts"))
        // Unknown compatible ones are nobody's business.
        #expect(try refused(80, [0x80]) == "no error")
    }

    @Test func guestDataOnMetadataIsNotOverwritten() throws {
        let file = JournalFile()
        var settings = Qcow2Image.Settings(size: 64 << 10)
        settings.clusterSize = 512
        try Qcow2Image.create(file, settings)
        let disk = try Qcow2Image(file, path: "journal", isReadOnly: false)
        try disk.put(0, [UInt8](repeating: 1, count: 512))
        try disk.close()
        let l1 = Int(disk.header.l1Offset)
        let l2 = file.bytes[l1..<l1 + 8].reduce(0) { $0 << 8 | Int($1) } & 0xff_ffff
        for target in [0, 512, l1] {
            var bytes = file.bytes
            // The first cluster of the disk now lies on the header, the refcount table or the L1 table.
            bytes.replaceSubrange(l2..<l2 + 8, with: [0x80, 0, 0, 0, 0, 0, UInt8(target >> 8), UInt8(target & 0xff)])
            let damaged = JournalFile(bytes)
            let open = try Qcow2Image(damaged, path: "journal", isReadOnly: false)
            let text = message { try open.put(0, [UInt8](repeating: 0xee, count: 512)) }
            if target != 0 { #expect(text.contains("the image is damaged"), "\(text)") }
            #expect(!damaged.bytes[target..<target + 72].elementsEqual([UInt8](repeating: 0xee, count: 72)))
        }
    }

    @Test func countsThatAreTooLowAreFoundAndMended() throws {
        let file = try Self.rich()
        let intact = try Qcow2Image(file, path: "journal", isReadOnly: true).get(0, 256 << 10)
        var bytes = file.bytes
        let header = try Qcow2Header(file)
        let table = Int(header.refcountTableOffset)
        let block = bytes[table..<table + 8].reduce(0) { $0 << 8 | Int($1) }
        bytes.replaceSubrange(block + 8..<block + 64, with: repeatElement(0, count: 56))
        let damaged = JournalFile(bytes)
        var check = try Qcow2Check(damaged)
        #expect(try check.run().corruptions > 0)
        let report = try check.repair(.all)
        #expect(report.corruptions == 0 && report.leaks == 0 && report.corruptionsFixed > 0, "\(report)")
        let same = try Qcow2Image(damaged, path: "journal", isReadOnly: false).get(0, 256 << 10) == intact
        #expect(same)
    }

    @Test func backingFilesInARingAreRefused() throws {
        let directory = try ImageDirectory()
        var settings = Qcow2Image.Settings(size: 1 << 20)
        settings.backingFormat = "qcow2"
        settings.backingFile = "b.qcow2"
        let first = try directory.create("a.qcow2", settings)
        settings.backingFile = "a.qcow2"
        _ = try directory.create("b.qcow2", settings)
        let text = message { _ = try DiskImages.open(first) }
        #expect(text.contains("is its own backing file"), "\(text)")
    }

    @Test func aMissingBackingFileIsNamedWithTheImageThatWantsIt() throws {
        let directory = try ImageDirectory()
        var settings = Qcow2Image.Settings(size: 1 << 20)
        settings.backingFormat = "raw"
        settings.backingFile = "gone.img"
        let path = try directory.create("a.qcow2", settings)
        let text = message { _ = try DiskImages.open(path) }
        #expect(text.contains("backing file of '\(path)'") && text.contains("gone.img") && text.contains("no such file"), "\(text)")
    }

    @Test func aGuestCannotTurnARawDiskIntoAnImageThatReadsOtherFiles() throws {
        let directory = try ImageDirectory()
        #expect(FileManager.default.createFile(atPath: directory("a.img"), contents: Data(count: 1 << 20)))
        let disk = try DiskImages.open(directory("a.img"))
        let text = message { try disk.put(0, Qcow2Header.signature + [UInt8](repeating: 0, count: 508)) }
        #expect(text.contains("format=raw was not given"), "\(text)")
        try disk.put(0, [UInt8](repeating: 1, count: 512))
        // Who says format=raw means it.
        var options = ImageOptions()
        options.format = .raw
        options.access.isLocked = false
        try DiskImages.open(directory("a.img"), options).put(0, Qcow2Header.signature + [UInt8](repeating: 0, count: 508))
    }
}
