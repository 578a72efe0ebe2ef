import EmuBus
import Foundation

/// How the four bytes of a pixel lie in memory (virtio 1.2, 5.7.6.7, `virtio_gpu_formats`).
enum PixelFormat: UInt32, Codable, Sendable {
    case b8g8r8a8 = 1, b8g8r8x8 = 2, a8r8g8b8 = 3, x8r8g8b8 = 4, r8g8b8a8 = 67, x8b8g8r8 = 68, a8b8g8r8 = 121, r8g8b8x8 = 134

    /// Of a pixel.
    static let bytes = 4

    /// Offsets of red, green and blue.
    var colours: (red: Int, green: Int, blue: Int) {
        switch self {
        case .b8g8r8a8, .b8g8r8x8: (2, 1, 0)
        case .a8r8g8b8, .x8r8g8b8: (1, 2, 3)
        case .r8g8b8a8, .r8g8b8x8: (0, 1, 2)
        case .x8b8g8r8, .a8b8g8r8: (3, 2, 1)
        }
    }
}

/// Guest memory behind a resource, in pieces.
struct GPUBacking: Codable, Equatable, Sendable {
    private let addresses: [UInt64]
    /// Offset of each piece, and of the end.
    private let starts: [UInt64]

    /// nil when not all of it is memory.
    init?(_ ranges: [(address: UInt64, length: UInt32)], _ memory: DMASpace) {
        guard ranges.allSatisfy({ memory.isMemory($0.address, UInt64($0.length), isWrite: false) }) else { return nil }
        addresses = ranges.map(\.address)
        starts = ranges.reduce(into: [0]) { $0.append($0[$0.count - 1] + UInt64($1.length)) }
    }

    /// A saved one that makes sense: as many pieces as offsets say, one after the other.
    var isPossible: Bool { starts.count == addresses.count + 1 && starts.first == 0 && zip(starts, starts.dropFirst()).allSatisfy { $0 <= $1 } }

    /// Bytes in all pieces.
    var count: UInt64 { starts[starts.count - 1] }

    /// Copies bytes from `offset` on into `target`; false when they are not all there.
    func copyOut(at offset: UInt64, into target: UnsafeMutableRawBufferPointer, _ memory: DMASpace) -> Bool {
        guard offset <= count, UInt64(target.count) <= count - offset else { return false }
        // The last piece that begins at or before the offset.
        var low = 0, high = addresses.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= offset { low = middle } else { high = middle }
        }
        var position = offset, copied = 0
        while copied < target.count {
            let length = min(target.count - copied, Int(starts[low + 1] - position))
            let piece = UnsafeMutableRawBufferPointer(rebasing: target[copied..<copied + length])
            guard memory.read(addresses[low] &+ (position - starts[low]), into: piece) else { return false }
            copied += length
            position += UInt64(length)
            low += 1
        }
        return true
    }
}

/// A picture in the host's memory that the driver fills from its own.
final class GPUResource {
    struct State: Codable, Equatable, Sendable {
        var id: UInt32
        var format: PixelFormat
        var width: UInt32
        var height: UInt32
        var pixels: Data
        var backing: GPUBacking?
    }

    private let id: UInt32
    private let format: PixelFormat
    let width: UInt32
    let height: UInt32
    /// Rows from the top, four bytes a pixel in `format`.
    private(set) var pixels: [UInt8]
    var backing: GPUBacking?

    /// The caller has checked that there is memory for it.
    init(_ id: UInt32, _ format: PixelFormat, width: UInt32, height: UInt32) {
        self.id = id
        self.format = format
        self.width = width
        self.height = height
        pixels = [UInt8](repeating: 0, count: Int(width) * Int(height) * PixelFormat.bytes)
    }

    /// nil for a saved one that does not hold together.
    init?(_ saved: State) {
        guard saved.width > 0, saved.height > 0, UInt64(saved.width) * UInt64(saved.height) <= UInt64(VirtioGPU.memoryLimit / PixelFormat.bytes),
              saved.pixels.count == Int(saved.width) * Int(saved.height) * PixelFormat.bytes, saved.backing?.isPossible ?? true else { return nil }
        id = saved.id
        format = saved.format
        width = saved.width
        height = saved.height
        pixels = Array(saved.pixels)
        backing = saved.backing
    }

    var state: State { State(id: id, format: format, width: width, height: height, pixels: Data(pixels), backing: backing) }

    func contains(_ area: GPURectangle) -> Bool {
        area.x <= width && area.y <= height && area.width <= width - area.x && area.height <= height - area.y
    }

    /// Copies an area, which lies inside, out of guest memory where the picture's rows follow each other and the area begins at `offset`.
    func fill(_ area: GPURectangle, from backing: GPUBacking, at offset: UInt64, _ memory: DMASpace) -> Bool {
        let stride = Int(width) * PixelFormat.bytes
        let length = Int(area.width) * PixelFormat.bytes
        let start = Int(area.y) * stride + Int(area.x) * PixelFormat.bytes
        guard length > 0, area.height > 0 else { return true }
        // Whole rows follow each other here, too.
        let (rows, size) = length == stride ? (1, length * Int(area.height)) : (Int(area.height), length)
        return pixels.withUnsafeMutableBytes { pixels in
            for row in 0..<rows {
                let (source, isTooFar) = offset.addingReportingOverflow(UInt64(row * stride))
                let target = UnsafeMutableRawBufferPointer(rebasing: pixels[start + row * stride..<start + row * stride + size])
                guard !isTooFar, backing.copyOut(at: source, into: target, memory) else { return false }
            }
            return true
        }
    }

    /// An area, which lies inside, as a picture.
    func picture(of area: GPURectangle) -> Picture {
        let colours = format.colours
        var picture = Picture(width: Int(area.width), height: Int(area.height))
        pixels.withUnsafeBytes { pixels in
            for y in 0..<Int(area.height) {
                var source = ((Int(area.y) + y) * Int(width) + Int(area.x)) * PixelFormat.bytes
                for x in 0..<Int(area.width) {
                    picture.set(x, y, red: pixels[source + colours.red], green: pixels[source + colours.green], blue: pixels[source + colours.blue])
                    source += PixelFormat.bytes
                }
            }
        }
        return picture
    }
}
