import EmuBus
import Glibc

/// Memory for boards, with the checks `-m` needs.
enum GuestMemory {
    /// RAM of the size `-m` asks for, rounded up to whole pages.
    static func make(at base: UInt64, _ config: MachineConfig) throws(ConfigError) -> GuestRAM {
        guard config.memory > 0 else { throw ConfigError("-m 0", "a guest needs memory; \(MachineConfig.defaultMemory >> 20)M is the default") }
        let option = "-m \(amount(config.memory))"
        let page = UInt64(GuestRAM.pageSize)
        let available = hostMemory()
        guard config.memory <= available else {
            throw ConfigError(option, "the host has only \(amount(available)) of memory")
        }
        let size = (config.memory + page - 1) & ~(page - 1)
        do throws(HostError) {
            return try GuestRAM(base: base, size: size)
        } catch {
            throw ConfigError(option, error.description)
        }
    }

    static func rom(at base: UInt64, size: UInt64) throws(HostError) -> GuestRAM {
        try GuestRAM(base: base, size: size, isReadOnly: true)
    }

    /// Bytes of memory the host has altogether.
    private static func hostMemory() -> UInt64 {
        let pages = sysconf(Int32(_SC_PHYS_PAGES)), pageSize = sysconf(Int32(_SC_PAGESIZE))
        return pages > 0 && pageSize > 0 ? UInt64(pages) &* UInt64(pageSize) : .max
    }

    private static func amount(_ bytes: UInt64) -> String {
        bytes & 0xf_ffff == 0 ? "\(bytes >> 20)M" : bytes >= 100 << 20 ? "\(bytes >> 20)M" : "\(bytes)"
    }
}
