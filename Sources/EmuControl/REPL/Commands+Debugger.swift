import EmuBus
import EmuMachine
import Foundation

/// The debugger itself.
extension CommandTable {
    static let debugger: [Command] = [
        Command(
            names: ["help", "h", "?"], arguments: "[COMMAND]", section: .debugger, summary: "list the commands, or tell about one", examples: ["help", "help x"],
            completion: .commands) { _, input throws(DebugError) in try help(input.text) },
        Command(
            names: ["symbols", "file", "symbol-file"], arguments: "FILE [SLIDE|auto] | guest", section: .debugger, summary: "load symbols and line numbers of a program",
            details: "SLIDE is added to its addresses: where it runs minus where it was linked. With 'auto' a kernel that moved itself is looked for in memory. "
                + "'guest' takes the names a Linux kernel keeps in memory, as the first 'guest' command does (./guest is a file).",
            examples: ["symbols vmlinux", "symbols vmlinux auto", "symbols app.elf 0x10000", "symbols guest"], completion: .files
        ) { debugger, input throws(DebugError) in
            let words = input.words
            guard let path = words.first, words.count <= 2 else { throw DebugError("write symbols FILE [SLIDE]") }
            if words == ["guest"] {
                let guest = try debugger.guest()
                let count = guest.symbols?.symbolCount ?? 0
                return CommandResult(
                    "guest: \(count) symbols, slide \(hexText(guest.slide))\n",
                    .record(["file": .string(LinuxGuest.symbolsName), "symbols": .int(count), "slide": .hex(guest.slide)]))
            }
            let slide = try words.count == 1 ? 0 : words[1] == "auto" ? debugger.findSlide(path) : debugger.session.evaluate(words[1]).bits
            let count = try debugger.loadSymbols(path, slide: slide)
            return CommandResult("\(path): \(count) symbols\n", .record(["file": .string(path), "symbols": .int(count), "slide": .hex(slide)]))
        },
        Command(
            names: ["source"], arguments: "FILE", section: .debugger, summary: "carry out the commands in a file; the first that fails ends it", completion: .files
        ) { debugger, input throws(DebugError) in
            let lines = try Debugger.lines(ofFile: input.text)
            var text = ""
            var values: [DebugValue] = []
            try debugger.executeLines(lines) {
                debugger.onText($0.text)
                text += ""
                values.append($0.value)
            }
            return CommandResult(text, .record(["results": .list(values)]))
        },
        Command(
            names: ["assert"], arguments: "EXPRESSION", section: .debugger, summary: "fail when EXPRESSION is zero: for scripts",
            details: "In a script a command that fails ends emulate with exit code 1.", examples: ["assert $a0 == 0"], completion: .expression
        ) { debugger, input throws(DebugError) in
            guard try debugger.session.evaluate(input.text).isTrue else { throw DebugError("assertion failed: \(input.text)") }
            return CommandResult("", .record(["true": .bool(true)]))
        },
        Command(names: ["echo"], arguments: "TEXT", section: .debugger, summary: "print TEXT") { _, input throws(DebugError) in
            CommandResult(input.text + "\n", .record(["text": .string(input.text)]))
        },
        Command(
            names: ["quit", "q", "exit", "kill"], arguments: "[CODE]", section: .debugger, summary: "end emulate",
            details: "The exit code is CODE, else what the guest powered off with, else 0.", examples: ["quit", "quit 3"]) { debugger, input throws(DebugError) in
            var code: Int32?
            if !input.text.isEmpty { code = Int32(truncatingIfNeeded: try debugger.session.evaluate(input.text).bits & 0xff) }
            debugger.quit(code)
            return CommandResult()
        },
    ]

    private static func help(_ text: String) throws(DebugError) -> CommandResult {
        guard let word = text.split(separator: " ").first.map(String.init) else {
            var lines = ""
            for section in Command.Section.allCases {
                lines += "\(section.rawValue):\n"
                for command in all where command.section == section {
                    let names = command.names.prefix(3).joined(separator: ", ")
                    lines += "  " + names.padded(24) + " " + command.summary + "\n"
                }
            }
            lines += "'help COMMAND' tells more. An empty line repeats commands that step or list.\n"
            return CommandResult(lines, .record(["commands": .list(all.map(value))]))
        }
        let command = try Debugger.command(word)
        var lines = "\(command.usage)\n  \(command.summary)\n"
        if command.names.count > 1 { lines += "  also: \(command.names.dropFirst().joined(separator: ", "))\n" }
        if !command.details.isEmpty { lines += "\n" + command.details.split(separator: "\n").map { "  \($0)\n" }.joined() }
        if command.name == "info" { lines += "\n" + InfoTable.list }
        if !command.examples.isEmpty { lines += "\n  for example\n" + command.examples.flatMap { $0.split(separator: "\n") }.map { "    \($0)\n" }.joined() }
        return CommandResult(lines, value(command))
    }

    private static func value(_ command: Command) -> DebugValue {
        .record([
            "name": .string(command.name), "aliases": .list(command.names.dropFirst().map { .string($0) }), "usage": .string(command.usage),
            "summary": .string(command.summary), "details": .string(command.details), "examples": .list(command.examples.map { .string($0) }),
        ])
    }
}

extension Debugger {
    /// Loads a file's symbols and returns how many there are.
    @discardableResult
    public func loadSymbols(_ path: String, slide: UInt64 = 0) throws(DebugError) -> Int {
        do throws(ImageError) {
            let file = try SymbolFile.open(path)
            symbols.add(file, slide: slide)
            session.symbolsChanged()
            return file.symbolCount
        } catch {
            throw DebugError("symbols \(path): \(error.description)")
        }
    }

    /// Where the kernel whose symbols are in the file at `path` runs now, as the distance from where it was linked.
    func findSlide(_ path: String) throws(DebugError) -> UInt64 {
        let file: SymbolFile
        do throws(ImageError) { file = try SymbolFile.open(path) } catch { throw DebugError("symbols \(path): \(error.description)") }
        // The program counter may be in the kernel, and trap vectors are.
        let hints = [session.pc] + session.registers.filter { $0.group == .system && $0.name.hasSuffix("tvec") }.map { session.read($0) & ~3 }
        guard let slide = KernelSlide.find(file, memory: SessionMemory(session: session), hints: hints) else {
            throw DebugError("symbols \(path): this kernel is not in memory where the selected hart looks; let it start first, or give the slide")
        }
        return slide
    }

    /// The lines of a command file.
    public static func lines(ofFile path: String) throws(DebugError) -> [String] {
        do {
            return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        } catch {
            throw DebugError("cannot read '\(path)': \(error.localizedDescription)")
        }
    }
}
