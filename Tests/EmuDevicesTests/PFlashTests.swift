import EmuBus
import EmuDevices
import Glibc
import Testing
import TestSupport

/// An image in memory that remembers what was written to it, and fails on demand.
private final class FlashImage: BlockBackend {
    let size: UInt64
    let isReadOnly: Bool
    var bytes: [UInt8]
    var failure: HostError?
    private(set) var writes: [Range<UInt64>] = []

    init(size: UInt64 = PFlash.size, isReadOnly: Bool = false) {
        self.size = size
        self.isReadOnly = isReadOnly
        bytes = Array(repeating: 0xff, count: Int(size))
    }

    func perform(_ operation: BlockOperation) throws(HostError) {
        if let failure { throw failure }
        switch operation {
        case .write(let offset, let buffers):
            var position = Int(offset)
            for buffer in buffers {
                bytes.replaceSubrange(position..<position + buffer.count, with: buffer)
                position += buffer.count
            }
            writes.append(offset..<UInt64(position))
        default: break
        }
    }
}

/// The Intel command set as drivers use it (Intel 28FxxxJ3 data sheet), with both chips of the bank given each command at once.
@Suite struct PFlashTests {
    static let base: UInt64 = 0x2000_0000
    let bus = AddressSpace()
    private let image = FlashImage()
    let flash: PFlash

    init() throws {
        flash = try Self.makeFlash(bus, image)
    }

    private static func makeFlash(_ bus: AddressSpace, _ image: FlashImage?) throws -> PFlash {
        let contents = try GuestRAM(base: base, size: PFlash.size, isReadOnly: true)
        contents.host.initializeMemory(as: UInt8.self, repeating: 0xff, count: 1 << 20)
        let flash = PFlash(name: "pflash0", bus: bus, contents: contents, image: image)
        try bus.map(flash, at: base, size: PFlash.size, sizes: PFlash.accessSizes, code: contents)
        return flash
    }

    private func load(_ offset: UInt64, _ size: Int = 4) -> UInt64? { bus.readDevice(Self.base + offset, size: size) }
    private func store(_ offset: UInt64, _ value: UInt64, _ size: Int = 4) { _ = bus.writeDevice(Self.base + offset, value, size: size) }
    /// A command to both chips.
    private func command(_ offset: UInt64, _ code: UInt64) { store(offset, code << 16 | code) }
    private func readArray() { command(0, 0xff) }
    private var status: UInt64 { load(0) ?? 0 }

    private static let ready: UInt64 = 0x80_0080, programFailed: UInt64 = 0x10_0010, eraseFailed: UInt64 = 0x20_0020, protected: UInt64 = 0x2_0002

    private func program(_ offset: UInt64, _ value: UInt64) {
        command(offset, 0x40)
        store(offset, value)
    }

    private func erase(_ offset: UInt64) {
        command(offset, 0x20)
        command(offset, 0xd0)
    }

    /// A buffered write; `words` are 32 bits wide.
    private func programBuffer(_ offset: UInt64, _ words: [UInt64], confirm: UInt64 = 0xd0) {
        command(offset, 0xe8)
        command(offset, UInt64(words.count - 1))
        for (index, word) in words.enumerated() { store(offset + 4 * UInt64(index), word) }
        command(offset, confirm)
    }

    // MARK: Reading

    @Test func theArrayIsReadAtAnyWidthAndAlignment() {
        for (index, byte) in (1...16).enumerated() { flash.contents.host.storeBytes(of: UInt8(byte), toByteOffset: index, as: UInt8.self) }
        #expect(load(0, 1) == 1)
        #expect(load(3, 2) == 0x0504)
        #expect(load(1, 4) == 0x0504_0302)
        #expect(load(5, 8) == 0x0d0c_0b0a_0908_0706)
        #expect(bus.writeDevice(Self.base + 1, 0, size: 4) == false)
        #expect(load(PFlash.size - 4, 8) == nil)
    }

    @Test func theQueryTableDescribesTheBank() throws {
        command(0x55 << 2, 0x98)
        func word(_ index: UInt64) throws -> UInt64 {
            let both = try #require(load(index << 2))
            #expect(both >> 16 == both & 0xffff)
            return both & 0xff
        }
        #expect(try (0x10...0x12).map(word) == Array("QRY".utf8).map(UInt64.init))
        #expect(try word(0x13) == 1 && word(0x14) == 0)
        #expect(try word(0x15) == 0x31 && word(0x16) == 0)
        // Two chips of 2^24 bytes, each with 2^11 bytes of buffer and 128 blocks of 512 * 256 bytes.
        #expect(try word(0x27) == 24)
        #expect(try word(0x2a) == 11)
        #expect(try word(0x2c) == 1)
        #expect(try word(0x2d) == 127 && word(0x2e) == 0)
        #expect(try word(0x2f) == 0 && word(0x30) == 2)
        #expect(try (0x31...0x33).map(word) == Array("PRI".utf8).map(UInt64.init))
        #expect(try word(0x80) == 0)
        #expect(load(0x10 << 2, 1) == 0x51 && load(0x10 << 2 | 1, 1) == 0 && load(0x10 << 2 | 2, 2) == 0x51)
        readArray()
        #expect(load(0x10 << 2) == 0xffff_ffff)
    }

    @Test func identifiersAreThoseOfTheChips() {
        command(0, 0x90)
        #expect(load(0) == 0x89_0089 && load(4) == 0x18_0018 && load(8) == 0)
    }

    @Test func theOtherCommandSetsResetEndsTheQueryToo() {
        command(0, 0x98)
        store(0, 0xf0)
        #expect(load(0) == 0xffff_ffff)
    }

    @Test func loadsBypassTheDeviceWhileTheArrayIsReadAndNoLonger() {
        var moves = 0
        bus.loadsMoved = { moves += 1 }
        #expect(bus.loadMemory(at: Self.base) == nil)
        #expect(bus.codeMemory(at: Self.base) != nil)
        for _ in 0..<100 { _ = load(0) }
        #expect(bus.loadMemory(at: Self.base) != nil && moves == 1)
        #expect(bus.memory(at: Self.base) == nil)
        command(0, 0x70)
        #expect(bus.loadMemory(at: Self.base) == nil && moves == 2)
        for _ in 0..<100 { _ = load(0) }
        #expect(bus.loadMemory(at: Self.base) == nil && moves == 2)
    }

    // MARK: Programming

    @Test(arguments: [0x40, 0x10]) func programmingClearsBitsOnly(code: UInt64) {
        command(0x1000, code)
        store(0x1000, 0xffff_f0f0)
        #expect(status == Self.ready)
        program(0x1000, 0x0ff0_ffff)
        readArray()
        #expect(load(0x1000) == 0x0ff0_f0f0)
        #expect(load(0xffc) == 0xffff_ffff && load(0x1004) == 0xffff_ffff)
    }

    @Test func narrowStoresProgramTheirBytesOnly() {
        store(0x10, 0x40, 2)
        store(0x12, 0xaaaa, 2)
        readArray()
        #expect(load(0x10) == 0xaaaa_ffff)
    }

    @Test func aDoublewordStoreIsTwoCycles() {
        store(0x20, 0x1234_5678_0040_0040, 8)
        readArray()
        #expect(load(0x20) == 0xffff_ffff && load(0x24) == 0x1234_5678)
    }

    @Test func erasingSetsAWholeSector() {
        program(PFlash.sectorSize, 0)
        program(2 * PFlash.sectorSize - 4, 0)
        program(2 * PFlash.sectorSize, 0)
        erase(PFlash.sectorSize + 0x1234)
        #expect(status == Self.ready)
        readArray()
        #expect(load(PFlash.sectorSize) == 0xffff_ffff && load(2 * PFlash.sectorSize - 4) == 0xffff_ffff)
        #expect(load(2 * PFlash.sectorSize) == 0)
    }

    @Test func aBufferIsProgrammedWhenConfirmed() {
        command(0x2000, 0xe8)
        #expect(status == Self.ready)
        command(0x2000, 2)
        store(0x2000, 1)
        store(0x2008, 3)
        store(0x2004, 2)
        #expect(image.writes.isEmpty)
        command(0x2000, 0xd0)
        #expect(status == Self.ready)
        readArray()
        #expect((0..<4).map { load(0x2000 + 4 * $0) } == [1, 2, 3, 0xffff_ffff])
        // Sectors of the image are 512 bytes.
        #expect(image.writes == [0x2000..<0x2200])
    }

    @Test func aBufferHoldsFourKibibytesAndNoMore() {
        programBuffer(0, Array(repeating: 0x5a5a_5a5a, count: 1024))
        #expect(status == Self.ready)
        command(0x4000, 0xe8)
        command(0x4000, 1024)
        #expect(status == Self.ready | Self.programFailed | Self.eraseFailed)
        readArray()
        #expect(load(0xffc) == 0x5a5a_5a5a && load(0x1000) == 0xffff_ffff)
    }

    @Test(arguments: [UInt64(0x3008), 0x2ffc, 0x3000 + PFlash.sectorSize, PFlash.size - 4]) func dataOutsideTheBufferEndsTheSequence(offset: UInt64) {
        let before = load(offset)
        command(0x3000, 0xe8)
        command(0x3000, 1)
        store(0x3000, 1)
        store(offset, 2)
        #expect(status == Self.ready | Self.programFailed | Self.eraseFailed)
        command(0x3000, 0xd0)
        readArray()
        #expect(load(0x3000) == 0xffff_ffff)
        #expect(load(offset) == before)
        #expect(image.writes.isEmpty)
    }

    @Test func aBufferMustNotCrossItsSector() {
        programBuffer(PFlash.sectorSize - 4, [1, 2])
        #expect(status & Self.programFailed != 0)
        readArray()
        #expect(load(PFlash.sectorSize - 4) == 0xffff_ffff && load(PFlash.sectorSize) == 0xffff_ffff)
    }

    @Test func whatIsNotConfirmedChangesNothing() {
        programBuffer(0x100, [0], confirm: 0xff)
        #expect(status == Self.ready | Self.programFailed | Self.eraseFailed)
        command(0, 0x50)
        #expect(status == Self.ready)
        program(0x100, 0x1234_5678)
        command(0x100, 0x20)
        command(0x100, 0xff)
        #expect(status == Self.ready | Self.programFailed | Self.eraseFailed)
        readArray()
        #expect(load(0x100) == 0x1234_5678)
    }

    @Test func errorsStayUntilTheyAreCleared() {
        command(0, 0x20)
        command(0, 0)
        program(0, 0)
        #expect(status == Self.ready | Self.programFailed | Self.eraseFailed)
        command(0, 0x50)
        command(0, 0x70)
        #expect(status == Self.ready)
    }

    @Test func sectorsAreUnlockedAndCannotBeLocked() {
        command(0, 0x60)
        command(0, 0xd0)
        #expect(status == Self.ready)
        command(0, 0x60)
        command(0, 1)
        #expect(status & Self.programFailed != 0)
    }

    // MARK: Image

    @Test func aFinishedWriteIsInTheImage() {
        program(0x1_0204, 0xdead_beef)
        #expect(Array(image.bytes[0x1_0204..<0x1_0208]) == [0xef, 0xbe, 0xad, 0xde])
        erase(0x1_0000)
        #expect(image.bytes[0..<Int(PFlash.sectorSize)].allSatisfy { $0 == 0xff })
        #expect(image.writes == [0x1_0200..<0x1_0400, 0..<PFlash.sectorSize])
    }

    @Test func aReadOnlyImageIsNeverWritten() throws {
        let bus = AddressSpace(), image = FlashImage(isReadOnly: true)
        let flash = try Self.makeFlash(bus, image)
        func store(_ value: UInt64) { _ = bus.writeDevice(Self.base, value, size: 4) }
        for code: UInt64 in [0x40_0040, 0, 0x70_0070] { store(code) }
        #expect(bus.readDevice(Self.base, size: 4) == Self.ready | Self.programFailed | Self.protected)
        for code: UInt64 in [0x50_0050, 0x20_0020, 0xd0_00d0] { store(code) }
        #expect(bus.readDevice(Self.base, size: 4) == Self.ready | Self.eraseFailed | Self.protected)
        #expect(image.writes.isEmpty && flash.contents.host.load(as: UInt32.self) == .max)
    }

    @Test func aBankWithoutAnImageKeepsWritesInMemory() throws {
        let bus = AddressSpace()
        _ = try Self.makeFlash(bus, nil)
        for code: UInt64 in [0x40_0040, 7, 0xff_00ff] { _ = bus.writeDevice(Self.base, code, size: 4) }
        #expect(bus.readDevice(Self.base, size: 4) == 7)
    }

    @Test func aFailingImageIsReportedToBothSides() {
        var reported: HostError?
        flash.hostErrorHandler = { reported = $0 }
        image.failure = HostError("writing", 28)
        program(0, 0)
        #expect(reported?.code == 28)
        #expect(status == Self.ready | Self.programFailed)
        erase(0)
        #expect(status == Self.ready | Self.programFailed | Self.eraseFailed)
    }

    @Test func codeInTheBankIsDroppedWhenItChanges() {
        var dropped: [UInt64] = []
        bus.codeWritten = { address, _ in dropped.append(address) }
        flash.contents.pageFlags[1] = GuestRAM.PageFlags.hasCode
        program(0x1ffc, 0)
        program(0x2000, 0)
        #expect(dropped == [Self.base + 0x1ffc])
        erase(0)
        #expect(dropped == [Self.base + 0x1ffc, Self.base])
    }

    // MARK: State

    @Test func resetReturnsToTheArray() {
        command(0, 0xe8)
        flash.reset()
        #expect(flash.state == PFlash.State())
    }

    /// A state file may say anything; what does not fit the bank is not taken.
    @Test(arguments: [nil, PFlash.size - 2, PFlash.size, .max - 3, 1 << 63] as [UInt64?]) func aStateThatPointsOutsideIsNotTaken(start: UInt64?) {
        var states = [PFlash.State(mode: .status, expectation: .bufferConfirmation)]
        states[0].buffer = PFlash.Buffer(start: start, sector: start ?? 1, bytes: [0, 0, 0, 0], missing: 0)
        states.append(PFlash.State(mode: .status, expectation: .bufferData))
        states[1].buffer = PFlash.Buffer(start: nil, sector: 0, bytes: [], missing: .max)
        states.append(PFlash.State(mode: .status, expectation: .eraseConfirmation(sector: start ?? 4)))
        states.append(PFlash.State(mode: .status, expectation: .bufferLength(sector: start ?? PFlash.size)))
        for state in states {
            flash.state = state
            #expect(flash.state == PFlash.State())
        }
    }

    /// Random stores never touch anything but what the status says was done, and a restored copy goes on as the original.
    @Test(arguments: 1...4) func randomCommandsAndACopyOfTheState(seed: UInt64) throws {
        let otherBus = AddressSpace(), other = try Self.makeFlash(otherBus, nil)
        var random = SplitMix(seed: seed)
        let codes: [UInt64] = [0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xb0, 0xd0, 0xe8, 0xf0, 0xff, 0, 3, 0x1234_5678]
        for step in 0..<6000 {
            if step == 3000 {
                try transplant(flash, into: other)
                other.contents.host.copyMemory(from: flash.contents.host, byteCount: 2 << 20)
            }
            let width = [1, 2, 4, 8][Int(random.next() % 4)]
            let offset = random.next() % (2 << 20) & ~UInt64(width - 1)
            let value = codes[Int(random.next() % UInt64(codes.count))], isLoad = random.next() % 3 == 0
            for each in step < 3000 ? [bus] : [bus, otherBus] where !isLoad { _ = each.writeDevice(Self.base + offset, value, size: width) }
            if isLoad, step >= 3000 { try #require(load(offset, width) == otherBus.readDevice(Self.base + offset, size: width), "step \(step)") }
        }
        #expect(flash.state == other.state)
        #expect(memcmp(flash.contents.host, other.contents.host, 4 << 20) == 0)
        for written in image.writes { #expect(written.upperBound <= 2 << 20) }
    }
}
