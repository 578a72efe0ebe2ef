import EmuBus

/// Frames a card had no room for, in order.
///
/// SAFETY: frames are copied within the call that brings them, and receivers do not keep theirs (`NetworkReceiver`).
struct FrameBacklog {
    private var frames: [[UInt8]] = []
    private static let limit = 512

    var isEmpty: Bool { frames.isEmpty }

    /// Gives a frame to the card, or keeps it until the card has room. What is too much is dropped, as on a real network.
    mutating func deliver(_ frame: UnsafeRawBufferPointer, to receiver: (any NetworkReceiver)?) {
        guard let receiver else { return }
        if frames.isEmpty, receiver.receive(frame) { return }
        if frames.count < Self.limit { frames.append(Array(frame)) }
    }

    /// The card has room again.
    mutating func resume(_ receiver: (any NetworkReceiver)?) {
        guard let receiver else { return }
        var taken = 0
        for frame in frames {
            guard frame.withUnsafeBytes({ receiver.receive($0) }) else { break }
            taken += 1
        }
        frames.removeFirst(taken)
    }
}
