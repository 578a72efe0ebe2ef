/// SBI chapter 4.
func handleBase(_ call: SBICall) -> SBIResult {
    switch call.function {
    case 0: .success(SBIVersion.specification)
    case 1: .success(SBIVersion.implementation)
    case 2: .success(SBIVersion.release)
    case 3: .success(SBIExtension.isAvailable(call.argument(0) & 0xffff_ffff, call.hart) ? 1 : 0)
    case 4: .success(read_mvendorid())
    case 5: .success(read_marchid())
    case 6: .success(read_mimpid())
    default: .failure(.notSupported)
    }
}

enum SBIVersion {
    /// 3.0: major in bits 30:24, minor in bits 23:0.
    static let specification: UInt64 = 3 << 24
    /// "EMU" in ASCII. The ids the specification lists (0 to 11 so far) belong to others and are handed out in sequence,
    /// so a number far from them cannot be mistaken for another firmware.
    static let implementation: UInt64 = 0x45_4d55
    /// Major in bits 31:16, minor in bits 15:0.
    static let release: UInt64 = 0 << 16 | 1
}
