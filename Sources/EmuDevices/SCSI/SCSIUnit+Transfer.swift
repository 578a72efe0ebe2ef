import EmuBus

/// Commands that move or drop blocks (SBC-4, 5; reading also MMC-6, 6).
extension SCSIUnit {
    /// Most blocks WRITE SAME covers, and ranges UNMAP takes.
    static let writeSameLimit: UInt64 = 0xffff
    static let unmapRangeLimit = 64
    static let unmapBlockLimit: UInt64 = 0x3f_ffff

    /// Most blocks that one command reads or writes.
    var greatestTransfer: UInt64 { BlockOperation.greatestLength / blockSize }

    private enum Transfer {
        case read, write(isForced: Bool), verify
    }

    /// False for commands of another kind.
    func startTransfer(_ task: SCSITask) throws(SCSISense) -> Bool {
        let command = task.command
        let isForced = command[1] & 0x08 != 0
        switch command.operation {
        case 0x08: try move(.read, task, shortRange(command))
        case 0x0a: try move(.write(isForced: false), task, shortRange(command))
        case 0x28: try move(.read, task, (command.number(2, 4), command.number(7, 2)))
        case 0x2a: try move(.write(isForced: isForced), task, (command.number(2, 4), command.number(7, 2)))
        case 0xa8: try move(.read, task, (command.number(2, 4), command.number(6, 4)))
        case 0xaa: try move(.write(isForced: isForced), task, (command.number(2, 4), command.number(6, 4)))
        case 0x88 where kind == .disk: try move(.read, task, (command.number(2, 8), command.number(10, 4)))
        case 0x8a where kind == .disk: try move(.write(isForced: isForced), task, (command.number(2, 8), command.number(10, 4)))
        case 0x2f: try move(.verify, task, (command.number(2, 4), command.number(7, 2)))
        case 0xaf: try move(.verify, task, (command.number(2, 4), command.number(6, 4)))
        case 0x8f where kind == .disk: try move(.verify, task, (command.number(2, 8), command.number(10, 4)))
        case 0x41 where kind == .disk: try writeSame(task, (command.number(2, 4), command.number(7, 2)))
        case 0x93 where kind == .disk: try writeSame(task, (command.number(2, 8), command.number(10, 4)))
        case 0x42 where kind == .disk: try unmap(task)
        default: return false
        }
        return true
    }

    private func shortRange(_ command: SCSICommand) -> (UInt64, UInt64) {
        (command.number(1, 3) & 0x1f_ffff, command[4] == 0 ? 256 : UInt64(command[4]))
    }

    private func check(_ first: UInt64, _ count: UInt64) throws(SCSISense) {
        guard first <= blocks, count <= blocks - first else { throw .outOfRange }
    }

    private func move(_ transfer: Transfer, _ task: SCSITask, _ range: (first: UInt64, count: UInt64)) throws(SCSISense) {
        // Protection information is not kept.
        guard task.command.bytes.count == 6 || task.command[1] >> 5 == 0 else { throw .invalidField }
        if case .write = transfer, isReadOnly { throw .writeProtected }
        try check(range.first, range.count)
        if case .verify = transfer {} else if range.count > greatestTransfer { throw .invalidField }
        // Inside the disk, so this does not overflow.
        let offset = range.first * blockSize
        let length = Int(range.count * blockSize)
        switch transfer {
        case .read:
            guard length <= task.dataIn.count else { return task.complete(.overrun) }
            let target = task.dataIn.slice(0, length)
            length == 0 ? task.complete(.good()) : submit(.read(offset: offset, into: target.hostBuffers), length, filling: target, task)
        case .write(let isForced):
            guard length <= task.dataOut.count else { return task.complete(.overrun) }
            guard length > 0 else { return task.complete(.good()) }
            submit(.write(offset: offset, from: task.dataOut.slice(0, length).hostBuffers), length, task, then: isForced ? { [self] in submit(.flush, length, task) } : nil)
        case .verify:
            // Comparing with data of the initiator is not there.
            guard task.command[1] & 0x06 == 0 else { throw .invalidField }
            task.complete(.good())
        }
    }

    private func writeSame(_ task: SCSITask, _ range: (first: UInt64, count: UInt64)) throws(SCSISense) {
        if isReadOnly { throw .writeProtected }
        // Neither protection, nor anchors, nor the logical block addresses of old as data.
        guard task.command[1] & 0xf6 == 0, range.count <= Self.writeSameLimit else { throw .invalidField }
        let mayUnmap = task.command[1] & 0x08 != 0
        try check(range.first, range.count)
        let count = range.count == 0 ? blocks - range.first : range.count
        guard count <= Self.writeSameLimit else { throw .invalidField }
        guard count > 0 else { return task.complete(.good()) }
        let size = Int(blockSize)
        // With NDOB (16-byte form) there are no data, and zeros are meant.
        let hasData = task.command.operation == 0x41 || task.command[1] & 0x01 == 0
        guard !hasData || task.dataOut.count >= size else { return task.complete(.overrun) }
        let pattern = hasData ? task.dataOut.bytes(size) : []
        let offset = range.first * blockSize, length = count * blockSize
        if pattern.allSatisfy({ $0 == 0 }) {
            return submit(.writeZeroes(offset: offset, length: length, mayUnmap: mayUnmap), pattern.count, task)
        }
        // SAFETY: freed when the disk is done with it, which it is exactly once.
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(length), alignment: 4096)
        for block in 0..<Int(count) { UnsafeMutableRawBufferPointer(rebasing: buffer[block * size..<(block + 1) * size]).copyBytes(from: pattern) }
        spend?(Int(length))
        let owner = SCSITask(command: task.command, dataOut: task.dataOut, dataIn: task.dataIn) { outcome in
            buffer.deallocate()
            task.complete(outcome)
        }
        submit(.write(offset: offset, from: [buffer]), size, owner)
    }

    private func unmap(_ task: SCSITask) throws(SCSISense) {
        if isReadOnly { throw .writeProtected }
        let length = Int(task.command.number(7, 2))
        guard task.command[1] & 1 == 0 else { throw .invalidField }
        guard length > 0 else { return task.complete(.good()) }
        guard length >= 8 else { throw .parameterListLength }
        guard length <= task.dataOut.count else { return task.complete(.overrun) }
        let list = SCSICommand(bytes: task.dataOut.bytes(length))
        let described = Int(list.number(2, 2))
        guard described % 16 == 0, described <= length - 8 else { throw .parameterListLength }
        guard described / 16 <= Self.unmapRangeLimit else { throw .invalidParameter }
        var operations: [BlockOperation] = []
        for index in 0..<described / 16 {
            let first = list.number(8 + 16 * index, 8), count = list.number(16 + 16 * index, 4)
            try check(first, count)
            guard count <= Self.unmapBlockLimit else { throw .invalidParameter }
            if count > 0 { operations.append(.discard(offset: first * blockSize, length: count * blockSize)) }
        }
        unmap(operations[...], length, task)
    }

    /// One after the other: the first that fails ends the command.
    private func unmap(_ operations: ArraySlice<BlockOperation>, _ length: Int, _ task: SCSITask) {
        guard let first = operations.first else { return task.complete(.good(length)) }
        submit(first, length, task) { [self] in unmap(operations.dropFirst(), length, task) }
    }
}
