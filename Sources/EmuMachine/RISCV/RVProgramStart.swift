import EmuBus
import EmuCPU

extension MachineConfig {
    /// Software linked below this is in the place of the firmware; a kernel for supervisor mode is linked at or above it.
    private static let firmwareEnd = VirtBoard.Map.ram + 0x20_0000

    /// Makes the ELF file at `path` the kernel and chooses what it needs to start: a program with a `tohost` symbol is
    /// written for the spike board, one linked where the firmware goes starts in machine mode without firmware, and one that
    /// runs anywhere, as SBI firmware does, takes the firmware's place.
    /// - Parameters:
    ///   - keepsBoard: the user has chosen the board.
    ///   - keepsFirmware: the user has chosen the firmware.
    /// - Throws: `ImageError` when the file is no program for this machine.
    public mutating func start(program path: String, keepsBoard: Bool, keepsFirmware: Bool) throws(ImageError) {
        var source = try FileSource.open(path, limit: 1 << 30)
        if Gzip.isGzip(try source.prefix(3)) { source = MemorySource(try Gzip.decompress(source, limit: 1 << 30)) }
        let program = try ELFFile(source, machine: .riscv)
        if !keepsBoard, try program.symbols(["tohost"])["tohost"] != nil { board = .spike }
        if !keepsFirmware, program.isPositionIndependent, program.lowestAddress < VirtBoard.Map.ram {
            firmware = .file(path)
            return
        }
        kernel = path
        if !keepsFirmware, program.lowestAddress < Self.firmwareEnd { firmware = .none }
    }
}

extension BoardKind {
    /// The text of `-cpu help`.
    public var processorHelp: String { RVConfig.helpText }
}
