import EmuBus
import EmuDevices

/// A drive of the command line with its image open: a `DiskQueue` over what the drive's properties make of the image.
final class OpenDrive {
    /// What devices use.
    let backend: DiskQueue
    private let image: any DiskImage
    private let overlay: SnapshotOverlay?

    /// - Parameters:
    ///   - isSnapshot: writes vanish at the end.
    ///   - wake: how the disk's threads reach the run loop; nil for a disk that keeps to guest time.
    init(_ drive: DriveConfig, isSnapshot: Bool, wake: PollWake?) throws(DiskError) {
        let image = try Self.openImage(drive, isReadOnly: drive.isReadOnly || isSnapshot)
        self.image = image
        if isSnapshot {
            let overlay = try SnapshotOverlay(over: image)
            self.overlay = overlay
            backend = DiskQueue(overlay, wake: wake)
        } else {
            overlay = nil
            backend = DiskQueue(ConfiguredDisk(image, drive.settings), wake: wake, threads: image.allowsConcurrency ? Self.threads : 1)
        }
    }

    /// Operations under way at once, where the format allows it.
    private static let threads = 4

    private static func openImage(_ drive: DriveConfig, isReadOnly: Bool) throws(DiskError) -> any DiskImage {
        var options = ImageOptions()
        options.access = ImageAccess(isReadOnly: isReadOnly, isLocked: drive.isLocked, isDirect: drive.isDirect)
        options.format = drive.format
        options.passesDiscards = drive.settings.discards
        options.lazyRefcounts = drive.lazyRefcounts
        switch drive.backing {
        case .own: break
        case .none: options.opensBacking = false
        case .drive(let below): options.backing = try openImage(below, isReadOnly: true)
        }
        return try DiskImages.open(drive.file, options)
    }

    /// Brings what the guest wrote to the host's disk, and leaves the image as after a proper end.
    func close() throws(HostError) {
        backend.drain()
        if backend.isReadOnly || overlay != nil { return }
        try image.close()
    }

    /// Writes what a `snapshot=on` drive has changed to its image.
    func commit() throws(DiskError) {
        backend.drain()
        try overlay?.commit()
    }
}
