import EmuMachine
import Glibc

/// Something `emulate WORD …` does.
protocol Subcommand {
    /// The word.
    static var name: String { get }
    /// One line for help.
    static var summary: String { get }
    /// Carries it out and ends the process with the code returned.
    static func run(_ arguments: [String]) throws(CommandEnd) -> Int32
}

@main
enum Emulate {
    /// All subcommands; the first is the one meant when none is named.
    static var subcommands: [any Subcommand.Type] { [RunCommand.self, DebugCommand.self, BenchCommand.self, DiskCommand.self] }

    static func main() {
        HostStartup.openStandardDescriptors()
        var arguments = Array(CommandLine.arguments.dropFirst())
        var command = subcommands[0]
        if let named = subcommands.first(where: { $0.name == arguments.first }) {
            arguments.removeFirst()
            command = named
        }
        do throws(CommandEnd) {
            exit(try command.run(arguments))
        } catch {
            switch error {
            case .answered(let text): exit(HostStartup.printOut(text) ? 0 : 1)
            case .failed(let problem):
                HostStartup.printError(problem.description)
                exit(1)
            }
        }
    }
}
