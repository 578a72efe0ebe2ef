import EmuBus
import EmuDevices
import Glibc
import TestSupport
import Testing

/// Host memory for one transfer.
private final class Buffer {
    let memory: UnsafeMutableRawBufferPointer

    init(_ bytes: [UInt8]) {
        memory = .allocate(byteCount: bytes.count, alignment: 16)
        memory.copyBytes(from: bytes)
    }

    deinit { memory.deallocate() }
    var bytes: [UInt8] { Array(memory) }
}

extension BlockBackend {
    fileprivate func read(_ offset: UInt64, _ lengths: Int...) throws -> [UInt8] {
        let buffers = lengths.map { Buffer([UInt8](repeating: 0xee, count: $0)) }
        try withExtendedLifetime(buffers) { try perform(.read(offset: offset, into: buffers.map(\.memory))) }
        return buffers.flatMap(\.bytes)
    }

    fileprivate func write(_ offset: UInt64, _ pieces: [UInt8]...) throws {
        let buffers = pieces.map(Buffer.init)
        try withExtendedLifetime(buffers) { try perform(.write(offset: offset, from: buffers.map(\.memory))) }
    }
}

@Suite struct StorageTests {
    private func pattern(_ sector: Int, _ count: Int = 1) -> [UInt8] {
        (sector..<sector + count).flatMap { [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: 512) }
    }

    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "no error"
        } catch { return "\(error)" }
    }

    @Test func rawImageReadsAndWritesTheFileByteForByte() throws {
        let file = try TemporaryFile(sectors: 16)
        let disk = try RawImage(path: file.path)
        #expect(disk.size == 16 * 512)
        #expect(try disk.read(512, 100, 412, 512) == pattern(1, 2))
        try disk.write(1024, [UInt8](repeating: 0xaa, count: 512), [UInt8](repeating: 0xbb, count: 512))
        try disk.perform(.flush)
        let bytes = file.bytes
        #expect(Array(bytes[1024..<1536]) == [UInt8](repeating: 0xaa, count: 512))
        #expect(Array(bytes[1536..<2048]) == [UInt8](repeating: 0xbb, count: 512))
        #expect(Array(bytes[..<1024]) == pattern(0, 2) && Array(bytes[2048...]) == pattern(4, 12))
    }

    @Test func lastPartialSectorIsPaddedWithZeroes() throws {
        let file = try TemporaryFile([UInt8](repeating: 7, count: 700))
        let disk = try RawImage(path: file.path)
        #expect(disk.size == 1024)
        #expect(try disk.read(512, 512) == [UInt8](repeating: 7, count: 188) + [UInt8](repeating: 0, count: 324))
        try disk.write(512, pattern(9))
        #expect(file.bytes == [UInt8](repeating: 7, count: 512) + pattern(9))
    }

    @Test func writeZeroesAndDiscardKeepToTheirRange() throws {
        let file = try TemporaryFile(sectors: 64)
        let disk = try RawImage(path: file.path)
        for (sector, mayUnmap) in [(8, false), (32, true)] {
            try disk.perform(.writeZeroes(offset: UInt64(sector) * 512, length: 8 * 512, mayUnmap: mayUnmap))
            #expect(try disk.read(UInt64(sector) * 512, 8 * 512).allSatisfy { $0 == 0 })
        }
        try disk.perform(.discard(offset: 48 * 512, length: 8 * 512))
        #expect(try disk.read(0, 8 * 512) == pattern(0, 8))
        #expect(try disk.read(40 * 512, 8 * 512) == pattern(40, 8))
        #expect(try disk.read(56 * 512, 8 * 512) == pattern(56, 8))
        #expect(file.bytes.count == 64 * 512)
    }

    @Test func unusableDisksAreRefusedWithTheirNameAndTheFix() throws {
        let missing = message { _ = try RawImage(path: "/tmp/no-such-disk.img") }
        #expect(missing.contains("'/tmp/no-such-disk.img'") && missing.contains("no such file") && missing.contains("emulate disk create"))
        for readOnly in [true, false] {
            let directory = message { _ = try RawImage(path: "/tmp", readOnly: readOnly) }
            #expect(directory.contains("'/tmp' is a directory"))
        }
        let empty = try TemporaryFile([])
        #expect(message { _ = try RawImage(path: empty.path) }.contains("is empty; give it a size"))
        let device = message { _ = try RawImage(path: "/dev/null") }
        #expect(device.contains("'/dev/null' is neither a file nor a block device"))
    }

    @Test(.enabled(if: getuid() != 0, "root may write anything"))
    func readOnlyFileIsRefusedForWritingOnly() throws {
        let file = try TemporaryFile(sectors: 1)
        chmod(file.path, 0o444)
        #expect(message { _ = try RawImage(path: file.path) }.contains("readonly=on"))
        _ = try RawImage(path: file.path, readOnly: true)
    }

    @Test func openDiskIsLockedAgainstASecondWriter() throws {
        let file = try TemporaryFile(sectors: 1)
        var writer: RawImage? = try RawImage(path: file.path)
        let second = message { _ = try RawImage(path: file.path) }
        #expect(second.contains("'\(file.path)' is in use by another instance"))
        let reader = message { _ = try RawImage(path: file.path, readOnly: true) }
        #expect(reader.contains("open for writing in another instance"))
        #expect(writer != nil)
        writer = nil
        _ = try RawImage(path: file.path)
    }

    @Test func readersShareADiskAndKeepWritersOut() throws {
        let file = try TemporaryFile(sectors: 1)
        let readers = try [RawImage(path: file.path, readOnly: true), RawImage(path: file.path, readOnly: true)]
        #expect(message { _ = try RawImage(path: file.path) }.contains("in use by another instance"))
        #expect(readers.count == 2)
    }

    @Test func snapshotKeepsWritesToItself() throws {
        let file = try TemporaryFile(sectors: 1024)
        let before = file.bytes
        let disk = try SnapshotOverlay(over: RawImage(path: file.path, readOnly: true))
        #expect(disk.size == 1024 * 512 && !disk.isReadOnly)
        // Within one 64 KiB cluster, over an edge of two, and a whole one.
        try disk.write(512, pattern(200))
        try disk.write(128 * 512 - 512, pattern(201, 2))
        try disk.write(256 * 512, pattern(0, 128))
        try disk.perform(.flush)
        #expect(try disk.read(0, 512 * 3) == pattern(0) + pattern(200) + pattern(2))
        #expect(try disk.read(126 * 512, 512 * 2, 512 * 2) == pattern(126) + pattern(201, 2) + pattern(129))
        // One read through changed and unchanged clusters.
        #expect(try disk.read(255 * 512, 512 * 100, 512 * 30) == pattern(255) + pattern(0, 128) + pattern(384))
        try disk.perform(.writeZeroes(offset: 512 * 512, length: 512, mayUnmap: true))
        #expect(try disk.read(511 * 512, 512 * 3) == pattern(511) + [UInt8](repeating: 0, count: 512) + pattern(513))
        #expect(file.bytes == before)
    }

    @Test func snapshotHandlesADiskThatEndsInsideACluster() throws {
        let file = try TemporaryFile(sectors: 3)
        let disk = try SnapshotOverlay(over: RawImage(path: file.path, readOnly: true))
        try disk.write(1024, pattern(99))
        #expect(try disk.read(0, 1536) == pattern(0, 2) + pattern(99))
    }

    @Test func snapshotMatchesAPlainDiskUnderRandomOperations() throws {
        let file = try TemporaryFile(sectors: 600)
        let disk = try SnapshotOverlay(over: RawImage(path: file.path, readOnly: true))
        var model = file.bytes
        var random = SplitMix(seed: 7)
        for round in 0..<400 {
            let start = Int(random.next() % 600), count = 1 + Int(random.next() % UInt64(min(600 - start, 300)))
            let range = start * 512..<(start + count) * 512
            switch random.next() % 3 {
            case 0:
                let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: range.count)
                try disk.write(UInt64(range.lowerBound), bytes)
                model.replaceSubrange(range, with: bytes)
            case 1:
                try disk.perform(.writeZeroes(offset: UInt64(range.lowerBound), length: UInt64(range.count), mayUnmap: false))
                model.replaceSubrange(range, with: repeatElement(0, count: range.count))
            default:
                let matches = try disk.read(UInt64(range.lowerBound), range.count) == Array(model[range])
                #expect(matches)
            }
        }
        let matches = try disk.read(0, 600 * 512) == model
        #expect(matches)
    }

    @Test func commitWritesASnapshotsChangesToTheImage() throws {
        let file = try TemporaryFile(sectors: 259)
        let before = file.bytes
        let disk = try SnapshotOverlay(over: RawImage(path: file.path, readOnly: true))
        try disk.write(512, pattern(200))
        try disk.write(258 * 512, pattern(201))
        try disk.commit()
        let committed = before[..<512] + pattern(200) + before[1024..<258 * 512] + pattern(201)
        #expect(file.bytes == Array(committed))
        try disk.write(512, pattern(202))
        #expect(file.bytes == Array(committed))
        #expect(try disk.read(0, 512 * 3) == pattern(0) + pattern(202) + pattern(2))
        // The image is still held against writers, and not more.
        #expect(message { _ = try RawImage(path: file.path) }.contains("in use by another instance"))
        _ = try RawImage(path: file.path, readOnly: true)
    }

    @Test func commitToAnImageAnotherInstanceReadsIsRefused() throws {
        let file = try TemporaryFile(sectors: 2)
        let before = file.bytes
        let disk = try SnapshotOverlay(over: RawImage(path: file.path, readOnly: true))
        let reader = try RawImage(path: file.path, readOnly: true)
        try disk.write(0, pattern(200))
        #expect(message { try disk.commit() }.contains("in use by another instance"))
        #expect(file.bytes == before)
        #expect(try disk.read(0, 512) == pattern(200))
        #expect(reader.isReadOnly)
    }

    @Test func snapshotWithoutAPlaceForItsFileSaysSo() throws {
        let file = try TemporaryFile(sectors: 1)
        let text = message { _ = try SnapshotOverlay(over: RawImage(path: file.path, readOnly: true), directory: "/no/such/place") }
        #expect(text.contains("snapshot=on") && text.contains("/no/such/place") && text.contains("TMPDIR"))
    }

    @Test func writeTheHostRefusesIsAnErrorThatNamesTheDisk() throws {
        let file = try TemporaryFile(sectors: 8)
        let disk = try RawImage(path: file.path)
        #expect(message { try disk.write(UInt64(Int64.max) - 511, pattern(0)) }.contains("disk '\(file.path)'"))
    }
}
