import EmuJIT
import Foundation
import Testing

/// The programs of testroms/, each of which shows one rule of the machine from the inside, run by the command as built.
struct TestROMTests {
    /// A line of testroms/manifest.json.
    struct Entry: Decodable, CustomTestStringConvertible {
        let name: String
        /// The program where it is not `name` with ".elf".
        let file: String?
        let machine: String
        let smp: Int
        let cpu: String
        let exit: Int32
        /// What the console must show.
        let text: String?
        let options: [String]?

        var testDescription: String { name }
        var program: String { file ?? name + ".elf" }
    }

    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../testroms").standardizedFileURL

    static let manifest: [Entry] = {
        guard let data = try? Data(contentsOf: folder.appending(path: "manifest.json")) else { return [] }
        return (try? JSONDecoder().decode([Entry].self, from: data)) ?? []
    }()

    @Test(arguments: manifest, ["virtual", "host"]) func programShowsItsRule(entry: Entry, clock: String) throws {
        try show(entry, clock: clock)
    }

    @Test(arguments: manifest, ["interp"] + (X86Backend.isSupported ? ["lockstep"] : [])) func programShowsItsRuleInOtherEngines(entry: Entry, engine: String) throws {
        try show(entry, clock: "virtual", "--engine", engine)
    }

    private func show(_ entry: Entry, clock: String, _ options: String...) throws {
        let run = try Subprocess(options + [
            "-machine", entry.machine, "-smp", "\(entry.smp)", "-cpu", entry.cpu, "-bios", "none", "-nographic", "--time", clock,
            "-kernel", Self.folder.appending(path: entry.program).path,
        ] + (entry.options ?? []))
        run.endInput()
        let output = run.outputToEnd()
        #expect(run.wait() == .code(entry.exit), "\(output)")
        if let text = entry.text { #expect(output.contains(text)) }
    }

    @Test func manifestNamesEveryProgram() throws {
        let programs = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).filter { $0.hasSuffix(".elf") }
        #expect(programs.count > 1)
        #expect(Set(Self.manifest.map(\.program)) == Set(programs))
    }
}
