import EmuBus
import EmuMachine

/// A machine without firmware, unless `change` says otherwise.
func machine(_ change: (inout MachineConfig) throws -> Void) throws -> Machine {
    var config = MachineConfig()
    config.firmware = .none
    try change(&config)
    return try Machine(config)
}

/// Why such a machine cannot be made; "accepted" when it can.
func problem(_ change: (inout MachineConfig) throws -> Void) -> String {
    do {
        _ = try machine(change)
        return "accepted"
    } catch {
        return "\(error)"
    }
}

extension Machine {
    /// A double word of what the `virt` board's boot ROM has behind its code: 0 is where harts go, 1 the device tree, from 2 on fw_dynamic's.
    func rom(_ index: UInt64) -> UInt64? { bus.loadMemory(0x1018 + 8 * index, as: UInt64.self) }
}
