import EmuBus

/// A bank of parallel NOR flash: two 16-bit chips side by side on a 32-bit bus, with the Intel command set (JEDEC JESD68, "Common Flash
/// Interface"; command set 0001, Intel 28FxxxJ3 data sheet).
///
/// Both chips get every command at once, so one state machine stands for them: a command is the low byte of what is written.
/// Instructions are fetched from `contents`, whatever the bank answers to loads at that time; so are loads, once there have been many
/// of the array without a command in between.
/// Programming and erasing take no time: they have reached the file when the store returns.
public final class PFlash: MMIODevice, Saveable {
    /// Bytes of a bank.
    public static let size: UInt64 = 32 << 20
    /// Bytes erased at once: one block of each chip.
    public static let sectorSize: UInt64 = 256 << 10
    /// Loads of any alignment are answered, as by memory.
    public static let accessSizes: AccessSizes = [.byte, .half, .word, .double, .misalignedReads]

    /// What loads are answered with.
    public enum Mode: UInt8, Codable, Sendable { case array, status, identifier, query }

    /// What the next store is taken for.
    public enum Expectation: Codable, Equatable, Sendable {
        case command
        /// The word to program.
        case programData
        case eraseConfirmation(sector: UInt64)
        case lockConfirmation
        /// Number of words less one, for the sector that begins at `sector`.
        case bufferLength(sector: UInt64)
        case bufferData
        case bufferConfirmation
    }

    /// Data collected by the write buffer.
    public struct Buffer: Codable, Equatable, Sendable {
        /// Offset of the first byte; nil until the first store of data.
        public var start: UInt64?
        public var sector: UInt64
        /// Programmed at once when confirmed; bytes not stored stay 0xff, which programs nothing.
        public var bytes: [UInt8]
        /// Bytes still to come.
        public var missing: Int

        public init(start: UInt64? = nil, sector: UInt64, bytes: [UInt8], missing: Int) {
            self.start = start
            self.sector = sector
            self.bytes = bytes
            self.missing = missing
        }
    }

    /// Guest-visible state; the contents belong to the image.
    public struct State: Codable, Equatable, Sendable {
        public var mode: Mode
        public var expectation: Expectation
        public var status = Status.ready
        public var buffer: Buffer?

        public init(mode: Mode = .array, expectation: Expectation = .command) {
            self.mode = mode
            self.expectation = expectation
        }

        /// Everything in it lies inside a bank. A saved state comes from a file.
        var isConsistent: Bool {
            func isSector(_ offset: UInt64) -> Bool { offset < PFlash.size && offset % PFlash.sectorSize == 0 }
            switch expectation {
            case .eraseConfirmation(let sector), .bufferLength(let sector): if !isSector(sector) { return false }
            default: break
            }
            guard let buffer else { return true }
            let length = UInt64(buffer.bytes.count)
            return isSector(buffer.sector) && (1...PFlashQuery.bufferSize).contains(buffer.bytes.count) && (0...buffer.bytes.count).contains(buffer.missing)
                && buffer.start.map { $0 >= buffer.sector && $0 <= buffer.sector + PFlash.sectorSize - length } ?? true
        }
    }

    /// Bits of the status register.
    public enum Status {
        public static let ready: UInt8 = 0x80
        static let eraseFailed: UInt8 = 0x20, programFailed: UInt8 = 0x10, protected: UInt8 = 0x02
        /// Both failures at once say that the sequence of commands was wrong.
        static let wrongSequence: UInt8 = eraseFailed | programFailed
    }

    private enum Command {
        static let programAlternate: UInt8 = 0x10, eraseSector: UInt8 = 0x20, program: UInt8 = 0x40, clearStatus: UInt8 = 0x50
        static let lockSetup: UInt8 = 0x60, readStatus: UInt8 = 0x70, readIdentifier: UInt8 = 0x90, readQuery: UInt8 = 0x98
        static let suspend: UInt8 = 0xB0, confirm: UInt8 = 0xD0, writeBuffer: UInt8 = 0xE8
        /// The other common command set's way back to the array: drivers try both.
        static let resetAlternate: UInt8 = 0xF0, readArray: UInt8 = 0xFF    }

    public let name: String
    /// What instructions are fetched from.
    public let contents: GuestRAM
    private let bus: AddressSpace
    private let image: (any BlockBackend)?
    private var current = State() {
        didSet { if current.mode != .array { loadsOfArray = 0 } }
    }
    /// Loads of the array since the last command; from `directLoads` on they do not come here any more.
    private var loadsOfArray = 0 {
        didSet { if (loadsOfArray >= Self.directLoads) != (oldValue >= Self.directLoads) { bus.setLoads(from: contents, isDirect: loadsOfArray >= Self.directLoads) } }
    }
    private static let directLoads = 64

    /// Called when the image could not be written.
    public var hostErrorHandler: ((HostError) -> Void)?

    /// - Parameters:
    ///   - contents: `size` bytes, which hold what `image` does.
    ///   - image: where changes are kept; without one they last as long as the machine, and the bank begins as zeros.
    public init(name: String, bus: AddressSpace, contents: GuestRAM, image: (any BlockBackend)?) {
        precondition(contents.size == Self.size && image.map { $0.size == Self.size } ?? true)
        self.name = name
        self.bus = bus
        self.contents = contents
        self.image = image
    }

    private var isWritable: Bool { image.map { !$0.isReadOnly } ?? true }

    public func reset() { current = State() }

    // MARK: Loads

    public func read(_ offset: UInt64, size: Int) -> UInt64 {
        if current.mode == .array { loadsOfArray += 1 }
        return peek(offset, size: size) ?? 0
    }

    public func peek(_ offset: UInt64, size: Int) -> UInt64? {
        (0..<UInt64(size)).reduce(0) { $0 | UInt64(byte(offset &+ $1)) << (8 * $1) }
    }

    private func byte(_ offset: UInt64) -> UInt8 {
        // SAFETY: the bus keeps offset + size inside the bank, which `contents` is as long as.
        if current.mode == .array { return contents.host.load(fromByteOffset: Int(offset), as: UInt8.self) }
        // Each chip drives 16 of the bus's bits, of which these answers use eight.
        guard offset & 1 == 0 else { return 0 }
        let word = offset >> 2
        switch current.mode {
        case .array, .status: return current.status
        case .identifier: return PFlashQuery.identifier(word)
        case .query: return PFlashQuery.table(word)
        }
    }

    // MARK: Stores

    public func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        if size == 8 {
            store(offset, value & 0xffff_ffff, size: 4)
            store(offset + 4, value >> 32, size: 4)
        } else {
            store(offset, value, size: size)
        }
    }

    /// One bus cycle.
    private func store(_ offset: UInt64, _ value: UInt64, size: Int) {
        switch current.expectation {
        case .command: begin(UInt8(truncatingIfNeeded: value), offset)
        case .programData:
            finish(program(offset, Self.bytes(value, size)))
        case .eraseConfirmation(let sector):
            guard UInt8(truncatingIfNeeded: value) == Command.confirm else { return fail(Status.wrongSequence, "erase is not confirmed") }
            finish(erase(sector))
        case .lockConfirmation:
            // No sector is ever locked, and none can be.
            guard UInt8(truncatingIfNeeded: value) == Command.confirm else { return fail(Status.wrongSequence, "sectors cannot be locked") }
            finish(0)
        case .bufferLength(let sector): beginBuffer(words: value & 0xffff, sector)
        case .bufferData: fillBuffer(offset, value, size)
        case .bufferConfirmation:
            guard let buffer = current.buffer, let start = buffer.start, UInt8(truncatingIfNeeded: value) == Command.confirm else {
                return fail(Status.wrongSequence, "the write buffer is not confirmed")
            }
            finish(program(start, buffer.bytes))
        }
    }

    private static func bytes(_ value: UInt64, _ size: Int) -> [UInt8] {
        (0..<UInt64(size)).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    private func begin(_ command: UInt8, _ offset: UInt64) {
        let sector = offset & ~(Self.sectorSize - 1)
        switch command {
        case Command.readArray, Command.resetAlternate: current.mode = .array
        case Command.readStatus, Command.suspend, Command.confirm: current.mode = .status
        case Command.readIdentifier: current.mode = .identifier
        case Command.readQuery: current.mode = .query
        case Command.clearStatus: current.status = Status.ready
        case Command.program, Command.programAlternate: expect(.programData)
        case Command.eraseSector: expect(.eraseConfirmation(sector: sector))
        case Command.lockSetup: expect(.lockConfirmation)
        case Command.writeBuffer: expect(.bufferLength(sector: sector))
        default: Log.write(.guestErrors, "\(name): command \(hex(UInt64(command))) at offset \(hex(offset)) is not supported")
        }
    }

    private func expect(_ next: Expectation) {
        current.expectation = next
        current.mode = .status
    }

    private func beginBuffer(words: UInt64, _ sector: UInt64) {
        let length = (Int(words) + 1) * 4
        guard length <= PFlashQuery.bufferSize else { return fail(Status.wrongSequence, "\(length) bytes are more than the write buffer holds") }
        current.buffer = Buffer(sector: sector, bytes: Array(repeating: 0xff, count: length), missing: length)
        expect(.bufferData)
    }

    private func fillBuffer(_ offset: UInt64, _ value: UInt64, _ size: Int) {
        guard var buffer = current.buffer else { return fail(Status.wrongSequence, "there is no write buffer") }
        let start = buffer.start ?? offset
        let length = UInt64(buffer.bytes.count)
        guard size <= buffer.missing, start >= buffer.sector, start + length <= buffer.sector + Self.sectorSize, offset >= start,
            offset - start + UInt64(size) <= length
        else { return fail(Status.wrongSequence, "data for the write buffer lies outside it, at offset \(hex(offset))") }
        for (index, byte) in Self.bytes(value, size).enumerated() { buffer.bytes[Int(offset - start) + index] = byte }
        buffer.start = start
        buffer.missing -= size
        current.buffer = buffer
        if buffer.missing == 0 { current.expectation = .bufferConfirmation }
    }

    /// Ends a sequence of commands; `errors` are added to the status.
    private func finish(_ errors: UInt8) {
        current.status |= errors
        current.expectation = .command
        current.buffer = nil
        current.mode = .status
    }

    private func fail(_ errors: UInt8, _ what: String) {
        Log.write(.guestErrors, "\(name): \(what)")
        finish(errors)
    }

    // MARK: Contents

    /// Clears the bits that are clear in `bytes`; flash cannot set any but by erasing.
    /// - Returns: error bits for the status.
    private func program(_ offset: UInt64, _ bytes: [UInt8]) -> UInt8 {
        guard isWritable else { return Status.programFailed | Status.protected }
        for (index, byte) in bytes.enumerated() {
            let cell = contents.host + Int(offset) + index
            cell.storeBytes(of: cell.load(as: UInt8.self) & byte, as: UInt8.self)
        }
        return save(offset, UInt64(bytes.count)) ? 0 : Status.programFailed
    }

    private func erase(_ sector: UInt64) -> UInt8 {
        guard isWritable else { return Status.eraseFailed | Status.protected }
        (contents.host + Int(sector)).initializeMemory(as: UInt8.self, repeating: 0xff, count: Int(Self.sectorSize))
        return save(sector, Self.sectorSize) ? 0 : Status.eraseFailed
    }

    /// Brings a changed range to the image, in whole disk sectors.
    private func save(_ offset: UInt64, _ length: UInt64) -> Bool {
        bus.dropCode(contents.base + offset, Int(length))
        guard let image else { return true }
        let start = offset & ~511, end = (offset + length + 511) & ~511
        do throws(HostError) {
            let changed = UnsafeMutableRawBufferPointer(start: contents.host + Int(start), count: Int(end - start))
            try image.perform(.write(offset: start, from: [changed]))
            return true
        } catch {
            hostErrorHandler?(error)
            return false
        }
    }

    // MARK: State

    public var stateName: String { name }

    public var state: State {
        get { current }
        set { current = newValue.isConsistent ? newValue : State() }
    }

    // MARK: Device tree

    /// `flash@…`: the banks at `bases`, which a driver takes for one flash.
    public static func fdtNode(at bases: [UInt64]) -> FDTNode {
        var node = FDTNode("flash@" + String(bases.first ?? 0, radix: 16))
        node.set("bank-width", cells: [4])
        node.set("reg", pairs: bases.flatMap { [$0, size] })
        node.set("compatible", "cfi-flash")
        return node
    }
}
