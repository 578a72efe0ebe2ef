import EmuMachine

/// What the word that is no option means.
extension RunOptions {
    /// Finds out what PATH is and makes it part of the machine.
    package mutating func recognisePath() throws(CommandEnd) {
        guard let path else { return }
        do throws(ImageError) {
            switch try FileKind.recognise(path) {
            case .program:
                try refuseSecondKernel(path)
                try config.start(program: path, keepsBoard: isBoardGiven, keepsFirmware: isFirmwareGiven)
            case .kernel:
                try refuseSecondKernel(path)
                config.kernel = path
            case .disk(let what): try addDisk(path, what)
            case .other(let what, let advice): throw ImageError("it is \(what): \(advice)")
            case .unknown:
                throw ImageError(
                    "it is neither an ELF program, a kernel nor a disk image; say what it is with -kernel, -bios, -initrd or -drive file=…")
            }
        } catch {
            throw .failed(path, error.description)
        }
    }

    private func refuseSecondKernel(_ path: String) throws(ImageError) {
        if let kernel = config.kernel { throw ImageError("it is a program to run, but -kernel \(kernel) is another") }
    }

    private mutating func addDisk(_ path: String, _ what: String) throws(ImageError) {
        let drive = DriveConfig(file: path)
        if config.kernel == nil, !isForeignFirmware, !config.startsInFlash {
            guard let firmware = findFirmware() else {
                throw ImageError(
                    "it is \(what), and \(UEFIFirmware.advice); or add a kernel (-kernel Image -append root=/dev/vda) or a boot loader (-kernel u-boot.bin)")
            }
            start(firmware, forDisk: drive)
        }
        config.drives.insert(drive, at: 0)
    }

    /// Boots `disk` as an installed system is booted.
    private mutating func start(_ firmware: UEFIFirmware, forDisk disk: DriveConfig) {
        let kept = firmware.keepingVariables(besideDisk: disk.file, isWritable: !disk.isReadOnly && !disk.isSnapshot && !config.snapshotsDrives)
        config.drives += [kept.code, kept.variables]
        if !isMemoryGiven { config.memory = Self.systemMemory }
    }

    /// Bytes of RAM of a machine for an installed system: the board's default is for kernels with their own small root.
    private static let systemMemory: UInt64 = 2 << 30

    private var isForeignFirmware: Bool {
        if case .file = config.firmware { true } else { false }
    }

    /// A machine without software would run into empty memory and stay there silently.
    package func refuseNothingToRun() throws(CommandEnd) {
        guard config.kernel == nil, !isForeignFirmware, !config.startsInFlash, config.deviceTreeDump == nil else { return }
        throw .failed("-kernel", "there is nothing to run: give a file (emulate Image), -kernel FILE or -bios FILE; 'emulate -h' shows all options")
    }
}
