/// One command of the debugger: the only description of it, from which parsing, `help`, completion and the documentation follow.
struct Command: Sendable {
    enum Section: String, CaseIterable, Sendable {
        case running = "Running and stopping"
        case breakpoints = "Breakpoints, watchpoints and events"
        case looking = "Looking at the guest"
        case guest = "The guest's operating system"
        case recording = "Recording what the guest does"
        case changing = "Changing the guest"
        case debugger = "The debugger itself"
    }

    /// What the words after the command are, for completion.
    enum Completion: Sendable {
        case nothing, expression, place, registers, topics, commands, breakpoints, files
        /// One of these.
        case words([String])
    }

    /// The first is the one help shows.
    let names: [String]
    /// How it is used, without the name; "" for none.
    let arguments: String
    let section: Section
    /// One line.
    let summary: String
    /// More, for `help COMMAND`.
    var details = ""
    var examples: [String] = []
    var completion = Completion.nothing
    /// An empty line does it again.
    var repeats = false
    let action: @Sendable (Debugger, CommandInput) throws(DebugError) -> CommandResult

    var name: String { names[0] }
    var usage: String { names[0] + (arguments.isEmpty ? "" : " " + arguments) }
}

/// A command line taken apart.
struct CommandInput: Sendable {
    /// The command's name as typed.
    var name: String
    /// What follows a slash right after the name: `8gx` of `x/8gx`.
    var format: String?
    /// The rest, without white space at its ends.
    var text: String
    /// Done again by an empty line.
    var isRepeated = false

    /// - Returns: nil for an empty line or a comment.
    init?(_ line: String) {
        let trimmed = line.trimmed
        guard let first = trimmed.first, first != "#" else { return nil }
        // A shell's habit: ? for help.
        let head = trimmed.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" }
        if head.isEmpty {
            name = String(first)
            text = String(trimmed.dropFirst()).trimmed
            return
        }
        name = String(head)
        var rest = trimmed[head.endIndex...]
        if rest.first == "/" {
            let found = rest.dropFirst().prefix { !$0.isWhitespace }
            format = String(found)
            rest = rest[found.endIndex...]
        }
        text = String(rest).trimmed
    }

    /// The rest cut at white space.
    var words: [String] { text.split(whereSeparator: \.isWhitespace).map(String.init) }

    func refuseArguments() throws(DebugError) {
        if !text.isEmpty { throw DebugError("'\(name)' takes no arguments") }
    }
}
