import EmuBus
import EmuDevices

/// What a machine takes from its host besides files: the ends of its serial lines, and the means to be stopped.
///
/// The command hands one to `Machine.init`, so that this module opens no terminal by itself and tests can listen in.
public struct MachineHost {
    /// Makes the host's end of a `-serial` or `-chardev`; nil leaves the guest's device unconnected.
    /// A backend that also is an `IOPoller` is polled by the machine's run loop.
    public var makeCharacterBackend: (CharacterConfig) throws -> (any CharacterBackend)?
    /// What the machine's run loop polls besides: signals, host lines shared by several backends.
    public var pollers: [any IOPoller] = []
    /// Told while images are loaded, at the start and after a reset.
    public var loadProgress: LoadProgress?
    /// Ends the run from outside; backends whose host end fails use it too.
    public var stopper: MachineStopper

    public init(
        stopper: MachineStopper = MachineStopper(),
        makeCharacterBackend: @escaping (CharacterConfig) throws -> (any CharacterBackend)? = { _ in nil }
    ) {
        self.stopper = stopper
        self.makeCharacterBackend = makeCharacterBackend
    }
}
