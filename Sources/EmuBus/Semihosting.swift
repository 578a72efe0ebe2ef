/// A program that asks its debugger for something (semihosting): its memory, at the addresses and with the rights it has itself.
public protocol SemihostingCaller: AnyObject {
    /// Reads memory; nil when the program may not read all of it. Registers of devices are no memory.
    func readMemory(_ address: UInt64, count: Int) -> [UInt8]?
    /// Writes memory; false when the program may not write all of it. What lies before that may then have been written.
    func writeMemory(_ address: UInt64, _ bytes: [UInt8]) -> Bool
    /// Makes a hart that waits for an operation try again.
    func retry()
}

/// Carries out semihosting operations.
public protocol SemihostingHandler: AnyObject {
    /// Whether programs in user mode may ask, too.
    var servesUserMode: Bool { get }
    /// - Returns: what the operation returns; nil when it has to wait, for which the caller is told to `retry`.
    func perform(_ operation: UInt64, _ parameter: UInt64, for caller: any SemihostingCaller) -> UInt64?
}
