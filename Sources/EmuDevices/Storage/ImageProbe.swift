import EmuBus
import Glibc

/// Tells a disk image's format by its first bytes, and opens images with what lies below them.
package enum ImageProbe {
    /// Bytes that decide.
    package static let prefixLength = 4

    package static func format(ofStart start: [UInt8]) -> DiskFormat {
        start.starts(with: Qcow2Header.signature) ? .qcow2 : .raw
    }
}

/// How the chain of an image is opened.
package struct ImageOptions {
    package var access = ImageAccess()
    /// nil: found out by the contents.
    package var format: DiskFormat?
    /// Open what the image names as its backing file. Off for tools that only look at the image itself.
    package var opensBacking = true
    /// qcow2: give the space of clusters the guest discards back to the host.
    package var passesDiscards = false
    /// qcow2: overrides the image's own lazy-refcounts setting.
    package var lazyRefcounts: Bool?
    /// What to use instead of the backing file the image names.
    package var backing: (any DiskImage)?

    package init() {}
}

package enum DiskImages {
    /// Longest chain of backing files.
    private static let depthLimit = 100

    /// Opens the image at `path` and the images below it, which are only read.
    /// - Throws: `DiskError` naming the file and what to do.
    package static func open(_ path: String, _ options: ImageOptions = ImageOptions()) throws(DiskError) -> any DiskImage {
        var above: [FileIdentity] = []
        return try open(path, options, &above)
    }

    /// Puts a format on an open file.
    package static func image(
        on file: any ImageFile, path: String, _ options: ImageOptions, backing: (any DiskImage)? = nil
    ) throws(DiskError) -> any DiskImage {
        let format: DiskFormat
        if let given = options.format { format = given } else { format = try probe(file) }
        switch format {
        case .raw:
            return try RawImage(file, path: path, isReadOnly: options.access.isReadOnly, isProbed: options.format == nil)
        case .qcow2:
            return try Qcow2Image(
                file, path: path, isReadOnly: options.access.isReadOnly, backing: backing, passesDiscards: options.passesDiscards,
                lazyRefcounts: options.lazyRefcounts)
        }
    }

    package static func probe(_ file: any ImageFile) throws(DiskError) -> DiskFormat {
        do throws(HostError) {
            return ImageProbe.format(ofStart: try file.bytes(at: 0, ImageProbe.prefixLength))
        } catch { throw DiskError("\(error)") }
    }

    /// Tells files apart whatever their names.
    private struct FileIdentity: Equatable {
        let device: UInt64
        let number: UInt64

        /// nil when there is no such file.
        init?(_ path: String) {
            var information = stat()
            guard stat(path, &information) == 0 else { return nil }
            device = UInt64(information.st_dev)
            number = UInt64(information.st_ino)
        }
    }

    private static func open(_ path: String, _ options: ImageOptions, _ above: inout [FileIdentity]) throws(DiskError) -> any DiskImage {
        guard above.count < depthLimit else { throw DiskError("disk '\(path)': more than \(depthLimit) backing files below each other") }
        let plain = try localPath(path)
        // Before it is opened: it would be found locked, by ourselves.
        let identity = FileIdentity(plain)
        guard identity.map(above.contains) != true else {
            throw DiskError("disk '\(path)' is its own backing file, directly or by way of others; give one of them another with 'qemu-img rebase -u'")
        }
        let file = try HostFile.openImage(plain, options.access)
        if let identity { above.append(identity) }
        var options = options
        let isProbed = options.format == nil
        let format: DiskFormat
        if let given = options.format { format = given } else { format = try probe(file) }
        var backing = options.backing
        if format == .qcow2, backing == nil, options.opensBacking {
            let header = try Qcow2Header(file)
            if let name = header.backingFile {
                var below = ImageOptions()
                below.access = ImageAccess(isReadOnly: true, isLocked: options.access.isLocked, isDirect: options.access.isDirect)
                if let formatName = header.backingFormat {
                    guard let known = DiskFormat(rawValue: formatName) else {
                        throw DiskError("disk '\(path)': its backing file '\(name)' has the format '\(formatName)', which is not raw or qcow2; convert it first")
                    }
                    below.format = known
                }
                do throws(DiskError) {
                    backing = try open(resolve(name, besides: plain), below, &above)
                } catch {
                    throw DiskError("backing file of '\(path)': \(error)")
                }
            }
        }
        options.format = isProbed && format == .raw ? nil : format
        return try image(on: file, path: plain, options, backing: backing)
    }

    /// Where the backing file `name` of the image at `path` lies: relative names count from the image.
    package static func resolve(_ name: String, besides path: String) -> String {
        guard !name.hasPrefix("/"), !name.hasPrefix("file:"), let slash = path.lastIndex(of: "/") else { return name }
        return path[...slash] + name
    }

    /// Takes the `file:` off; refuses what names no file of the host.
    private static func localPath(_ path: String) throws(DiskError) -> String {
        if path.hasPrefix("file:") { return String(path.dropFirst(5)) }
        for scheme in ["json:", "nbd:", "nbd+", "http:", "https:", "ftp:", "ssh:", "rbd:", "iscsi:", "gluster", "blkdebug:", "fat:"]
        where path.hasPrefix(scheme) && access(path, F_OK) != 0 {
            throw DiskError("'\(path)': disks are files and block devices of this host; '\(scheme)' is not supported")
        }
        return path
    }
}
