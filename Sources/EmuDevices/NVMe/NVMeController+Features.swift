import EmuBus

/// What Set Features changes (NVM Express Base 1.4, 5.21). The power-on values are the defaults.
struct NVMeFeatures: Codable, Equatable {
    /// Values of the plain features, by feature id.
    private var values = NVMeFeatures.powerOnValues
    var overTemperature: UInt32 = NVMeFeatures.defaultOverTemperature
    var underTemperature: UInt32 = 0
    /// Interrupt vectors whose interrupts may not be delayed, in order; none ever are.
    private(set) var uncoalescedVectors: [UInt16] = []

    /// Kelvin: what the drive always has, and when it says that this is too much.
    static let temperature: UInt32 = 323
    static let defaultOverTemperature: UInt32 = 343

    var isTooWarm: Bool { Self.temperature >= overTemperature || Self.temperature <= underTemperature }
    var hasWriteCache: Bool { self[NVMeFeatureID.writeCache] != 0 }
    var eventConfiguration: UInt32 { self[NVMeFeatureID.asynchronousEvents] }

    private static let powerOnValues = (0...NVMeFeatureID.last).map { NVMeFeatureID.plain[$0]?.value ?? 0 }

    /// The value of a plain feature.
    subscript(_ id: UInt8) -> UInt32 {
        get { values[Int(id)] }
        set { values[Int(id)] = newValue }
    }

    mutating func setCoalescing(_ vector: UInt16, _ isCoalesced: Bool) {
        uncoalescedVectors.removeAll { $0 == vector }
        if isCoalesced { return }
        uncoalescedVectors.append(vector)
        uncoalescedVectors.sort()
    }

    /// The same, fit for use: a saved state may come from a damaged file.
    var repaired: NVMeFeatures {
        var result = self
        result.values = Self.powerOnValues
        for (index, value) in values.prefix(Self.powerOnValues.count).enumerated() {
            if let plain = NVMeFeatureID.plain[UInt8(index)] { result.values[index] = value & plain.mask }
        }
        return result
    }
}

enum NVMeFeatureID {
    static let arbitration: UInt8 = 0x01
    static let powerManagement: UInt8 = 0x02
    static let temperatureThreshold: UInt8 = 0x04
    static let errorRecovery: UInt8 = 0x05
    static let writeCache: UInt8 = 0x06
    static let queueCount: UInt8 = 0x07
    static let interruptCoalescing: UInt8 = 0x08
    static let interruptVector: UInt8 = 0x09
    static let writeAtomicity: UInt8 = 0x0a
    static let asynchronousEvents: UInt8 = 0x0b
    static let last = asynchronousEvents

    /// Features that are a value and nothing more: the bits that exist, and the power-on value.
    static let plain: [UInt8: (mask: UInt32, value: UInt32)] = [
        arbitration: (0xffff_ff07, 0x7), errorRecovery: (0xffff, 0), writeCache: (1, 1), interruptCoalescing: (0xffff, 0), writeAtomicity: (1, 0),
        // Critical warnings of the health log; nothing else changes by itself.
        asynchronousEvents: (0xff, 0),
    ]
}

extension NVMeController {
    private enum Select {
        static let current: UInt32 = 0
        static let initial: UInt32 = 1
        static let saved: UInt32 = 2
        static let capabilities: UInt32 = 3
    }

    private static let changeable: UInt32 = 1 << 2

    func getFeatures(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        let id = UInt8(truncatingIfNeeded: command.word(10))
        let select = command.word(10) >> 8 & 7
        // Nothing is saved, so what was saved are the power-on values.
        let features = select == Select.current ? self.features : NVMeFeatures()
        guard select <= Select.capabilities else { throw .invalidField }
        let value: UInt32
        switch id {
        case NVMeFeatureID.powerManagement: value = 0
        case NVMeFeatureID.temperatureThreshold:
            guard let threshold = Self.threshold(command.word(11)) else { throw .invalidField }
            value = features[keyPath: threshold]
        case NVMeFeatureID.queueCount: value = queueCounts
        case NVMeFeatureID.interruptVector:
            let vector = command.low(11)
            guard Int(vector) < completionQueues.count else { throw .invalidField }
            value = UInt32(vector) | (features.uncoalescedVectors.contains(vector) ? 1 << 16 : 0)
        default:
            guard NVMeFeatureID.plain[id] != nil else { throw .invalidField }
            value = features[id]
        }
        complete(request, result: select == Select.capabilities ? Self.changeable : value)
    }

    func setFeatures(_ command: NVMeCommand, _ request: NVMeRequest) throws(NVMeStatus) {
        let id = UInt8(truncatingIfNeeded: command.word(10))
        let value = command.word(11)
        guard command.word(10) & 1 << 31 == 0 else { throw .featureNotSaveable }
        var result: UInt32 = 0
        switch id {
        case NVMeFeatureID.powerManagement:
            // There is one power state.
            guard value & 0x1f == 0 else { throw .invalidField }
        case NVMeFeatureID.temperatureThreshold:
            guard let threshold = Self.threshold(value) else { throw .invalidField }
            features[keyPath: threshold] = value & 0xffff
            if features.isTooWarm { report(.temperature) }
        case NVMeFeatureID.queueCount:
            guard command.low(11) != 0xffff, command.high(11) != 0xffff else { throw .invalidField }
            guard !submissionQueues.dropFirst().contains(where: { $0 != nil }), !completionQueues.dropFirst().contains(where: { $0 != nil }) else {
                throw .commandSequenceError
            }
            result = queueCounts
        case NVMeFeatureID.interruptVector:
            let vector = command.low(11)
            guard Int(vector) < completionQueues.count else { throw .invalidField }
            features.setCoalescing(vector, value & 1 << 16 == 0)
        default:
            guard let plain = NVMeFeatureID.plain[id] else { throw .invalidField }
            features[id] = value & plain.mask
        }
        complete(request, result: result)
    }

    /// I/O queues there are, counted from zero: completion in the high half, submission in the low one.
    private var queueCounts: UInt32 { UInt32(configuration.queuePairs - 1) * 0x1_0001 }

    /// The composite temperature's thresholds; there are no other sensors.
    private static func threshold(_ word: UInt32) -> WritableKeyPath<NVMeFeatures, UInt32>? {
        guard word >> 16 & 0xf == 0 else { return nil }
        switch word >> 20 & 3 {
        case 0: return \.overTemperature
        case 1: return \.underTemperature
        default: return nil
        }
    }
}
