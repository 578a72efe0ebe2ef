import EmuBus

/// Semihosting calls (RISC-V Semihosting, "RISC-V Semihosting Binary Interface"): an ebreak between two instructions that do nothing,
/// all of 32 bits; the operation's number in a0, its parameter in a1, the result in a0.
extension RVProcessor: SemihostingCaller {
    /// slli x0, x0, 0x1f and srai x0, x0, 7.
    private static let entry: UInt32 = 0x01f0_1013, exit: UInt32 = 0x4070_5013
    private static let a0 = 10, a1 = 11

    /// Carries out the call that the ebreak `r` makes; false when it makes none.
    @inline(never)
    func semihost(_ handler: any SemihostingHandler, _ r: DecodedOp) -> Bool {
        guard r.length == 4, h.pointee.privilege != RVPrivilege.user || handler.servesUserMode else { return false }
        let address = h.pointee.blockPC &+ UInt64(r.offset)
        guard instruction(address &- 4) == Self.entry, instruction(address &+ 4) == Self.exit else { return false }
        if let result = handler.perform(x[Self.a0], x[Self.a1], for: self) {
            x[Self.a0] = result
        } else {
            // Again from the ebreak, when `retry` is called or an interrupt is pending.
            h.pointee.pc = address
            h.pointee.waiting = true
        }
        return true
    }

    /// The 32 bits at `address`; nil where the hart may not fetch.
    private func instruction(_ address: UInt64) -> UInt32? {
        var bits: UInt32 = 0
        for half: UInt64 in 0..<2 {
            guard let physical = translate(address &+ 2 &* half, 2, .fetch), let memory = bus.codeMemory(at: physical, length: 2) else { return nil }
            // SAFETY: the bus vouches for two bytes there.
            bits |= UInt32((memory.host + Int(physical &- memory.base)).loadUnaligned(as: UInt16.self)) << (16 * UInt32(half))
        }
        return bits
    }

    /// Bytes from `address` to the end of its page, at most `count`.
    private static func inPage(_ address: UInt64, _ count: Int) -> Int { min(count, GuestRAM.pageSize - Int(address & 0xfff)) }

    public func readMemory(_ address: UInt64, count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let next = address &+ UInt64(bytes.count), part = Self.inPage(next, count - bytes.count)
            guard let physical = translate(next, UInt64(part), .load), let source = bus.memoryPointer(physical, UInt64(part)) else { return nil }
            // SAFETY: the bus vouches for `part` bytes there.
            bytes += UnsafeRawBufferPointer(start: source, count: part)
        }
        return bytes
    }

    public func writeMemory(_ address: UInt64, _ bytes: [UInt8]) -> Bool {
        var done = 0
        while done < bytes.count {
            let next = address &+ UInt64(done), part = Self.inPage(next, bytes.count - done)
            guard let physical = translate(next, UInt64(part), .store), let memory = bus.memory(at: physical, length: UInt64(part)), !memory.isReadOnly
            else { return false }
            bytes.withUnsafeBytes { source in
                // SAFETY: `done + part` is not above `bytes.count`, and the bus vouches for `part` bytes of memory.
                if let start = source.baseAddress { (memory.host + Int(physical &- memory.base)).copyMemory(from: start + done, byteCount: part) }
            }
            wroteMemory(memory, physical, part, next)
            done += part
        }
        return true
    }

    public func retry() { h.pointee.waiting = false }
}
