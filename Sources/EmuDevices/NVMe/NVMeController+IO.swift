import EmuBus
import Glibc

/// The NVM command set (NVM Express Base 1.4, 6).
extension NVMeController {
    private enum Opcode {
        static let flush: UInt8 = 0x00
        static let write: UInt8 = 0x01
        static let read: UInt8 = 0x02
        static let writeZeroes: UInt8 = 0x08
        static let datasetManagement: UInt8 = 0x09
    }

    static let namespace: UInt32 = 1
    static let everyNamespace: UInt32 = 0xffff_ffff
    /// Time a flush or a discard may take, in bytes moved in the same time.
    private static let operationCost = 1 << 20

    func beginIO(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        let isFlushOfAll = command.opcode == Opcode.flush && command.namespace == Self.everyNamespace
        guard command.namespace == Self.namespace || isFlushOfAll else { throw .invalidNamespace }
        switch command.opcode {
        case Opcode.flush:
            rounds.spend(Self.operationCost)
            disk.submit(.flush) { [self] in finish(request, $0, failure: .writeFault) }
        case Opcode.read: try read(command, request)
        case Opcode.write: try write(command, request)
        case Opcode.writeZeroes: try writeZeroes(command, request)
        case Opcode.datasetManagement: try manage(command, request)
        default: throw .invalidOpcode
        }
    }

    /// Byte offset and length of the blocks a command names.
    private func range(_ first: UInt64, _ count: UInt64) throws(NVMeStatus) -> (offset: UInt64, length: UInt64) {
        guard first <= blocks, count <= blocks - first else { throw .lbaOutOfRange }
        return (first * configuration.blockSize, count * configuration.blockSize)
    }

    private func data(_ command: NVMeCommand, _ length: UInt64, isWritten: Bool) throws(NVMeStatus) -> GuestBuffer {
        rounds.spend(Int(length))
        return try NVMePRP(memory: memory, pageSize: pageSize).buffer(command, length: Int(length), isWritten: isWritten)
    }

    /// The blocks of a read or write, whose number counts from zero.
    private func transfer(_ command: NVMeCommand) throws(NVMeStatus) -> (offset: UInt64, length: UInt64) {
        let count = UInt64(command.low(12)) + 1
        guard count * configuration.blockSize <= UInt64(Self.maximumTransfer) else { throw .invalidField }
        return try range(command.startingLBA, count)
    }

    private func read(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        let (offset, length) = try transfer(command)
        let target = try data(command, length, isWritten: true)
        disk.submit(.read(offset: offset, into: target.hostBuffers)) { [self] error in
            target.didWrite()
            if error == nil { statistics.read.count(length) }
            finish(request, error, failure: .unrecoveredReadError)
        }
    }

    private func write(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        let (offset, length) = try transfer(command)
        if disk.isReadOnly { throw .writeProtected }
        let source = try data(command, length, isWritten: false)
        disk.submit(.write(offset: offset, from: source.hostBuffers)) { [self] error in
            if error == nil { statistics.written.count(length) }
            finishChange(command, request, error)
        }
    }

    private func writeZeroes(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        let (offset, length) = try range(command.startingLBA, UInt64(command.low(12)) + 1)
        if disk.isReadOnly { throw .writeProtected }
        rounds.spend(Int(length))
        let deallocate: UInt32 = 1 << 25
        disk.submit(.writeZeroes(offset: offset, length: length, mayUnmap: command.word(12) & deallocate != 0)) { [self] in
            finishChange(command, request, $0)
        }
    }

    /// Dataset management: only deallocation means something here; the rest is advice (6.7).
    private func manage(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        let entrySize = 16
        let count = Int(command.word(10) & 0xff) + 1
        let list = try data(command, UInt64(count * entrySize), isWritten: false)
        var operations: [BlockOperation] = []
        for index in 0..<count {
            guard let blocks: UInt32 = list.load(at: index * entrySize + 4), let first: UInt64 = list.load(at: index * entrySize + 8) else { throw .dataTransferError }
            let (offset, length) = try range(first, UInt64(blocks))
            if length > 0 { operations.append(.discard(offset: offset, length: length)) }
        }
        let deallocates = command.word(11) & 1 << 2 != 0
        if deallocates, disk.isReadOnly { throw .writeProtected }
        perform(deallocates ? operations : [], request)
    }

    /// Does operations one after the other, until one fails.
    private func perform(_ operations: [BlockOperation], _ request: NVMeRequest) {
        guard let next = operations.first else { return complete(request) }
        rounds.spend(Self.operationCost)
        disk.submit(next) { [self] error in
            if error == nil { perform(Array(operations.dropFirst()), request) } else { finish(request, error, failure: .writeFault) }
        }
    }

    // MARK: Ends

    /// A write is stable before it completes when its command says so (FUA), and always without the write cache.
    private func finishChange(_ command: NVMeCommand, _ request: NVMeRequest, _ error: HostError?) {
        let forceUnitAccess: UInt32 = 1 << 30
        guard error == nil, command.word(12) & forceUnitAccess != 0 || !features.hasWriteCache else { return finish(request, error, failure: .writeFault) }
        disk.submit(.flush) { [self] in finish(request, $0, failure: .writeFault) }
    }

    private func finish(_ request: NVMeRequest, _ error: HostError?, failure: NVMeStatus) {
        guard let error else { return complete(request) }
        complete(request, [ENOSPC, EDQUOT].contains(error.code) ? .capacityExceeded : failure)
        hostErrorHandler?(error)
    }
}
