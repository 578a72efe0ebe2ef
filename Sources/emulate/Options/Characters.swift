import EmuBus
import EmuMachine

/// Readers of `-serial`, `-chardev`, `-monitor` and `-mon`.
enum CharacterOptions {
    /// Where a serial line or the monitor goes, before the `-chardev`s it may refer to are known.
    enum Target {
        case own(CharacterConfig)
        case chardev(String)
    }

    static let forms = ["stdio", "mon:stdio", "file:", "null", "none", "chardev:"]

    static func serial(_ use: OptionUse) throws(CommandEnd) -> Target {
        switch use.value {
        case "stdio": return .own(stdio(monitor: false))
        case "mon:stdio": return .own(stdio(monitor: true))
        case "null": return .own(CharacterConfig(.null))
        case "none": return .own(CharacterConfig(.none))
        case let value where value.hasPrefix("file:"):
            guard value.count > 5 else { throw use.failed("file: needs a path") }
            return .own(CharacterConfig(.file(String(value.dropFirst(5)))))
        case let value where value.hasPrefix("chardev:"):
            return .chardev(String(value.dropFirst(8)))
        default:
            throw use.failed(
                "'\(use.value)' is not one of stdio, mon:stdio, file:PATH, null, none, chardev:ID" + didYouMean(use.value, among: forms))
        }
    }

    static func monitor(_ use: OptionUse) throws(CommandEnd) -> Target {
        switch use.value {
        case "stdio": return .own(stdio(monitor: false))
        case "none", "null": return .own(CharacterConfig(.none))
        case let value where value.hasPrefix("chardev:"): return .chardev(String(value.dropFirst(8)))
        default:
            throw use.failed("'\(use.value)' is not one of stdio, none, chardev:ID" + didYouMean(use.value, among: ["stdio", "none", "chardev:"]))
        }
    }

    /// `-mon [chardev=]ID[,mode=readline]`; the id.
    static func mon(_ use: OptionUse) throws(CommandEnd) -> String {
        let list = try PropertyList(
            use, [Property("chardev", .text, "id"), Property("mode", .choice(["readline"]), "kind of monitor")], implied: "chardev")
        guard let id = list["chardev"] else { throw use.failed("needs chardev=ID") }
        return id
    }

    /// Standard input and output; with a monitor Ctrl-C is the guest's, as in QEMU.
    static func stdio(monitor: Bool) -> CharacterConfig {
        var config = CharacterConfig(.stdio(monitor: monitor))
        config.isMultiplexed = monitor
        config.allowsSignals = !monitor
        return config
    }

    static let chardevKinds = ["stdio", "file", "null"]

    static func chardev(_ use: OptionUse) throws(CommandEnd) -> CharacterConfig {
        var elements = PropertyList.split(use.value)
        let kind = elements.removeFirst().replacingPrefix("backend=", with: "")
        let common = [Property("id", .text, "name for chardev= and -serial chardev:"), Property("mux", .bool, "several users share it")]
        var properties = common
        switch kind {
        case "help", "?": throw .answered("Character device backends:\n" + chardevKinds.map { "  \($0)\n" }.joined())
        case "stdio": properties.append(Property("signal", .bool, "Ctrl-C ends the emulator (default: on)"))
        case "file": properties.append(Property("path", .text, "the file, created or emptied"))
        case "null": break
        default:
            throw use.failed(
                "unknown backend '\(kind)'" + didYouMean(kind, among: chardevKinds) + "; there are " + chardevKinds.joined(separator: ", "))
        }
        let list = try PropertyList(elements: elements, use, properties, of: "-chardev \(kind)")
        guard let id = list["id"], !id.isEmpty else { throw use.failed("needs an id: \(kind),id=char0") }
        var config: CharacterConfig
        switch kind {
        case "stdio":
            config = CharacterConfig(.stdio(monitor: false), id: id)
            config.allowsSignals = list.bool("signal") ?? true
        case "file":
            guard let path = list["path"], !path.isEmpty else { throw use.failed("needs path=FILE") }
            config = CharacterConfig(.file(path), id: id)
        default: config = CharacterConfig(.null, id: id)
        }
        config.isMultiplexed = list.bool("mux") ?? false
        return config
    }
}
