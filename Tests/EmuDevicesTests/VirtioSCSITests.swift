import EmuBus
import EmuDevices
import Glibc
import TestSupport
import Testing

/// A SCSI host with a disk of 4096 blocks at 0:0, a read-only one at 0:3 and a CD-ROM drive at 2:0.
private final class SCSIBench {
    let bench: VirtioBench
    let device: VirtioSCSI
    let disk = NotedDisk(sectors: 4096)
    let disc = NotedDisk(sectors: 4 * 700)
    private var sizes = (command: 32, sense: 96)

    struct Answer {
        var response: UInt8, status: UInt8, sense: [UInt8], residual: Int, data: [UInt8]
        /// Key, code and qualifier.
        var reason: [UInt8] { sense.count >= 14 ? [sense[2], sense[12], sense[13]] : [] }
    }

    init(_ setup: VirtioSetup = .modernSplit, attention: Bool = false) throws {
        var identity = SCSIUnit.Identity()
        identity.serial = "S-1"
        let protected = NotedDisk(sectors: 8, isReadOnly: true)
        device = VirtioSCSI(name: "virtio-scsi0", units: [
            .init(target: 0, unit: 0): SCSIUnit(.disk, disk: disk, identity: identity), .init(target: 0, unit: 3): SCSIUnit(.disk, disk: protected),
            .init(target: 2, unit: 0): SCSIUnit(.cdrom, disk: disc),
        ], queues: 2)
        bench = try VirtioBench(setup, device)
        bench.driver.start(queueCount: 4, size: 16)
        // Each unit tells once that it was switched on.
        if !attention { for address: (UInt8, UInt8) in [(0, 0), (0, 3), (2, 0)] { _ = ask([0, 0, 0, 0, 0, 0], at: address) } }
    }

    func set(command: Int, sense: Int) {
        bench.slot.write(0x100 + 20, UInt64(sense), size: 4)
        bench.slot.write(0x100 + 24, UInt64(command), size: 4)
        sizes = (command, sense)
    }

    private func request(_ command: [UInt8], _ lun: [UInt8], _ out: [UInt8]) -> [UInt8] {
        lun + [UInt8](repeating: 0, count: 11) + command + [UInt8](repeating: 0, count: sizes.command - command.count) + out
    }

    func lun(_ address: (UInt8, UInt8)) -> [UInt8] { [1, address.0, 0x40, address.1, 0, 0, 0, 0] }

    /// Sends a command; nil when it is not answered at once.
    func submit(_ command: [UInt8], at address: (UInt8, UInt8) = (0, 0), lun: [UInt8]? = nil, out: [UInt8] = [], room: Int = 0, queue: Int = 2) -> () -> Answer? {
        let answer = bench.driver.writable(12 + sizes.sense), data = bench.driver.writable(max(room, 1))
        let queue = bench.driver.queues[queue]!
        queue.add([bench.driver.readable(request(command, lun ?? self.lun(address), out)), answer] + (room > 0 ? [data] : []))
        queue.kick()
        return { [self] in
            guard !queue.used().isEmpty else { return nil }
            let bytes = bench.driver.contents(answer)
            func word(_ offset: Int) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) } }
            return Answer(
                response: bytes[11], status: bytes[10], sense: Array(bytes[12..<12 + min(word(0), sizes.sense)]), residual: word(4),
                data: Array(bench.driver.contents(data).prefix(max(0, room - word(4)))))
        }
    }

    @discardableResult
    func ask(_ command: [UInt8], at address: (UInt8, UInt8) = (0, 0), lun: [UInt8]? = nil, out: [UInt8] = [], room: Int = 0) -> Answer {
        let mark = bench.driver.heapMark
        defer { bench.driver.free(downTo: mark) }
        return submit(command, at: address, lun: lun, out: out, room: room)() ?? Answer(response: 0xff, status: 0xff, sense: [], residual: 0, data: [])
    }

    func manage(_ bytes: [UInt8], room: Int = 1) -> [UInt8] {
        let answer = bench.driver.writable(room)
        bench.driver.queues[0]!.add([bench.driver.readable(bytes), answer])
        bench.driver.queues[0]!.kick()
        return Array(bench.driver.contents(answer).prefix(Int(bench.driver.queues[0]!.used().first?.written ?? 0)))
    }
}

private func big(_ value: Int, _ count: Int) -> [UInt8] { (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

@Suite struct VirtioSCSITests {
    private let cdrom: (UInt8, UInt8) = (2, 0)

    @Test(arguments: VirtioSetup.allCases)
    func blocksAreWrittenAndRead(_ setup: VirtioSetup) throws {
        let scsi = try SCSIBench(setup)
        let data = (0..<1024).map { UInt8(truncatingIfNeeded: $0 / 4) }
        let written = scsi.ask([0x2a, 0] + big(7, 4) + [0] + big(2, 2) + [0], out: data)
        #expect(written.response == 0 && written.status == 0 && written.residual == 0)
        for read in [[0x28, 0] + big(7, 4) + [0] + big(2, 2) + [0], [0xa8, 0] + big(7, 4) + big(2, 4) + [0, 0], [0x88, 0] + big(7, 8) + big(2, 4) + [0, 0],
                     [0x08, 0, 0, 7, 2, 0]] as [[UInt8]] {
            let answer = scsi.ask(read, room: 1024)
            #expect(answer.status == 0 && answer.data == data && answer.residual == 0)
        }
        // More room than there are data.
        let long = scsi.ask([0x28, 0] + big(7, 4) + [0] + big(1, 2) + [0], room: 1024)
        #expect(long.data == Array(data[..<512]) && long.residual == 512)
        #expect(scsi.ask([0x28, 0] + big(7, 4) + [0] + big(2, 2) + [0], room: 512).response == 1)
        #expect(scsi.ask([0x2a, 0] + big(7, 4) + [0] + big(2, 2) + [0], out: [1]).response == 1)
    }

    @Test func rangesOutsideTheMediumAreRefused() throws {
        let scsi = try SCSIBench()
        let outside: [[UInt8]] = [
            [0x28, 0] + big(4096, 4) + [0, 0, 1, 0], [0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0], [0x88, 0] + [UInt8](repeating: 0xff, count: 12) + [0, 0],
            [0x2a, 0] + big(4095, 4) + [0, 0, 2, 0], [0x8a, 0] + big(4095, 8) + big(2, 4) + [0, 0], [0x41, 0] + big(4090, 4) + [0, 0, 7, 0],
            [0x93, 0] + [UInt8](repeating: 0xff, count: 8) + big(1, 4) + [0, 0], [0x2f, 0] + big(4096, 4) + [0, 0, 1, 0],
        ]
        for command in outside { #expect(scsi.ask(command, room: command[0] & 0xf == 8 ? 1024 : 0).reason == [5, 0x21, 0], "\(command)") }
        #expect(scsi.ask([0x28, 0] + big(4096, 4) + [0, 0, 0, 0]).status == 0)
        #expect(scsi.ask([0x2f, 0] + big(4095, 4) + [0, 0, 1, 0]).status == 0)
        let range = big(4095, 8) + big(2, 4) + [0, 0, 0, 0]
        #expect(scsi.ask([0x42, 0, 0, 0, 0, 0, 0] + big(24, 2) + [0], out: big(22, 2) + big(16, 2) + [0, 0, 0, 0] + range).reason == [5, 0x21, 0])
    }

    @Test func aReadOnlyDiskIsProtected() throws {
        let scsi = try SCSIBench()
        for command: [UInt8] in [[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], [0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0]] {
            #expect(scsi.ask(command, at: (0, 3), out: [UInt8](repeating: 1, count: 512)).reason == [7, 0x27, 0])
        }
        #expect(scsi.ask([0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], at: cdrom, out: [UInt8](repeating: 1, count: 2048)).reason == [7, 0x27, 0])
        #expect(scsi.ask([0x1a, 0, 0x3f, 0, 255, 0], at: (0, 3), room: 255).data[2] == 0x80)
    }

    @Test func powerOnIsToldOnce() throws {
        let scsi = try SCSIBench(attention: true)
        #expect(scsi.ask([0x12, 0, 0, 0, 36, 0], room: 36).status == 0)
        let first = scsi.ask([0, 0, 0, 0, 0, 0])
        #expect(first.status == 2 && first.reason == [6, 0x29, 0] && first.sense.count == 18)
        #expect(scsi.ask([0, 0, 0, 0, 0, 0]).status == 0)
        // Asked for, it is told as well.
        let asked = scsi.ask([0x03, 0, 0, 0, 18, 0], at: (0, 3), room: 18)
        #expect(asked.status == 0 && asked.data[2] == 6 && scsi.ask([0, 0, 0, 0, 0, 0], at: (0, 3)).status == 0)
        #expect(scsi.ask([0x03, 0, 0, 0, 18, 0], room: 18).data[2] == 0)
    }

    @Test func unitsSayWhatTheyAre() throws {
        let scsi = try SCSIBench()
        let disk = scsi.ask([0x12, 0, 0, 0, 36, 0], room: 36).data, drive = scsi.ask([0x12, 0, 0, 0, 36, 0], at: cdrom, room: 36).data
        #expect(disk[0] == 0 && disk[1] == 0 && drive[0] == 5 && drive[1] == 0x80 && disk[4] == 31)
        #expect(String(decoding: disk[8..<36], as: UTF8.self) == "EMULATE HARDDISK        1.0 ")
        #expect(scsi.ask([0x12, 1, 0, 0, 255, 0], room: 255).data == [0, 0, 0, 6, 0, 0x80, 0x83, 0xb0, 0xb1, 0xb2])
        // A gigabyte at once, no more.
        #expect(Array(scsi.ask([0x12, 1, 0xb0, 0, 64, 0], room: 64).data[8..<12]) == big(1 << 21, 4))
        #expect(scsi.ask([0x12, 1, 0x80, 0, 255, 0], room: 255).data == [0, 0x80, 0, 3] + Array("S-1".utf8))
        #expect(scsi.ask([0x12, 1, 0x80, 0, 255, 0], at: cdrom, room: 255).reason == [5, 0x24, 0])
        #expect(scsi.ask([0x12, 1, 0xb2, 0, 255, 0], room: 255).data == [0, 0xb2, 0, 4, 0, 0xe0, 2, 0])
        #expect(scsi.ask([0x12, 0, 1, 0, 255, 0], room: 255).reason == [5, 0x24, 0])
        #expect(scsi.ask([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], room: 8).data == big(4095, 4) + big(512, 4))
        #expect(scsi.ask([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], at: cdrom, room: 8).data == big(699, 4) + big(2048, 4))
        let capacity = scsi.ask([0x9e, 0x10] + [UInt8](repeating: 0, count: 8) + big(32, 4) + [0, 0], room: 32).data
        #expect(Array(capacity[..<12]) == big(4095, 8) + big(512, 4) && capacity[14] == 0x80)
        #expect(scsi.ask([0x99, 0, 0, 0, 0, 0]).reason == [5, 0x20, 0])
    }

    @Test func modePagesAreToldAndCannotBeChanged() throws {
        let scsi = try SCSIBench()
        let all = scsi.ask([0x1a, 0, 0x3f, 0, 255, 0], room: 255).data
        #expect(Int(all[0]) == all.count - 1 && all[2] == 0x10 && all[3] == 8 && Array(all[4..<12]) == big(4096, 4) + big(512, 4))
        let cache = scsi.ask([0x5a, 8, 8, 0, 0, 0, 0, 0, 255, 0], room: 255).data
        #expect(cache.count == 28 && Array(cache[8..<11]) == [8, 18, 4])
        #expect(scsi.ask([0x1a, 8, 0x48, 0, 255, 0], room: 255).data[6] == 0)
        #expect(scsi.ask([0x1a, 0, 0xc8, 0, 255, 0], room: 255).reason == [5, 0x39, 0])
        #expect(scsi.ask([0x1a, 0, 0x3e, 0, 255, 0], room: 255).reason == [5, 0x24, 0])
        let page = Array(cache[8...])
        #expect(scsi.ask([0x15, 0x10, 0, 0, 24, 0], out: [0, 0, 0, 0] + page).status == 0)
        #expect(scsi.ask([0x15, 0x10, 0, 0, 24, 0], out: [0, 0, 0, 0, 8, 18, 0] + page[3...]).reason == [5, 0x26, 0])
        #expect(scsi.ask([0x15, 0x10, 0, 0, 6, 0], out: [0, 0, 0, 0, 8, 18]).reason == [5, 0x1a, 0])
        #expect(scsi.ask([0x15, 0x10, 0, 0, 4, 0], out: [0, 0, 0, 200]).reason == [5, 0x1a, 0])
        #expect(scsi.ask([0x55, 0x10, 0, 0, 0, 0, 0, 0, 9, 0], out: [0, 0, 0, 0, 0, 0, 0xff, 0xff, 0]).reason == [5, 0x1a, 0])
        #expect(scsi.ask([0x15, 0x10, 0, 0, 24, 0], out: [0]).response == 1)
        #expect(scsi.ask([0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255, 0], at: cdrom, room: 255).data[8] == 0x2a)
    }

    @Test func blocksAreZeroedAndDropped() throws {
        let scsi = try SCSIBench()
        scsi.disk.log = []
        let zero = [UInt8](repeating: 0, count: 512), pattern = [UInt8](repeating: 0xee, count: 512)
        #expect(scsi.ask([0x93, 0x08] + big(8, 8) + big(16, 4) + [0, 0], out: zero).status == 0)
        #expect(scsi.ask([0x93, 0x01] + big(8, 8) + big(16, 4) + [0, 0]).status == 0)
        #expect(scsi.ask([0x41, 0] + big(2, 4) + [0] + big(3, 2) + [0], out: pattern).status == 0)
        let around = scsi.ask([0x28, 0] + big(1, 4) + [0] + big(5, 2) + [0], room: 2560).data
        #expect(stride(from: 0, to: 2560, by: 512).map { around[$0] } == [1, 0xee, 0xee, 0xee, 5] && around[2047] == 0xee)
        let list = big(38, 2) + big(32, 2) + [0, 0, 0, 0] + big(100, 8) + big(4, 4) + [0, 0, 0, 0] + big(200, 8) + big(8, 4) + [0, 0, 0, 0]
        #expect(scsi.ask([0x42, 0, 0, 0, 0, 0, 0] + big(list.count, 2) + [0], out: list).status == 0)
        for wrong in [Array(list[..<6]), big(38, 2) + big(31, 2) + list[4...], big(38, 2) + big(0xfff0, 2) + list[4...]] as [[UInt8]] {
            #expect(scsi.ask([0x42, 0, 0, 0, 0, 0, 0] + big(wrong.count, 2) + [0], out: wrong).reason == [5, 0x1a, 0])
        }
        #expect(scsi.ask([0x93, 0x10] + big(8, 8) + big(16, 4) + [0, 0], out: zero).reason == [5, 0x24, 0])
        #expect(scsi.disk.log.contains("zero 4096+8192") && scsi.disk.log.contains("discard 51200+2048") && scsi.disk.log.contains("discard 102400+4096"))
    }

    @Test func writesThatMustBeStableAreFlushed() throws {
        let scsi = try SCSIBench()
        scsi.disk.log = []
        #expect(scsi.ask([0x2a, 8] + big(0, 4) + [0] + big(1, 2) + [0], out: [UInt8](repeating: 1, count: 512)).status == 0)
        #expect(scsi.disk.log.last == "flush")
        scsi.disk.log = []
        for command: [UInt8] in [[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0x91] + [UInt8](repeating: 0, count: 15)] { #expect(scsi.ask(command).status == 0) }
        #expect(scsi.disk.log == ["flush", "flush"])
    }

    @Test func errorsOfTheHostReachTheGuest() throws {
        let scsi = try SCSIBench()
        scsi.disk.failure = HostError("test", EIO)
        #expect(scsi.ask([0x28, 0] + big(7, 4) + [0] + big(1, 2) + [0], room: 512).reason == [3, 0x11, 0])
        #expect(scsi.ask([0x2a, 0] + big(7, 4) + [0] + big(1, 2) + [0], out: [UInt8](repeating: 0, count: 512)).reason == [3, 0x0c, 0])
        #expect(scsi.ask([0x41, 0] + big(7, 4) + [0] + big(1, 2) + [0], out: [UInt8](repeating: 1, count: 512)).reason == [3, 0x0c, 0])
        scsi.disk.failure = HostError("test", ENOSPC)
        #expect(scsi.ask([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0]).reason == [7, 0x27, 7])
    }

    @Test func theDriveOpensAndCloses() throws {
        let scsi = try SCSIBench()
        #expect(scsi.ask([0x1e, 0, 0, 0, 1, 0], at: cdrom).status == 0)
        #expect(scsi.ask([0x1b, 0, 0, 0, 2, 0], at: cdrom).reason == [5, 0x53, 2])
        #expect(scsi.ask([0x1e, 0, 0, 0, 0, 0], at: cdrom).status == 0 && scsi.ask([0x1b, 0, 0, 0, 2, 0], at: cdrom).status == 0)
        #expect(scsi.ask([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], at: cdrom, room: 2048).reason == [2, 0x3a, 0])
        #expect(scsi.ask([0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0], at: cdrom, room: 8).data == [0, 6, 4, 0x10, 0, 1, 0, 0])
        #expect(scsi.ask([0x1b, 0, 0, 0, 3, 0], at: cdrom).status == 0)
        #expect(scsi.ask([0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0], at: cdrom, room: 8).data == [0, 6, 4, 0x10, 2, 2, 0, 0])
        #expect(scsi.ask([0, 0, 0, 0, 0, 0], at: cdrom).reason == [6, 0x28, 0] && scsi.ask([0, 0, 0, 0, 0, 0], at: cdrom).status == 0)
    }

    @Test func theDiscHasOneTrack() throws {
        let scsi = try SCSIBench()
        #expect(scsi.ask([0x43, 0, 0, 0, 0, 0, 0, 0, 255, 0], at: cdrom, room: 255).data
            == [0, 18, 1, 1, 0, 0x14, 1, 0] + big(0, 4) + [0, 0x14, 0xaa, 0] + big(700, 4))
        #expect(Array(scsi.ask([0x43, 2, 0, 0, 0, 0, 0xaa, 0, 255, 0], at: cdrom, room: 255).data[8...]) == [0, 0, 11, 25])
        #expect(scsi.ask([0x43, 0, 0, 0, 0, 0, 2, 0, 255, 0], at: cdrom, room: 255).reason == [5, 0x24, 0])
        #expect(scsi.ask([0x43, 0, 1, 0, 0, 0, 0, 0, 255, 0], at: cdrom, room: 255).data.count == 12)
        let features = scsi.ask([0x46, 0, 0, 0, 0, 0, 0, 0, 255, 0], at: cdrom, room: 255).data
        #expect(Array(features[..<4]) == big(features.count - 4, 4) && Array(features[6..<8]) == [0, 8])
        #expect(scsi.ask([0x46, 2, 0, 3, 0, 0, 0, 0, 255, 0], at: cdrom, room: 255).data.count == 16)
        #expect(scsi.ask([0x51, 0, 0, 0, 0, 0, 0, 0, 34, 0], at: cdrom, room: 34).data.count == 34)
        #expect(scsi.ask([0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8, 0], at: cdrom, room: 8).reason == [5, 0x24, 0])
        // None of this is for disks.
        #expect(scsi.ask([0x43, 0, 0, 0, 0, 0, 0, 0, 255, 0], room: 255).reason == [5, 0x20, 0])
    }

    @Test func addressesWithoutUnitsSaySo() throws {
        let scsi = try SCSIBench()
        #expect(scsi.ask([0, 0, 0, 0, 0, 0], at: (1, 0)).response == 3)
        #expect(scsi.ask([0, 0, 0, 0, 0, 0], lun: [0, 0, 0, 0, 0, 0, 0, 0]).response == 3 && scsi.ask([0, 0, 0, 0, 0, 0], lun: [1, 0, 0xff, 0, 0, 0, 0, 0]).response == 3)
        #expect(scsi.ask([0, 0, 0, 0, 0, 0], at: (0, 1)).reason == [5, 0x25, 0])
        #expect(scsi.ask([0x12, 0, 0, 0, 36, 0], at: (0, 1), room: 36).data[0] == 0x7f)
        let list = scsi.ask([0xa0, 0, 0, 0, 0, 0] + big(64, 4) + [0, 0], at: (0, 1), room: 64).data
        #expect(list == big(16, 4) + [0, 0, 0, 0] + [UInt8](repeating: 0, count: 8) + [0, 3, 0, 0, 0, 0, 0, 0])
        #expect(scsi.ask([0xa0, 0, 0, 0, 0, 0] + big(64, 4) + [0, 0], lun: [0xc1, 1, 0, 0, 0, 0, 0, 0], room: 64).data == [0, 0, 0, 0, 0, 0, 0, 0])
        #expect(scsi.bench.driver.config(30, size: 2) == 2 && scsi.bench.driver.config(32, size: 4) == 3 && scsi.bench.driver.config(0, size: 4) == 2)
    }

    @Test func sizesOfRequestsAreTheDrivers() throws {
        let scsi = try SCSIBench()
        scsi.set(command: 16, sense: 4)
        #expect(scsi.ask([0x99, 0, 0, 0, 0, 0]).sense == [0x70, 0, 5, 0])
        #expect(scsi.ask([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], room: 8).data == big(4095, 4) + big(512, 4))
        // What no command fits into is refused.
        scsi.bench.slot.write(0x100 + 24, 5, size: 4)
        scsi.bench.slot.write(0x100 + 20, 0xffff_ffff, size: 4)
        #expect(scsi.bench.driver.config(20, size: 4) == 4 && scsi.bench.driver.config(24, size: 4) == 16)
        scsi.bench.driver.write(VirtioMockDriver.Offset.status, 0)
        #expect(scsi.bench.driver.config(20, size: 4) == 96 && scsi.bench.driver.config(24, size: 4) == 32)
    }

    @Test func requestsThatAreNoneBreakTheDevice() throws {
        for (out, room) in [(50, 108), (51, 107), (0, 0)] {
            let scsi = try SCSIBench()
            scsi.bench.driver.queues[2]!.add([scsi.bench.driver.readable([UInt8](repeating: 1, count: max(out, 1))), scsi.bench.driver.writable(max(room, 1))])
            scsi.bench.driver.queues[2]!.notify()
            #expect(scsi.bench.needsReset)
        }
        let both = try SCSIBench()
        #expect(both.ask([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], out: [1], room: 512).response == 9)
    }

    @Test func managementCompletesWhatIsUnderWay() throws {
        let scsi = try SCSIBench()
        scsi.disk.isDelayed = true
        let pending = scsi.submit([0x28, 0] + big(7, 4) + [0] + big(1, 2) + [0], room: 512)
        #expect(pending() == nil)
        func task(_ subtype: UInt32, _ lun: [UInt8]) -> [UInt8] {
            let types: [UInt8] = [0, 0, 0, 0] + .little(subtype)
            return types + lun + [5, 0, 0, 0, 0, 0, 0, 0]
        }
        #expect(scsi.manage(task(0, scsi.lun((0, 0)))) == [0])
        #expect(pending()?.status == 0)
        scsi.disk.isDelayed = false
        #expect(scsi.manage(task(5, scsi.lun((0, 0)))) == [0])
        #expect(scsi.ask([0, 0, 0, 0, 0, 0]).reason == [6, 0x29, 0])
        #expect(scsi.manage(task(4, scsi.lun((2, 9)))) == [0] && scsi.ask([0, 0, 0, 0, 0, 0], at: cdrom).reason == [6, 0x29, 0])
        #expect(scsi.manage(task(0, scsi.lun((9, 0)))) == [3] && scsi.manage(task(0, scsi.lun((0, 9)))) == [12])
        #expect(scsi.manage(task(2, scsi.lun((0, 0)))) == [11] && scsi.manage(task(99, scsi.lun((0, 0)))) == [11])
        #expect(scsi.manage([1, 0, 0, 0] + scsi.lun((0, 0)) + [2, 0, 0, 0], room: 5) == [0, 0, 0, 0, 0])
        #expect(scsi.manage([77, 0, 0, 0]) == [9] && !scsi.bench.needsReset)
    }

    @Test func stateSurvives() throws {
        let scsi = try SCSIBench()
        scsi.set(command: 16, sense: 20)
        #expect(scsi.ask([0x1e, 0, 0, 0, 1, 0], at: cdrom).status == 0)
        let other = try SCSIBench(attention: true)
        try transplant(scsi.device, into: other.device)
        try other.device.restoreState(from: try scsi.device.encodedState())
        other.set(command: 16, sense: 20)
        #expect(other.ask([0x1b, 0, 0, 0, 2, 0], at: cdrom).reason == [5, 0x53, 2])
    }

    @Test func everyCommandBlockEndsInAnAnswer() throws {
        let scsi = try SCSIBench()
        var random = SplitMix(seed: 4)
        for operation in 0...255 as ClosedRange<UInt8> {
            for round in 0..<8 {
                var command = (0..<16).map { _ in UInt8(truncatingIfNeeded: random.next() & (random.next() % 2 == 0 ? 0xff : 3)) }
                command[0] = operation
                let address: (UInt8, UInt8) = [(0, 0), (0, 3), (2, 0), (0, 1)][round % 4]
                let isWrite = round >= 4
                let answer = scsi.ask(command, at: address, out: isWrite ? (0..<64).map { _ in UInt8(truncatingIfNeeded: random.next()) } : [], room: isWrite ? 0 : 600)
                #expect(answer.response <= 1 && [0, 2].contains(answer.status), "\(command)")
                scsi.bench.runEvents()
            }
        }
        #expect(!scsi.bench.needsReset)
    }
}
