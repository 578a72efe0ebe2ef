import EmuBus

/// Zkr: the entropy source behind the `seed` register (unprivileged manual, "Entropy Source").
extension RVProcessor {
    /// Bits 31:30 of a successful poll.
    private static let success: UInt64 = 2 << 30

    /// What an instruction reads from `seed`: 16 bits nobody has seen before. There are always more, so the register never makes software wait.
    func pollSeed() -> UInt64 {
        var source = config.entropySeed == nil ? EntropySource.host : .seeded(h.pointee.entropy)
        var bits: UInt16 = 0
        guard withUnsafeMutableBytes(of: &bits, { source.fill($0) }) == 2 else { return 0 }
        if case .seeded(let state) = source { h.pointee.entropy = state }
        return Self.success | UInt64(bits)
    }

    /// `privilege` may poll; only instructions that write may.
    func seedIsAccessible(writing: Bool, from privilege: UInt8) -> Bool {
        switch privilege {
        case RVPrivilege.machine: writing
        case RVPrivilege.supervisor: writing && h.pointee.mseccfg & RVSecurity.supervisorSeed != 0
        default: writing && h.pointee.mseccfg & RVSecurity.userSeed != 0
        }
    }
}
