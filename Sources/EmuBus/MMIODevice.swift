/// A device seen through memory-mapped registers.
///
/// The bus has already checked bounds, size and alignment against the region the device was mapped with, so
/// `offset + size` is inside the region and `size` is one of the region's access sizes.
public protocol MMIODevice: AnyObject {
    /// Name in messages and in `info` listings, unique on its board ("uart0").
    var name: String { get }
    /// Reads `size` (1, 2, 4 or 8) bytes at `offset`, little-endian, zero-extended.
    func read(_ offset: UInt64, size: Int) -> UInt64
    /// Writes the low `size` bytes of `value`.
    func write(_ offset: UInt64, _ value: UInt64, size: Int)
    /// What `read` would return, without any effect of reading; nil when that is not known.
    func peek(_ offset: UInt64, size: Int) -> UInt64?
    /// Returns every register to its power-on value. Wiring stays.
    func reset()
}

extension MMIODevice {
    public func peek(_ offset: UInt64, size: Int) -> UInt64? { nil }
}

/// The access widths a register block accepts; anything else is an access fault for the guest.
public struct AccessSizes: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static let byte = AccessSizes(rawValue: 1)
    public static let half = AccessSizes(rawValue: 2)
    public static let word = AccessSizes(rawValue: 4)
    public static let double = AccessSizes(rawValue: 8)
    public static let upToWord: AccessSizes = [.byte, .half, .word]
    public static let any: AccessSizes = [.byte, .half, .word, .double]
    /// Reads need not be aligned.
    public static let misalignedReads = AccessSizes(rawValue: 0x10)
}

/// Something that collects level-triggered interrupt inputs: a PLIC, or a hart's own pending bits.
public protocol InterruptSink: AnyObject {
    /// Sets input `number` to `level`. Idempotent. Numbers are the sink's own (PLIC source, mip bit).
    func setInterrupt(_ number: Int, level: Bool)
}

/// One wire from a device to an interrupt input.
public struct InterruptLine {
    /// SAFETY: a board keeps its interrupt controllers and harts for as long as its devices, which drive no wire when they end.
    private unowned(unsafe) let sink: any InterruptSink
    public let number: Int

    public init(_ sink: any InterruptSink, _ number: Int) {
        self.sink = sink
        self.number = number
    }

    public func set(_ level: Bool) { sink.setInterrupt(number, level: level) }
}
