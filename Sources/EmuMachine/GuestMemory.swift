import EmuBus
import Glibc

/// Memory for boards, with the checks `-m` needs.
enum GuestMemory {
    /// RAM of the size `-m` asks for, where the command line wants it kept.
    static func make(at base: UInt64, _ config: MachineConfig, _ numa: NUMALayout?) throws(ConfigError) -> GuestRAM {
        guard config.memory > 0 else { throw ConfigError("-m 0", "a guest needs memory; \(MachineConfig.defaultMemory >> 20)M is the default") }
        let option = "-m \(amount(config.memory))"
        let available = hostMemory()
        guard config.memory <= available else {
            throw ConfigError(option, "the host has only \(amount(available)) of memory")
        }
        var parts = numa?.nodes.map { (backing: $0.backing, size: $0.memory) }.filter { $0.size > 0 }
        if let id = config.memoryBackend {
            guard numa == nil else { throw ConfigError("-machine memory-backend=\(id)", "with -numa, each node has its own: -numa node,memdev=ID") }
            let backend = try backend(id, config, "-machine memory-backend=\(id)")
            guard backend.size == config.memory else {
                throw ConfigError("-machine memory-backend=\(id)", "it has \(amount(backend.size)), and the machine \(amount(config.memory)) (-m)")
            }
            parts = [(backend.backing, backend.size)]
        }
        do {
            return try GuestRAM(base: base, parts: parts ?? [(backing(config), rounded(config.memory))])
        } catch {
            throw ConfigError(config.memoryPath.map { "-mem-path \($0)" } ?? option, "\(error)")
        }
    }

    /// Whole pages.
    static func rounded(_ size: UInt64) -> UInt64 {
        let page = UInt64(GuestRAM.pageSize)
        return size > .max - page ? size & ~(page - 1) : (size + page - 1) & ~(page - 1)
    }

    /// Where memory without a backend of its own is kept: `-mem-path`, `-mem-prealloc`.
    static func backing(_ config: MachineConfig) -> MemoryBacking {
        var backing = MemoryBacking()
        if let path = config.memoryPath { backing.place = .file(path) }
        backing.isPreallocated = config.preallocatesMemory
        return backing
    }

    static func backend(_ id: String, _ config: MachineConfig, _ option: String) throws(ConfigError) -> MemoryBackendConfig {
        guard var backend = config.memoryBackends.first(where: { $0.id == id }) else { throw ConfigError(option, "there is no memory backend with id=\(id)") }
        if config.preallocatesMemory { backend.backing.isPreallocated = true }
        return backend
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
