import EmuBus

/// One request of the block device, taken apart and checked (virtio 1.2, 5.2.6).
struct VirtioBlockRequest {
    enum Status: UInt8 {
        case ok = 0
        case ioError = 1
        case unsupported = 2
    }

    enum Action {
        /// Do this on the disk; `fills` is guest memory the disk writes into.
        case disk(BlockOperation, fills: GuestBuffer?)
        case identify(GuestBuffer)
        case refuse(Status)
    }

    private enum Kind {
        static let read: UInt32 = 0
        static let write: UInt32 = 1
        static let flush: UInt32 = 4
        /// The name flush had in legacy drivers.
        static let flushOut: UInt32 = 5
        static let identify: UInt32 = 8
        static let discard: UInt32 = 11
        static let writeZeroes: UInt32 = 13
    }

    private static let headerSize = 16
    private static let rangeSize = 16
    /// Bytes of a serial number.
    static let serialSize = 20
    private static let unmapFlag: UInt32 = 1

    let chain: DescriptorChain
    let action: Action
    /// Bytes before the status that success fills.
    private let filled: Int

    /// nil when the request lacks a header or a place for its status, so that it cannot even be refused.
    init?(_ chain: DescriptorChain, disk: any BlockBackend, offersRanges: Bool) {
        guard let kind: UInt32 = chain.readable.load(at: 0), let sector: UInt64 = chain.readable.load(at: 8),
              chain.writable.count >= 1 else { return nil }
        self.chain = chain
        let output = chain.readable.slice(Self.headerSize, chain.readable.count)
        let input = chain.writable.slice(0, chain.writable.count - 1)
        filled = kind == Kind.read ? input.count : kind == Kind.identify ? min(input.count, Self.serialSize) : 0
        switch kind {
        case Kind.read:
            action = Self.transfer(sector, input, disk) { .disk(.read(offset: $0, into: input.hostBuffers), fills: input) }
        case Kind.write where disk.isReadOnly, Kind.discard where disk.isReadOnly, Kind.writeZeroes where disk.isReadOnly:
            action = .refuse(.ioError)
        case Kind.write:
            action = Self.transfer(sector, output, disk) { .disk(.write(offset: $0, from: output.hostBuffers), fills: nil) }
        case Kind.flush, Kind.flushOut:
            action = .disk(.flush, fills: nil)
        case Kind.identify:
            action = .identify(input)
        case Kind.discard where offersRanges:
            action = Self.range(output, disk, limit: VirtioBlockConfig.maxDiscardSectors, allowed: 0) { offset, length, _ in
                .discard(offset: offset, length: length)
            }
        case Kind.writeZeroes where offersRanges:
            action = Self.range(output, disk, limit: VirtioBlockConfig.maxWriteZeroesSectors, allowed: Self.unmapFlag) {
                .writeZeroes(offset: $0, length: $1, mayUnmap: $2 & Self.unmapFlag != 0)
            }
        default:
            action = .refuse(.unsupported)
        }
    }

    /// Stores the status; returns the number of bytes the driver may count as written.
    func finish(_ status: Status) -> UInt32 {
        chain.writable.store(at: chain.writable.count - 1, status.rawValue)
        // Bytes count up to the first hole: the one a failed read leaves, or a buffer larger than the answer.
        let data = status == .ok ? filled : 0
        return UInt32(clamping: data == chain.writable.count - 1 ? chain.writable.count : data)
    }

    private static func fits(_ sector: UInt64, _ sectors: UInt64, _ disk: any BlockBackend) -> Bool {
        let capacity = disk.size / 512
        return sector <= capacity && sectors <= capacity - sector
    }

    private static func transfer(_ sector: UInt64, _ data: GuestBuffer, _ disk: any BlockBackend, _ make: (UInt64) -> Action) -> Action {
        guard data.count % 512 == 0, data.count <= Int(BlockOperation.greatestLength), fits(sector, UInt64(data.count / 512), disk) else { return .refuse(.ioError) }
        return make(sector * 512)
    }

    private static func range(
        _ data: GuestBuffer, _ disk: any BlockBackend, limit: UInt32, allowed: UInt32, _ make: (UInt64, UInt64, UInt32) -> BlockOperation
    ) -> Action {
        guard data.count == rangeSize, let sector: UInt64 = data.load(at: 0), let sectors: UInt32 = data.load(at: 8),
              let flags: UInt32 = data.load(at: 12) else { return .refuse(.ioError) }
        guard flags & ~allowed == 0 else { return .refuse(.unsupported) }
        guard sectors <= limit, fits(sector, UInt64(sectors), disk) else { return .refuse(.ioError) }
        return .disk(make(sector * 512, UInt64(sectors) * 512, flags), fills: nil)
    }
}
