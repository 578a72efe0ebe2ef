import EmuBus
import EmuDevices
import TestSupport
import Testing

/// Commands and answers of the 2D mode (virtio 1.2, 5.7.6.7).
private enum Command {
    static let displayInfo: UInt32 = 0x100, create: UInt32 = 0x101, unref: UInt32 = 0x102, setScanout: UInt32 = 0x103, flush: UInt32 = 0x104
    static let transfer: UInt32 = 0x105, attach: UInt32 = 0x106, detach: UInt32 = 0x107, edid: UInt32 = 0x10a
    static let updateCursor: UInt32 = 0x300, moveCursor: UInt32 = 0x301
}

private enum Answer {
    static let done: UInt32 = 0x1100, displayInfo: UInt32 = 0x1101, edid: UInt32 = 0x1104
    static let unspecified: UInt32 = 0x1200, outOfMemory: UInt32 = 0x1201, invalidScanout: UInt32 = 0x1202, invalidResource: UInt32 = 0x1203
    static let invalidParameter: UInt32 = 0x1205
}

@Suite struct VirtioGPUTests {
    private func bench(_ setup: VirtioSetup = .modernSplit) throws -> (VirtioBench, VirtioGPU) {
        let device = VirtioGPU(name: "virtio-gpu0", width: 1024, height: 600)
        let bench = try VirtioBench(setup, device)
        bench.driver.start(queueCount: 2, size: 16)
        return (bench, device)
    }

    private func ask(_ bench: VirtioBench, _ bytes: [UInt8], room: Int = 1200, queue index: Int = 0) -> [UInt8] {
        let mark = bench.driver.heapMark
        defer { bench.driver.free(downTo: mark) }
        let queue = bench.driver.queues[index]!
        let answer = bench.driver.writable(room)
        queue.add([bench.driver.readable(bytes)] + (room > 0 ? [answer] : []))
        queue.kick()
        return Array(bench.driver.contents(answer).prefix(Int(queue.used().first?.written ?? 0)))
    }

    private func request(_ type: UInt32, _ words: [UInt32], flags: UInt32 = 0, fence: UInt64 = 0) -> [UInt8] {
        [UInt8].little(type) + .little(flags) + .little(fence) + .little(UInt32(7)) + .little(UInt32(0)) + words.flatMap { [UInt8].little($0) }
    }

    /// The type of the answer.
    @discardableResult
    private func ask(_ bench: VirtioBench, _ type: UInt32, _ words: [UInt32], queue: Int = 0) -> UInt32 {
        word(ask(bench, request(type, words), queue: queue), 0)
    }

    private func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        offset + 4 <= bytes.count ? (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) } : 0
    }

    private let memory = VirtioBench.ramBase + (20 << 20)

    private func attach(_ bench: VirtioBench, _ id: UInt32, _ pieces: [(UInt64, UInt32)]) -> UInt32 {
        ask(bench, Command.attach, [id, UInt32(pieces.count)] + pieces.flatMap { [UInt32(truncatingIfNeeded: $0.0), UInt32($0.0 >> 32), $0.1, 0] })
    }

    /// A picture of 8 × 4 pixels on the screen, whose memory is in two pieces.
    private func show(_ bench: VirtioBench, format: UInt32 = 2) {
        for index in 0..<32 {
            let place: UInt64 = index < 10 ? memory : memory + 4096
            let pixel: [UInt8] = [UInt8(index), UInt8(index + 100), UInt8(index + 200), 0]
            bench.driver.store(place + UInt64(4 * index), pixel)
        }
        #expect(ask(bench, Command.create, [5, format, 8, 4]) == Answer.done)
        #expect(attach(bench, 5, [(memory, 40), (memory + 4096 + 40, 88)]) == Answer.done)
        #expect(ask(bench, Command.setScanout, [0, 0, 8, 4, 0, 5]) == Answer.done)
        #expect(ask(bench, Command.transfer, [0, 0, 8, 4, 0, 0, 5, 0]) == Answer.done)
        #expect(ask(bench, Command.flush, [0, 0, 8, 4, 5, 0]) == Answer.done)
    }

    @Test(arguments: [VirtioSetup.modernSplit, .modernPacked, .pciSplit, .pciPacked])
    func theScreenShowsWhatTheDriverTransfers(_ setup: VirtioSetup) throws {
        let (bench, device) = try bench(setup)
        #expect(device.picture == nil)
        show(bench)
        let picture = try #require(device.picture)
        #expect(picture.width == 8 && picture.height == 4)
        // Blue, green, red, nothing in memory.
        let expected: [UInt8] = (0..<32).flatMap { (index: Int) -> [UInt8] in [UInt8(index + 200), UInt8(index + 100), UInt8(index)] }
        #expect(picture.rgb == expected)
        // A part of it, from where it lies in memory.
        bench.driver.store(memory, [UInt8](repeating: 1, count: 8192))
        #expect(ask(bench, Command.transfer, [2, 1, 3, 2, UInt32(4 * (8 + 2)), 0, 5, 0]) == Answer.done)
        let changed = try #require(device.picture).rgb
        for index in 0..<32 { #expect((changed[3 * index] == 1) == ((2..<5).contains(index % 8) && (1..<3).contains(index / 8))) }
        // A smaller part of the resource on the screen, then none.
        #expect(ask(bench, Command.setScanout, [3, 1, 2, 1, 0, 5]) == Answer.done)
        #expect(device.picture?.rgb == [1, 1, 1, 1, 1, 1])
        #expect(ask(bench, Command.setScanout, [0, 0, 0, 0, 0, 0]) == Answer.done)
        #expect(device.picture == nil)
    }

    @Test(arguments: [(1, [202, 102, 2]), (2, [202, 102, 2]), (3, [102, 202, 0]), (4, [102, 202, 0]), (67, [2, 102, 202]), (134, [2, 102, 202]),
                      (68, [0, 202, 102]), (121, [0, 202, 102])] as [(UInt32, [UInt8])])
    func everyFormatHasItsColours(format: UInt32, expected: [UInt8]) throws {
        let (bench, device) = try bench()
        show(bench, format: format)
        #expect(Array(try #require(device.picture).rgb[6..<9]) == expected)
    }

    @Test func displayInfoAndEDIDSayWhatTheScreenIs() throws {
        let (bench, _) = try bench()
        #expect(bench.driver.config(8, size: 4) == 1)
        let info = ask(bench, request(Command.displayInfo, []))
        #expect(info.count == 24 + 16 * 24 && word(info, 0) == Answer.displayInfo)
        #expect([24, 28, 32, 36, 40, 44, 48, 64].map { word(info, $0) } == [0, 0, 1024, 600, 1, 0, 0, 0])
        let edid = ask(bench, request(Command.edid, [0, 0]))
        #expect(edid.count == 24 + 8 + 1024 && word(edid, 0) == Answer.edid && word(edid, 24) == 128)
        let block = Array(edid[32..<160])
        #expect(block.prefix(8) == [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0])
        #expect(block.reduce(0) { $0 &+ $1 } == 0)
        // The preferred timing.
        #expect(Int(block[56]) | Int(block[58] >> 4) << 8 == 1024 && Int(block[59]) | Int(block[61] >> 4) << 8 == 600)
        #expect(ask(bench, Command.edid, [1, 0]) == Answer.invalidScanout)
        let plain = try VirtioBench(.modernSplit, VirtioGPU(name: "virtio-gpu0", hasEDID: false))
        plain.driver.start(queueCount: 2, size: 16)
        #expect(ask(plain, Command.edid, [0, 0]) == Answer.unspecified)
    }

    @Test func fencesComeBack() throws {
        let (bench, _) = try bench()
        let fenced = ask(bench, request(Command.flush, [0, 0, 1, 1, 9, 0], flags: 1, fence: 0x1234_5678_9abc))
        #expect(word(fenced, 0) == Answer.invalidResource && word(fenced, 4) == 1 && word(fenced, 8) == 0x5678_9abc && word(fenced, 12) == 0x1234)
        #expect(word(fenced, 16) == 7)
        let plain = ask(bench, request(Command.displayInfo, [], flags: 0, fence: 5))
        #expect(word(plain, 4) == 0 && word(plain, 8) == 0)
        // An answer without room is cut off.
        #expect(ask(bench, request(Command.displayInfo, []), room: 10).count == 10)
    }

    @Test func commandsThatMakeNoSenseAreRefused() throws {
        let (bench, device) = try bench()
        show(bench)
        let refused: [(UInt32, [UInt32], UInt32)] = [
            (Command.create, [6, 2, 0, 4], Answer.invalidParameter), (Command.create, [6, 99, 4, 4], Answer.invalidParameter),
            (Command.create, [0, 2, 4, 4], Answer.invalidResource), (Command.create, [5, 2, 4, 4], Answer.invalidResource),
            (Command.create, [6, 2, .max, .max], Answer.outOfMemory), (Command.create, [6, 2, 1 << 13, 1 << 13], Answer.outOfMemory),
            (Command.create, [6, 2], Answer.invalidParameter), (Command.unref, [6, 0], Answer.invalidResource), (Command.unref, [], Answer.invalidResource),
            (Command.setScanout, [0, 0, 8, 4, 1, 5], Answer.invalidScanout), (Command.setScanout, [0, 0, 9, 4, 0, 5], Answer.invalidParameter),
            (Command.setScanout, [.max, 0, 8, 4, 0, 5], Answer.invalidParameter), (Command.setScanout, [1, 0, .max, 4, 0, 5], Answer.invalidParameter),
            (Command.setScanout, [0, 0, 0, 4, 0, 5], Answer.invalidParameter), (Command.setScanout, [0, 0, 8, 4, 0, 6], Answer.invalidResource),
            (Command.flush, [0, 0, 8, 5, 5, 0], Answer.invalidParameter), (Command.transfer, [0, 1, 8, 4, 0, 0, 5, 0], Answer.invalidParameter),
            (Command.transfer, [0, 0, 8, 4, 4, 0, 5, 0], Answer.invalidParameter), (Command.transfer, [0, 0, 8, 4, .max, .max, 5, 0], Answer.invalidParameter),
            (Command.transfer, [7, 3, 1, 1, .max, .max, 5, 0], Answer.invalidParameter), (Command.transfer, [0, 0, 8, 4, 0, 0, 6, 0], Answer.invalidResource),
            (Command.attach, [5, 0], Answer.unspecified), (Command.attach, [9, 0], Answer.invalidResource), (Command.detach, [9, 0], Answer.invalidResource),
            (0x108, [], Answer.unspecified), (0x10c, [], Answer.unspecified), (0x200, [], Answer.unspecified), (Command.updateCursor, [0, 0, 0, 0, 0, 0, 0, 0], Answer.unspecified),
        ]
        for (type, words, answer) in refused { #expect(ask(bench, type, words) == answer, "\(String(type, radix: 16)) \(words)") }
        #expect(device.picture?.rgb[0] == 200 && !bench.needsReset)
        #expect(ask(bench, Command.create, [6, 2, 4, 4]) == Answer.done)
        // No backing yet; then some that is no memory, ends outside, or is not all listed.
        #expect(ask(bench, Command.transfer, [0, 0, 4, 4, 0, 0, 6, 0]) == Answer.unspecified)
        #expect(attach(bench, 6, [(0, 64)]) == Answer.invalidParameter)
        #expect(attach(bench, 6, [(memory, 64), (VirtioBench.ramBase + VirtioBench.ramSize - 4, 8)]) == Answer.invalidParameter)
        #expect(attach(bench, 6, [(.max, 64)]) == Answer.invalidParameter)
        #expect(ask(bench, Command.attach, [6, 1_000_000]) == Answer.invalidParameter && ask(bench, Command.attach, [6, .max]) == Answer.invalidParameter)
        #expect(ask(bench, Command.attach, [6, 2, 0, 0, 0, 0]) == Answer.invalidParameter)
        #expect(attach(bench, 6, [(memory, 0), (memory, 60), (memory, 0)]) == Answer.done)
        #expect(ask(bench, Command.transfer, [0, 0, 4, 4, 0, 0, 6, 0]) == Answer.invalidParameter)
        #expect(ask(bench, Command.transfer, [0, 0, 4, 3, 12, 0, 6, 0]) == Answer.done)
        #expect(ask(bench, Command.detach, [6, 0]) == Answer.done && ask(bench, Command.detach, [6, 0]) == Answer.unspecified)
        // Not even a header.
        _ = ask(bench, [0, 1, 0, 0, 1])
        #expect(bench.needsReset)
    }

    @Test func aResourceOnTheScreenCanGo() throws {
        let (bench, device) = try bench()
        show(bench)
        #expect(ask(bench, Command.unref, [5, 0]) == Answer.done)
        #expect(device.picture == nil)
        #expect(ask(bench, Command.create, [5, 2, 1, 1]) == Answer.done)
        #expect(device.picture == nil)
    }

    @Test func resourcesAreNotUnlimited() throws {
        let (bench, _) = try bench()
        // 64 MiB each.
        for id in 1...4 as ClosedRange<UInt32> {
            #expect(ask(bench, Command.create, [id, 2, 4096, 4096]) == Answer.done)
            // It took so long that others had their turn.
            bench.runEvents()
        }
        #expect(ask(bench, Command.create, [5, 2, 1, 1]) == Answer.outOfMemory)
        #expect(ask(bench, Command.unref, [2, 0]) == Answer.done)
        #expect(ask(bench, Command.create, [5, 2, 1, 1]) == Answer.done)
    }

    @Test func theCursorHasAQueueOfItsOwn() throws {
        let (bench, _) = try bench()
        #expect(ask(bench, Command.create, [3, 1, 64, 64]) == Answer.done && ask(bench, Command.create, [4, 1, 32, 64]) == Answer.done)
        #expect(ask(bench, Command.updateCursor, [0, 10, 20, 0, 3, 1, 2, 0], queue: 1) == Answer.done)
        #expect(ask(bench, Command.moveCursor, [0, 11, 21, 0, 0, 0, 0, 0], queue: 1) == Answer.done)
        #expect(ask(bench, Command.updateCursor, [0, 0, 0, 0, 4, 0, 0, 0], queue: 1) == Answer.invalidParameter)
        #expect(ask(bench, Command.updateCursor, [0, 0, 0, 0, 9, 0, 0, 0], queue: 1) == Answer.invalidResource)
        #expect(ask(bench, Command.moveCursor, [1, 0, 0, 0, 0, 0, 0, 0], queue: 1) == Answer.invalidScanout)
        #expect(ask(bench, Command.create, [0, 1, 64, 64, 0, 0, 0, 0], queue: 1) == Answer.unspecified)
        #expect(ask(bench, request(Command.updateCursor, [0, 0, 0, 0, 0, 0, 0, 0]), room: 0, queue: 1).isEmpty && !bench.needsReset)
    }

    @Test func picturesSurviveASavedState() throws {
        let (bench, device) = try bench()
        show(bench)
        #expect(ask(bench, Command.create, [2, 1, 3, 3]) == Answer.done)
        let copy = VirtioGPU(name: "virtio-gpu0")
        try transplant(device, into: copy)
        #expect(copy.picture == device.picture && copy.picture != nil)
    }

    @Test func picturesAreWrittenAsPPMAndPNG() throws {
        let (bench, device) = try bench()
        show(bench)
        let picture = try #require(device.picture)
        #expect(picture.ppm == Array("P6\n8 4\n255\n".utf8) + picture.rgb)
        let png = picture.png
        #expect(png.prefix(8) == [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10])
        // Every chunk ends where the next begins, and the last is the end.
        var offset = 8, names: [String] = []
        while offset + 12 <= png.count {
            names.append(String(decoding: png[offset + 4..<offset + 8], as: UTF8.self))
            offset += 12 + (0..<4).reduce(0) { $0 << 8 | Int(png[offset + $1]) }
        }
        #expect(names == ["IHDR", "IDAT", "IEND"] && offset == png.count)
        // The checksum of an empty end chunk is known.
        #expect(png.suffix(4) == [0xae, 0x42, 0x60, 0x82])
    }
}
