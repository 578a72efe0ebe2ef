/// The outcome of a command for its initiator (SAM-5, 5.3): a status, and with CHECK CONDITION what happened.
struct SCSIOutcome: Equatable {
    enum Status {
        static let good: UInt8 = 0x00, checkCondition: UInt8 = 0x02
    }

    let status: UInt8
    let sense: SCSISense?
    /// Bytes moved in either direction.
    let transferred: Int
    /// The buffers were shorter than what the command moves.
    var isOverrun = false

    static func good(_ transferred: Int = 0) -> SCSIOutcome { SCSIOutcome(status: Status.good, sense: nil, transferred: transferred) }
    static func failed(_ sense: SCSISense) -> SCSIOutcome { SCSIOutcome(status: Status.checkCondition, sense: sense, transferred: 0) }
    static let overrun = SCSIOutcome(status: Status.good, sense: nil, transferred: 0, isOverrun: true)
}

/// What happened (SPC-5, 4.4): a key, and a code with its qualifier.
struct SCSISense: Error, Codable, Equatable, Sendable {
    let key: UInt8, code: UInt8, qualifier: UInt8

    static let none = SCSISense(key: 0, code: 0, qualifier: 0)
    static let notReady = SCSISense(key: 0x2, code: 0x3a, qualifier: 0)
    static let readError = SCSISense(key: 0x3, code: 0x11, qualifier: 0)
    static let writeError = SCSISense(key: 0x3, code: 0x0c, qualifier: 0)
    static let invalidCommand = SCSISense(key: 0x5, code: 0x20, qualifier: 0)
    static let outOfRange = SCSISense(key: 0x5, code: 0x21, qualifier: 0)
    static let invalidField = SCSISense(key: 0x5, code: 0x24, qualifier: 0)
    static let noSuchUnit = SCSISense(key: 0x5, code: 0x25, qualifier: 0)
    static let invalidParameter = SCSISense(key: 0x5, code: 0x26, qualifier: 0)
    static let parameterListLength = SCSISense(key: 0x5, code: 0x1a, qualifier: 0)
    static let savingNotSupported = SCSISense(key: 0x5, code: 0x39, qualifier: 0)
    static let removalPrevented = SCSISense(key: 0x5, code: 0x53, qualifier: 0x02)
    static let powerOn = SCSISense(key: 0x6, code: 0x29, qualifier: 0)
    static let mediumChanged = SCSISense(key: 0x6, code: 0x28, qualifier: 0)
    static let writeProtected = SCSISense(key: 0x7, code: 0x27, qualifier: 0)
    static let noSpace = SCSISense(key: 0x7, code: 0x27, qualifier: 0x07)

    /// In the fixed format (4.4.3), 18 bytes.
    var bytes: [UInt8] { [0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, qualifier, 0, 0, 0, 0] }
}

/// A command block: an operation code and its fields, most significant byte first. What lies behind the end reads as zero.
struct SCSICommand {
    let bytes: [UInt8]

    var operation: UInt8 { self[0] }
    subscript(index: Int) -> UInt8 { index < bytes.count ? bytes[index] : 0 }

    /// `count` bytes, at most 8, as a number.
    func number(_ index: Int, _ count: Int) -> UInt64 { (0..<count).reduce(0) { $0 << 8 | UInt64(self[index + $1]) } }
}

/// Most significant byte first, as SCSI has everything.
func bigEndian(_ value: UInt64, _ count: Int) -> [UInt8] { (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) } }

/// A command on its way: where its data are, and whom to tell when it is done.
struct SCSITask {
    let command: SCSICommand
    /// From the initiator, and to it.
    let dataOut: GuestBuffer
    let dataIn: GuestBuffer
    let complete: (SCSIOutcome) -> Void

    /// Answers with data, cut to the length the command allows.
    func answer(_ data: [UInt8], limit: UInt64) {
        let length = Int(min(UInt64(data.count), limit))
        guard length <= dataIn.count else { return complete(.overrun) }
        dataIn.copyIn(Array(data.prefix(length)))
        complete(.good(length))
    }
}
