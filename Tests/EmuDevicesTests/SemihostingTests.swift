import EmuBus
import EmuDevices
import Foundation
import Glibc
import Testing

/// Semihosting operations, asked for by a program whose memory begins at `base`.
@Suite struct SemihostingTests {
    final class Program: SemihostingCaller {
        static let base: UInt64 = 0x1000
        var memory = [UInt8](repeating: 0xee, count: 0x20000)
        var retries = 0

        private func range(_ address: UInt64, _ count: Int) -> Range<Int>? {
            guard address >= Self.base, address - Self.base <= UInt64(memory.count), count <= memory.count - Int(address - Self.base) else { return nil }
            return Int(address - Self.base)..<Int(address - Self.base) + count
        }

        func readMemory(_ address: UInt64, count: Int) -> [UInt8]? { range(address, count).map { Array(memory[$0]) } }

        func writeMemory(_ address: UInt64, _ bytes: [UInt8]) -> Bool {
            guard let range = range(address, bytes.count) else { return false }
            memory.replaceSubrange(range, with: bytes)
            return true
        }

        func retry() { retries += 1 }

        /// Puts fields where the parameter register points to.
        func block(_ fields: [UInt64], at address: UInt64 = base) -> UInt64 {
            _ = writeMemory(address, fields.flatMap { field in withUnsafeBytes(of: field.littleEndian) { Array($0) } })
            return address
        }

        /// Puts a string beyond the block; address and length.
        func text(_ text: String, at address: UInt64 = base + 0x100) -> (UInt64, UInt64) {
            _ = writeMemory(address, Array(text.utf8) + [0])
            return (address, UInt64(text.utf8.count))
        }

        func field(_ index: Int, at address: UInt64 = base) -> UInt64 {
            (readMemory(address + 8 * UInt64(index), count: 8) ?? []).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    private final class Line: CharacterBackend {
        weak var frontend: (any CharacterFrontend)?
        var text = ""
        func write(_ bytes: UnsafeRawBufferPointer) { text += String(decoding: bytes, as: UTF8.self) }
        func frontendReady() {}
    }

    private final class Ends { var requests: [PowerRequest] = [] }

    private let program = Program()
    private let line = Line()
    private let ends = Ends()
    private let events = EventQueue(mode: .virtual)
    private let folder: String
    private static let failed = UInt64.max
    private static let buffer: UInt64 = 0x3000

    init() throws {
        folder = NSTemporaryDirectory() + "semihosting-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder + "/inside", withIntermediateDirectories: true)
    }

    private func service(files: Bool = true, isReadOnly: Bool = false, hasInput: Bool = true, commandLine: String = "prog a b") throws -> Semihosting {
        var configuration = Semihosting.Configuration()
        configuration.commandLine = commandLine
        if files { configuration.folder = try SharedFolder(path: folder + "/inside", isReadOnly: isReadOnly, ownership: .none) }
        return Semihosting(configuration, console: line, hasInput: hasInput, events: events, wallClock: { 1_700_000_000_999_999_999 }) { [ends] in
            ends.requests.append($0)
        }
    }

    private func open(_ service: Semihosting, _ path: String, _ mode: UInt64) -> UInt64? {
        let (address, length) = program.text(path)
        return service.perform(0x01, program.block([address, mode, length]), for: program)
    }

    private func call(_ service: Semihosting, _ operation: UInt64, _ fields: UInt64...) -> UInt64? {
        service.perform(operation, program.block(fields), for: program)
    }

    private func write(_ service: Semihosting, _ handle: UInt64, _ text: String) -> UInt64? {
        let (address, length) = program.text(text, at: Self.buffer)
        return call(service, 0x05, handle, address, length)
    }

    private func read(_ service: Semihosting, _ handle: UInt64, _ count: UInt64) -> (left: UInt64?, text: String) {
        let left = call(service, 0x06, handle, Self.buffer, count)
        guard let left, left <= count else { return (left, "") }
        return (left, String(decoding: program.readMemory(Self.buffer, count: Int(count - left)) ?? [], as: UTF8.self))
    }

    private func error(_ service: Semihosting) -> UInt64? { service.perform(0x13, 0, for: program) }

    // MARK: Console

    @Test func charactersAndStringsGoToTheConsole() throws {
        let service = try service()
        let (address, _) = program.text("hello")
        #expect(service.perform(0x03, address, for: program) != Self.failed)
        #expect(service.perform(0x04, address, for: program) != Self.failed)
        // Right to the end of memory, and beyond it.
        let end = Program.base + UInt64(program.memory.count)
        _ = program.writeMemory(end - 3, [0x61, 0x62, 0])
        #expect(service.perform(0x04, end - 3, for: program) == 0)
        #expect(line.text == "hhelloab")
        _ = program.writeMemory(end - 1, [0x63])
        #expect(service.perform(0x04, end - 1, for: program) == Self.failed)
        #expect(error(service) == UInt64(EFAULT))
    }

    @Test func ttIsInputOrOutputByItsMode() throws {
        let service = try service()
        let input = try #require(open(service, ":tt", 0)), output = try #require(open(service, ":tt", 4)), errors = try #require(open(service, ":tt", 8))
        #expect(Set([input, output, errors]).count == 3 && ![input, output, errors].contains(0))
        #expect(write(service, output, "out ") == 0 && write(service, errors, "err") == 0)
        #expect(line.text == "out err")
        #expect(write(service, input, "abc") == 3)
        #expect(call(service, 0x09, input) == 1 && call(service, 0x09, output) == 1)
        #expect(call(service, 0x02, input) == 0 && call(service, 0x02, input) == Self.failed)
        #expect(call(service, 0x0c, output) == Self.failed && call(service, 0x0a, output, 0) == Self.failed)
    }

    @Test func readingWaitsForInput() throws {
        let service = try service()
        let input = try #require(open(service, ":tt", 0))
        #expect(service.perform(0x07, 0, for: program) == nil)
        #expect(read(service, input, 10).left == nil)
        #expect(program.retries == 0)
        line.frontend?.receive(Array("xyz".utf8))
        #expect(program.retries == 1)
        #expect(service.perform(0x07, 0, for: program) == 0x78)
        let rest = read(service, input, 10)
        #expect(rest.left == 8 && rest.text == "yz")
        #expect(read(service, input, 0).left == 0)
    }

    @Test func withoutAnInputItsEndIsReached() throws {
        let service = try service(hasInput: false)
        let input = try #require(open(service, ":tt", 0))
        #expect(service.perform(0x07, 0, for: program) == Self.failed)
        #expect(read(service, input, 10).left == 10)
    }

    @Test func theConsoleKeepsNoMoreThanItSaysItTakes() throws {
        let service = try service()
        let capacity = service.receiveCapacity
        line.frontend?.receive([UInt8](repeating: 0x61, count: capacity + 100))
        #expect(service.receiveCapacity == 0)
        let input = try #require(open(service, ":tt", 0))
        #expect(read(service, input, UInt64(capacity) + 100).left == 100)
        #expect(service.receiveCapacity == capacity)
    }

    // MARK: Files

    @Test func filesAreWrittenReadAndMeasured() throws {
        let service = try service()
        let file = try #require(open(service, "a.txt", 6))
        #expect(file != Self.failed && write(service, file, "hello, world") == 0)
        #expect(call(service, 0x0c, file) == 12 && call(service, 0x09, file) == 0)
        #expect(call(service, 0x0a, file, 7) == 0)
        let rest = read(service, file, 100)
        #expect(rest.left == 95 && rest.text == "world")
        #expect(read(service, file, 100).left == 100)
        #expect(call(service, 0x02, file) == 0)
        #expect(try String(contentsOfFile: folder + "/inside/a.txt", encoding: .utf8) == "hello, world")
        let appended = try #require(open(service, "/a.txt", 8))
        #expect(write(service, appended, "!") == 0)
        let again = try #require(open(service, "./a.txt", 1))
        #expect(read(service, again, 13).text == "hello, world!")
        let emptied = try #require(open(service, "a.txt", 4))
        #expect(call(service, 0x0c, emptied) == 0)
    }

    @Test func largeTransfersArriveWhole() throws {
        let service = try service()
        let file = try #require(open(service, "large", 6))
        for index in 0..<0x14000 { program.memory[0x2000 + index] = UInt8(truncatingIfNeeded: index * 7 >> 3) }
        let sent = Array(program.memory[0x2000..<0x16000])
        #expect(call(service, 0x05, file, Self.buffer, 0x14000) == 0)
        for index in 0x2000..<0x16000 { program.memory[index] = 0 }
        #expect(call(service, 0x0a, file, 0) == 0)
        #expect(call(service, 0x06, file, Self.buffer, 0x14000) == 0)
        #expect(Array(program.memory[0x2000..<0x16000]) == sent)
        // Memory ends before the buffer does.
        #expect(call(service, 0x05, file, Program.base + 0x1fff0, .max) == .max)
        #expect(error(service) == UInt64(EFAULT))
    }

    @Test func filesAreRenamedAndRemoved() throws {
        let service = try service()
        _ = open(service, "old", 4)
        let (old, oldLength) = program.text("old"), (new, newLength) = program.text("new", at: Self.buffer)
        #expect(call(service, 0x0f, old, oldLength, new, newLength) == 0)
        #expect(call(service, 0x0f, old, oldLength, new, newLength) == UInt64(ENOENT))
        #expect(call(service, 0x0e, new, newLength) == 0)
        #expect(call(service, 0x0e, new, newLength) == UInt64(ENOENT))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/inside").isEmpty)
    }

    @Test(arguments: ["../secret", "/../secret", "sub/../../secret", "link", "linked/secret", "/etc/passwd"])
    func nothingOutsideOfTheFolderIsReached(path: String) throws {
        try "secret".write(toFile: folder + "/secret", atomically: false, encoding: .utf8)
        try FileManager.default.createDirectory(atPath: folder + "/inside/sub", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: folder + "/inside/link", withDestinationPath: "../secret")
        try FileManager.default.createSymbolicLink(atPath: folder + "/inside/linked", withDestinationPath: "..")
        let service = try service()
        #expect(open(service, path, 0) == Self.failed)
        #expect(open(service, path, 3) == Self.failed)
        let (name, length) = program.text(path)
        // A link itself may go; what it leads to stays.
        _ = call(service, 0x0e, name, length)
        let made = open(service, path, 4)
        if let made, made != Self.failed { #expect(write(service, made, "overwritten") == 0) }
        #expect(try String(contentsOfFile: folder + "/secret", encoding: .utf8) == "secret")
    }

    @Test func onlyFilesAreFiles() throws {
        try FileManager.default.createDirectory(atPath: folder + "/inside/sub", withIntermediateDirectories: true)
        #expect(mkfifo(folder + "/inside/pipe", 0o600) == 0)
        let service = try service()
        for path in ["sub", "sub/", "", "/", "..", "pipe", String(repeating: "x", count: 300), "a\0b"] { #expect(open(service, path, 0) == Self.failed) }
        #expect(open(service, "x", 12) == Self.failed)
    }

    @Test func withoutAFolderThereAreNoFiles() throws {
        let service = try service(files: false)
        #expect(open(service, "/etc/passwd", 0) == Self.failed && error(service) == UInt64(EACCES))
        let (name, length) = program.text("x")
        #expect(call(service, 0x0e, name, length) == UInt64(EACCES))
        #expect(call(service, 0x0d, Self.buffer, 1, 100) == Self.failed)
        #expect(open(service, ":tt", 4) == 1)
    }

    @Test func aReadOnlyFolderStaysAsItIs() throws {
        try "data".write(toFile: folder + "/inside/file", atomically: false, encoding: .utf8)
        let service = try service(isReadOnly: true)
        let file = try #require(open(service, "file", 0))
        #expect(read(service, file, 4).text == "data")
        #expect(write(service, file, "x") == 1)
        for mode: UInt64 in 2..<12 { #expect(open(service, "file", mode) == Self.failed && error(service) == UInt64(EROFS)) }
        let (name, length) = program.text("file")
        #expect(call(service, 0x0e, name, length) == UInt64(EROFS))
        #expect(try String(contentsOfFile: folder + "/inside/file", encoding: .utf8) == "data")
    }

    @Test func handlesAreLimitedAndClosedByAReset() throws {
        let service = try service()
        var last: UInt64? = 0
        for _ in 0..<256 { last = open(service, ":tt", 4) }
        #expect(last == 256)
        #expect(open(service, ":tt", 4) == Self.failed && error(service) == UInt64(EMFILE))
        service.reset()
        #expect(call(service, 0x09, 1) == Self.failed)
        #expect(open(service, ":tt", 4) == 1)
    }

    @Test func temporaryNamesAreTheSameForTheSameNumber() throws {
        let service = try service()
        #expect(call(service, 0x0d, Self.buffer, 255, 20) == 0)
        #expect(program.readMemory(Self.buffer, count: 16) == Array("semihosting-255\0".utf8))
        #expect(call(service, 0x0d, Self.buffer, 256, 20) == Self.failed)
        #expect(call(service, 0x0d, Self.buffer, 255, 15) == Self.failed)
    }

    // MARK: The rest

    @Test func featuresAreTold() throws {
        let service = try service(files: false)
        let handle = try #require(open(service, ":semihosting-features", 0)), second = try #require(open(service, ":semihosting-features", 1))
        #expect(handle != second && call(service, 0x0c, handle) == 5 && call(service, 0x09, handle) == 0)
        #expect(read(service, handle, 100).text == "SHFB\u{3}")
        #expect(read(service, handle, 1).left == 1)
        #expect(call(service, 0x0a, handle, 4) == 0 && call(service, 0x0a, handle, 6) == Self.failed)
        #expect(read(service, handle, 1).text == "\u{3}" && read(service, second, 4).text == "SHFB")
        #expect(open(service, ":semihosting-features", 4) == Self.failed)
        #expect(write(service, handle, "x") == 1)
    }

    @Test func timeIsTheGuests() throws {
        let service = try service()
        events.advanceVirtual(to: 1_234_567_890)
        #expect(service.perform(0x10, 0, for: program) == 123)
        #expect(service.perform(0x11, 0, for: program) == 1_700_000_000)
        #expect(service.perform(0x30, Self.buffer, for: program) == 0)
        #expect(program.field(0, at: Self.buffer) == 1_234_567_890)
        #expect(service.perform(0x31, 0, for: program) == 1_000_000_000)
    }

    @Test func theCommandLineFitsOrIsRefused() throws {
        let service = try service()
        #expect(call(service, 0x15, Self.buffer, 9) == 0)
        #expect(program.field(1) == 8 && program.readMemory(Self.buffer, count: 9) == Array("prog a b\0".utf8))
        #expect(call(service, 0x15, Self.buffer, 8) == Self.failed)
    }

    @Test(arguments: [0x18, 0x20] as [UInt64]) func exitTellsItsCode(operation: UInt64) throws {
        let service = try service()
        _ = call(service, operation, 0x20026, 3)
        _ = call(service, operation, 0x20026, 0)
        _ = call(service, operation, 0x20023, 0)
        #expect(ends.requests == [.poweroff(code: 3), .poweroff(code: 0), .failure(code: 1)])
        #expect(service.perform(operation, 0, for: program) == Self.failed && ends.requests.count == 3)
    }

    @Test func errorsAreNegative() throws {
        let service = try service()
        #expect(call(service, 0x08, Self.failed) == 1 && call(service, 0x08, 0) == 0 && call(service, 0x08, 5) == 0)
    }

    @Test func theHostCarriesOutNoCommands() throws {
        let service = try service()
        let (command, length) = program.text("touch \(folder)/made")
        #expect(call(service, 0x12, command, length) == Self.failed)
        #expect(!FileManager.default.fileExists(atPath: folder + "/made"))
    }

    @Test func theHeapIsTheProgramsOwnAffair() throws {
        let service = try service()
        #expect(call(service, 0x16, Self.buffer) == 0)
        #expect(program.readMemory(Self.buffer, count: 33) == [UInt8](repeating: 0, count: 32) + [0xee])
    }

    @Test(arguments: [0, 0x0b, 0x14, 0x17, 0x19, 0x32, 0x100, UInt64.max]) func otherNumbersAreNoOperations(number: UInt64) throws {
        #expect(try service().perform(number, 0, for: program) == Self.failed)
    }

    @Test func blocksOutsideOfMemoryAreRefused() throws {
        let service = try service()
        for operation: UInt64 in [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0a, 0x0c, 0x0d, 0x15, 0x16, 0x18, 0x20, 0x30] {
            for address: UInt64 in [0, Program.base + 0x20000, .max] { #expect(service.perform(operation, address, for: program) == Self.failed) }
        }
        let file = try #require(open(service, "f", 6))
        #expect(write(service, file, "abc") == 0)
        #expect(call(service, 0x0a, file, 0) == 0)
        #expect(call(service, 0x06, file, 0x10, 3) == Self.failed)
        #expect(call(service, 0x01, 0x10, 0, 3) == Self.failed)
        #expect(call(service, 0x01, Program.base, 0, .max) == Self.failed)
        #expect(call(service, 0x0a, file, .max) == Self.failed)
    }
}
