import EmuBus
import EmuDevices
import Glibc
import TestSupport

/// A file of memory that remembers in which order it was written, to see what a crash at any moment would leave.
final class JournalFile: ImageFile, @unchecked Sendable {
    enum Step {
        case write(UInt64, [UInt8])
        case truncate(UInt64)
        case flush
    }

    let name = "disk 'journal'"
    private(set) var bytes: [UInt8]
    private(set) var steps: [Step] = []
    /// Whether steps are kept.
    var records = false
    /// The write after so many more fails; nil for none.
    var failsAfter: Int?
    /// Called when a write has been asked for and not read its buffers yet.
    var beforeWrite: (() -> Void)?

    init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    func length() -> UInt64 { UInt64(bytes.count) }

    func read(at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]) {
        var position = Int(clamping: offset)
        for buffer in buffers {
            let there = max(0, min(buffer.count, bytes.count - position))
            if there > 0 { bytes[position..<position + there].withUnsafeBytes { buffer.copyMemory(from: $0) } }
            for index in there..<buffer.count { buffer[index] = 0 }
            position += buffer.count
        }
    }

    func write(at offset: UInt64, from buffers: [UnsafeMutableRawBufferPointer]) throws(HostError) {
        if let left = failsAfter {
            guard left > 0 else { throw HostError("writing \(name)", ENOSPC) }
            failsAfter = left - 1
        }
        beforeWrite?()
        let new = buffers.flatMap { Array($0) }
        guard offset < 1 << 26 else { throw HostError("writing \(name)", EFBIG) }
        Self.apply(.write(offset, new), &bytes)
        if records { steps.append(.write(offset, new)) }
    }

    func flush() { if records { steps.append(.flush) } }

    func truncate(to length: UInt64) throws(HostError) {
        guard length < 1 << 26 else { throw HostError("truncating \(name)", EFBIG) }
        Self.apply(.truncate(length), &bytes)
        if records { steps.append(.truncate(length)) }
    }

    func writeZeroes(at offset: UInt64, length: UInt64, mayUnmap: Bool) throws(HostError) {
        try write(at: offset, bytes: [UInt8](repeating: 0, count: Int(length)))
    }

    func discard(at offset: UInt64, length: UInt64) {}
    func reserve(at offset: UInt64, length: UInt64) {}

    func extent(at offset: UInt64) -> (isData: Bool, length: UInt64) { (true, max(1, UInt64(bytes.count) - min(offset, UInt64(bytes.count)))) }

    static func apply(_ step: Step, _ bytes: inout [UInt8]) {
        switch step {
        case .write(let offset, let new):
            let end = Int(offset) + new.count
            if end > bytes.count { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
            bytes.replaceSubrange(Int(offset)..<end, with: new)
        case .truncate(let length):
            if Int(length) > bytes.count { bytes += [UInt8](repeating: 0, count: Int(length) - bytes.count) } else { bytes.removeLast(bytes.count - Int(length)) }
        case .flush: break
        }
    }
}

extension BlockBackend {
    func get(_ offset: UInt64, _ count: Int) throws(HostError) -> [UInt8] {
        let buffer = TransferBuffer(count)
        try perform(.read(offset: offset, into: [buffer.part(0..<count)]))
        return Array(buffer.part(0..<count))
    }

    func put(_ offset: UInt64, _ bytes: [UInt8]) throws(HostError) {
        let buffer = TransferBuffer(bytes.count)
        buffer.part(0..<bytes.count).copyBytes(from: bytes)
        try perform(.write(offset: offset, from: [buffer.part(0..<bytes.count)]))
    }
}

/// Everything one can do with an image, for bytes that may be anything.
enum Qcow2Exercise {
    /// Opens an image, uses it, checks and mends it; returns without a crash whatever it is.
    static func run(_ bytes: [UInt8], seed: UInt64) {
        if let disk = try? Qcow2Image(JournalFile(bytes), path: "journal", isReadOnly: false) { use(disk, seed) }
        do {
            var check = try Qcow2Check(JournalFile(bytes))
            _ = try check.run()
            _ = try check.repair(.all)
        } catch {}
    }

    private static func use(_ disk: Qcow2Image, _ seed: UInt64) {
        var random = SplitMix(seed: seed)
        // Damaged sizes may be anything; a few places of the disk are enough.
        for _ in 0..<12 {
            let sector = random.next() % (disk.size / 512), count = min(disk.size / 512 - sector, 1 + random.next() % 40)
            switch random.next() % 5 {
            case 0, 1: try? disk.put(sector * 512, [UInt8](repeating: 3, count: Int(count) * 512))
            case 2: try? disk.perform(.discard(offset: sector * 512, length: count * 512))
            case 3: try? disk.perform(.flush)
            default: _ = try? disk.get(sector * 512, Int(count) * 512)
            }
        }
        try? disk.createSnapshot("third", seconds: 0, nanoseconds: 0)
        if let name = disk.snapshots.first?.name { try? disk.applySnapshot(name) }
        if let name = disk.snapshots.last?.name { try? disk.deleteSnapshot(name) }
        try? disk.close()
    }
}
