import EmuBus
import EmuDevices
import EmuMachine

/// One verb of `emulate disk`.
struct DiskVerb: Sendable {
    let name: String
    let summary: String
    /// What stands behind the options.
    let operands: String
    let options: [Option<DiskArguments>]
    let run: @Sendable (DiskArguments) throws -> Int32

    var table: OptionTable<DiskArguments> { OptionTable(sections: [OptionSection(title: "Options", options: options)]) }
    var help: String { "usage: emulate disk \(name) [options] \(operands)\n\n\(summary)\n" + table.text }

    /// The words behind the options, as many as there have to be.
    func operands(_ arguments: DiskArguments, _ count: ClosedRange<Int>) throws(CommandEnd) -> [String] {
        guard count.contains(arguments.words.count) else {
            throw .failed("disk \(name)", (arguments.words.count < count.lowerBound ? "something is missing" : "'\(arguments.words[count.upperBound])' is too much") + ": emulate disk \(name) [options] \(operands)")
        }
        return arguments.words
    }
}

/// `emulate disk VERB …`: works on disk images, with the option names of qemu-img.
package enum DiskCommand: Subcommand {
    static let name = "disk"
    static let summary = "create, look at, check and convert disk images"

    static let verbs: [DiskVerb] = [create, info, check, convert, resize, snapshot, commit, map, compare]

    package static var help: String {
        "usage: emulate disk VERB [options] …\n\nWorks on disk images, raw and qcow2, with the option names of qemu-img.\n\n"
            + columns(verbs.map { ("  \($0.name)", $0.summary) }) + "\n'emulate disk VERB -h' lists a verb's options.\n"
    }

    /// The reference part of docs/storage.md.
    package static var markdown: String {
        verbs.map { "### emulate disk \($0.name) [options] \($0.operands)\n\n\($0.summary)\n\n" + $0.table.markdown.split(separator: "\n", omittingEmptySubsequences: false).dropFirst(2).joined(separator: "\n") }
            .joined(separator: "\n")
    }

    static func run(_ arguments: [String]) throws(CommandEnd) -> Int32 {
        guard let word = arguments.first, !["-h", "--help", "-help", "help"].contains(word) else { throw .answered(help) }
        guard let verb = verbs.first(where: { $0.name == word }) else {
            throw .failed("disk \(word)", "there is no such verb" + didYouMean(word, among: verbs.map(\.name)) + "; 'emulate disk -h' lists them all")
        }
        if arguments.dropFirst().contains(where: { ["-h", "--help", "-help"].contains($0) }) { throw .answered(verb.help) }
        var values = DiskArguments()
        values.words = try verb.table.parse(Array(arguments.dropFirst()), into: &values)
        do {
            return try verb.run(values)
        } catch let end as CommandEnd {
            throw end
        } catch {
            // compare and check tell "no" from "I do not know" by their exit codes.
            guard verb.name == "compare" else { throw .failed("disk \(verb.name)", "\(error)") }
            HostStartup.printError("disk compare: \(error)")
            return 2
        }
    }

    static func print(_ text: String, _ arguments: DiskArguments) -> Int32 {
        arguments.isQuiet || HostStartup.printOut(text) ? 0 : 1
    }
}
