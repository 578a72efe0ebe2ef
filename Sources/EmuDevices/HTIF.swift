import EmuBus

/// Host-target interface of the Spike simulator: two 64-bit mailboxes, `tohost` and `fromhost`.
///
/// A command is {device 63:56, command 55:48, payload 47:0}. Device 0 ends the run or passes a system call on (write
/// to standard output and exit; everything else is answered with ENOSYS), device 1 is a console. The mailboxes are
/// either variables of the guest's program, looked at by `poll`, or registers on the bus (`fromhost` at 0, `tohost` at 8).
public final class HTIF: MMIODevice, CharacterFrontend, CharacterSource, Saveable {
    public static let size: UInt64 = 0x1000
    public static let accessSizes: AccessSizes = [.word, .double]

    /// Where the mailboxes are in guest memory, from the symbols of the program.
    public struct Mailboxes: Equatable, Sendable {
        public let tohost: UInt64
        public let fromhost: UInt64

        public init(tohost: UInt64, fromhost: UInt64) {
            self.tohost = tohost
            self.fromhost = fromhost
        }
    }

    private enum Register {
        static let fromhost: UInt64 = 0, tohost: UInt64 = 8, end: UInt64 = 16
    }

    private enum Device {
        static let system: UInt64 = 0, console: UInt64 = 1
    }

    private enum ConsoleCommand {
        static let get: UInt64 = 0, put: UInt64 = 1
    }

    /// RISC-V Linux numbers of the system calls served, and of the errors returned (negated).
    private enum SystemCall {
        static let write: UInt64 = 64, exit: UInt64 = 93
        static let badDescriptor: Int64 = -9, badAddress: Int64 = -14, notImplemented: Int64 = -38
    }

    /// Guest-visible state.
    public struct State: Codable, Equatable {
        /// The mailboxes as registers; unused while they are variables in memory.
        public var tohost: UInt64 = 0
        public var fromhost: UInt64 = 0
        /// Answers the guest has not had room for in `fromhost` yet, oldest first.
        public var answers: [UInt64] = []
        /// Console input nobody has asked for yet, and characters asked for but not typed yet.
        public var input: [UInt8] = []
        public var wantedCharacters = 0
    }

    private static let inputDepth = 16
    /// More unread answers or outstanding reads than this and the guest is not listening: further ones are dropped.
    private static let backlog = 1024

    public let name: String
    private let bus: AddressSpace
    private let mailboxes: Mailboxes?
    private let request: (PowerRequest) -> Void
    private var current = State()
    public private(set) var charactersWritten: UInt64 = 0
    public var backend: (any CharacterBackend)? {
        didSet { backend?.frontend = self }
    }

    /// - Parameters:
    ///   - mailboxes: nil when the mailboxes are this device's registers.
    ///   - request: called when the guest ends the run.
    public init(name: String = "htif", bus: AddressSpace, mailboxes: Mailboxes?, request: @escaping (PowerRequest) -> Void) {
        self.name = name
        self.bus = bus
        self.mailboxes = mailboxes
        self.request = request
    }

    // MARK: Mailboxes

    /// Looks at the mailboxes in memory: takes a command from `tohost`, puts an answer into an empty `fromhost`.
    /// The machine calls it between slices; without mailboxes in memory it does nothing.
    public func poll() {
        guard let mailboxes else { return }
        if let command = bus.loadMemory(mailboxes.tohost, as: UInt64.self), command != 0 {
            _ = bus.storeMemory(mailboxes.tohost, UInt64(0))
            handle(command)
        }
        deliver()
    }

    private func deliver() {
        guard let answer = current.answers.first else { return }
        if let mailboxes {
            guard bus.loadMemory(mailboxes.fromhost, as: UInt64.self) == 0 else { return }
            _ = bus.storeMemory(mailboxes.fromhost, answer)
        } else {
            guard current.fromhost == 0 else { return }
            current.fromhost = answer
        }
        current.answers.removeFirst()
    }

    private func answer(_ device: UInt64, _ command: UInt64, _ payload: UInt64) {
        guard current.answers.count < Self.backlog else {
            Log.write(.guestErrors, "\(name): the guest does not read fromhost; an answer is lost")
            return
        }
        current.answers.append(device << 56 | command << 48 | payload)
        deliver()
    }

    // MARK: Commands

    private func handle(_ value: UInt64) {
        let device = value >> 56, command = value >> 48 & 0xFF, payload = value & 0xFFFF_FFFF_FFFF
        switch (device, command) {
        case (Device.system, 0):
            if payload & 1 != 0 {
                exit(code: payload >> 1)
            } else {
                systemCall(at: payload)
            }
        case (Device.console, ConsoleCommand.put):
            charactersWritten &+= 1
            backend?.write(UInt8(truncatingIfNeeded: payload))
        case (Device.console, ConsoleCommand.get):
            if current.wantedCharacters < Self.backlog { current.wantedCharacters += 1 }
            answerConsole()
        default:
            Log.write(.guestErrors, "\(name): device \(device) command \(command) does not exist")
        }
    }

    private func exit(code: UInt64) {
        let code = Int(truncatingIfNeeded: code)
        request(code == 0 ? .poweroff(code: 0) : .failure(code: code))
    }

    /// Serves the call described by eight doublewords at `address` (number, then arguments); the result replaces the number.
    private func systemCall(at address: UInt64) {
        guard bus.writableMemoryPointer(address, 64) != nil,
            let number = bus.loadMemory(address, as: UInt64.self),
            let first = bus.loadMemory(address &+ 8, as: UInt64.self),
            let second = bus.loadMemory(address &+ 16, as: UInt64.self),
            let third = bus.loadMemory(address &+ 24, as: UInt64.self)
        else {
            Log.write(.guestErrors, "\(name): system call block at \(hex(address)) is not in memory")
            return
        }
        let result: Int64
        switch number {
        case SystemCall.write:
            if first != 1 && first != 2 {
                result = SystemCall.badDescriptor
            } else if let text = bus.memoryPointer(second, third) {
                // SAFETY: the bus vouches for `third` bytes at `text`, so the count also fits an Int.
                charactersWritten &+= third
                backend?.write(UnsafeRawBufferPointer(start: text, count: Int(third)))
                result = Int64(third)
            } else {
                result = SystemCall.badAddress
            }
        case SystemCall.exit: return exit(code: first & 0xFFFF_FFFF)
        default:
            Log.write(.unimplemented, "\(name): system call \(number)")
            result = SystemCall.notImplemented
        }
        _ = bus.storeMemory(address, result)
        answer(Device.system, 0, 1)
    }

    // MARK: Console input

    public var receiveCapacity: Int { Self.inputDepth - current.input.count }

    public func receive(_ bytes: [UInt8]) {
        current.input += bytes.prefix(receiveCapacity)
        answerConsole()
    }

    /// A mailbox has no notion of a break.
    public func receiveBreak() {}

    private func answerConsole() {
        let wasFull = receiveCapacity == 0
        while current.wantedCharacters > 0, let character = current.input.first {
            current.input.removeFirst()
            current.wantedCharacters -= 1
            // Bit 8 tells a character from "none".
            answer(Device.console, ConsoleCommand.get, 0x100 | UInt64(character))
        }
        if wasFull, receiveCapacity > 0 { backend?.frontendReady() }
    }

    // MARK: Registers

    public func tellsOfInput(_ offset: UInt64) -> Bool { offset < Register.tohost }

    public func peek(_ offset: UInt64, size: Int) -> UInt64? { read(offset, size: size) }

    public func read(_ offset: UInt64, size: Int) -> UInt64 {
        guard offset < Register.end else {
            Log.write(.guestErrors, "\(name): read of unused offset \(hex(offset))")
            return 0
        }
        let value = offset < Register.tohost ? current.fromhost : current.tohost
        return size == 8 ? value : value >> ((offset & 4) * 8) & 0xFFFF_FFFF
    }

    public func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        guard offset < Register.end else {
            Log.write(.guestErrors, "\(name): write of unused offset \(hex(offset))")
            return
        }
        let shift = (offset & 4) * 8
        let mask: UInt64 = size == 8 ? .max : 0xFFFF_FFFF << shift
        if offset < Register.tohost {
            current.fromhost = current.fromhost & ~mask | value << shift & mask
            return deliver()
        }
        current.tohost = current.tohost & ~mask | value << shift & mask
        // A 32-bit guest writes the low half first; the high half completes the command.
        guard size == 8 || offset & 4 != 0, current.tohost != 0 else { return }
        let command = current.tohost
        current.tohost = 0
        handle(command)
    }

    public func reset() {
        let wasFull = receiveCapacity == 0
        current = State()
        if wasFull { backend?.frontendReady() }
    }

    // MARK: State

    public var stateName: String { name }

    public var state: State {
        get { current }
        set {
            current = newValue
            current.input = Array(newValue.input.prefix(Self.inputDepth))
            current.answers = Array(newValue.answers.prefix(Self.backlog))
            current.wantedCharacters = min(max(newValue.wantedCharacters, 0), Self.backlog)
        }
    }

    // MARK: Device tree

    /// The root's `htif` node; it has a `reg` only where the mailboxes are registers at `base`.
    public func fdtNode(at base: UInt64) -> FDTNode {
        var node = FDTNode("htif")
        node.set("compatible", "ucb,htif0")
        if mailboxes == nil { node.set("reg", pairs: [base, Self.size]) }
        return node
    }
}
