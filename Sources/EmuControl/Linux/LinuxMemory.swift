/// A Linux guest's memory: kernel addresses by the kernel's own page table, others by that of a process. Reading changes nothing.
struct LinuxMemory: FrameMemory {
    let session: DebugSession
    let hart: any LinuxHart
    /// What the translation register holds for the kernel's page table.
    let kernelSpace: UInt64
    /// The same for a process, nil when none is meant.
    var userSpace: UInt64?

    /// What one question may copy.
    private static let greatestCopy = 256 << 20

    private func space(_ address: UInt64) -> UInt64? { hart.isKernelAddress(address) ? kernelSpace : userSpace }

    func bytes(_ address: UInt64, _ count: Int) -> [UInt8]? {
        guard (0...Self.greatestCopy).contains(count), let space = space(address) else { return nil }
        return try? session.readMemory(address, count, .space(space))
    }

    func read(_ address: UInt64, size: Int) -> UInt64? {
        guard let space = space(address) else { return nil }
        return try? session.readNumber(address, size, .space(space))
    }

    /// The bytes before the first NUL, at most `limit`; nil when the first cannot be read.
    func text(_ address: UInt64, limit: Int) -> [UInt8]? {
        guard let space = space(address) else { return nil }
        return try? session.readString(address, limit: limit, .space(space))
    }

    /// The same memory with a process's beside the kernel's.
    func with(userSpace: UInt64?) -> LinuxMemory {
        var copy = self
        copy.userSpace = userSpace
        return copy
    }
}
