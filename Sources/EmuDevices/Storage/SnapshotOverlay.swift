import CHost
import EmuBus
import Foundation
import Glibc

/// Writes that vanish at the end of the run (`snapshot=on`): a disk over a read-only image.
///
/// Changed clusters live in a nameless file of the host; the image is only written by `commit`.
public final class SnapshotOverlay: BlockBackend {
    public let size: UInt64
    public let isReadOnly = false
    private let base: any DiskImage
    private let file: HostFile
    private let lock = NSLock()
    private static let clusterSize: UInt64 = 64 << 10
    /// One bit per cluster: set when the overlay, not the base, holds its contents.
    private var present: [UInt64]

    /// - Parameters:
    ///   - base: read only, whatever it would allow.
    ///   - directory: where changed data goes; default `TMPDIR`, or /var/tmp.
    package init(over base: any DiskImage, directory: String? = nil) throws(DiskError) {
        let place = directory ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp"
        let descriptor = host_open_anonymous_file(place)
        guard descriptor >= 0 else {
            throw DiskError("snapshot=on: no temporary file in '\(place)': \(String(cString: strerror(errno))); set TMPDIR to a writable directory")
        }
        file = HostFile(descriptor: descriptor, name: "the temporary file of snapshot=on in '\(place)'")
        self.base = base
        size = base.size
        let clusters = (base.size + Self.clusterSize - 1) / Self.clusterSize
        present = Array(repeating: 0, count: Int((clusters + 63) / 64))
    }

    private func isPresent(_ cluster: UInt64) -> Bool { present[Int(cluster / 64)] & (1 << (cluster % 64)) != 0 }
    private func setPresent(_ cluster: UInt64) { present[Int(cluster / 64)] |= 1 << (cluster % 64) }

    public func perform(_ operation: BlockOperation) throws(HostError) {
        lock.lock()
        defer { lock.unlock() }
        switch operation {
        case .read(let offset, let buffers):
            try forEachRun(offset, buffers) { isPresent, position, run throws(HostError) in
                if isPresent {
                    try file.read(at: position, into: run)
                } else {
                    try base.perform(.read(offset: position, into: run))
                }
            }
        case .write(let offset, let buffers):
            let length = buffers.reduce(0) { $0 + UInt64($1.count) }
            try claim(offset, length)
            try file.write(at: offset, from: buffers)
        case .writeZeroes(let offset, let length, _):
            try claim(offset, length)
            try file.writeZeroes(at: offset, length: length, mayUnmap: true)
        // What is thrown away at exit need not reach the disk, and may stay.
        case .flush, .discard:
            break
        }
    }

    /// Writes everything changed so far to the image; later changes vanish as before.
    /// - Throws: `DiskError` when that fails. The disk reads the same as before in any case.
    public func commit() throws(DiskError) {
        lock.lock()
        defer { lock.unlock() }
        guard let imageFile = base.file as? HostFile else { throw DiskError("disk '\(base.path)' cannot be opened for writing") }
        try imageFile.withWriteAccess(path: base.path) { writable throws(DiskError) in
            let image = try base.writable(through: writable)
            do throws(HostError) {
                try copyChanges(to: image)
                try image.close()
            } catch { throw DiskError("\(error)") }
        }
        present = Array(repeating: 0, count: present.count)
        try base.reload()
    }

    private func copyChanges(to image: any DiskImage) throws(HostError) {
        let buffer = TransferBuffer(Int(Self.clusterSize))
        for cluster in 0..<(size + Self.clusterSize - 1) / Self.clusterSize where isPresent(cluster) {
            let start = cluster * Self.clusterSize
            let piece = buffer.part(0..<Int(min(Self.clusterSize, size - start)))
            try file.read(at: start, into: [piece])
            if UnsafeRawBufferPointer(piece).isZero {
                try image.perform(.writeZeroes(offset: start, length: UInt64(piece.count), mayUnmap: true))
            } else {
                try image.perform(.write(offset: start, from: [piece]))
            }
        }
    }

    /// Makes every cluster of a range the overlay's, copying from the base what the caller will not overwrite.
    private func claim(_ offset: UInt64, _ length: UInt64) throws(HostError) {
        guard length > 0 else { return }
        let end = offset + length
        for cluster in offset / Self.clusterSize...(end - 1) / Self.clusterSize where !isPresent(cluster) {
            let start = cluster * Self.clusterSize
            let stop = min(start + Self.clusterSize, size)
            if start < offset || stop > end { try copyFromBase(start, stop - start) }
            setPresent(cluster)
        }
    }

    private func copyFromBase(_ offset: UInt64, _ length: UInt64) throws(HostError) {
        let buffer = TransferBuffer(Int(length))
        let bytes = buffer.part(0..<Int(length))
        try base.perform(.read(offset: offset, into: [bytes]))
        try file.write(at: offset, from: [bytes])
    }

    /// Splits a range where it moves between base and overlay.
    private func forEachRun(
        _ offset: UInt64, _ buffers: [UnsafeMutableRawBufferPointer],
        _ body: (Bool, UInt64, [UnsafeMutableRawBufferPointer]) throws(HostError) -> Void
    ) throws(HostError) {
        var position = offset
        var runStart = offset
        var run: [UnsafeMutableRawBufferPointer] = []
        var runIsPresent = false
        for buffer in buffers {
            var rest = buffer[...]
            while !rest.isEmpty {
                let cluster = position / Self.clusterSize
                let piece = min(rest.count, Int((cluster + 1) * Self.clusterSize - position))
                let here = isPresent(cluster)
                if here != runIsPresent, !run.isEmpty {
                    try body(runIsPresent, runStart, run)
                    run = []
                }
                if run.isEmpty {
                    runStart = position
                    runIsPresent = here
                }
                run.append(UnsafeMutableRawBufferPointer(rebasing: rest.prefix(piece)))
                rest = rest.dropFirst(piece)
                position += UInt64(piece)
            }
        }
        if !run.isEmpty { try body(runIsPresent, runStart, run) }
    }
}
