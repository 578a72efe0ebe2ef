import EmuBus
import EmuDevices

/// What a board tells the boot loader about itself.
struct RVBootBoard {
    let ram: GuestRAM
    /// Mask ROM at the reset vector.
    let rom: GuestRAM
    /// Where software in flash memory starts, if there is any: in supervisor mode, or in machine mode without firmware.
    var flash: UInt64?
    /// What software in flash memory is given kernel, initrd and command line through.
    var fwCfg: FwCfg?
    /// Told while files are read.
    var progress: LoadProgress?
    /// Called when firmware and kernel are in memory: those that are ELF files, kernel first.
    var programsLoaded: ([ELFFile]) throws -> Void = { _ in }
    /// Makes the device tree for what was loaded.
    let deviceTree: (RVChosen) throws -> FDTNode
}

/// What the loader adds to the device tree's `/chosen`.
struct RVChosen {
    var commandLine: String?
    var initrd: Range<UInt64>?
}

/// Loads firmware, kernel, initrd and device tree where QEMU's RISC-V boards put them, and writes the reset code.
///
/// Firmware goes to the start of RAM or, as an ELF file, where it is linked. A raw kernel goes to the next multiple of
/// 2 MiB after it, an ELF kernel where it is linked and is entered by the firmware at its lowest address. The initrd goes
/// 512 MiB (at most half the RAM) after the kernel, the device tree to the end of RAM.
/// Software in flash memory is started in the kernel's place and finds kernel, initrd and command line in fw_cfg.
struct RVBootLoader {
    private static let alignment: UInt64 = 2 << 20
    private static let initrdDistance: UInt64 = 512 << 20

    /// What was loaded.
    struct Result {
        var start: UInt64
        var deviceTreeAddress: UInt64
        var deviceTree: [UInt8]
        /// Harts that do not start at the reset vector, and where.
        var starts: [(hart: Int, address: UInt64)] = []
    }

    private let config: MachineConfig
    private let board: RVBootBoard
    private var loader: ImageLoader

    init(_ config: MachineConfig, _ board: RVBootBoard, memoryIsClear: Bool) {
        self.config = config
        self.board = board
        loader = ImageLoader(ram: board.ram, machine: .riscv, memoryIsClear: memoryIsClear, progress: board.progress)
    }

    mutating func load() throws -> Result {
        try refuseOrphans()
        let firmware = try loadFirmware()
        var kernel: LoadedImage?
        var chosen = RVChosen()
        if board.flash != nil {
            try offerKernel()
        } else {
            kernel = try loadKernel(after: firmware?.end ?? board.ram.base)
            if let append = config.append, !append.isEmpty { chosen.commandLine = append }
            if let path = config.initrd, let kernel { chosen.initrd = try loadInitrd(path, kernel) }
        }
        try board.programsLoaded([kernel?.elf, firmware?.elf].compactMap { $0 })

        let tree = try FDT.blob(try deviceTree(chosen))
        let ramEnd = board.ram.base + board.ram.size
        let size = UInt64(tree.count)
        let address = size <= board.ram.size ? max((ramEnd - size) & ~(Self.alignment - 1), board.ram.base) : board.ram.base
        do throws(ConfigError) {
            try loader.load(tree, owner: "the device tree", at: address)
        } catch {
            throw ConfigError("-m", "\(error.problem) (the device tree goes to the last 2 MiB of RAM); give the guest more memory")
        }

        // Without firmware the start does not depend on the kernel's entry: bare-metal programs count on it.
        let start = firmware?.entry ?? board.flash ?? board.ram.base
        var starts: [(hart: Int, address: UInt64)] = []
        for device in config.loads {
            if let found = try GenericLoader(device, harts: config.harts).run(&loader) { starts.append((found.hart, found.start)) }
        }
        writeROM(start: start, deviceTree: address, kernel: board.flash ?? kernel?.start ?? 0)
        return Result(start: start, deviceTreeAddress: address, deviceTree: tree, starts: starts)
    }

    private func refuseOrphans() throws(ConfigError) {
        guard config.kernel == nil else { return }
        if let initrd = config.initrd { throw ConfigError("-initrd \(initrd)", "it needs a kernel: add -kernel FILE") }
        if config.append != nil { throw ConfigError("-append", "it needs a kernel: add -kernel FILE") }
    }

    // MARK: Images

    private mutating func loadFirmware() throws(ConfigError) -> LoadedImage? {
        switch config.firmware {
        case .none: return nil
        case .builtIn:
            return try loader.load(
                MemorySource(PackageResources.firmware_bin), option: "the built-in firmware", at: board.ram.base)
        case .file(let path):
            let source = try loader.open(path, option: "-bios", decompress: false)
            return try loader.load(source, option: "-bios \(path)", at: board.ram.base, rebase: board.ram.base)
        }
    }

    private mutating func loadKernel(after firmwareEnd: UInt64) throws(ConfigError) -> LoadedImage? {
        guard let path = config.kernel else { return nil }
        let source = try loader.open(path, option: "-kernel", decompress: true)
        if let start = try? source.prefix(RVImageHeader.foreignPrefix), let processor = RVImageHeader.foreignKernel(start) {
            throw ConfigError("-kernel \(path)", "it is a Linux kernel for \(processor); this machine runs RISC-V kernels")
        }
        let address = (firmwareEnd &+ Self.alignment &- 1) & ~(Self.alignment - 1)
        do throws(ConfigError) {
            return try loader.load(source, option: "-kernel \(path)", at: address) { RVImageHeader($0)?.imageSize ?? 0 }
        } catch {
            guard config.firmware != .none, error.problem.contains("overlap the built-in firmware") else { throw error }
            throw ConfigError(error.option, "\(error.problem); -bios none starts it without firmware")
        }
    }

    private mutating func loadInitrd(_ path: String, _ kernel: LoadedImage) throws(ConfigError) -> Range<UInt64> {
        let source = try loader.open(path, option: "-initrd", decompress: false)
        guard source.count <= board.ram.size else {
            throw ConfigError("-initrd \(path)", "its \(source.count >> 20) MiB are more than the guest's RAM (\(board.ram.size >> 20) MiB); raise -m")
        }
        let address = kernel.start + min(board.ram.size / 2, Self.initrdDistance)
        try loader.loadData(source, option: "-initrd \(path)", at: address)
        return address..<address + source.count
    }

    /// Puts kernel, initrd and command line into fw_cfg, for software in flash memory.
    private func offerKernel() throws(ConfigError) {
        guard let path = config.kernel, let fwCfg = board.fwCfg else { return }
        let kernel = try contents(path, option: "-kernel", decompress: true)
        fwCfg.set(FwCfg.Key.kernelSize, UInt32(kernel.count))
        fwCfg.set(FwCfg.Key.kernelData, kernel)
        if let path = config.initrd {
            let initrd = try contents(path, option: "-initrd", decompress: false)
            fwCfg.set(FwCfg.Key.initrdSize, UInt32(initrd.count))
            fwCfg.set(FwCfg.Key.initrdData, initrd)
        }
        if let append = config.append {
            let text = Array(append.utf8) + [0]
            fwCfg.set(FwCfg.Key.commandLineSize, UInt32(text.count))
            fwCfg.set(FwCfg.Key.commandLineData, text)
        }
    }

    private func contents(_ path: String, option: String, decompress: Bool) throws(ConfigError) -> [UInt8] {
        let source = try loader.open(path, option: option, decompress: decompress)
        do throws(ImageError) {
            guard source.count <= UInt64(UInt32.max) else { throw ImageError("it is larger than 4 GiB") }
            return try source.bytes(at: 0, Int(source.count))
        } catch {
            throw ConfigError("\(option) \(path)", error.description)
        }
    }

    // MARK: Device tree

    private func deviceTree(_ chosen: RVChosen) throws -> FDTTree {
        guard let path = config.deviceTree else { return FDTTree(root: try board.deviceTree(chosen)) }
        let option = "-dtb \(path)"
        let source = try loader.open(path, option: "-dtb", decompress: false)
        guard source.count <= 16 << 20 else { throw ConfigError(option, "\(source.count >> 20) MiB is too large for a device tree") }
        var tree: FDTTree
        do {
            tree = try FDT.parseTree(try source.bytes(at: 0, Int(source.count)))
        } catch {
            throw ConfigError(option, "\(error)")
        }
        guard let cpus = tree.root[child: "cpus"] else { throw ConfigError(option, "it has no /cpus node") }
        guard cpus.children.contains(where: { $0["compatible"].map(Self.isRISCV) ?? false }) else {
            throw ConfigError(option, "it describes another processor: no node below /cpus is compatible with \"riscv\"")
        }
        RVChosenNode.patch(&tree.root, chosen)
        return tree
    }

    private static func isRISCV(_ compatible: [UInt8]) -> Bool {
        compatible.split(separator: 0).contains { $0.elementsEqual("riscv".utf8) }
    }

    // MARK: Reset code

    /// Fills the mask ROM: code that passes a0 = hart id, a1 = device tree, a2 = fw_dynamic information and jumps to `start`,
    /// then the addresses it uses, then the information (OpenSBI documentation, "OpenSBI Firmware with Dynamic Information").
    private func writeROM(start: UInt64, deviceTree: UInt64, kernel: UInt64) {
        let code: [UInt32] = [
            0x0000_0297,  // auipc t0, 0
            0x0282_8613,  // addi  a2, t0, 40
            0xf140_2573,  // csrr  a0, mhartid
            0x0202_b583,  // ld    a1, 32(t0)
            0x0182_b283,  // ld    t0, 24(t0)
            0x0002_8067,  // jr    t0
        ]
        let supervisor: UInt64 = 1
        let information: [UInt64] = [0x4942_534f, 2, kernel, supervisor, 0, 0]
        var bytes = code.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(8 * $0)) } }
        for value in [start, deviceTree] + information {
            bytes += (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        }
        let fits = bytes.withUnsafeBytes { board.rom.load($0, at: board.rom.base) }
        precondition(fits, "the boot ROM has room for its own code")
    }
}

/// The boot loader's part of `/chosen`.
enum RVChosenNode {
    /// Sets what `chosen` has in the tree's `/chosen`, which is created if need be.
    static func patch(_ tree: inout FDTNode, _ chosen: RVChosen) {
        var node = tree[child: "chosen"] ?? FDTNode("chosen")
        if let commandLine = chosen.commandLine { node.set("bootargs", commandLine) }
        if let initrd = chosen.initrd {
            node.set("linux,initrd-start", pairs: [initrd.lowerBound])
            node.set("linux,initrd-end", pairs: [initrd.upperBound])
        }
        tree[child: "chosen"] = node
    }
}
