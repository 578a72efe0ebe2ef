import EmuDevices

/// The devices of a machine that the user has something to say to, through a monitor.
public final class MachinePeripherals {
    public internal(set) var balloon: VirtioBalloon?
    /// Keyboards, and mice and tablets; what the user does reaches the last of each.
    public internal(set) var keyboards: [VirtioInput] = []
    public internal(set) var pointers: [VirtioInput] = []
    public internal(set) var screens: [VirtioGPU] = []

    public init() {}
}
