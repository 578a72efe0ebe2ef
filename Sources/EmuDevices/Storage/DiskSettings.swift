import EmuBus

/// What the properties of a drive make of an image: `cache=`, `discard=`, `detect-zeroes=`.
public struct DiskSettings: Equatable, Sendable {
    public enum ZeroDetection: String, CaseIterable, Sendable {
        case off, on, unmap
    }

    /// A guest's discard reaches the image (`discard=unmap`).
    public var discards = false
    public var zeroDetection = ZeroDetection.off
    /// Every write is flushed before it completes (`cache=writethrough` and `directsync`).
    public var writesThrough = false
    /// A guest's flush does nothing (`cache=unsafe`): what it wrote may be lost with the host.
    public var ignoresFlushes = false

    public init() {}
}

/// An image as a drive's properties say it behaves.
package final class ConfiguredDisk: ImmediateDisk {
    package let image: any DiskImage
    package let settings: DiskSettings
    package var size: UInt64 { image.size }
    package var isReadOnly: Bool { image.isReadOnly }

    package init(_ image: any DiskImage, _ settings: DiskSettings) {
        self.image = image
        self.settings = settings
    }

    package func perform(_ operation: BlockOperation) throws(HostError) {
        switch operation {
        case .read: try image.perform(operation)
        case .write(let offset, let buffers):
            if settings.zeroDetection != .off, buffers.isZero {
                try image.perform(.writeZeroes(offset: offset, length: BufferCursor.length(buffers), mayUnmap: settings.zeroDetection == .unmap && settings.discards))
            } else {
                try image.perform(operation)
            }
        case .writeZeroes(let offset, let length, let mayUnmap):
            try image.perform(.writeZeroes(offset: offset, length: length, mayUnmap: mayUnmap && settings.discards))
        case .discard:
            guard settings.discards else { return }
            try image.perform(operation)
        case .flush:
            if !settings.ignoresFlushes { try image.perform(.flush) }
            return
        }
        if settings.writesThrough, case .read = operation {} else if settings.writesThrough { try image.perform(.flush) }
    }

    package func performNow(_ operation: BlockOperation) -> Bool {
        (image as? any ImmediateDisk)?.performNow(operation) ?? false
    }
}
