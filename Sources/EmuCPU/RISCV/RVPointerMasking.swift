/// Smmpm, Smnpm and Ssnpm: the upper bits of an address that loads and stores ignore (privileged manual, "Pointer Masking Extensions").
///
/// A TLB entry is tagged with the whole address, ignored bits included, and stands for the page of the address without them: pointers
/// that differ there have entries of their own, and an access that hits asks nothing.
extension RVProcessor {
    /// The address that an explicit access of `address` through a view with `key` goes to.
    @inline(__always)
    func withoutIgnoredBits(_ address: UInt64, _ key: TLBViewKey) -> UInt64 {
        key.rights & RVRights.pointerMask == 0 ? address : ignoringBits(address, key)
    }

    @inline(never)
    private func ignoringBits(_ address: UInt64, _ key: TLBViewKey) -> UInt64 {
        // PMM is 2 for XLEN - 57 bits and 3 for XLEN - 48.
        let ignored: UInt64 = key.rights & RVRights.pointerMask == RVRights.pointerMask ? 16 : 7
        // Virtual addresses are extended by sign, physical ones by zeros.
        return key.space == 0
            ? (address &<< ignored) &>> ignored : UInt64(bitPattern: Int64(bitPattern: address &<< ignored) &>> Int64(bitPattern: ignored))
    }

    /// The address that an explicit access of `address` goes to as the hart stands.
    func effectiveAddress(_ address: UInt64) -> UInt64 { withoutIgnoredBits(address, h.pointee.dataView.pointee.key) }

    /// What a trap by a load or store of `address` reports.
    func reported(_ cause: UInt64, _ address: UInt64) -> UInt64 {
        switch cause {
        case RVCause.loadMisaligned, RVCause.loadAccess, RVCause.storeMisaligned, RVCause.storeAccess, RVCause.loadPage, RVCause.storePage:
            effectiveAddress(address)
        default: address
        }
    }
}
