import EmuMachine

/// Readers of `-semihosting` and `-semihosting-config`.
enum SemihostingOptions {
    static let properties: [Property] = [
        Property("enable", .bool, "serve the calls (default: on)"),
        Property("target", .choice(["native", "auto"]), "who serves them: emulate itself"),
        Property("userspace", .bool, "serve programs in user mode, too (default: off)"),
        Property("chardev", .text, "id of the -chardev that is the program's console (default: standard error, without input)"),
        Property("arg", .text, "a word of the program's command line, in order (default: the kernel's name and -append)"),
        Property("folder", .text, "let the program use the files of this folder (default: none)"),
        Property("readonly", .bool, "it may only read them (default: off)"),
    ]

    static let rows: [Option<RunOptions>] = [
        Option(["semihosting"], help: "serve a program's semihosting calls: console, time, command line, exit (docs/semihosting.md)") { options, _ in
            options.config.semihosting = options.config.semihosting ?? SemihostingConfig()
        },
        Option(["semihosting-config"], "[enable=]on|off[,PROPERTY=…]",
            help: "the same in detail:\n" + properties.map { "\($0.usage): \($0.help)" }.joined(separator: "\n")) { options, use throws(CommandEnd) in
            options.config.semihosting = try config(use)
        },
    ]

    private static func config(_ use: OptionUse) throws(CommandEnd) -> SemihostingConfig? {
        let list = try PropertyList(use, properties, implied: "enable")
        var config = SemihostingConfig()
        config.servesUserMode = list.bool("userspace") ?? false
        config.chardev = list["chardev"]
        config.arguments = list.items.filter { $0.name == "arg" }.map(\.value)
        config.folder = list["folder"]
        config.isReadOnly = list.bool("readonly") ?? false
        if config.folder?.isEmpty == true { throw use.failed("folder needs the name of a folder") }
        return list.bool("enable") ?? true ? config : nil
    }
}
