import EmuBus
import Glibc

/// The bytes an image format is written in: a host file, or a stand-in for one.
///
/// Offsets and lengths are bytes. Calls may come from any thread, also several at once.
package protocol ImageFile: AnyObject {
    /// What messages call it: "disk 'PATH'".
    var name: String { get }
    func length() throws(HostError) -> UInt64
    /// Fills all of `buffers`; what lies behind the end of the file reads as zeroes.
    func read(at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]) throws(HostError)
    /// Writes all of `buffers`; the file grows as needed.
    func write(at offset: UInt64, from buffers: [UnsafeMutableRawBufferPointer]) throws(HostError)
    /// Everything written before is on stable storage when this returns.
    func flush() throws(HostError)
    func truncate(to length: UInt64) throws(HostError)
    /// Makes a range read as zeroes; with `mayUnmap` its space may be given back.
    func writeZeroes(at offset: UInt64, length: UInt64, mayUnmap: Bool) throws(HostError)
    /// Gives a range's space back if possible; its contents become unspecified.
    func discard(at offset: UInt64, length: UInt64) throws(HostError)
    /// Reserves space for a range without changing what it reads as.
    func reserve(at offset: UInt64, length: UInt64) throws(HostError)
    /// How far from `offset` on the file is data or, if it is not, a hole.
    func extent(at offset: UInt64) throws(HostError) -> (isData: Bool, length: UInt64)
}

extension ImageFile {
    /// Bytes of the file as an array.
    package func bytes(at offset: UInt64, _ count: Int) throws(HostError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        if let error = bytes.withUnsafeMutableBytes({ attempt(self, offset, $0, isWrite: false) }) { throw error }
        return bytes
    }

    package func write(at offset: UInt64, bytes: [UInt8]) throws(HostError) {
        var bytes = bytes
        if let error = bytes.withUnsafeMutableBytes({ attempt(self, offset, $0, isWrite: true) }) { throw error }
    }
}

/// Carries a typed error out of a closure whose caller only passes on untyped ones.
private func attempt(_ file: any ImageFile, _ offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer, isWrite: Bool) -> HostError? {
    do throws(HostError) {
        if isWrite { try file.write(at: offset, from: [buffer]) } else { try file.read(at: offset, into: [buffer]) }
        return nil
    } catch { return error }
}

/// Host memory for one transfer, aligned to a page; freed when released.
package final class TransferBuffer {
    // SAFETY: allocated here, freed in deinit; never escapes an owner's lifetime.
    package let memory: UnsafeMutableRawBufferPointer

    package init(_ count: Int, zeroed: Bool = false) {
        memory = .allocate(byteCount: max(count, 1), alignment: 4096)
        if zeroed { memory.initializeMemory(as: UInt8.self, repeating: 0) }
    }

    deinit { memory.deallocate() }

    package func part(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(rebasing: memory[range]) }
}

/// A list of buffers taken apart from the front.
struct BufferCursor {
    private let buffers: [UnsafeMutableRawBufferPointer]
    private var index = 0
    private var used = 0

    init(_ buffers: [UnsafeMutableRawBufferPointer]) { self.buffers = buffers }

    static func length(_ buffers: [UnsafeMutableRawBufferPointer]) -> UInt64 { buffers.reduce(0) { $0 + UInt64($1.count) } }

    /// The next `count` bytes, or what is left.
    mutating func take(_ count: UInt64) -> [UnsafeMutableRawBufferPointer] {
        var left = count
        var result: [UnsafeMutableRawBufferPointer] = []
        while left > 0, index < buffers.count {
            let buffer = buffers[index]
            let piece = Int(min(UInt64(buffer.count - used), left))
            if piece > 0 { result.append(UnsafeMutableRawBufferPointer(rebasing: buffer[used..<used + piece])) }
            used += piece
            left -= UInt64(piece)
            if used == buffer.count {
                index += 1
                used = 0
            }
        }
        return result
    }
}

extension [UnsafeMutableRawBufferPointer] {
    func fillWithZeroes() {
        for buffer in self where !buffer.isEmpty { buffer.initializeMemory(as: UInt8.self, repeating: 0) }
    }

    /// Scatters `bytes`, which is as long as all of the buffers.
    func fill(from bytes: UnsafeRawBufferPointer) {
        var done = 0
        for buffer in self {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[done..<done + buffer.count]))
            done += buffer.count
        }
    }

    /// True when every byte is zero.
    var isZero: Bool { allSatisfy { UnsafeRawBufferPointer($0).isZero } }
}

extension UnsafeRawBufferPointer {
    /// True when every byte is zero. Looks at the first bytes before it compares the rest with them.
    package var isZero: Bool {
        guard let base = baseAddress, count > 0 else { return true }
        let head = Swift.min(count, 16)
        for index in 0..<head where self[index] != 0 { return false }
        return count <= head || memcmp(base, base + head, count - head) == 0
    }
}
