import EmuBus

/// Physical region pages: the guest memory a command names for its data (NVM Express Base 1.4, 4.3).
struct NVMePRP {
    let memory: AddressSpace
    /// Bytes of a page, as the driver chose (CC.MPS).
    let pageSize: UInt64

    /// The `length` bytes of a command's data.
    ///
    /// Every entry but the first begins at a page, and so does every further list; so each list brings data, and a list
    /// that points to itself ends with the length as others do.
    func buffer(_ command: NVMeCommand, length: Int, isWritten: Bool) throws(NVMeStatus) -> GuestBuffer {
        guard command.prp1 % 4 == 0 else { throw .invalidPRPOffset }
        var segments: [GuestSegment] = []
        var left = UInt64(length)
        let first = min(left, pageSize - command.prp1 % pageSize)
        segments.append(try segment(command.prp1, first, isWritten))
        left -= first
        if left == 0 { return GuestBuffer(memory, segments) }
        if left <= pageSize {
            segments.append(try page(command.prp2, left, isWritten))
            return GuestBuffer(memory, segments)
        }
        guard command.prp2 % 8 == 0 else { throw .invalidPRPOffset }
        var entry = command.prp2
        while left > 0 {
            var address = try load(entry)
            // The last entry of a page leads on to the next list when it cannot hold all that is left.
            if entry % pageSize == pageSize - 8, left > pageSize {
                guard address % pageSize == 0 else { throw .invalidPRPOffset }
                entry = address
                address = try load(entry)
            }
            let length = min(left, pageSize)
            segments.append(try page(address, length, isWritten))
            left -= length
            entry &+= 8
        }
        return GuestBuffer(memory, segments)
    }

    private func load(_ address: UInt64) throws(NVMeStatus) -> UInt64 {
        guard let entry = memory.loadMemory(address, as: UInt64.self) else { throw .dataTransferError }
        return entry
    }

    private func page(_ address: UInt64, _ length: UInt64, _ isWritten: Bool) throws(NVMeStatus) -> GuestSegment {
        guard address % pageSize == 0 else { throw .invalidPRPOffset }
        return try segment(address, length, isWritten)
    }

    private func segment(_ address: UInt64, _ length: UInt64, _ isWritten: Bool) throws(NVMeStatus) -> GuestSegment {
        // SAFETY: the address space finds all of the range in one memory, which lives as long as the machine; only what was asked for
        // as writable is written to.
        let host = isWritten
            ? memory.writableMemoryPointer(address, length)
            : memory.memoryPointer(address, length).map(UnsafeMutableRawPointer.init(mutating:))
        guard let host else { throw .dataTransferError }
        return GuestSegment(address: address, host: host, length: Int(length))
    }
}
