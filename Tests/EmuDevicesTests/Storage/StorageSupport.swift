import EmuBus
import EmuDevices
import Foundation
import Glibc
import TestSupport
import Testing

/// A directory for images, removed at the end.
final class ImageDirectory {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "emulate-disk-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func callAsFunction(_ name: String) -> String { path + "/" + name }

    /// A new qcow2 image.
    func create(_ name: String, _ settings: Qcow2Image.Settings) throws -> String {
        let descriptor = open(self(name), O_RDWR | O_CREAT | O_TRUNC, 0o600)
        try Qcow2Image.create(HostFile(descriptor: descriptor, name: "disk '\(name)'"), settings)
        return self(name)
    }
}

/// Debian's qemu-img, the other reader and writer of the format.
enum QemuImg {
    static let path = ["/usr/bin/qemu-img", "/usr/local/bin/qemu-img"].first { FileManager.default.isExecutableFile(atPath: $0) }
    static var isThere: Bool { path != nil }

    /// Runs it and returns its exit code and what it printed.
    @discardableResult
    static func run(_ arguments: String..., program: String = "qemu-img") throws -> (code: Int32, text: String) {
        let process = Process()
        process.executableURL = URL(filePath: path!.replacing("qemu-img", with: program))
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let text = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }
}

/// What `body` threw, as text.
func message(_ body: () throws -> Void) -> String {
    do {
        try body()
        return "no error"
    } catch { return "\(error)" }
}

/// Random operations on a disk, with a model of what it must hold.
struct RandomDiskUse {
    var model: [UInt8]
    var random: SplitMix

    init(size: Int, seed: UInt64) {
        model = [UInt8](repeating: 0, count: size)
        random = SplitMix(seed: seed)
    }

    /// - Returns: false when the disk showed something else than the model.
    mutating func step(_ disk: any BlockBackend, maximum: Int) throws -> Bool {
        let sectors = model.count / 512
        let start = Int(random.next() % UInt64(sectors))
        let count = 1 + Int(random.next() % UInt64(min(sectors - start, maximum)))
        let range = start * 512..<(start + count) * 512
        switch random.next() % 8 {
        case 0, 1, 2, 3:
            let seed = UInt8(truncatingIfNeeded: random.next())
            let bytes = range.map { UInt8(truncatingIfNeeded: $0 / 512) &+ seed | 1 }
            try disk.put(UInt64(range.lowerBound), bytes)
            model.replaceSubrange(range, with: bytes)
        case 4:
            try disk.perform(.writeZeroes(offset: UInt64(range.lowerBound), length: UInt64(range.count), mayUnmap: random.next() % 2 == 0))
            model.replaceSubrange(range, with: repeatElement(0, count: range.count))
        case 5:
            try disk.perform(.discard(offset: UInt64(range.lowerBound), length: UInt64(range.count)))
            // Either what was there or zeroes, sector by sector; the model takes what it finds.
            let found = try disk.get(UInt64(range.lowerBound), range.count)
            for sector in stride(from: 0, to: range.count, by: 512) {
                let now = Array(found[sector..<sector + 512]), before = Array(model[range.lowerBound + sector..<range.lowerBound + sector + 512])
                if now != before, now.contains(where: { $0 != 0 }) { return false }
            }
            model.replaceSubrange(range, with: found)
        case 6: try disk.perform(.flush)
        default: return try disk.get(UInt64(range.lowerBound), range.count) == Array(model[range])
        }
        return true
    }
}
