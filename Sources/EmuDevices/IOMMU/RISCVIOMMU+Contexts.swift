import EmuBus

/// Where device and process contexts are found ("Process to locate the Device-context", "… the Process-context").
extension RISCVIOMMU {
    /// Bits of a device id that choose an entry at each level, the leaf's first.
    private var deviceIndexBits: [UInt64] { hasMessageTables ? [6, 9, 9] : [7, 9, 8] }
    private var deviceContextSize: UInt64 { hasMessageTables ? 64 : 32 }
    private static let entryReserved: UInt64 = 0x1ff << 1 | 0x3ff << 54
    /// Of `iosatp`, `pdtp` and `msiptp`, between PPN and MODE.
    private static let rootReserved: UInt64 = 0xffff << 44

    /// `index` of an id whose parts have `bits`, the lowest part first; `rest` is what is left above.
    private static func indices(_ id: UInt64, _ bits: [UInt64]) -> (parts: [UInt64], rest: UInt64) {
        var rest = id
        let parts = bits.map { width in
            defer { rest >>= width }
            return rest & (1 << width - 1)
        }
        return (parts, rest)
    }

    func deviceContext(_ device: UInt32) throws(IOMMUFault) -> IOMMUDeviceContext {
        let levels = Int(registers.directory & IOMMU.Mode.mask - IOMMU.Mode.oneLevel) + 1
        let (parts, rest) = Self.indices(UInt64(device), Array(deviceIndexBits.prefix(levels)))
        guard rest == 0 else { throw IOMMUFault(IOMMU.Cause.typeDisallowed) }
        var table = IOMMU.address(registers.directory)
        for level in (1..<levels).reversed() {
            guard let entry = memory.loadMemory(table + parts[level] * 8, as: UInt64.self) else { throw IOMMUFault(IOMMU.Cause.directoryAccess) }
            guard entry & 1 != 0 else { throw IOMMUFault(IOMMU.Cause.directoryInvalid) }
            guard entry & Self.entryReserved == 0 else { throw IOMMUFault(IOMMU.Cause.directoryMisconfigured) }
            table = IOMMU.address(entry)
        }
        let position = table + parts[0] * deviceContextSize
        var words: [UInt64] = []
        for index in 0..<deviceContextSize / 8 {
            guard let word = memory.loadMemory(position + index * 8, as: UInt64.self) else { throw IOMMUFault(IOMMU.Cause.directoryAccess) }
            words.append(word)
        }
        words += Array(repeating: 0, count: 8 - words.count)
        guard words[0] & IOMMU.Control.valid != 0 else { throw IOMMUFault(IOMMU.Cause.directoryInvalid) }
        let context = IOMMUDeviceContext(
            control: words[0], secondStage: words[1], attributes: words[2], firstStage: words[3], messageTable: words[4], messageMask: words[5],
            messagePattern: words[6], reserved: words[7])
        guard isLegal(context) else { throw IOMMUFault(IOMMU.Cause.directoryMisconfigured) }
        return context
    }

    /// "Device-context configuration checks".
    private func isLegal(_ context: IOMMUDeviceContext) -> Bool {
        guard context.control & ~IOMMU.Control.supported == 0, context.reserved == 0 else { return false }
        let hasProcesses = context.has(IOMMU.Control.hasProcesses)
        guard hasProcesses || !context.has(IOMMU.Control.defaultProcess) else { return false }
        guard isLegalFirstStage(context.firstStage, modes: hasProcesses ? 1...3 : 8...10) else { return false }
        // Bits 11…0 and 63…32, the latter for QoS ids, which are not offered.
        guard context.attributes & (0xfff | 0xffff_ffff << 32) == 0 else { return false }
        switch context.secondMode {
        case 0: guard context.messageMode == 0 else { return false }
        case 8...10: guard hasSecondStage, context.secondStage & 3 == 0 else { return false }
        default: return false
        }
        guard context.messageMode <= 1, context.messageTable & Self.rootReserved == 0 else { return false }
        return (context.messageMask | context.messagePattern) >> 52 == 0
    }

    /// Mode 0 translates nothing; the others must be offered.
    private func isLegalFirstStage(_ field: UInt64, modes: ClosedRange<UInt64>) -> Bool {
        let mode = field >> 60
        return field & Self.rootReserved == 0 && (mode == 0 || hasFirstStage && modes.contains(mode))
    }

    /// Which process's context a request uses; nil for none.
    func process(_ request: IOMMURequest, _ context: IOMMUDeviceContext) throws(IOMMUFault) -> UInt32? {
        guard let process = request.process else {
            return context.has(IOMMU.Control.defaultProcess) ? 0 : nil
        }
        guard context.has(IOMMU.Control.hasProcesses) else { throw IOMMUFault(IOMMU.Cause.typeDisallowed) }
        let bits: UInt64
        switch context.firstMode {
        case 1: bits = 8
        case 2: bits = 17
        default: bits = 20
        }
        // Without a directory there is no width that an id could exceed.
        guard context.firstMode == 0 || UInt64(process) >> bits == 0 else { throw IOMMUFault(IOMMU.Cause.typeDisallowed) }
        return process
    }

    /// `ta` and `fsc` of a process's context.
    func processContext(
        _ process: UInt32, _ context: IOMMUDeviceContext, _ request: IOMMURequest, _ second: IOMMUPageTable?
    ) throws(IOMMUFault) -> (attributes: UInt64, firstStage: UInt64) {
        let levels = Int(context.firstMode)
        let (parts, _) = Self.indices(UInt64(process), Array([8, 9, 3].prefix(levels)))
        var table = IOMMU.rootAddress(context.firstStage)
        for level in (1..<levels).reversed() {
            let entry = try processWord(table + parts[level] * 8, request, second)
            guard entry & 1 != 0 else { throw IOMMUFault(IOMMU.Cause.processInvalid) }
            guard entry & Self.entryReserved == 0 else { throw IOMMUFault(IOMMU.Cause.processMisconfigured) }
            table = IOMMU.address(entry)
        }
        let position = table + parts[0] * 16
        let attributes = try processWord(position, request, second), firstStage = try processWord(position + 8, request, second)
        guard attributes & IOMMU.Process.valid != 0 else { throw IOMMUFault(IOMMU.Cause.processInvalid) }
        guard attributes & IOMMU.Process.reserved == 0, isLegalFirstStage(firstStage, modes: 8...10) else {
            throw IOMMUFault(IOMMU.Cause.processMisconfigured)
        }
        return (attributes, firstStage)
    }

    /// A word of a process directory, which a guest may keep in its own memory.
    private func processWord(_ position: UInt64, _ request: IOMMURequest, _ second: IOMMUPageTable?) throws(IOMMUFault) -> UInt64 {
        let address = try implicit(position, isWrite: false, request, second, accessFault: IOMMU.Cause.processAccess)
        guard let word = memory.loadMemory(address, as: UInt64.self) else { throw IOMMUFault(IOMMU.Cause.processAccess) }
        return word
    }
}
