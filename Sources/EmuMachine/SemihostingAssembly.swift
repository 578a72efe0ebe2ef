import EmuBus
import EmuDevices

/// `-semihosting`, `-semihosting-config`.
public struct SemihostingConfig: Equatable, Sendable {
    /// Programs in user mode are served, too.
    public var servesUserMode = false
    /// Id of the `-chardev` that is the program's console; nil for standard error, from which nothing can be read.
    public var chardev: String?
    /// The program's command line, word by word; empty for the kernel's name and `-append`.
    public var arguments: [String] = []
    /// The folder whose files the program may use; nil for none.
    public var folder: String?
    public var isReadOnly = false

    public init() {}
}

extension PeripheralAssembly {
    /// What serves semihosting calls, where the command line asks for that.
    func makeSemihosting(_ context: BoardContext) throws -> Semihosting? {
        let config = context.config
        guard let asked = config.semihosting else { return nil }
        var configuration = Semihosting.Configuration()
        configuration.servesUserMode = asked.servesUserMode
        let words = asked.arguments.isEmpty ? [config.kernel, config.append].compactMap { $0 } : asked.arguments
        configuration.commandLine = words.joined(separator: " ")
        if let folder = asked.folder {
            do throws(HostError) {
                configuration.folder = try SharedFolder(path: folder, isReadOnly: asked.isReadOnly, ownership: .none)
            } catch {
                throw ConfigError("-semihosting-config folder=\(folder)", error.description)
            }
        }
        let line = try semihostingLine(asked, config)
        guard let console = try characterBackend(line) else { throw ConfigError("-semihosting-config", "its console leads nowhere") }
        let hasInput = line.kind != .standardError
        return Semihosting(
            configuration, console: console, hasInput: hasInput, events: context.events, wallClock: config.wallClock(context.events)
        ) { [unowned context] in context.request($0) }
    }

    private func semihostingLine(_ asked: SemihostingConfig, _ config: MachineConfig) throws(ConfigError) -> CharacterConfig {
        guard let id = asked.chardev else { return CharacterConfig(.standardError) }
        guard let line = config.chardevs.first(where: { $0.id == id }) else {
            throw ConfigError("-semihosting-config chardev=\(id)", "there is no -chardev with id=\(id)")
        }
        return line
    }
}
