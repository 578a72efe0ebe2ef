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

    /// A rich image, its header, and what the disk holds.
    private func image() throws -> (bytes: [UInt8], header: Qcow2Header, contents: [UInt8]) {
        let file = try Self.rich()
        return (file.bytes, try Qcow2Header(file), try contents(file))
    }

    private func contents(_ file: JournalFile) throws -> [UInt8] { try Qcow2Image(file, path: "journal", isReadOnly: true).get(0, 256 << 10) }

    private func word(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(56 - 8 * $0)) } }

    private func word(_ bytes: [UInt8], at offset: UInt64) -> UInt64 { bytes[Int(offset)..<Int(offset) + 8].reduce(0) { $0 << 8 | UInt64($1) } }

    @Test("counts that lie on a table, or on other counts, are neither believed nor written") func countsLieByThemselves() throws {
        let (original, header, intact) = try image()
        var bytes = original
        let table = header.refcountTableOffset
        for (index, target) in [(20, header.l1Offset), (21, word(bytes, at: table))] {
            bytes.replaceSubrange(Int(table) + 8 * index..<Int(table) + 8 * index + 8, with: word(target))
        }
        let damaged = JournalFile(bytes)
        var check = try Qcow2Check(damaged)
        let messages = try check.run().messages
        #expect(messages.contains { $0.hasPrefix("ERROR refcount block 20 ") } && messages.contains { $0.hasPrefix("ERROR refcount block 21 ") }, "\(messages)")
        _ = try check.repair(.leaks)
        let isKept = try contents(damaged) == intact
        #expect(isKept)
        let report = try check.repair(.all)
        #expect(report.corruptions == 0 && report.leaks == 0, "\(report)")
        let isSame = try contents(damaged) == intact
        #expect(isSame)
    }

    @Test func nothingLiesFarBehindTheEndOfTheFile() throws {
        let (original, header, _) = try image()
        var bytes = original
        let l2 = word(bytes, at: header.l1Offset) & 0xff_ffff_ffff_fe00
        bytes.replaceSubrange(Int(l2)..<Int(l2) + 8, with: word(1 << 39))
        let damaged = JournalFile(bytes)
        var check = try Qcow2Check(damaged)
        let messages = try check.run().messages
        #expect(messages.contains("ERROR guest data at offset 0x8000000000, which is behind the end of the file"), "\(messages)")
        let report = try check.repair(.all)
        #expect(report.corruptions == 0 && report.leaks == 0, "\(report)")
        #expect(damaged.bytes.count < 2 * bytes.count)
    }

    @Test func anImageThatOpeningCannotMendIsNotWritten() throws {
        let (original, header, _) = try image()
        var bytes = original
        // Not closed properly; and in a snapshot a table where none can be.
        bytes[79] |= UInt8(Qcow2Header.Incompatible.dirty)
        let l1 = word(bytes, at: header.snapshotsOffset)
        bytes.replaceSubrange(Int(l1)..<Int(l1) + 8, with: word(0xff_ffff_ffff_fe00))
        let text = message { _ = try Qcow2Image(JournalFile(bytes), path: "journal", isReadOnly: false) }
        #expect(text.contains("'journal' was not closed properly") && text.contains("1 errors in it cannot be mended"), "\(text)")
        #expect(message { _ = try Qcow2Image(JournalFile(bytes), path: "journal", isReadOnly: true) } == "no error")
    }

    @Test("what a snapshot does not say, and names of any bytes, survive the table's being written anew") func snapshotTablesAreKeptAsTheyAre() throws {
        let file = JournalFile()
        try Qcow2Image.create(file, Qcow2Image.Settings(size: 1 << 20))
        do {
            let disk = try Qcow2Image(file, path: "journal", isReadOnly: false)
            try disk.put(0, [UInt8](repeating: 1, count: 512))
            try disk.createSnapshot("s", seconds: 0, nanoseconds: 0)
            try disk.put(0, [UInt8](repeating: 2, count: 512))
            try disk.close()
        }
        var bytes = file.bytes
        let table = Int(try Qcow2Header(file).snapshotsOffset)
        // An entry of the first version: no extra data, so no size of the disk; and a name that is no text. Its id leaves no greater number.
        let id = Array(String(Int.max).utf8), name = [UInt8](repeating: 0xff, count: 40_000)
        var entry = Array(bytes[table..<table + 12]) + [0, UInt8(id.count)] + [UInt8(name.count >> 8), UInt8(name.count & 0xff)]
        entry += [UInt8](repeating: 0, count: 24) + id + name
        bytes.replaceSubrange(table..<min(bytes.count, table + entry.count), with: entry)
        let old = JournalFile(bytes)
        let disk = try Qcow2Image(old, path: "journal", isReadOnly: false)
        #expect(disk.snapshots[0].diskSize == nil)
        try disk.createSnapshot("new", seconds: 0, nanoseconds: 0)
        try disk.close()
        let again = try Qcow2Image(old, path: "journal", isReadOnly: false)
        #expect(again.snapshots.count == 2 && again.snapshots[0].diskSize == 1 << 20 && again.snapshots[1].id == "1")
        let place = Int(again.header.snapshotsOffset)
        #expect(old.bytes[place...].count { $0 == 0xff } >= name.count)
        try again.applySnapshot(String(Int.max))
        #expect(try again.get(0, 512).allSatisfy { $0 == 1 })
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
        // Nor by changing the bytes while they are on their way to the file.
        let file = JournalFile([UInt8](repeating: 0, count: 1 << 20)), racing = try RawImage(file, path: "journal", isReadOnly: false, isProbed: true)
        let buffer = TransferBuffer(8192)
        buffer.memory.copyBytes(from: (0..<8192).map { UInt8(truncatingIfNeeded: $0 / 512 + 1) })
        file.beforeWrite = { buffer.memory.copyBytes(from: Qcow2Header.signature) }
        try racing.perform(.write(offset: 0, from: [buffer.part(0..<100), buffer.part(100..<8192)]))
        #expect(Array(file.bytes[..<8192]) == (0..<8192).map { UInt8(truncatingIfNeeded: $0 / 512 + 1) })
        // Who says format=raw means it.
        var options = ImageOptions()
        options.format = .raw
        options.access.isLocked = false
        try DiskImages.open(directory("a.img"), options).put(0, Qcow2Header.signature + [UInt8](repeating: 0, count: 508))
    }
}
