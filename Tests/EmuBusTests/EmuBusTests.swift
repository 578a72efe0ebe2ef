import EmuBus
import Foundation
import Testing

@Suite struct AddressSpaceTests {
    private final class Register: MMIODevice {
        let name: String
        var value: UInt64 = 0

        init(_ name: String) { self.name = name }

        func read(_ offset: UInt64, size: Int) -> UInt64 { value &+ offset }
        func write(_ offset: UInt64, _ value: UInt64, size: Int) { self.value = value }
        func reset() {}
    }

    @Test func accessesFindTheirDeviceWhateverCameBefore() throws {
        let bus = AddressSpace()
        let devices = (0..<3).map { Register("register\($0)") }
        // Not in the order of their addresses.
        for (index, base) in [0x3000, 0x1000, 0x2000].enumerated() as EnumeratedSequence<[UInt64]> {
            try bus.map(devices[index], at: base, size: 0x100, sizes: [.word, .double])
        }
        for round in 1...2 as ClosedRange<UInt64> {
            for (index, base) in [0x3000, 0x1000, 0x2000].enumerated() as EnumeratedSequence<[UInt64]> {
                #expect(bus.writeDevice(base, round * 16 + UInt64(index), size: 8))
            }
            #expect(devices.map(\.value) == [0, 1, 2].map { round * 16 + $0 })
            #expect(bus.readDevice(0x1004, size: 4) == round * 16 + 1 + 4)
        }
        #expect(bus.region(at: 0x20ff)?.device === devices[2])
        #expect(bus.region(at: 0x2100) == nil)
        // Outside, over the end, of a size it does not take, and misaligned.
        for (address, size) in [(0x0fff, 1), (0x10fc, 8), (0x1000, 2), (0x1002, 4)] as [(UInt64, Int)] {
            #expect(bus.readDevice(address, size: size) == nil)
            #expect(!bus.writeDevice(address, 0, size: size))
        }
    }

    @Test func devicesAreKeptAsLongAsTheAddressSpace() throws {
        weak var device: Register?
        do {
            let bus = AddressSpace()
            let register = Register("register")
            device = register
            try bus.map(register, at: 0x1000, size: 8)
            try bus.map(Register("other"), at: 0x2000, size: 8)
            #expect(bus.writeDevice(0x1000, 5, size: 8))
        }
        #expect(device == nil)
    }

    @Test func memoriesAreApartAndTakeOneDescriptor() throws {
        let memories = try (0..<100 as Range<UInt64>).map { try GuestRAM(base: $0 << 20, size: 4096 << ($0 % 3)) }
        for memory in memories {
            #expect(UnsafeRawBufferPointer(start: memory.host, count: Int(memory.size)).allSatisfy { $0 == 0 })
            memset(memory.host, Int32(memory.base >> 20) + 1, Int(memory.size))
        }
        for memory in memories {
            #expect(UnsafeRawBufferPointer(start: memory.host, count: Int(memory.size)).allSatisfy { $0 == UInt8(memory.base >> 20) + 1 })
        }
        let files = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
            .compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + $0) }
        #expect(files.filter { $0.contains("guest-ram") }.count == 1)
    }

    @Test func aCopyOfMemoryIsItsOwnAndOutlivesTheOriginal() throws {
        var original: GuestRAM? = try GuestRAM(base: 0, size: 8192)
        let host = try #require(original).host
        host.storeBytes(of: 1, as: UInt64.self)
        (host + 4096).storeBytes(of: 2, as: UInt64.self)
        let copy = try GuestRAM(copyOf: try #require(original))
        copy.host.storeBytes(of: 3, as: UInt64.self)
        #expect(host.load(as: UInt64.self) == 1)
        original = nil
        #expect(copy.host.load(as: UInt64.self) == 3)
        #expect((copy.host + 4096).load(as: UInt64.self) == 2)
    }

    @Test func memoryIsFoundInEveryRange() throws {
        let bus = AddressSpace()
        let small = try GuestRAM(base: 0x1000, size: 4096, isReadOnly: true), large = try GuestRAM(base: 0x8000_0000, size: 1 << 20)
        try bus.map(small, name: "small")
        try bus.map(large, name: "large")
        #expect(bus.memory(at: 0x1fff)?.host == small.host && bus.memory(at: 0x1fff)?.isReadOnly == true)
        #expect(bus.memory(at: 0x8000_0000, length: 1 << 20)?.host == large.host)
        #expect(bus.memory(at: 0x8000_0001, length: 1 << 20) == nil)
        #expect(bus.memory(at: 0x0fff) == nil && bus.memory(at: 0x1ffd, length: 4) == nil && bus.memory(at: .max) == nil)
        #expect(bus.memory(at: 0x8000_3004)?.page(of: 0x8000_3004) == 3)
        let written = bus.foreignWrites
        #expect(bus.storeMemory(0x8000_0000, 5 as UInt64) && !bus.storeMemory(0x1000, 5 as UInt64))
        #expect(bus.foreignWrites == written + 1 && bus.foreignWriteCount.pointee == bus.foreignWrites)
    }
}
