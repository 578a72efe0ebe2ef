import EmuBus
import EmuMachine

/// The commands over a session: takes lines, gives results. Knows no terminal.
public final class Debugger {
    public let session: DebugSession
    /// Symbols loaded by `symbols` and by the command line.
    public let symbols = SymbolTable()
    /// Where source files are found.
    public let sources = SourceFiles()
    /// Traces, profiles and coverage.
    public private(set) lazy var recordings = Recordings(session, symbols)
    /// Sends text to the guest's console, for `send`.
    public var sendToGuest: (([UInt8]) -> Void)?
    /// Shown by `info devices` as the board's own name for the guest's end; tells the REPL to end.
    public private(set) var isQuitting = false
    /// What `quit CODE` asked for.
    public private(set) var exitCode: Int32?
    /// Shows text of commands that run long, and of breakpoint commands, as it comes.
    public var onText: (String) -> Void = { _ in }

    // Settings and state of commands.
    var touchesDevices = false
    var repeated: CommandInput?
    var examineFormat = DisplayFormat()
    var nextExamined: UInt64 = 0
    var nextDisassembled: UInt64?
    var nextListed: (file: String, line: Int)?
    var displays: [Display] = []
    var nextDisplay = 1
    /// Breakpoint whose command list is being typed, and the lines so far.
    var collecting: (ids: [Int], lines: [String])?
    /// The Linux kernel that was found in the guest, and the symbol files made of its modules, by their addresses.
    var linux: LinuxGuest?
    var guestModules: [UInt64: String] = [:]
    /// Command lists of breakpoints that stopped the guest and are still to be carried out; whether somebody is at it.
    private var waitingLists: [[String]] = []
    private var carriesOutLists = false
    private var sourceDepth = 0
    /// Deeper nesting of `source` is a file that includes itself.
    private static let sourceLimit = 16

    /// An expression shown at every stop.
    struct Display {
        var id: Int
        var format: String?
        var expression: String
        var isEnabled = true
    }

    public init(_ session: DebugSession) {
        self.session = session
        session.symbols = symbols
    }

    /// What a prompt should be: another one while a command list is typed.
    public var prompt: String { collecting == nil ? "(emulate) " : ">" }

    // MARK: Executing

    /// Carries out one line.
    /// - Throws: what went wrong, for the user.
    public func execute(_ line: String) throws(DebugError) -> CommandResult {
        if collecting != nil { return collect(line) }
        guard var input = CommandInput(line) else {
            guard line.trimmed.isEmpty, var again = repeated else { return CommandResult() }
            again.isRepeated = true
            return try perform(Self.command(again.name), again)
        }
        let command = try Self.command(input.name)
        input.name = command.name
        repeated = command.repeats ? input : nil
        return try perform(command, input)
    }

    private func perform(_ command: Command, _ input: CommandInput) throws(DebugError) -> CommandResult { try command.action(self, input) }

    /// The command called `name`, an alias, or the only one that begins so.
    static func command(_ name: String) throws(DebugError) -> Command {
        if let exact = CommandTable.all.first(where: { $0.names.contains(name) }) { return exact }
        let begun = CommandTable.all.filter { $0.names.contains { $0.hasPrefix(name) } }
        if begun.count == 1 { return begun[0] }
        if begun.count > 1 { throw DebugError("'\(name)' is ambiguous: \(begun.map(\.name).joined(separator: ", "))") }
        throw DebugError("unknown command '\(name)'" + didYouMean(name, among: CommandTable.all.flatMap(\.names)) + "; 'help' lists the commands")
    }

    func quit(_ code: Int32?) {
        isQuitting = true
        exitCode = code
    }

    /// Carries out lines one after the other; `show` gets each result.
    /// - Throws: the first failure, which ends it.
    func executeLines(_ lines: [String], show: (CommandResult) -> Void) throws(DebugError) {
        guard sourceDepth < Self.sourceLimit else { throw DebugError("command files are nested too deeply") }
        sourceDepth += 1
        defer { sourceDepth -= 1 }
        for line in lines where !isQuitting {
            if CommandInput(line) == nil, collecting == nil { continue }
            show(try execute(line))
        }
    }

    // MARK: Command lists

    func beginCommands(_ ids: [Int]) { collecting = (ids, []) }

    private func collect(_ line: String) -> CommandResult {
        guard var list = collecting else { return CommandResult() }
        if line.trimmed == "end" {
            collecting = nil
            for id in list.ids { try? session.changeBreakpoint(id) { $0.commands = list.lines } }
            return CommandResult("", .record(["breakpoints": .list(list.ids.map { .int($0) }), "commands": .list(list.lines.map { .string($0) })]))
        }
        list.lines.append(line.trimmed)
        collecting = list
        return CommandResult()
    }

    // MARK: Stops

    /// The report of a stop, after the command lists of the breakpoints that stopped were carried out.
    func report(_ stop: Stop) throws(DebugError) -> CommandResult {
        nextDisassembled = nil
        nextListed = nil
        var text = ""
        var members: [DebugValue.Member] = [.init(name: "stop", value: StopReport.value(stop, session))]
        let lists = stop.breakpoints.compactMap { session.breakpoint($0) ?? stopped[$0] }.map(\.commands).filter { !$0.isEmpty }
        let isSilent = lists.contains { $0.first == "silent" }
        if !isSilent { text += StopReport.text(stop, session) }
        if session.end == nil, !isSilent {
            text += try displayText(&members)
        }
        var outputs: [DebugValue] = []
        waitingLists += lists.map { $0.first == "silent" ? Array($0.dropFirst()) : $0 }
        // A list may run the guest to the next stop, whose lists then wait here: however many there are, none is inside another.
        if !carriesOutLists {
            carriesOutLists = true
            defer { (carriesOutLists, waitingLists) = (false, []) }
            while !waitingLists.isEmpty, !isQuitting {
                do throws(DebugError) {
                    try executeLines(waitingLists.removeFirst()) { result in
                        text += result.text
                        outputs.append(result.value)
                    }
                } catch {
                    onText(text)
                    throw error
                }
            }
        }
        if !outputs.isEmpty { members.append(.init(name: "commands", value: .list(outputs))) }
        return CommandResult(text, .object(members))
    }

    /// Temporary breakpoints before a run, whose command lists are needed after it.
    var stopped: [Int: Breakpoint] = [:]

    /// Runs the guest by one of the session's functions and reports where it stopped.
    func run(_ body: () throws(DebugError) -> Stop) throws(DebugError) -> CommandResult {
        stopped = Dictionary(uniqueKeysWithValues: session.userBreakpoints.filter(\.isTemporary).map { ($0.id, $0) })
        return try report(try body())
    }

    private func displayText(_ members: inout [DebugValue.Member]) throws(DebugError) -> String {
        var text = ""
        var values: [DebugValue] = []
        for display in displays where display.isEnabled {
            do throws(DebugError) {
                let shown = try show(display)
                text += shown.text
                values.append(shown.value)
            } catch {
                text += "\(display.id): \(display.expression): \(error)\n"
            }
        }
        if !values.isEmpty { members.append(.init(name: "displays", value: .list(values))) }
        return text
    }

    func show(_ display: Display) throws(DebugError) -> CommandResult {
        let format = try DisplayFormat(display.format ?? "", defaults: DisplayFormat())
        if display.format != nil, format.letter == .instruction || format.letter == .string || format.isSizeGiven || format.count > 1 {
            let address = try session.evaluate(display.expression).bits
            var next = address
            let shown = try Examination.examine(self, &next, format, .virtual)
            return CommandResult("\(display.id): x/\(display.format ?? "") \(display.expression)\n\(shown.text)", shown.value)
        }
        let value = try session.evaluate(display.expression)
        let text = valueText(value, display.format == nil ? nil : format)
        return CommandResult("\(display.id): \(display.expression) = \(text)\n", .record(["display": .int(display.id), "value": .hex(value.bits), "text": .string(text)]))
    }

    /// A value as `print` shows it.
    func valueText(_ value: ExpressionValue, _ format: DisplayFormat?) -> String {
        if let format { return format.text(value.bits, bytes: value.type.bytes) { self.session.symbolText($0) } }
        if case .pointer = value.type { return session.addressText(value.bits) }
        let number = value.type.isSigned ? String(Int64(bitPattern: value.bits)) : String(value.bits)
        if value.bits < 10 { return number }
        let hexadecimal = value.type.bytes < 8 ? hexText(value.bits & (1 << UInt64(8 * value.type.bytes) - 1)) : hexText(value.bits)
        return "\(hexadecimal) = \(number)" + (session.symbolText(value.bits).map { " <\($0)>" } ?? "")
    }
}
