/// How a command ended: status code type and status code (NVM Express Base 1.4, 4.6.1).
struct NVMeStatus: Error, Equatable {
    /// Type in bits 10:8, code in bits 7:0, as in the status field of a completion.
    let value: UInt16

    private init(_ type: UInt16, _ code: UInt16) { value = type << 8 | code }

    /// Trying again gives the same (DNR).
    static let doNotRetry: UInt16 = 1 << 14

    static let success = NVMeStatus(0, 0x00)

    // Generic.
    static let invalidOpcode = NVMeStatus(0, 0x01)
    static let invalidField = NVMeStatus(0, 0x02)
    static let commandIDConflict = NVMeStatus(0, 0x03)
    static let dataTransferError = NVMeStatus(0, 0x04)
    static let abortRequested = NVMeStatus(0, 0x07)
    static let invalidNamespace = NVMeStatus(0, 0x0b)
    static let commandSequenceError = NVMeStatus(0, 0x0c)
    static let invalidPRPOffset = NVMeStatus(0, 0x13)
    static let writeProtected = NVMeStatus(0, 0x20)
    static let lbaOutOfRange = NVMeStatus(0, 0x80)
    static let capacityExceeded = NVMeStatus(0, 0x81)

    // Command specific.
    static let invalidCompletionQueue = NVMeStatus(1, 0x00)
    static let invalidQueueID = NVMeStatus(1, 0x01)
    static let invalidQueueSize = NVMeStatus(1, 0x02)
    static let tooManyEventRequests = NVMeStatus(1, 0x05)
    static let invalidInterruptVector = NVMeStatus(1, 0x08)
    static let invalidLogPage = NVMeStatus(1, 0x09)
    static let invalidQueueDeletion = NVMeStatus(1, 0x0c)
    static let featureNotSaveable = NVMeStatus(1, 0x0d)
    static let featureNotChangeable = NVMeStatus(1, 0x0e)

    // Media.
    static let writeFault = NVMeStatus(2, 0x80)
    static let unrecoveredReadError = NVMeStatus(2, 0x81)
}
