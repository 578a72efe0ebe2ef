import EmuBus
import EmuMachine
import Glibc

/// `emulate [run] [options] [PATH]`: boots a machine and runs it until it ends.
package enum RunCommand: Subcommand {
    static let name = "run"
    static let summary = "boot a guest (the default)"

    package static var help: String {
        """
        usage: emulate [run] [options] [PATH]

        Boots firmware, kernels, disk images and bare-metal programs for RISC-V.
        PATH is recognised by its contents: an ELF program, a kernel Image, a gzip of either, or a disk image.
        Options have QEMU's names and may be written with one dash or two.

        """ + options.text + """

            Keys on a console with the monitor (mon:stdio, the default):

            """
            + columns(SerialMux.Command.allCases.map { ("  Ctrl-A \($0.key)", $0.summary) }, width: 24)
    }

    static func run(_ arguments: [String]) throws(CommandEnd) -> Int32 {
        let options = try RunOptions.parse(arguments)
        _ = options
        return 0
    }
}
