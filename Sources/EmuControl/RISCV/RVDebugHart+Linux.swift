import EmuCPU

/// Linux on RISC-V (arch/riscv of its source, and Documentation/arch/riscv/vm-layout.rst).
extension RVDebugHart: LinuxHart {
    var kernelHint: (address: UInt64, space: UInt64)? {
        let satp = cpu.inspectCSR(.satp), vector = cpu.inspectCSR(.stvec) & ~3
        // Firmware's and boot loaders' vectors are physical addresses.
        guard satp != 0, isKernelAddress(vector) else { return nil }
        return (vector, satp)
    }

    func isKernelAddress(_ address: UInt64) -> Bool { address >> 63 != 0 }

    /// The last 2 GiB: KERNEL_LINK_ADDR.
    var kernelLinkAddress: UInt64 { 0xffff_ffff_8000_0000 }

    func space(rootTable: UInt64, like other: UInt64) -> UInt64 { other & 0xf << 60 | rootTable >> 12 & (1 << 44 - 1) }

    /// tp. User programs have that for themselves; from their return to the first instructions of a trap it waits in sscratch, which the kernel
    /// clears for the time it executes.
    var currentTask: UInt64? {
        guard cpu.privilege < 3, !cpu.isGuest else { return nil }
        let scratch = cpu.inspectCSR(.sscratch)
        return cpu.privilege == 0 || isKernelAddress(scratch) ? scratch : cpu.x[4]
    }
    var isInUserMode: Bool { cpu.privilege == 0 }

    var savedProgramCounter: String { "thread.ra" }
    /// What `__switch_to` stores: sp, and s0 to s11.
    var savedRegisters: [(member: String, register: Int)] {
        [("thread.sp", 2), ("thread.s[0]", 8), ("thread.s[1]", 9)] + (2..<12).map { ("thread.s[\($0)]", 16 + $0) }
    }
    var hartNumbersSymbol: String { "__cpuid_to_hartid_map" }

    func isUserSystemCall(cause: UInt64) -> Bool { cause == 8 }
    func isReturnToUser(from: UInt8, to: UInt8) -> Bool { from == 1 && to == 0 }
    // SAFETY: x10 to x15 are among the 33 slots behind `x`.
    var systemCallArguments: [UInt64] { (10...15).map { cpu.x[$0] } }
    var systemCallResult: UInt64 { cpu.x[10] }
    var systemCallLength: UInt64 { 4 }
}
