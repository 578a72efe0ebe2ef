import EmuBus

/// The admin command set (NVM Express Base 1.4, 5).
extension NVMeController {
    private enum Opcode {
        static let deleteSubmissionQueue: UInt8 = 0x00
        static let createSubmissionQueue: UInt8 = 0x01
        static let getLogPage: UInt8 = 0x02
        static let deleteCompletionQueue: UInt8 = 0x04
        static let createCompletionQueue: UInt8 = 0x05
        static let identify: UInt8 = 0x06
        static let abort: UInt8 = 0x08
        static let setFeatures: UInt8 = 0x09
        static let getFeatures: UInt8 = 0x0a
        static let asynchronousEventRequest: UInt8 = 0x0c
    }

    func beginAdmin(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        switch command.opcode {
        case Opcode.createCompletionQueue: try createCompletionQueue(command, request)
        case Opcode.createSubmissionQueue: try createSubmissionQueue(command, request)
        case Opcode.deleteCompletionQueue: try deleteCompletionQueue(command, request)
        case Opcode.deleteSubmissionQueue: try deleteSubmissionQueue(command, request)
        case Opcode.identify: try identify(command, request)
        case Opcode.getLogPage: try getLogPage(command, request)
        case Opcode.abort: abort(command, request)
        case Opcode.setFeatures: try setFeatures(command, request)
        case Opcode.getFeatures: try getFeatures(command, request)
        case Opcode.asynchronousEventRequest: try requestEvent(request)
        default: throw .invalidOpcode
        }
    }

    /// Gives the driver the first `length` bytes of an answer, which may be longer or shorter.
    func answer(_ bytes: [UInt8], length: Int, _ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        let count = min(length, bytes.count)
        if count > 0 {
            let target = try NVMePRP(memory: memory, pageSize: pageSize).buffer(command, length: count, isWritten: true)
            target.copyIn(Array(bytes.prefix(count)))
        }
        rounds.spend(count)
        complete(request)
    }

    // MARK: Queues

    private enum QueueFlags {
        static let contiguous: UInt16 = 1
        static let interrupts: UInt16 = 2
    }

    /// What both kinds of queues have in common: a free id, a size, contiguous memory.
    private func newQueue(_ command: NVMeCommand, _ isTaken: (Int) -> Bool, entrySize: UInt64, isWritten: Bool) throws(NVMeStatus) -> (id: Int, size: UInt32) {
        let id = Int(command.low(10)), size = UInt32(command.high(10)) + 1
        guard id != 0, id < submissionQueues.count, !isTaken(id) else { throw .invalidQueueID }
        guard size >= 2, size <= Self.maximumQueueSize else { throw .invalidQueueSize }
        guard command.low(11) & QueueFlags.contiguous != 0 else { throw .invalidField }
        guard command.prp1 % pageSize == 0 else { throw .invalidPRPOffset }
        let length = UInt64(size) * entrySize
        guard memory.isMemory(command.prp1, length, isWrite: isWritten) else { throw .invalidField }
        return (id, size)
    }

    /// The entry sizes the driver has set (CC.IOSQES and CC.IOCQES) are those there are.
    private var hasEntrySizes: Bool { registers.configuration >> 16 & 0xff == 0x46 }

    private func createCompletionQueue(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        guard hasEntrySizes else { throw .invalidQueueSize }
        let (id, size) = try newQueue(command, { completionQueues[$0] != nil }, entrySize: NVMeCompletionQueue.entrySize, isWritten: true)
        let vector = command.high(11)
        // Without MSI-X there is one interrupt only.
        guard Int(vector) < (function.msix.map { $0.isEnabled ? $0.vectors : 1 } ?? 1) else { throw .invalidInterruptVector }
        completionQueues[id] = NVMeCompletionQueue(base: command.prp1, size: size, vector: vector, interrupts: command.low(11) & QueueFlags.interrupts != 0)
        complete(request)
    }

    private func createSubmissionQueue(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        guard hasEntrySizes else { throw .invalidQueueSize }
        let completion = Int(command.high(11))
        guard completion != 0, completion < completionQueues.count, completionQueues[completion] != nil else { throw .invalidCompletionQueue }
        let (id, size) = try newQueue(command, { submissionQueues[$0] != nil }, entrySize: NVMeSubmissionQueue.entrySize, isWritten: false)
        submissionQueues[id] = NVMeSubmissionQueue(base: command.prp1, size: size, completionQueue: completion)
        complete(request)
    }

    private func deleteCompletionQueue(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        let id = Int(command.low(10))
        guard id != 0, id < completionQueues.count, completionQueues[id] != nil else { throw .invalidQueueID }
        guard !submissionQueues.contains(where: { $0?.completionQueue == id }) else { throw .invalidQueueDeletion }
        completionQueues[id] = nil
        outstanding[id] = 0
        updatePin()
        complete(request)
    }

    /// Commands in hand are completed first; those not taken yet are forgotten (5.6).
    private func deleteSubmissionQueue(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        let id = Int(command.low(10))
        guard id != 0, id < submissionQueues.count, submissionQueues[id] != nil else { throw .invalidQueueID }
        disk.drain()
        submissionQueues[id] = nil
        rounds.forget(id)
        complete(request)
    }

    // MARK: Identify

    private enum Identity {
        static let namespace: UInt32 = 0
        static let controller: UInt32 = 1
        static let activeNamespaces: UInt32 = 2
        static let namespaceDescriptors: UInt32 = 3
    }

    private func identify(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        let identity = NVMeIdentify(configuration: configuration, blocks: blocks, isReadOnly: disk.isReadOnly)
        let bytes: [UInt8]
        switch command.word(10) & 0xff {
        case Identity.controller: bytes = identity.controller
        case Identity.namespace:
            guard command.namespace == Self.namespace else { throw .invalidNamespace }
            bytes = identity.namespace
        case Identity.activeNamespaces:
            guard command.namespace < 0xffff_fffe else { throw .invalidNamespace }
            bytes = identity.activeNamespaces(above: command.namespace)
        case Identity.namespaceDescriptors:
            guard command.namespace == Self.namespace else { throw .invalidNamespace }
            bytes = identity.namespaceDescriptors
        default: throw .invalidField
        }
        try answer(bytes, length: NVMeIdentify.size, command, request)
    }

    // MARK: Log pages

    private enum LogPage {
        static let errors: UInt32 = 1
        static let health: UInt32 = 2
        static let firmware: UInt32 = 3
    }

    private func getLogPage(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        let retainsEvent = command.word(10) & 1 << 15 != 0
        let count = UInt64(command.high(10)) | UInt64(command.low(11)) << 16
        let length = (count + 1) * 4
        let offset = UInt64(command.word(12)) | UInt64(command.word(13)) << 32
        let page = command.word(10) & 0xff
        let bytes: [UInt8]
        switch page {
        case LogPage.errors: bytes = statistics.errorLog
        case LogPage.health:
            guard [0, Self.namespace, Self.everyNamespace].contains(command.namespace) else { throw .invalidNamespace }
            bytes = statistics.healthLog(isTooWarm: features.isTooWarm, powerOnHours: events.now / 3_600_000_000_000)
        case LogPage.firmware: bytes = NVMeIdentify.firmwareLog
        default: throw .invalidLogPage
        }
        guard offset % 4 == 0, offset <= UInt64(bytes.count) else { throw .invalidField }
        try answer(Array(bytes.dropFirst(Int(offset))), length: Int(min(length, UInt64(bytes.count))), command, request)
        if !retainsEvent { unmaskEvents(UInt8(page)) }
    }

    // MARK: Abort

    /// The disk cannot take back what it has begun; a request for an event can be ended.
    private func abort(_ command: NVMeCommand, _ request: NVMeRequest) {
        let target = NVMeRequest(queue: Int(command.low(10)), id: command.high(10))
        // Both completions need room: this command's is reserved, the other's is not.
        guard let index = eventState.requests.firstIndex(of: target), hasRoom(0) else { return complete(request, result: 1) }
        eventState.requests.remove(at: index)
        completeParked(target, .abortRequested)
        complete(request)
    }
}
