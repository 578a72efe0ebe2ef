import EmuBus

/// The formats a disk image can have.
public enum DiskFormat: String, CaseIterable, Sendable {
    case raw, qcow2
}

/// Where a run of a disk's bytes comes from.
package struct DiskExtent: Equatable {
    package enum Kind: Equatable {
        /// Not in this image: in its backing image, or zeroes.
        case unallocated
        /// Known to read as zeroes.
        case zero
        case data
        case compressed
    }

    package var kind: Kind
    package var length: UInt64
    /// Where in the image's file the bytes lie one to one; nil when they do not.
    package var fileOffset: UInt64?

    package init(kind: Kind, length: UInt64, fileOffset: UInt64? = nil) {
        self.kind = kind
        self.length = length
        self.fileOffset = fileOffset
    }
}

/// A disk kept in an image file of some format, possibly over a backing image.
///
/// `perform` may be called from any thread; an image whose `allowsConcurrency` is false does one operation after another.
package protocol DiskImage: BlockBackend {
    var format: DiskFormat { get }
    /// As the user, or the image above, named it.
    var path: String { get }
    var allowsConcurrency: Bool { get }
    /// What unallocated ranges show.
    var backing: (any DiskImage)? { get }
    /// The bytes it is kept in.
    var file: any ImageFile { get }

    /// What the run that starts at `offset` is in this image alone. `limit`: bytes of interest, at least 1.
    func extent(at offset: UInt64, limit: UInt64) throws(HostError) -> DiskExtent
    /// Brings everything to the disk and leaves the file as a program that ended well does.
    func close() throws(HostError)
    /// The same image, open for writing through `file`, which names the same bytes.
    func writable(through file: any ImageFile) throws(DiskError) -> any DiskImage
    /// Forgets what it remembers of its file, which somebody else has written.
    func reload() throws(DiskError)
}

extension DiskImage {
    package var backing: (any DiskImage)? { nil }

    /// This image and those below it, top first.
    package var chain: [any DiskImage] {
        var result: [any DiskImage] = [self]
        while let next = result[result.count - 1].backing { result.append(next) }
        return result
    }

    /// What the run that starts at `offset` is in the whole chain: where in `chain` it is decided, and as what.
    /// Runs that no image has are the last image's, and read as zeroes.
    package func resolvedExtent(at offset: UInt64, limit: UInt64) throws(HostError) -> (depth: Int, extent: DiskExtent) {
        var left = limit
        let chain = chain
        for (depth, image) in chain.enumerated() {
            // An image shorter than the one above it: zeroes follow, as if it had been long enough.
            guard offset < image.size else { return (depth, DiskExtent(kind: .unallocated, length: left)) }
            let extent = try image.extent(at: offset, limit: min(left, image.size - offset))
            left = min(left, extent.length)
            if extent.kind != .unallocated || depth == chain.count - 1 {
                return (depth, DiskExtent(kind: extent.kind, length: left, fileOffset: extent.fileOffset))
            }
        }
        return (0, DiskExtent(kind: .unallocated, length: left))
    }
}
