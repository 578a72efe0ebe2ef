import EmuDevices

/// Traces of a guest's work that can be seen from outside. When none of them changes for long, the guest may have come to a halt.
public struct MachineActivity: Equatable, Sendable {
    /// Characters written to consoles.
    public var characters: UInt64
    /// Requests served by disks, network cards and the like.
    public var requests: UInt64
    /// Blocks of code decoded: the guest runs code it has not run before.
    public var blocks: Int
    public var resets: Int
}

extension Machine {
    public var activity: MachineActivity {
        MachineActivity(
            characters: characterSources.reduce(0) { $0 &+ $1.charactersWritten },
            requests: board.saveableParts.reduce(0) { $0 &+ (($1 as? any RequestServer)?.requestsServed ?? 0) },
            blocks: caches.reduce(0) { $0 + $1.blocksDecoded }, resets: resets)
    }

    /// The board's own serial lines.
    package var characterSources: [any CharacterSource] { board.devices.compactMap { $0 as? any CharacterSource } }
}
