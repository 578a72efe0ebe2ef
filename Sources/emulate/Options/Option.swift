import EmuBus
import EmuMachine

/// Why reading a command line ended early.
package enum CommandEnd: Error {
    /// Something is wrong with it.
    case failed(ConfigError)
    /// It asked for text (`-h`, `-cpu help`), which is shown instead of running anything.
    case answered(String)

    static func failed(_ option: String, _ problem: String) -> CommandEnd { .failed(ConfigError(option, problem)) }
}

/// One use of an option.
package struct OptionUse {
    /// As help shows it: `-drive`.
    package let option: String
    /// The value; empty for options that take none.
    package let value: String

    package init(option: String, value: String) {
        self.option = option
        self.value = value
    }

    func failed(_ problem: String) -> CommandEnd { .failed(option, problem) }
}

/// One option of a subcommand: the only description of it, from which parsing, `-h`, suggestions and docs/emulate.md follow.
package struct Option<Target>: Sendable {
    package typealias Action = @Sendable (inout Target, OptionUse) throws(CommandEnd) -> Void

    /// Names without dashes; the first is the one messages use. One dash or two are the same.
    package let names: [String]
    /// What stands for the value in help; nil when the option takes none.
    package let placeholder: String?
    /// One or more lines for help.
    package let help: String
    /// The value may look like an option (`-append -x`).
    let takesAnyText: Bool
    let action: Action

    init(_ names: [String], _ placeholder: String? = nil, takesAnyText: Bool = false, help: String, action: @escaping Action) {
        self.names = names
        self.placeholder = placeholder
        self.takesAnyText = takesAnyText
        self.help = help
        self.action = action
    }

    /// `-machine/-M`, as help shows it.
    package var usage: String {
        names.map { "-" + $0 }.joined(separator: "/") + (placeholder.map { " " + $0 } ?? "")
    }
}

/// Options that belong together in help.
package struct OptionSection<Target>: Sendable {
    package let title: String
    package let options: [Option<Target>]
}

/// All options of a subcommand.
///
/// swift-argument-parser is not used: QEMU's grammar (one dash or two for any name, values such as `-x` or `help`, order kept
/// across different options, properties with `,,`) is not what it parses, and the same rows have to feed the documentation.
package struct OptionTable<Target>: Sendable {
    package let sections: [OptionSection<Target>]
    /// Options of QEMU that are missing on purpose or so far, and what to do instead (may be empty).
    package let missing: [String: String]

    package init(sections: [OptionSection<Target>], missing: [String: String] = [:]) {
        self.sections = sections
        self.missing = missing
    }

    package var options: [Option<Target>] { sections.flatMap(\.options) }

    func option(named name: some StringProtocol) -> Option<Target>? {
        options.first { $0.names.contains { $0 == name } }
    }

    /// Carries out `arguments` on `target`, left to right.
    /// - Returns: the words that are neither options nor their values.
    package func parse(_ arguments: [String], into target: inout Target) throws(CommandEnd) -> [String] {
        var words: [String] = []
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            index += 1
            if argument == "--" {
                words += arguments[index...]
                break
            }
            guard argument.hasPrefix("-"), argument != "-" else {
                words.append(argument)
                continue
            }
            let name = argument.drop { $0 == "-" }
            guard argument.count - name.count <= 2 else { throw unknown(argument, name) }
            if let option = option(named: name) {
                var value = ""
                if let placeholder = option.placeholder {
                    guard index < arguments.count else { throw .failed("-\(name)", "needs a value: \(placeholder)") }
                    value = arguments[index]
                    index += 1
                    if !option.takesAnyText, value.hasPrefix("-"), self.option(named: value.drop { $0 == "-" }) != nil {
                        throw .failed("-\(name)", "needs a value (\(placeholder)), but the next word is the option \(value)")
                    }
                }
                try option.action(&target, OptionUse(option: "-\(name)", value: value))
            } else if let equals = name.firstIndex(of: "="), let option = option(named: name[..<equals]) {
                let use = OptionUse(option: "-\(name[..<equals])", value: String(name[name.index(after: equals)...]))
                guard option.placeholder != nil else { throw use.failed("takes no value") }
                try option.action(&target, use)
            } else {
                throw unknown(argument, name)
            }
        }
        return words
    }

    private func unknown(_ argument: String, _ name: some StringProtocol) -> CommandEnd {
        if let advice = missing[String(name)] {
            return .failed(argument, "a QEMU option that emulate does not have" + (advice.isEmpty ? "" : "; " + advice))
        }
        let names = options.flatMap(\.names)
        return .failed(argument, "unknown option" + didYouMean(String(name), among: names) { "-" + $0 } + "; 'emulate -h' lists them all")
    }
}
