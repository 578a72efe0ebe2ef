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
        guard config.kernel != nil || isForeignFirmware else {
            throw ImageError(
                "it is \(what), and nothing here can boot a disk by itself: "
                    + "add a kernel (-kernel Image -append root=/dev/vda) or a boot loader (-kernel u-boot.bin)")
        }
        config.drives.insert(DriveConfig(file: path), at: 0)
    }

    private var isForeignFirmware: Bool {
        if case .file = config.firmware { true } else { false }
    }

    /// A machine without software would run into empty memory and stay there silently.
    package func refuseNothingToRun() throws(CommandEnd) {
        guard config.kernel == nil, !isForeignFirmware, config.deviceTreeDump == nil else { return }
        throw .failed("-kernel", "there is nothing to run: give a file (emulate Image), -kernel FILE or -bios FILE; 'emulate -h' shows all options")
    }
}
