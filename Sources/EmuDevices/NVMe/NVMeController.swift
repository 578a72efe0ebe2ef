import EmuBus

/// An NVM Express 1.4 controller with one namespace, kept by a `BlockBackend`.
///
/// This file: the controller's life and its registers. `NVMeController+Queues.swift` moves commands and completions, `+Admin` and `+IO`
/// carry commands out, `+Features`, `+Events` and `NVMeIdentify.swift` are what the admin commands speak of.
public final class NVMeController: PCIDevice, RequestServer {
    /// What distinguishes one controller from another.
    public struct Configuration {
        /// The serial number Identify tells.
        public var serial: String
        /// Pairs of I/O queues, 1…64.
        public var queuePairs = maximumQueuePairs
        /// Bytes of a logical block, 512 or 4096.
        public var blockSize: UInt64 = 512
        /// The function is behind a port, not part of the root complex.
        public var isBehindPort = false

        /// - Parameter serial: 1…20 ASCII characters; what is longer is cut.
        public init(serial: String) { self.serial = serial }
    }

    /// Registers (3.1).
    enum Register {
        static let capabilities: UInt64 = 0x00
        static let version: UInt64 = 0x08
        static let interruptMaskSet: UInt64 = 0x0c
        static let interruptMaskClear: UInt64 = 0x10
        static let configuration: UInt64 = 0x14
        static let status: UInt64 = 0x1c
        static let adminQueueAttributes: UInt64 = 0x24
        static let adminSubmissionQueue: UInt64 = 0x28
        static let adminCompletionQueue: UInt64 = 0x30
        static let doorbells: UInt64 = 0x1000
        static let messageTable: UInt64 = 0x2000
        static let pendingMessages: UInt64 = 0x3000
        static let size: UInt64 = 0x4000
    }

    enum Control {
        static let enable: UInt32 = 1
        static let shutdown: UInt32 = 3 << 14
    }

    enum Status {
        static let ready: UInt32 = 1
        static let fatal: UInt32 = 2
        static let shutdownMask: UInt32 = 3 << 2
        static let shutdownOccurring: UInt32 = 1 << 2
        static let shutdownComplete: UInt32 = 2 << 2
    }

    /// Most pairs of I/O queues; the admin queues do not count.
    public static let maximumQueuePairs = 64
    static let version: UInt32 = 0x0001_0400
    /// Entries of the largest queue.
    static let maximumQueueSize: UInt32 = 2048
    /// log2 of the smallest and the largest page, less 12.
    private static let pageShifts: ClosedRange<UInt32> = 0...4
    /// Largest transfer, as a power of two of smallest pages (MDTS).
    static let transferShift: UInt8 = 7
    static let maximumTransfer = 4096 << Int(transferShift)
    static let registers = 0

    /// The registers a driver writes.
    struct Registers: Codable, Equatable {
        var interruptMask: UInt32 = 0
        var configuration: UInt32 = 0
        var status: UInt32 = 0
        var adminQueueAttributes: UInt32 = 0
        var adminSubmissionQueue: UInt64 = 0
        var adminCompletionQueue: UInt64 = 0
    }

    /// Guest-visible state. No command is in hand but requests for events.
    public struct State: Codable {
        var function: PCIFunction.State
        var registers: Registers
        var submissionQueues: [NVMeSubmissionQueue?]
        var completionQueues: [NVMeCompletionQueue?]
        var features: NVMeFeatures
        var events: NVMeEvents
        var statistics: NVMeStatistics
    }

    public let function: PCIFunction
    /// As given when it was made: "nvme0".
    public let stateName: String
    let memory: DMASpace
    let events: EventQueue
    let disk: any BlockBackend
    let configuration: Configuration
    /// Told of every operation the host failed, after the guest got its error. A full disk ends up here.
    public var hostErrorHandler: ((HostError) -> Void)?

    var registers = Registers()
    /// By queue id; queue 0 is the admin queue.
    var submissionQueues: [NVMeSubmissionQueue?]
    var completionQueues: [NVMeCompletionQueue?]
    var features = NVMeFeatures()
    var eventState = NVMeEvents()
    var statistics = NVMeStatistics()
    /// Requests taken and not completed, by completion queue; requests that wait for events do not count.
    var outstanding: [Int]
    /// The same by id, for the check of duplicates.
    var inFlight: Set<UInt64> = []
    var rounds: ServiceRounds!
    public internal(set) var requestsServed: UInt64 = 0

    /// - Parameters:
    ///   - name: unique on the board ("nvme0").
    ///   - disk: the namespace's contents.
    ///   - memory: where queues and data live.
    public init(name: String, disk: any BlockBackend, memory: AddressSpace, events: EventQueue, configuration: Configuration) {
        stateName = name
        self.disk = disk
        self.memory = DMASpace(memory)
        self.events = events
        self.configuration = configuration
        let queues = configuration.queuePairs + 1
        submissionQueues = Array(repeating: nil, count: queues)
        completionQueues = Array(repeating: nil, count: queues)
        outstanding = Array(repeating: 0, count: queues)
        var identity = PCIIdentity(vendor: PCIVendor.redHat, device: PCIVendor.nvme, classCode: 0x01_0802)
        identity.revision = 2
        function = PCIFunction(name: name, identity, isExpress: true, hasInterruptPin: true)
        function.addBAR(Self.registers, .memory64(isPrefetchable: false), size: Register.size)
        function.addMSIX(vectors: queues, bar: Self.registers, table: Register.messageTable, pending: Register.pendingMessages)
        function.addPowerManagement()
        function.addExpress(configuration.isBehindPort ? .endpoint : .integratedEndpoint)
        function.device = self
        function.dma = self.memory
        rounds = ServiceRounds("\(name) queues", events: events) { [unowned self] in serve(queue: $0) }
    }

    // MARK: Life

    /// The controller takes commands.
    var isRunning: Bool { registers.status & (Status.ready | Status.fatal) == Status.ready && function.isBusMaster }

    var pageSize: UInt64 { 4096 << UInt64(registers.configuration >> 7 & 0xf) }

    /// Logical blocks of the namespace.
    var blocks: UInt64 { disk.size / configuration.blockSize }

    /// Stops until the driver resets the controller (CSTS.CFS).
    func fail(_ reason: String) {
        Log.write(.guestErrors, "\(stateName): \(reason); the controller needs a reset")
        registers.status |= Status.fatal
    }

    private func writeConfiguration(_ value: UInt32) {
        let old = registers.configuration
        registers.configuration = value & 0x00ff_fff1
        if value & Control.enable != 0, old & Control.enable == 0 { enable() }
        if value & Control.enable == 0, old & Control.enable != 0 { resetController() }
        if value & Control.shutdown != 0, old & Control.shutdown == 0 { shutDown() }
    }

    /// Checks what the driver has set up and becomes ready, or reports that it cannot (7.6.1).
    private func enable() {
        let control = registers.configuration
        let attributes = registers.adminQueueAttributes
        guard control >> 4 & 7 == 0 else { return fail("command set \(control >> 4 & 7) does not exist") }
        guard Self.pageShifts.contains(control >> 7 & 0xf) else { return fail("pages of \(pageSize) bytes are not supported") }
        guard control >> 11 & 7 == 0 else { return fail("arbitration \(control >> 11 & 7) does not exist") }
        let submission = NVMeSubmissionQueue(base: registers.adminSubmissionQueue, size: (attributes & 0xfff) + 1, completionQueue: 0)
        let completion = NVMeCompletionQueue(base: registers.adminCompletionQueue, size: (attributes >> 16 & 0xfff) + 1, vector: 0, interrupts: true)
        guard submission.isPossible, completion.isPossible else { return fail("an admin queue has one entry, which makes no queue") }
        guard submission.base % pageSize == 0, completion.base % pageSize == 0 else { return fail("an admin queue does not begin at a page") }
        submissionQueues[0] = submission
        completionQueues[0] = completion
        registers.status |= Status.ready
    }

    /// The driver's reset of the controller (7.3.1): queues and features are gone, the admin queue registers stay.
    private func resetController() {
        dropQueues()
        let old = registers
        registers = Registers()
        registers.configuration = old.configuration & ~Control.enable
        registers.adminQueueAttributes = old.adminQueueAttributes
        registers.adminSubmissionQueue = old.adminSubmissionQueue
        registers.adminCompletionQueue = old.adminCompletionQueue
        updatePin()
    }

    private func dropQueues() {
        // Nothing may be told to the driver any more of what is completed now.
        registers.status &= ~Status.ready
        disk.drain()
        for index in submissionQueues.indices {
            submissionQueues[index] = nil
            completionQueues[index] = nil
            outstanding[index] = 0
        }
        inFlight = []
        rounds.restart()
        features = NVMeFeatures()
        eventState = NVMeEvents()
    }

    /// Everything goes to stable storage, and that is reported (7.6.2).
    private func shutDown() {
        registers.status = registers.status & ~Status.shutdownMask | Status.shutdownOccurring
        disk.submit(.flush) { [self] error in
            if let error { hostErrorHandler?(error) }
            guard registers.configuration & Control.shutdown != 0 else { return }
            registers.status = registers.status & ~Status.shutdownMask | Status.shutdownComplete
        }
    }

    // MARK: Registers

    private var capabilities: UInt64 {
        // Queues are contiguous; 7.5 s to become ready; the NVM command set.
        UInt64(Self.maximumQueueSize - 1) | 1 << 16 | 15 << 24 | 1 << 37 | UInt64(Self.pageShifts.lowerBound) << 48 | UInt64(Self.pageShifts.upperBound) << 52
    }

    public func readBAR(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64 {
        guard size >= 4 else {
            Log.write(.guestErrors, "\(stateName): \(size)-byte read of register \(hex(offset))")
            return 0
        }
        return size == 4 ? UInt64(readRegister(offset)) : UInt64(readRegister(offset)) | UInt64(readRegister(offset + 4)) << 32
    }

    public func peekBAR(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64? { readBAR(bar, offset, size: size) }

    private func readRegister(_ offset: UInt64) -> UInt32 {
        func half(_ value: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: value >> (offset % 8 == 0 ? 0 : 32)) }
        switch offset {
        case Register.capabilities, Register.capabilities + 4: return half(capabilities)
        case Register.version: return Self.version
        case Register.interruptMaskSet, Register.interruptMaskClear: return registers.interruptMask
        case Register.configuration: return registers.configuration
        case Register.status: return registers.status
        case Register.adminQueueAttributes: return registers.adminQueueAttributes
        case Register.adminSubmissionQueue, Register.adminSubmissionQueue + 4: return half(registers.adminSubmissionQueue)
        case Register.adminCompletionQueue, Register.adminCompletionQueue + 4: return half(registers.adminCompletionQueue)
        // Reserved and absent registers read as zero; doorbells need not show anything.
        default: return 0
        }
    }

    public func writeBAR(_ bar: Int, _ offset: UInt64, _ value: UInt64, size: Int) {
        if offset >= Register.doorbells {
            guard size == 4 else {
                Log.write(.guestErrors, "\(stateName): \(size)-byte write of a doorbell")
                return
            }
            return writeDoorbell(offset - Register.doorbells, UInt32(truncatingIfNeeded: value))
        }
        guard size >= 4 else {
            Log.write(.guestErrors, "\(stateName): \(size)-byte write of register \(hex(offset))")
            return
        }
        writeRegister(offset, UInt32(truncatingIfNeeded: value))
        if size == 8 { writeRegister(offset + 4, UInt32(truncatingIfNeeded: value >> 32)) }
    }

    private func writeRegister(_ offset: UInt64, _ value: UInt32) {
        func set(_ register: WritableKeyPath<Registers, UInt64>) {
            let old = registers[keyPath: register]
            registers[keyPath: register] = offset % 8 == 0 ? old & ~0xffff_ffff | UInt64(value & ~0xfff) : old & 0xffff_ffff | UInt64(value) << 32
        }
        switch offset {
        case Register.interruptMaskSet:
            registers.interruptMask |= value
            updatePin()
        case Register.interruptMaskClear:
            registers.interruptMask &= ~value
            updatePin()
        case Register.configuration: writeConfiguration(value)
        case Register.adminQueueAttributes: registers.adminQueueAttributes = value & 0x0fff_0fff
        case Register.adminSubmissionQueue, Register.adminSubmissionQueue + 4: set(\.adminSubmissionQueue)
        case Register.adminCompletionQueue, Register.adminCompletionQueue + 4: set(\.adminCompletionQueue)
        default: Log.write(.guestErrors, "\(stateName): write of register \(hex(offset)), which cannot be written")
        }
    }

    // MARK: PCIDevice

    public func didWriteConfig(_ range: Range<Int>) {
        if range.contains(PCIRegister.command) { rounds.serve(Array(submissionQueues.indices)) }
    }

    public func quiesce() { disk.drain() }

    public func resetDevice() {
        dropQueues()
        registers = Registers()
        statistics = NVMeStatistics()
        updatePin()
    }

    public var state: State {
        get {
            disk.drain()
            return State(
                function: function.state, registers: registers, submissionQueues: submissionQueues, completionQueues: completionQueues,
                features: features, events: eventState, statistics: statistics)
        }
        set {
            resetDevice()
            function.state = newValue.function
            registers = newValue.registers
            features = newValue.features.repaired
            eventState = newValue.events.repaired
            inFlight = Set(eventState.requests.map(Self.key))
            statistics = newValue.statistics
            let count = submissionQueues.count
            let submissions = newValue.submissionQueues.fitted(to: count, filler: nil), completions = newValue.completionQueues.fitted(to: count, filler: nil)
            if submissions.allSatisfy({ $0?.isPossible ?? true }), completions.allSatisfy({ $0?.isPossible ?? true }),
                submissions.allSatisfy({ $0.map { (0..<count).contains($0.completionQueue) && completions[$0.completionQueue] != nil } ?? true })
            {
                submissionQueues = submissions
                completionQueues = completions
            } else {
                fail("its saved queues are impossible")
            }
            updatePin()
            // Commands that were waiting for their turn.
            rounds.restart(submissionQueues.indices.filter { index in submissionQueues[index].map { $0.head != $0.tail } ?? false })
        }
    }
}
