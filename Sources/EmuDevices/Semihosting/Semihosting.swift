import EmuBus
import Glibc

/// What a program without an operating system asks of its debugger, carried out by the emulator (Arm, "Semihosting for AArch32 and AArch64",
/// in the form RISC-V Semihosting gives it).
///
/// The console, time, the command line and the end of the run are always there. Files are those of one folder, where one was named; commands are
/// never passed to the host. All fields and results have 64 bits.
public final class Semihosting: SemihostingHandler {
    private enum Operation: UInt64 {
        case open = 0x01, close, writeCharacter, writeString, write, read, readCharacter, isError, isTerminal, seek
        case length = 0x0c, temporaryName, remove, rename, clock, time, system, errorNumber
        case commandLine = 0x15, heapInformation
        case exit = 0x18
        case exitExtended = 0x20
        case elapsed = 0x30, tickFrequency
    }

    public struct Configuration {
        /// Programs in user mode are served, too.
        public var servesUserMode = false
        /// What SYS_GET_CMDLINE tells.
        public var commandLine = ""
        /// Files a program may use; nil for none.
        public var folder: SharedFolder?

        public init() {}
    }

    /// What a handle stands for.
    enum File {
        case input, output
        /// The extensions there are, and the position in that text.
        case features(Int)
        case file(OpenFile)
    }

    /// A result of -1.
    static let failure = UInt64.max
    /// Bytes that are on their way at a time, and at most in one operation.
    private static let chunk = 64 << 10, greatestTransfer: UInt64 = 1 << 30
    private static let greatestString = 1 << 20, greatestPath: UInt64 = 4096
    private static let greatestHandles = 256

    public var servesUserMode: Bool { configuration.servesUserMode }
    private let configuration: Configuration
    private let console: any CharacterBackend
    /// Whether the console can have input.
    private let hasInput: Bool
    private let events: EventQueue
    private let wallClock: () -> UInt64
    private let end: (PowerRequest) -> Void

    private var files: [UInt64: File] = [:]
    private var input: [UInt8] = []
    private static let inputCapacity = 4096
    /// Who waits for input.
    private var waiting: [any SemihostingCaller] = []
    /// Why the last operation failed, in the host's numbers.
    private var lastError: Int32 = 0

    /// - Parameters:
    ///   - console: where `:tt` leads.
    ///   - hasInput: something can come from there.
    ///   - wallClock: nanoseconds since 1970.
    ///   - end: ends the run.
    public init(
        _ configuration: Configuration, console: any CharacterBackend, hasInput: Bool, events: EventQueue, wallClock: @escaping () -> UInt64,
        end: @escaping (PowerRequest) -> Void
    ) {
        self.configuration = configuration
        self.console = console
        self.hasInput = hasInput
        self.events = events
        self.wallClock = wallClock
        self.end = end
        if hasInput { console.frontend = self }
    }

    /// What a program has left open is closed; unread input stays.
    public func reset() {
        files = [:]
        waiting = []
        lastError = 0
    }

    // MARK: Operations

    public func perform(_ number: UInt64, _ parameter: UInt64, for caller: any SemihostingCaller) -> UInt64? {
        guard let operation = Operation(rawValue: number) else {
            Log.write(.guestErrors, "semihosting: there is no operation \(hex(number))")
            lastError = ENOSYS
            return Self.failure
        }
        do throws(FolderError) {
            return try perform(operation, SemihostingParameters(parameter, caller))
        } catch {
            lastError = error.code
            // These two return the host's number.
            return operation == .remove || operation == .rename ? UInt64(error.code) : Self.failure
        }
    }

    private func perform(_ operation: Operation, _ parameters: SemihostingParameters) throws(FolderError) -> UInt64? {
        switch operation {
        case .open, .close, .write, .read, .isTerminal, .seek, .length, .temporaryName, .remove, .rename: return try performOnFiles(operation, parameters)
        case .writeCharacter: return try write(parameters.bytes(parameters.value, 1))
        case .writeString: return try writeString(parameters)
        case .readCharacter:
            guard hasInput else { return Self.failure }
            guard !input.isEmpty else { return wait(parameters.caller) }
            return UInt64(take(1)[0])
        case .isError: return Int64(bitPattern: try parameters.fields(1)[0]) < 0 ? 1 : 0
        case .clock: return events.now / 10_000_000
        case .time: return wallClock() / 1_000_000_000
        case .system: throw FolderError(EPERM)
        case .errorNumber: return UInt64(lastError)
        case .commandLine: return try tellCommandLine(parameters)
        case .heapInformation:
            // Where the heap and the stack are is the program's own affair: zeros say that there is nothing to tell.
            try parameters.put([UInt8](repeating: 0, count: 32), at: try parameters.fields(1)[0])
            return 0
        case .exit, .exitExtended:
            let fields = try parameters.fields(2)
            let applicationExit: UInt64 = 0x20026
            end(fields[0] == applicationExit ? .poweroff(code: Int(fields[1] & 0xff)) : .failure(code: 1))
            return operation.rawValue
        case .elapsed:
            try parameters.put(events.now, at: parameters.value)
            return 0
        case .tickFrequency: return 1_000_000_000
        }
    }

    private func writeString(_ parameters: SemihostingParameters) throws(FolderError) -> UInt64 {
        var address = parameters.value
        var rest = Self.greatestString
        while rest > 0 {
            // Not beyond the page: what follows the string may not be readable.
            let bytes = try parameters.bytes(address, min(rest, GuestRAM.pageSize - Int(address & 0xfff)))
            let part = bytes.prefix { $0 != 0 }
            _ = write(Array(part))
            if part.count < bytes.count { return 0 }
            address &+= UInt64(bytes.count)
            rest -= bytes.count
        }
        throw FolderError(E2BIG)
    }

    private func write(_ bytes: [UInt8]) -> UInt64 {
        console.write(bytes)
        return 0
    }

    private func tellCommandLine(_ parameters: SemihostingParameters) throws(FolderError) -> UInt64 {
        let fields = try parameters.fields(2)
        let text = Array(configuration.commandLine.utf8) + [0]
        guard UInt64(text.count) <= fields[1] else { throw FolderError(E2BIG) }
        try parameters.put(text, at: fields[0])
        try parameters.put(UInt64(text.count - 1), at: parameters.value &+ 8)
        return 0
    }

    // MARK: Input

    private func wait(_ caller: any SemihostingCaller) -> UInt64? {
        if !waiting.contains(where: { $0 === caller }) { waiting.append(caller) }
        return nil
    }

    private func take(_ count: Int) -> [UInt8] {
        let taken = Array(input.prefix(count))
        let wasFull = input.count >= Self.inputCapacity
        input.removeFirst(taken.count)
        if wasFull, !taken.isEmpty { console.frontendReady() }
        return taken
    }

    // MARK: Files

    private func performOnFiles(_ operation: Operation, _ parameters: SemihostingParameters) throws(FolderError) -> UInt64? {
        switch operation {
        case .open:
            let fields = try parameters.fields(3)
            guard fields[1] < 12 else { throw FolderError(EINVAL) }
            return try add(try open(try text(parameters, fields[0], fields[2]), mode: Int(fields[1])))
        case .close:
            let handle = try parameters.fields(1)[0]
            guard files.removeValue(forKey: handle) != nil else { throw FolderError(EBADF) }
            return 0
        case .write: return try write(try parameters.fields(3), parameters)
        case .read: return try read(try parameters.fields(3), parameters)
        case .isTerminal:
            switch try file(try parameters.fields(1)[0]) {
            case .input, .output: return 1
            case .features, .file: return 0
            }
        case .seek: return try seek(try parameters.fields(2))
        case .length:
            switch try file(try parameters.fields(1)[0]) {
            case .input, .output: throw FolderError(ESPIPE)
            case .features: return UInt64(Self.features.count)
            case .file(let file): return UInt64(try file.facts().st_size)
            }
        case .temporaryName: return try tellTemporaryName(parameters)
        case .remove:
            let fields = try parameters.fields(2)
            try folder().remove(try text(parameters, fields[0], fields[1]))
            return 0
        default:
            let fields = try parameters.fields(4)
            try folder().rename(try text(parameters, fields[0], fields[1]), try text(parameters, fields[2], fields[3]))
            return 0
        }
    }

    /// Extensions: SYS_EXIT_EXTENDED, and separate handles for standard output and error.
    private static let features = Array("SHFB".utf8) + [0b11]

    private func open(_ path: String, mode: Int) throws(FolderError) -> File {
        switch path {
        case ":tt": return mode < 4 ? .input : .output
        case ":semihosting-features":
            guard mode < 2 else { throw FolderError(EACCES) }
            return .features(0)
        default: return .file(try folder().open(path, mode: mode))
        }
    }

    /// The lowest free handle; 0 is none.
    private func add(_ file: File) throws(FolderError) -> UInt64 {
        guard let handle = (1...UInt64(Self.greatestHandles)).first(where: { files[$0] == nil }) else { throw FolderError(EMFILE) }
        files[handle] = file
        return handle
    }

    private func file(_ handle: UInt64) throws(FolderError) -> File {
        guard let file = files[handle] else { throw FolderError(EBADF) }
        return file
    }

    private func folder() throws(FolderError) -> SemihostingFolder {
        guard let folder = configuration.folder else { throw FolderError(EACCES) }
        return SemihostingFolder(folder: folder)
    }

    private func text(_ parameters: SemihostingParameters, _ address: UInt64, _ length: UInt64) throws(FolderError) -> String {
        guard length <= Self.greatestPath else { throw FolderError(ENAMETOOLONG) }
        guard let text = String(validating: try parameters.bytes(address, Int(length)), as: UTF8.self) else { throw FolderError(EILSEQ) }
        return text
    }

    /// SYS_READ: handle, buffer, its length. Returns the bytes that were not filled.
    private func read(_ fields: [UInt64], _ parameters: SemihostingParameters) throws(FolderError) -> UInt64? {
        let length = min(fields[2], Self.greatestTransfer)
        var done: UInt64 = 0
        switch try file(fields[0]) {
        case .output: throw FolderError(EBADF)
        case .input:
            guard hasInput, length > 0 else { return fields[2] }
            guard !input.isEmpty else { return wait(parameters.caller) }
            let bytes = Array(input.prefix(Int(length)))
            try parameters.put(bytes, at: fields[1])
            _ = take(bytes.count)
            done = UInt64(bytes.count)
        case .features(let position):
            let bytes = Array(Self.features.dropFirst(position).prefix(Int(length)))
            try parameters.put(bytes, at: fields[1])
            files[fields[0]] = .features(position + bytes.count)
            done = UInt64(bytes.count)
        case .file(let file):
            while done < length {
                let bytes = try file.read(Int(min(length - done, UInt64(Self.chunk))))
                if bytes.isEmpty { break }
                try parameters.put(bytes, at: fields[1] &+ done)
                done += UInt64(bytes.count)
            }
        }
        return fields[2] - done
    }

    /// SYS_WRITE: handle, buffer, its length. Returns the bytes that were not written.
    private func write(_ fields: [UInt64], _ parameters: SemihostingParameters) throws(FolderError) -> UInt64 {
        let target = try file(fields[0])
        let length = min(fields[2], Self.greatestTransfer)
        var done: UInt64 = 0
        do throws(FolderError) {
            while done < length {
                let bytes = try parameters.bytes(fields[1] &+ done, Int(min(length - done, UInt64(Self.chunk))))
                switch target {
                case .output: console.write(bytes)
                case .file(let file): try file.write(bytes)
                case .input, .features: throw FolderError(EBADF)
                }
                done += UInt64(bytes.count)
            }
        } catch {
            lastError = error.code
        }
        return fields[2] - done
    }

    private func seek(_ fields: [UInt64]) throws(FolderError) -> UInt64 {
        switch try file(fields[0]) {
        case .input, .output: throw FolderError(ESPIPE)
        case .features:
            guard fields[1] <= UInt64(Self.features.count) else { throw FolderError(EINVAL) }
            files[fields[0]] = .features(Int(fields[1]))
        case .file(let file):
            guard let position = off_t(exactly: fields[1]) else { throw FolderError(EINVAL) }
            _ = try FolderError.check(lseek(file.descriptor, position, SEEK_SET))
        }
        return 0
    }

    /// SYS_TMPNAM: buffer, identifier, its length.
    private func tellTemporaryName(_ parameters: SemihostingParameters) throws(FolderError) -> UInt64 {
        let fields = try parameters.fields(3)
        _ = try folder()
        guard fields[1] < 256 else { throw FolderError(EINVAL) }
        let name = Array("semihosting-\(fields[1])".utf8) + [0]
        guard UInt64(name.count) <= fields[2] else { throw FolderError(E2BIG) }
        try parameters.put(name, at: fields[0])
        return 0
    }
}

extension Semihosting: CharacterFrontend {
    public var receiveCapacity: Int { Self.inputCapacity - input.count }

    public func receive(_ bytes: [UInt8]) {
        input += bytes.prefix(receiveCapacity)
        let callers = waiting
        waiting = []
        for caller in callers { caller.retry() }
    }

    public func receiveBreak() {}
}

/// The parameter register, and the memory of the program it points into.
struct SemihostingParameters {
    let value: UInt64
    let caller: any SemihostingCaller

    init(_ value: UInt64, _ caller: any SemihostingCaller) {
        self.value = value
        self.caller = caller
    }

    /// The block of fields the register points to.
    func fields(_ count: Int) throws(FolderError) -> [UInt64] {
        let bytes = try bytes(value, 8 * count)
        return (0..<count).map { field in bytes[8 * field..<8 * field + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    }

    func bytes(_ address: UInt64, _ count: Int) throws(FolderError) -> [UInt8] {
        guard let bytes = caller.readMemory(address, count: count) else { throw FolderError(EFAULT) }
        return bytes
    }

    func put(_ bytes: [UInt8], at address: UInt64) throws(FolderError) {
        guard caller.writeMemory(address, bytes) else { throw FolderError(EFAULT) }
    }

    func put(_ value: UInt64, at address: UInt64) throws(FolderError) {
        try put(withUnsafeBytes(of: value.littleEndian) { Array($0) }, at: address)
    }
}
