/// FWFT, SBI chapter "Firmware Features": switches of the hart that S mode may turn. All of them are local to a hart.
func handleFirmwareFeatures(_ call: SBICall) -> SBIResult {
    let number = call.argument(0) & 0xffff_ffff
    guard call.function < 2 else { return .failure(.notSupported) }
    // What is reserved, or another platform's.
    guard let feature = FirmwareFeature(rawValue: number) else { return .failure(.denied) }
    guard feature.isSupported else { return .failure(.notSupported) }
    if call.function == 1 { return .success(feature.value) }
    let value = call.argument(1), flags = call.argument(2)
    guard flags & ~1 == 0, let bits = feature.bits(value) else { return .failure(.invalidParameter) }
    let lock: UInt64 = 1 << number
    if call.hart.pointee.lockedFeatures & lock != 0 { return .failure(.deniedLocked) }
    feature.set(bits)
    if flags & 1 != 0 { call.hart.pointee.lockedFeatures |= lock }
    return .success
}

/// Features as the specification numbers them.
enum FirmwareFeature: UInt64 {
    case misalignedDelegation = 0
    case landingPad, shadowStack, doubleTrap, hardwareAccessedDirty, pointerMasking

    private static let misaligned: UInt64 = 1 << Exception.loadMisaligned | 1 << Exception.storeMisaligned

    /// The bits it is in: of medeleg for the first, of menvcfg for the others.
    private var mask: UInt64 {
        switch self {
        case .misalignedDelegation: FirmwareFeature.misaligned
        case .landingPad: EnvironmentConfig.landingPad
        case .shadowStack: EnvironmentConfig.shadowStack
        case .doubleTrap: EnvironmentConfig.doubleTrap
        case .hardwareAccessedDirty: EnvironmentConfig.hardwareAccessedDirty
        case .pointerMasking: EnvironmentConfig.pointerMask
        }
    }

    /// The hart has it: its bits can be set.
    var isSupported: Bool {
        if self == .misalignedDelegation { return true }
        guard has_menvcfg() else { return false }
        let old = read_menvcfg()
        write_menvcfg(old | mask)
        let found = read_menvcfg() & mask
        write_menvcfg(old)
        return found != 0
    }

    var value: UInt64 {
        if self == .misalignedDelegation { return read_medeleg() & mask == mask ? 1 : 0 }
        let bits = read_menvcfg() & mask
        guard self == .pointerMasking else { return bits != 0 ? 1 : 0 }
        return bits == EnvironmentConfig.pointerMask7 ? 7 : bits == EnvironmentConfig.pointerMask16 ? 16 : 0
    }

    /// What to set for a value; nil for one there is not.
    func bits(_ value: UInt64) -> UInt64? {
        switch value {
        case 0: 0
        case 1 where self != .pointerMasking: mask
        case 7 where self == .pointerMasking: EnvironmentConfig.pointerMask7
        case 16 where self == .pointerMasking: EnvironmentConfig.pointerMask16
        default: nil
        }
    }

    func set(_ bits: UInt64) {
        if self == .misalignedDelegation {
            write_medeleg(read_medeleg() & ~mask | bits)
        } else {
            write_menvcfg(read_menvcfg() & ~mask | bits)
            // Page-table entries may mean something else now.
            sfence_vma_all()
        }
    }
}

/// A hart that starts finds every feature at its reset value, and none locked.
func resetFirmwareFeatures(_ hart: HartPointer) {
    hart.pointee.lockedFeatures = 0
    FirmwareFeature.misalignedDelegation.set(0)
    guard has_menvcfg() else { return }
    clear_menvcfg(EnvironmentConfig.landingPad | EnvironmentConfig.shadowStack | EnvironmentConfig.doubleTrap | EnvironmentConfig.pointerMask)
    if !platform.pointee.hardwareUpdatesAccessedDirty { clear_menvcfg(EnvironmentConfig.hardwareAccessedDirty) }
}
