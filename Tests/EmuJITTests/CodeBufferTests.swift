import EmuJIT
import Foundation
import Testing

private func write(_ bytes: [UInt8], to buffer: CodeBuffer, at offset: Int) {
    bytes.withUnsafeBytes { buffer.write($0, at: offset) }
}

private func read(_ buffer: CodeBuffer, _ range: Range<Int>) -> [UInt8] {
    // SAFETY: the range lies within the buffer, which outlives the copy.
    Array(UnsafeRawBufferPointer(start: buffer.executable(range.lowerBound), count: range.count))
}

@Test func noPageIsWritableAndExecutable() throws {
    let buffer = try CodeBuffer(capacity: 1 << 20)
    write([0xc3], to: buffer, at: try #require(buffer.allocate(1)))
    let maps = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8).split(separator: "\n")
    let permissions = maps.map { $0.split(separator: " ")[1] }
    #expect(!permissions.contains { $0.contains("w") && $0.contains("x") })
    // This buffer's two views are there, among those of tests that run at the same time.
    let code = String(UInt(bitPattern: buffer.executable(0)), radix: 16)
    let views = maps.filter { $0.contains("translated-code") }
    #expect(views.contains { $0.hasPrefix(code + "-") && $0.contains(" r-xs ") })
    #expect(views.contains { $0.contains(" rw-s ") })
}

@Test func codeAppearsInTheExecutableView() throws {
    let buffer = try CodeBuffer(capacity: 3 << 12)
    let offset = try #require(buffer.allocate(8))
    write([1, 2, 3, 4, 5, 6, 7, 8], to: buffer, at: offset)
    #expect(read(buffer, offset..<offset + 8) == [1, 2, 3, 4, 5, 6, 7, 8])
    buffer.patch32(at: offset + 2, 0x0a0b_0c0d)
    #expect(read(buffer, offset..<offset + 8) == [1, 2, 0x0d, 0x0c, 0x0b, 0x0a, 7, 8])
    write([9], to: buffer, at: buffer.capacity - 1)
    #expect(read(buffer, buffer.capacity - 2..<buffer.capacity) == [0, 9])
}

@Test func allocationsAreAlignedAndEnd() throws {
    let buffer = try CodeBuffer(capacity: 1)
    #expect(buffer.capacity % 4096 == 0 && buffer.capacity > 0)
    #expect(buffer.allocate(0) == 0)
    #expect(buffer.allocate(1) == 0)
    #expect(buffer.allocate(16) == 16)
    #expect(buffer.allocate(17) == 32)
    #expect(buffer.used == 49)
    #expect(buffer.allocate(buffer.capacity - 63) == nil)
    #expect(buffer.allocate(.max) == nil)
    #expect(buffer.used == 49)
    #expect(buffer.allocate(buffer.capacity - 64) == 64)
    #expect(buffer.used == buffer.capacity)
    #expect(buffer.allocate(1) == nil)
}

@Test func anEmptiedSegmentReadsAsZeroesAndTheOthersStay() throws {
    let page = Int(getpagesize())
    let buffer = try CodeBuffer(capacity: 2 * 8 * page)
    write([UInt8](repeating: 0xcc, count: buffer.capacity), to: buffer, at: 0)
    buffer.openSegment(1)
    #expect(read(buffer, 0..<2 * page).allSatisfy { $0 == 0xcc })
    #expect(read(buffer, 2 * page..<4 * page).allSatisfy { $0 == 0 })
    #expect(read(buffer, 4 * page..<buffer.capacity).allSatisfy { $0 == 0xcc })
    #expect(buffer.allocate(2 * page) == 2 * page)
    #expect(buffer.allocate(1) == nil)
    write([1], to: buffer, at: 2 * page)
    #expect(read(buffer, 2 * page..<2 * page + 2) == [1, 0])
}

@Test func placesAreFoundByTheirAddress() throws {
    let buffer = try CodeBuffer(capacity: 1 << 16)
    let base = UInt(bitPattern: buffer.executable(0))
    #expect(buffer.offset(ofExecutable: base) == 0)
    #expect(buffer.offset(ofExecutable: base + 0xffff) == 0xffff)
    #expect(buffer.offset(ofExecutable: base + 0x10000) == nil)
    #expect(buffer.offset(ofExecutable: base - 1) == nil)
}

@Test func capacityCostsNothingUntilUsed() throws {
    let buffer = try CodeBuffer(capacity: 1 << 30)
    write([1], to: buffer, at: buffer.capacity - 1)
    var pages = [UInt8](repeating: 0, count: buffer.capacity / Int(getpagesize()))
    #expect(mincore(UnsafeMutableRawPointer(mutating: buffer.executable(0)), buffer.capacity, &pages) == 0)
    #expect(pages.count { $0 & 1 != 0 } < 1024)
}
