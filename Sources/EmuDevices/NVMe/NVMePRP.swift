import EmuBus

/// Physical region pages: the guest memory a command names for its data (NVM Express Base 1.4, 4.3).
struct NVMePRP {
    let memory: DMASpace
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
        try append(command.prp1, first, isWritten, &segments)
        left -= first
        if left == 0 { return GuestBuffer(memory.bus, segments) }
        if left <= pageSize {
            try appendPage(command.prp2, left, isWritten, &segments)
            return GuestBuffer(memory.bus, segments)
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
            try appendPage(address, length, isWritten, &segments)
            left -= length
            entry &+= 8
        }
        return GuestBuffer(memory.bus, segments)
    }

    private func load(_ address: UInt64) throws(NVMeStatus) -> UInt64 {
        guard let entry = memory.load(address, as: UInt64.self) else { throw .dataTransferError }
        return entry
    }

    private func appendPage(_ address: UInt64, _ length: UInt64, _ isWritten: Bool, _ segments: inout [GuestSegment]) throws(NVMeStatus) {
        guard address % pageSize == 0 else { throw .invalidPRPOffset }
        try append(address, length, isWritten, &segments)
    }

    private func append(_ address: UInt64, _ length: UInt64, _ isWritten: Bool, _ segments: inout [GuestSegment]) throws(NVMeStatus) {
        guard memory.append(address, length, isWrite: isWritten, to: &segments) else { throw .dataTransferError }
    }
}
