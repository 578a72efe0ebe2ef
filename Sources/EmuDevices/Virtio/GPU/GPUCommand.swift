import EmuBus

/// A rectangle of pixels.
struct GPURectangle: Codable, Equatable, Sendable {
    var x: UInt32, y: UInt32, width: UInt32, height: UInt32
}

/// One request of the GPU's driver and the way responses look (virtio 1.2, 5.7.6.7). Nothing in it is checked but that it is there.
struct GPUCommand {
    enum Kind: UInt32 {
        case getDisplayInfo = 0x100, createResource, unrefResource, setScanout, flushResource, transferToHost, attachBacking, detachBacking
        case getEDID = 0x10a
        case updateCursor = 0x300, moveCursor
    }

    enum Failure: UInt32 {
        case unspecified = 0x1200, outOfMemory, invalidScanout, invalidResource
        case invalidParameter = 0x1205
    }

    enum Response {
        case done
        case displayInfo(width: UInt32, height: UInt32)
        case edid([UInt8])
        case error(Failure)
    }

    private static let headerSize = 24
    private static let fenceFlag: UInt32 = 1
    private static let maximumScanouts = 16, edidSize = 1024
    /// Most pieces the memory behind a resource may be in: a page each for the largest one drivers ask for.
    private static let rangeLimit: UInt32 = 16384

    let type: UInt32
    /// nil for what the 2D mode does not have.
    var kind: Kind? { Kind(rawValue: type) }
    private let flags: UInt32
    private let fence: UInt64
    private let context: UInt32
    private let body: GuestBuffer

    /// nil when there is not even a header.
    init?(_ request: GuestBuffer) {
        guard let type: UInt32 = request.load(at: 0), let flags: UInt32 = request.load(at: 4), let fence: UInt64 = request.load(at: 8),
              let context: UInt32 = request.load(at: 16), request.count >= Self.headerSize else { return nil }
        self.type = type
        self.flags = flags
        self.fence = fence
        self.context = context
        body = request.slice(Self.headerSize, request.count)
    }

    /// The 32-bit field number `index` after the header; nil when the request ends before.
    func word(_ index: Int) -> UInt32? { body.load(at: 4 * index) }

    func rectangle(_ index: Int) -> GPURectangle? {
        guard let x = word(index), let y = word(index + 1), let width = word(index + 2), let height = word(index + 3) else { return nil }
        return GPURectangle(x: x, y: y, width: width, height: height)
    }

    /// The pieces of memory listed after the fields of an attachment.
    func memoryRanges(_ count: UInt32) -> [(address: UInt64, length: UInt32)]? {
        guard count <= Self.rangeLimit, body.count >= 8 + 16 * Int(count) else { return nil }
        let bytes = body.bytes(at: 8, 16 * Int(count))
        return bytes.withUnsafeBytes { list in
            (0..<Int(count)).map {
                (UInt64(littleEndian: list.loadUnaligned(fromByteOffset: 16 * $0, as: UInt64.self)),
                 UInt32(littleEndian: list.loadUnaligned(fromByteOffset: 16 * $0 + 8, as: UInt32.self)))
            }
        }
    }

    func encode(_ response: Response) -> [UInt8] {
        var writer = ConfigWriter()
        let type: UInt32 = switch response {
        case .done: 0x1100
        case .displayInfo: 0x1101
        case .edid: 0x1104
        case .error(let failure): failure.rawValue
        }
        let isFenced = flags & Self.fenceFlag != 0
        writer.put(type)
        writer.put(isFenced ? Self.fenceFlag : 0)
        writer.put(isFenced ? fence : 0)
        writer.put(context)
        writer.put(UInt32(0))
        switch response {
        case .done, .error: break
        case .displayInfo(let width, let height):
            for word in [0, 0, width, height, 1, 0] { writer.put(word) }
            for _ in 0..<6 * (Self.maximumScanouts - 1) { writer.put(UInt32(0)) }
        case .edid(let block):
            writer.put(UInt32(block.count))
            writer.put(UInt32(0))
            for byte in block + [UInt8](repeating: 0, count: Self.edidSize - block.count) { writer.put(byte) }
        }
        return writer.bytes
    }
}
