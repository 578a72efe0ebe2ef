import EmuBus

/// A network option that cannot be used: names the option and what to do.
public struct NetworkError: Error, CustomStringConvertible, Sendable {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// What a virtual network card is plugged into. Frames are Ethernet without preamble and checksum.
/// All calls happen on the machine's thread.
public protocol NetworkBackend: AnyObject {
    /// The card. Held weakly: the board owns both ends.
    var receiver: (any NetworkReceiver)? { get set }

    /// Takes a frame from the guest. SAFETY: the buffer is only valid during the call.
    func send(_ frame: UnsafeRawBufferPointer)

    /// The card, which had refused a frame, has room again.
    func receiverReady()

    /// TCP segments may be as long as an IP packet can be: this network has no wire that limits them.
    var takesLargeSegments: Bool { get }

    /// The checksums in the frames it offers are right, as this network computed them itself.
    var vouchesForChecksums: Bool { get }
}

extension NetworkBackend {
    public var takesLargeSegments: Bool { false }
    public var vouchesForChecksums: Bool { false }
}

/// The card's side: takes frames for the guest.
public protocol NetworkReceiver: AnyObject {
    /// Takes a frame, or returns false when the guest has no buffer for it; then the sender keeps the frame and offers
    /// it again after `receiverReady`. A card that is not running or filters the frame out takes and drops it.
    /// SAFETY: the buffer is only valid during the call.
    func receive(_ frame: UnsafeRawBufferPointer) -> Bool
}

/// An Ethernet address.
public struct MACAddress: Codable, Equatable, Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// nil unless there are six bytes.
    public init?(bytes: some Sequence<UInt8>) {
        self.bytes = Array(bytes)
        if self.bytes.count != 6 { return nil }
    }

    /// QEMU's default for card number `index`: 52:54:00:12:34:56 and following.
    public init(index: UInt8) { bytes = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56 &+ index] }

    /// "52:54:00:12:34:56", also with dashes; nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "-" }
        let values = parts.compactMap { $0.count <= 2 ? UInt8($0, radix: 16) : nil }
        guard parts.count == 6, values.count == 6 else { return nil }
        bytes = values
    }

    /// True for multicast and broadcast addresses, which no card may have as its own.
    public var isMulticast: Bool { bytes[0] & 1 != 0 }

    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}
