import EmuBus
import Glibc

/// What a file given without an option is, as its contents say.
public enum FileKind: Equatable, Sendable {
    /// An ELF file, of whatever kind; loading it says what is wrong with it.
    case program
    /// A kernel in a format of its own, possibly compressed with gzip.
    case kernel
    /// A disk image; what it holds, as in "it is …".
    case disk(String)
    /// Something else; what it is, as in "it is …", and what to do with it.
    case other(String, advice: String)
    case unknown

    /// Finds out what the file at `path` is.
    /// - Throws: `ImageError` when it cannot be read.
    public static func recognise(_ path: String) throws(ImageError) -> FileKind {
        var status = stat()
        if stat(path, &status) == 0 {
            switch status.st_mode & S_IFMT {
            case S_IFBLK: return .disk("a block device")
            case S_IFREG, S_IFDIR: break
            // What is read from it to see what it is could not be read again.
            default: return .other("a pipe or device", advice: "say what comes out of it with -kernel, -bios or -initrd")
            }
        }
        let source = try FileSource.open(path, limit: 1 << 30)
        return try recognise(source)
    }

    static func recognise(_ source: any ByteSource) throws(ImageError) -> FileKind {
        let start = try source.prefix(prefixLength)
        if start.isEmpty { return .other("empty", advice: "nothing can be run from it") }
        if Gzip.isGzip(start) {
            let inside = kind(ofStart: try Gzip.decompress(source, limit: .max, first: prefixLength))
            switch inside {
            case .program, .kernel: return inside
            case .other("an initial ramdisk", let advice): return .other("an initial ramdisk", advice: advice)
            default: return .other("compressed with gzip", advice: "decompress it first (gunzip)")
            }
        }
        let found = kind(ofStart: start)
        if found == .unknown, start.allSatisfy({ $0 == 0 }), source.count >= 1 << 20, source.count % 512 == 0 {
            return .disk("a blank disk image")
        }
        return found
    }

    // MARK: Signatures

    /// Enough for the signature that lies deepest (btrfs).
    static let prefixLength = 0x10100

    private struct Signature {
        let offset: Int
        let bytes: [UInt8]
        let kind: FileKind

        init(_ offset: Int, _ bytes: [UInt8], _ kind: FileKind) {
            self.offset = offset
            self.bytes = bytes
            self.kind = kind
        }

        init(_ offset: Int, _ text: String, _ kind: FileKind) { self.init(offset, Array(text.utf8), kind) }

        func matches(_ start: [UInt8]) -> Bool { start.dropFirst(offset).starts(with: bytes) }
    }

    /// In order: what can be mistaken for something below it comes first.
    private static let signatures: [Signature] = [
        Signature(0, [0x7f, 0x45, 0x4c, 0x46], .program),
        Signature(0, [0x27, 0x05, 0x19, 0x56], .kernel),  // U-Boot's uImage
        Signature(0, [0xd0, 0x0d, 0xfe, 0xed], .other("a device tree", advice: "give it with -dtb")),
        Signature(0, "07070", .other("an initial ramdisk", advice: "give it with -initrd, and a kernel with -kernel")),
        Signature(0, "!<arch>\n", .other("a library", advice: "link a program first")),
        Signature(0, "#!", .other("a script", advice: "it has to be run inside a guest")),
        Signature(0, [0x28, 0xb5, 0x2f, 0xfd], .other("compressed with zstd", advice: "decompress it first (zstd -d)")),
        Signature(0, [0xfd, 0x37, 0x7a, 0x58, 0x5a], .other("compressed with xz", advice: "decompress it first (xz -d)")),
        Signature(0, "BZh", .other("compressed with bzip2", advice: "decompress it first (bunzip2)")),
        Signature(0, "QFI\u{fb}".unicodeScalars.map { UInt8($0.value) }, .disk("a qcow2 disk image")),
        Signature(0, "KDMV", .other("a VMDK disk image", advice: rawAdvice)),
        Signature(0, "vhdxfile", .other("a VHDX disk image", advice: rawAdvice)),
        Signature(0, "conectix", .other("a VHD disk image", advice: rawAdvice)),
        Signature(0x40, [0x7f, 0x10, 0xda, 0xbe], .other("a VDI disk image", advice: rawAdvice)),
        Signature(0x200, "EFI PART", .disk("a disk image with a GPT partition table")),
        Signature(0x8001, "CD001", .disk("an ISO 9660 image")),
        Signature(0x1fe, [0x55, 0xaa], .disk("a disk image with a partition table or boot sector")),
        Signature(0x438, [0x53, 0xef], .disk("an ext2, ext3 or ext4 file system")),
        Signature(0x10040, "_BHRfS_M", .disk("a btrfs file system")),
        Signature(0, "XFSB", .disk("an XFS file system")),
        Signature(0, "hsqs", .disk("a squashfs file system")),
        Signature(0x400, [0x10, 0x20, 0xf5, 0xf2], .disk("an F2FS file system")),
        Signature(0, "MZ", .other("an EFI application", advice: "boot it from a disk with EFI firmware")),
    ]

    private static let rawAdvice = "only raw and qcow2 images can be used; convert it first (qemu-img convert -O qcow2)"

    private static func kind(ofStart start: [UInt8]) -> FileKind {
        // A kernel with an EFI stub also begins like an EFI application.
        if RVImageHeader(start) != nil { return .kernel }
        return signatures.first { $0.matches(start) }?.kind ?? .unknown
    }
}
