import EmuBus
import Foundation
import Glibc
import Testing

/// Guest memory in places other than the process's own file.
@Suite struct MemoryBackingTests {
    private let folder: String
    private static let size: UInt64 = 1 << 20

    init() throws {
        folder = NSTemporaryDirectory() + "memory-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    private func memory(_ change: (inout MemoryBacking) -> Void = { _ in }, size: UInt64 = size) throws -> GuestRAM {
        var backing = MemoryBacking()
        change(&backing)
        return try GuestRAM(base: 0x8000_0000, parts: [(backing, size)])
    }

    private func problem(_ change: (inout MemoryBacking) -> Void, size: UInt64 = size) -> String {
        do {
            _ = try memory(change, size: size)
            return "accepted"
        } catch { return "\(error)" }
    }

    private func file(_ name: String, size: Int) throws -> String {
        try Data((0..<size).map { UInt8(truncatingIfNeeded: $0 / 4096 + 1) }).write(to: URL(filePath: folder + "/" + name))
        return folder + "/" + name
    }

    @Test func aSharedFileIsMadeAsLargeAsItHasToBe() throws {
        let path = folder + "/new"
        let memory = try memory {
            $0.place = .file(path)
            $0.isShared = true
            $0.offset = 8192
        }
        memory.host.storeBytes(of: 0x55, toByteOffset: 5, as: UInt8.self)
        let contents = try Data(contentsOf: URL(filePath: path))
        #expect(contents.count == 8192 + Int(Self.size))
        #expect(contents[8197] == 0x55)
    }

    @Test func aCopyLeavesTheFileAlone() throws {
        let path = try file("data", size: 2 << 20)
        let memory = try memory {
            $0.place = .file(path)
            $0.offset = 4096
        }
        #expect(memory.host.load(as: UInt8.self) == 2)
        memory.host.storeBytes(of: 0x55, as: UInt8.self)
        #expect(try Data(contentsOf: URL(filePath: path))[4096] == 2)
        // What looks ahead sees what the guest sees.
        let copy = try GuestRAM(copyOf: memory)
        #expect(copy.host.load(as: UInt8.self) == 0x55)
    }

    @Test func placesThatDoNotFitAreErrors() throws {
        let small = try file("small", size: 4096)
        #expect(problem { $0.place = .file(small) }.contains("is not a file of at least 0 + 1048576 bytes"))
        #expect(problem {
            $0.place = .file(small)
            $0.isShared = true
        }.contains("has 4096 bytes, and 1048576 are needed"))
        #expect(problem {
            $0.place = .file(small)
            $0.offset = .max
        }.contains("is not a file of at least"))
        #expect(problem {
            $0.place = .file(small)
            $0.isShared = true
            $0.offset = .max - 4095
        }.contains("are not whole pages"))
        #expect(problem {
            $0.place = .file(small)
            $0.isShared = true
            $0.offset = 100
        }.contains("are not whole pages"))
        #expect(problem {
            $0.place = .file(folder + "/no/such")
            $0.isShared = true
        }.contains("No such file"))
        #expect(problem {
            $0.place = .file("/dev/zero")
            $0.isShared = true
        }.contains("neither a file nor a folder"))
        #expect(problem { $0.place = .largePages(1 << 13) }.contains("large pages of 8 KiB"))
    }

    @Test(arguments: [false, true]) func preallocatedMemoryIsTakenFromTheHostAtOnce(isPreallocated: Bool) throws {
        let path = folder + "/taken"
        let memory = try memory {
            $0.place = .file(path)
            $0.isShared = true
            $0.isPreallocated = isPreallocated
        }
        var facts = stat()
        #expect(stat(path, &facts) == 0)
        #expect((UInt64(facts.st_blocks) * 512 >= memory.size) == isPreallocated)
    }

    @Test func aFolderShowsNothingOfItsMemory() throws {
        let memory = try memory { $0.place = .file(folder) }
        memory.host.storeBytes(of: 1, as: UInt8.self)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }

    @Test func partsFollowEachOther() throws {
        let path = try file("part", size: 8192)
        var first = MemoryBacking()
        first.place = .file(path)
        let memory = try GuestRAM(base: 0x8000_0000, parts: [(first, 8192), (MemoryBacking(), 4096), (first, 4096)])
        #expect(memory.size == 16384)
        let bytes = UnsafeRawBufferPointer(start: memory.host, count: 16384)
        #expect([0, 4096, 8192, 12288].map { bytes[$0] } == [1, 2, 0, 1])
        (memory.host + 8190).storeBytes(of: 0x1122_3344, as: UInt32.self)
        let copy = try GuestRAM(copyOf: memory)
        #expect((copy.host + 8190).loadUnaligned(as: UInt32.self) == 0x1122_3344)
        (copy.host + 8192).storeBytes(of: 9, as: UInt8.self)
        #expect(bytes[8192] == 0x22)
    }

    /// Hosts without reserved large pages refuse them at the start, not when the guest touches them.
    @Test func largePagesAreThereOrRefused() throws {
        let reserved = ["nr_hugepages", "nr_overcommit_hugepages"].compactMap { name in
            (try? String(contentsOfFile: "/proc/sys/vm/" + name, encoding: .utf8)).flatMap { Int($0.dropLast()) }
        }.reduce(0, +)
        let outcome = problem({ $0.place = .largePages(2 << 20) }, size: 2 << 20)
        if reserved == 0 { #expect(outcome != "accepted") }
        #expect(problem({ $0.place = .largePages(2 << 20) }, size: 1 << 20) != "accepted")
    }
}
