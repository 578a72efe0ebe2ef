/// The host's end of a serial device: a terminal, a file, a pseudo-terminal, a multiplexer.
///
/// Bytes go out through `write` and come in through `frontend`. All calls happen on the machine's thread.
public protocol CharacterBackend: AnyObject {
    /// The guest's device this backend feeds. Implementations hold it weakly: the board owns both ends.
    var frontend: (any CharacterFrontend)? { get set }

    /// Takes all of `bytes`, in order; a backend that cannot write now keeps them.
    /// SAFETY: the buffer is only valid during the call.
    func write(_ bytes: UnsafeRawBufferPointer)

    /// The guest sends a break condition (true while it lasts). Backends without such a thing ignore it.
    func setBreak(_ active: Bool)

    /// `receiveCapacity` of the frontend is above zero again after it had been zero.
    func frontendReady()
}

/// A device that writes characters, seen from outside: whether the guest says anything.
public protocol CharacterSource: AnyObject {
    var name: String { get }
    /// Characters the guest has written since the machine was created.
    var charactersWritten: UInt64 { get }
    /// Whether the register at `offset` is where a program looks for input that has arrived.
    func tellsOfInput(_ offset: UInt64) -> Bool
}

/// The guest's end: a device that takes characters from a `CharacterBackend`.
public protocol CharacterFrontend: AnyObject {
    /// How many bytes `receive` takes at this moment. The backend keeps the rest until `frontendReady`.
    var receiveCapacity: Int { get }

    /// Hands over input, at most `receiveCapacity` bytes; what exceeds it is lost as on a real line.
    func receive(_ bytes: [UInt8])

    /// A break condition arrives on the line.
    func receiveBreak()
}

extension CharacterBackend {
    public func setBreak(_ active: Bool) {}

    public func write(_ byte: UInt8) {
        withUnsafeBytes(of: byte) { write($0) }
    }

    public func write(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { write($0) }
    }
}
