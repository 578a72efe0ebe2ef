import EmuBus

/// "In-memory queue interface".
extension RISCVIOMMU {
    private typealias Queue = IOMMU.Queue

    // MARK: Commands

    private enum Opcode {
        static let invalidateTranslations: UInt64 = 1, fence: UInt64 = 2, invalidateDirectory: UInt64 = 3
    }

    /// Reserved bits of the first word of each command, and of its second.
    private enum Reserved {
        /// NL and S are offered. PSCV, and so PSCID, belong to the first stage.
        static let translations: (UInt64, UInt64) = (1 << 11 | 0x1ff << 35 | 0xf << 60, 0x1ff | 3 << 62)
        static let fence: (UInt64, UInt64) = (0x3_ffff << 14, 3 << 62)
        static let directory: (UInt64, UInt64) = (3 << 10 | 1 << 32 | 0x3f << 34, .max)
    }

    private enum Operand {
        static let hasAddress: UInt64 = 1 << 10, hasProcess: UInt64 = 1 << 32, isRange: UInt64 = 1 << 9
        static let wire: UInt64 = 1 << 11, reads: UInt64 = 1 << 12, writes: UInt64 = 1 << 13
        static let hasDevice: UInt64 = 1 << 33, process: UInt64 = 0xf_ffff << 12
    }

    private static let commandSize: UInt64 = 16
    private static let stopping = Queue.memoryFault | Queue.timeout | Queue.illegal

    func writeCommandControl(_ value: UInt32) {
        let old = registers.commandControl
        var new = value & (Queue.enable | Queue.interruptEnable) | old & (Self.stopping | Queue.fenceInterrupt) & ~value
        if value & Queue.enable != 0 {
            new |= Queue.on
            if old & Queue.enable == 0 {
                registers.commandHead = 0
                new &= ~(Self.stopping | Queue.fenceInterrupt)
            }
        }
        registers.commandControl = new
        updateInterrupts()
        runCommands()
    }

    /// Carries out what is in the queue, up to a command that cannot be.
    func runCommands() {
        while registers.commandControl & (Queue.on | Self.stopping) == Queue.on, registers.commandHead != registers.commandTail {
            let position = IOMMU.address(registers.commandBase) &+ UInt64(registers.commandHead) * Self.commandSize
            guard let first = memory.loadMemory(position, as: UInt64.self), let second = memory.loadMemory(position &+ 8, as: UInt64.self) else {
                stop(Queue.memoryFault)
                break
            }
            if let failure = carryOut(first, second) {
                stop(failure)
                break
            }
            registers.commandHead = (registers.commandHead &+ 1) & Self.indexMask(registers.commandBase)
        }
    }

    private func stop(_ reason: UInt32) {
        registers.commandControl |= reason
        updateInterrupts()
    }

    /// Returns why a command was not carried out.
    private func carryOut(_ first: UInt64, _ second: UInt64) -> UInt32? {
        func has(_ bit: UInt64) -> Bool { first & bit != 0 }
        func isReserved(_ bits: (UInt64, UInt64)) -> Bool { first & bits.0 != 0 || second & bits.1 != 0 }
        let function = first >> 7 & 7
        switch (first & 0x7f, function) {
        case (Opcode.invalidateTranslations, 0...1):
            let isSecondStage = function == 1
            guard !isReserved(Reserved.translations), !isSecondStage || !has(Operand.hasProcess) else { return Queue.illegal }
            if isSecondStage || !has(Operand.hasAddress) || second & Operand.isRange != 0 {
                cache.dropAll()
            } else {
                cache.drop((second >> 10) << 12)
            }
        case (Opcode.fence, 0): return fence(first, second, isReserved(Reserved.fence))
        case (Opcode.invalidateDirectory, 0...1):
            let isProcess = function == 1
            guard !isReserved(Reserved.directory), isProcess ? has(Operand.hasDevice) : first & Operand.process == 0 else { return Queue.illegal }
            cache.dropAll()
        default:
            return Queue.illegal
        }
        return nil
    }

    /// `IOFENCE.C`. All commands before it are done.
    private func fence(_ first: UInt64, _ second: UInt64, _ isReserved: Bool) -> UInt32? {
        let isWired = first & Operand.wire != 0
        guard !isReserved, !isWired || registers.features & IOMMU.wiredInterrupts != 0 else { return Queue.illegal }
        if first & (Operand.reads | Operand.writes) != 0 { drainDevices() }
        if first & Operand.hasAddress != 0, !post(second << 2, UInt32(truncatingIfNeeded: first >> 32)) { return Queue.memoryFault }
        if isWired {
            registers.commandControl |= Queue.fenceInterrupt
            updateInterrupts()
        }
        return nil
    }

    /// Writes a word to memory or, as a message, to an interrupt controller.
    private func post(_ address: UInt64, _ data: UInt32) -> Bool { function.sendMessage(address: address, data: data) }

    // MARK: Faults

    private static let recordSize: UInt64 = 32

    func writeFaultControl(_ value: UInt32) {
        let old = registers.faultControl
        var new = value & (Queue.enable | Queue.interruptEnable) | old & (Queue.memoryFault | Queue.overflow) & ~value
        if value & Queue.enable != 0 {
            new |= Queue.on
            if old & Queue.enable == 0 {
                registers.faultTail = 0
                new &= ~(Queue.memoryFault | Queue.overflow)
            }
        }
        registers.faultControl = new
        updateInterrupts()
    }

    /// Tells software of a fault a request met.
    func report(_ fault: IOMMUFault, _ request: IOMMURequest) {
        Log.write(
            .guestErrors,
            "\(stateName): device \(hex(UInt64(request.device))) may not \(request.access) \(hex(request.address)): cause \(fault.cause)")
        var header = UInt64(fault.cause) | request.access.transactionType << 34 | UInt64(request.device) << 40
        if let process = request.process { header |= UInt64(process) << 12 | 1 << 32 | (request.isPrivileged ? 1 << 33 : 0) }
        record([header, 0, request.address, fault.second])
    }

    /// Tells software of a fault no request met.
    func report(_ fault: IOMMUFault, address: UInt64) { record([UInt64(fault.cause), 0, address, fault.second]) }

    private func record(_ words: [UInt64]) {
        guard registers.faultControl & (Queue.on | Queue.memoryFault | Queue.overflow) == Queue.on else { return }
        let next = (registers.faultTail &+ 1) & Self.indexMask(registers.faultBase)
        let position = IOMMU.address(registers.faultBase) &+ UInt64(registers.faultTail) * Self.recordSize
        if next == registers.faultHead {
            registers.faultControl |= Queue.overflow
        } else if words.map(\.littleEndian).withUnsafeBytes({ memory.writeMemory(position, from: $0) }) {
            registers.faultTail = next
            if registers.faultControl & Queue.interruptEnable != 0 { raise(IOMMU.Interrupt.fault) }
        } else {
            registers.faultControl |= Queue.memoryFault
        }
        updateInterrupts()
    }
}
