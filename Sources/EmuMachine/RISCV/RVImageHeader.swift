import EmuBus

/// The 64-byte header in front of a RISC-V Linux kernel image (Linux documentation, "Boot image header in RISC-V Linux").
struct RVImageHeader {
    static let size = 64

    /// Bytes the kernel occupies in memory, its zero-filled part included.
    let imageSize: UInt64

    /// nil when `start`, the first bytes of a file, is no such header.
    init?(_ start: [UInt8]) {
        guard start.count >= Self.size, start[56..<60].elementsEqual([0x52, 0x53, 0x43, 0x05]) else { return nil }
        // Little-endian kernels only: bit 0 of the flags tells big-endian ones.
        guard (start.integer(24) as UInt64) & 1 == 0 else { return nil }
        imageSize = start.integer(16)
    }

    /// Bytes of a file that `foreignKernel` looks at.
    static let foreignPrefix = 0x206

    /// What a kernel image for another processor is for, judged by its boot header; nil for everything else.
    static func foreignKernel(_ start: [UInt8]) -> String? {
        if start.count >= 60, start[56..<60].elementsEqual("ARM\u{64}".utf8) { return "AArch64" }
        if start.count >= foreignPrefix, start[0x202..<0x206].elementsEqual("HdrS".utf8) { return "x86" }
        return nil
    }
}
