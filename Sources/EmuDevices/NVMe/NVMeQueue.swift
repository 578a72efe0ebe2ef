import EmuBus

/// A submission queue: a ring in guest memory the driver fills (NVM Express Base 1.4, 4.1).
struct NVMeSubmissionQueue: Codable, Equatable {
    static let entrySize: UInt64 = 64
    let base: UInt64
    /// Entries, at least 2.
    let size: UInt32
    /// Where its completions go.
    let completionQueue: Int
    var head: UInt32 = 0
    var tail: UInt32 = 0

    var isPossible: Bool { size >= 2 && head < size && tail < size }
}

/// A completion queue: a ring in guest memory the controller fills (4.1, 4.6).
struct NVMeCompletionQueue: Codable, Equatable {
    static let entrySize: UInt64 = 16
    let base: UInt64
    /// Entries, at least 2.
    let size: UInt32
    let vector: UInt16
    let interrupts: Bool
    var head: UInt32 = 0
    var tail: UInt32 = 0
    /// What the phase tag of the next entry will be.
    var phase = true

    var isPossible: Bool { size >= 2 && head < size && tail < size }
    /// Entries the driver has not taken yet.
    var used: UInt32 { tail >= head ? tail - head : tail + (size - head) }
}

/// A command as it lies in a submission queue (4.2).
struct NVMeCommand {
    let opcode: UInt8
    /// Fused operation and data pointer format.
    let flags: UInt8
    let id: UInt16
    let namespace: UInt32
    let prp1: UInt64
    let prp2: UInt64
    /// Command dwords 10 to 15.
    private let words: [UInt32]

    /// Nil when there is no memory at `address`.
    init?(_ memory: DMASpace, _ address: UInt64) {
        func double(_ index: UInt64) -> UInt64? { memory.load(address &+ 4 * index, as: UInt64.self) }
        guard let head = double(0), let first = double(6), let second = double(8), let a = double(10), let b = double(12), let c = double(14) else { return nil }
        opcode = UInt8(truncatingIfNeeded: head)
        flags = UInt8(truncatingIfNeeded: head >> 8)
        id = UInt16(truncatingIfNeeded: head >> 16)
        namespace = UInt32(truncatingIfNeeded: head >> 32)
        prp1 = first
        prp2 = second
        words = [a, b, c].flatMap { [UInt32(truncatingIfNeeded: $0), UInt32(truncatingIfNeeded: $0 >> 32)] }
    }

    /// Command dword `number`, 10…15.
    func word(_ number: Int) -> UInt32 { words[number - 10] }
    func low(_ number: Int) -> UInt16 { UInt16(truncatingIfNeeded: word(number)) }
    func high(_ number: Int) -> UInt16 { UInt16(truncatingIfNeeded: word(number) >> 16) }
    /// Dwords 10 and 11.
    var startingLBA: UInt64 { UInt64(word(10)) | UInt64(word(11)) << 32 }
}

/// A command that has been taken from its queue and not completed.
struct NVMeRequest: Codable, Equatable {
    let queue: Int
    let id: UInt16
}
