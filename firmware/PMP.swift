/// Address-matching modes and permissions of one pmpcfg byte.
private enum PMPConfig {
    static let all: UInt64 = 0b111
    static let napot: UInt64 = 3 << 3
}

/// Keeps S and U mode out of the firmware: entry 0 matches its region and permits nothing, entry 1 matches everything
/// else and permits all. Machine mode is not restricted, as neither entry is locked.
func configurePMP(_ features: HartFeatures) {
    guard features.hasPMP else { return }
    let region = platform.pointee.firmwareRegion
    write_pmpaddr0(region.start >> 2 | (region.size >> 3) &- 1)
    write_pmpaddr1(.max)
    write_pmpcfg0(PMPConfig.napot | (PMPConfig.napot | PMPConfig.all) << 8)
    // Address translation caches may hold the old permissions.
    sfence_vma_all()
}
