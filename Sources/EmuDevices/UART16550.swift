import EmuBus

/// National Semiconductor PC16550D UART: registers one byte apart, 16-byte FIFOs (data sheet TL/C/8652, section 8).
///
/// The line is ideal outwards: a byte written to THR reaches the backend at once, so the transmitter is always empty
/// again. Inwards the baud rate only sets the length of the receive time-out (4 characters).
public final class UART16550: MMIODevice, CharacterFrontend, CharacterSource, Saveable {
    /// Bytes of address space its device-tree node claims.
    public static let size: UInt64 = 0x100
    /// Wider accesses reach the register of the lowest address only.
    public static let accessSizes: AccessSizes = .any
    /// Input clock of the baud-rate generator in Hz.
    public static let clockFrequency: UInt64 = 3_686_400
    static let fifoDepth = 16

    /// Register offsets; DLL and DLM take the places of 0 and 1 while LCR.DLAB is set.
    enum Register {
        static let data: UInt64 = 0  // RBR / THR / DLL
        static let interruptEnable: UInt64 = 1  // IER / DLM
        static let interruptIdentity: UInt64 = 2  // IIR / FCR
        static let lineControl: UInt64 = 3
        static let modemControl: UInt64 = 4
        static let lineStatus: UInt64 = 5
        static let modemStatus: UInt64 = 6
        static let scratch: UInt64 = 7
    }

    enum IER {
        static let received: UInt8 = 1, transmitEmpty: UInt8 = 2, lineStatus: UInt8 = 4, modemStatus: UInt8 = 8
    }

    /// Interrupt identification, most urgent first (data sheet, table IV).
    enum IIR {
        static let lineStatus: UInt8 = 0x06, received: UInt8 = 0x04, timeout: UInt8 = 0x0C
        static let transmitEmpty: UInt8 = 0x02, modemStatus: UInt8 = 0x00, none: UInt8 = 0x01, fifos: UInt8 = 0xC0
    }

    enum FCR {
        static let enable: UInt8 = 1, clearReceiver: UInt8 = 2
    }

    enum LCR {
        static let stopBits: UInt8 = 4, parity: UInt8 = 8, sendBreak: UInt8 = 0x40, divisorAccess: UInt8 = 0x80
    }

    enum MCR {
        static let terminalReady: UInt8 = 1, requestToSend: UInt8 = 2, out1: UInt8 = 4, out2: UInt8 = 8, loopback: UInt8 = 0x10
    }

    enum LSR {
        static let dataReady: UInt8 = 1, overrun: UInt8 = 2, breakSignal: UInt8 = 0x10
        static let transmitEmpty: UInt8 = 0x60  // THRE and TEMT: they never differ here
        static let fifoError: UInt8 = 0x80
        /// Conditions that raise the line-status interrupt: OE, PE, FE, BI.
        static let errors: UInt8 = 0x1E
    }

    enum MSR {
        static let clearToSend: UInt8 = 0x10, dataSetReady: UInt8 = 0x20, ring: UInt8 = 0x40, carrier: UInt8 = 0x80
        /// What the far end of the cable asserts.
        static let connected: UInt8 = carrier | dataSetReady | clearToSend
    }

    /// Guest-visible state.
    public struct State: Codable, Equatable {
        /// Receive FIFO, oldest first: the character, and in bits 15:8 the LSR error bits it arrived with.
        public var received: [UInt16] = []
        public var ier: UInt8 = 0
        /// FCR without the self-clearing bits.
        public var fcr: UInt8 = 0
        public var lcr: UInt8 = 0
        public var mcr: UInt8 = 0
        /// LSR error bits (4:1) not read yet.
        public var lineErrors: UInt8 = 0
        /// Modem inputs as last seen (bits 7:4) and their changes not read yet (bits 3:0).
        public var msr: UInt8 = MSR.connected
        public var scratch: UInt8 = 0
        public var divisor: UInt16 = 12
        /// The transmitter became empty and neither IIR nor THR was touched since.
        public var transmitInterrupt = false
        public var timeoutInterrupt = false
        /// Guest time in nanoseconds at which waiting characters raise the time-out interrupt.
        public var timeoutDeadline: UInt64?
        /// Until when the line is held after the receiver was cleared, and the characters it was cleared of.
        public var heldUntil: UInt64?
        public var unread: [UInt8] = []
    }

    public let name: String
    public private(set) var charactersWritten: UInt64 = 0
    private let events: EventQueue
    private let interrupt: InterruptLine
    /// Behind a pointer because each use of a class's variable would be checked for exclusivity.
    /// SAFETY: allocated with the object and freed with it.
    private let current = UnsafeMutablePointer<State>.allocate(capacity: 1)
    private var interruptLevel = false
    private var timeout: EventTimer!
    private var hold: EventTimer!
    /// A driver that takes the port over clears the receiver and then reads it once or twice for good measure. Input that was piped in
    /// before would be lost there, so the line is held for this long, in nanoseconds, and what was cleared arrives again.
    package static let holdTime: UInt64 = 10_000_000
    /// Where characters go and come from; nil drops output.
    public var backend: (any CharacterBackend)? {
        didSet { backend?.frontend = self }
    }

    public init(name: String = "uart0", events: EventQueue, interrupt: InterruptLine) {
        self.name = name
        self.events = events
        self.interrupt = interrupt
        current.initialize(to: State())
        current.pointee.received.reserveCapacity(Self.fifoDepth)
        timeout = events.makeTimer("\(name) receive time-out") { [unowned self] in
            current.pointee.timeoutDeadline = nil
            current.pointee.timeoutInterrupt = true
            update()
        }
        hold = events.makeTimer("\(name) line hold") { [unowned self] in releaseLine() }
    }

    deinit {
        current.deinitialize(count: 1)
        current.deallocate()
    }

    private var usesFIFOs: Bool { current.pointee.fcr & FCR.enable != 0 }
    private var isLooped: Bool { current.pointee.mcr & MCR.loopback != 0 }
    private var depth: Int { usesFIFOs ? Self.fifoDepth : 1 }

    /// Characters in the receive FIFO that raise the interrupt.
    private var triggerLevel: Int {
        guard usesFIFOs else { return 1 }
        switch current.pointee.fcr >> 6 {
        case 0: return 1
        case 1: return 4
        case 2: return 8
        default: return 14
        }
    }

    // MARK: Registers

    public func read(_ offset: UInt64, size: Int) -> UInt64 {
        switch offset {
        case Register.data:
            return UInt64(current.pointee.lcr & LCR.divisorAccess != 0 ? UInt8(truncatingIfNeeded: current.pointee.divisor) : popReceived())
        case Register.interruptEnable:
            return UInt64(current.pointee.lcr & LCR.divisorAccess != 0 ? UInt8(current.pointee.divisor >> 8) : current.pointee.ier)
        case Register.interruptIdentity:
            let source = interruptSource()
            if source == IIR.transmitEmpty {
                current.pointee.transmitInterrupt = false
                update()
            }
            return UInt64(source | (usesFIFOs ? IIR.fifos : 0))
        case Register.lineControl: return UInt64(current.pointee.lcr)
        case Register.modemControl: return UInt64(current.pointee.mcr)
        case Register.lineStatus: return UInt64(readLineStatus())
        case Register.modemStatus:
            let value = current.pointee.msr
            current.pointee.msr &= 0xF0
            update()
            return UInt64(value)
        case Register.scratch: return UInt64(current.pointee.scratch)
        default:
            Log.write(.guestErrors, "\(name): read of unused offset \(hex(offset))")
            return 0
        }
    }

    public func tellsOfInput(_ offset: UInt64) -> Bool { offset == Register.lineStatus }

    public func peek(_ offset: UInt64, size: Int) -> UInt64? {
        switch offset {
        case Register.data where current.pointee.lcr & LCR.divisorAccess == 0: UInt64(current.pointee.received.first ?? 0) & 0xff
        case Register.interruptIdentity: UInt64(interruptSource() | (usesFIFOs ? IIR.fifos : 0))
        case Register.lineStatus: UInt64(LSR.transmitEmpty | current.pointee.lineErrors | (current.pointee.received.isEmpty ? 0 : receiverStatus))
        case Register.modemStatus: UInt64(current.pointee.msr)
        case 0...Register.scratch: read(offset, size: size)
        default: 0
        }
    }

    public func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        let byte = UInt8(truncatingIfNeeded: value)
        switch offset {
        case Register.data:
            if current.pointee.lcr & LCR.divisorAccess != 0 {
                current.pointee.divisor = current.pointee.divisor & 0xFF00 | UInt16(byte)
            } else {
                transmit(byte)
            }
        case Register.interruptEnable:
            if current.pointee.lcr & LCR.divisorAccess != 0 {
                current.pointee.divisor = current.pointee.divisor & 0x00FF | UInt16(byte) << 8
                return
            }
            // The transmitter is empty, so enabling its interrupt raises it.
            if byte & ~current.pointee.ier & IER.transmitEmpty != 0 { current.pointee.transmitInterrupt = true }
            current.pointee.ier = byte & 0x0F
            update()
        case Register.interruptIdentity: writeFIFOControl(byte)
        case Register.lineControl:
            let changed = current.pointee.lcr ^ byte
            current.pointee.lcr = byte
            if changed & LCR.sendBreak != 0 { driveBreak(byte & LCR.sendBreak != 0) }
        case Register.modemControl: writeModemControl(byte & 0x1F)
        case Register.lineStatus, Register.modemStatus:
            Log.write(.guestErrors, "\(name): write of a read-only status register")
        case Register.scratch: current.pointee.scratch = byte
        default:
            Log.write(.guestErrors, "\(name): write of unused offset \(hex(offset))")
        }
    }

    private func writeFIFOControl(_ value: UInt8) {
        let wasFull = receiveCapacity == 0
        // Switching the FIFOs on or off empties them; the other bits only count while bit 0 is written as 1.
        if (current.pointee.fcr ^ value) & FCR.enable != 0 || value & (FCR.enable | FCR.clearReceiver) == FCR.enable | FCR.clearReceiver {
            holdLine()
            clearReceiver()
        }
        current.pointee.fcr = value & FCR.enable != 0 ? value & 0xC9 : 0
        update()
        if wasFull { offerLine() }
    }

    private func writeModemControl(_ value: UInt8) {
        let changed = current.pointee.mcr ^ value
        let wasFull = receiveCapacity == 0
        current.pointee.mcr = value
        var inputs = MSR.connected
        if isLooped {
            inputs = 0
            if value & MCR.requestToSend != 0 { inputs |= MSR.clearToSend }
            if value & MCR.terminalReady != 0 { inputs |= MSR.dataSetReady }
            if value & MCR.out1 != 0 { inputs |= MSR.ring }
            if value & MCR.out2 != 0 { inputs |= MSR.carrier }
        }
        setModemInputs(inputs)
        if changed & MCR.loopback != 0, current.pointee.lcr & LCR.sendBreak != 0 {
            // In loopback the line itself marks, and the break goes to the own receiver.
            backend?.setBreak(!isLooped)
            if isLooped { accept(0, errors: LSR.breakSignal) }
        }
        update()
        if wasFull { offerLine() }
    }

    /// Records changes of the modem inputs: any change of CTS, DSR and DCD, only the falling edge of RI.
    private func setModemInputs(_ inputs: UInt8) {
        let changed = (current.pointee.msr ^ inputs) & (MSR.clearToSend | MSR.dataSetReady | MSR.carrier)
        let ringEnded = current.pointee.msr & ~inputs & MSR.ring
        current.pointee.msr = inputs | current.pointee.msr & 0x0F | (changed | ringEnded) >> 4
    }

    private func driveBreak(_ active: Bool) {
        if !isLooped {
            backend?.setBreak(active)
        } else if active {
            accept(0, errors: LSR.breakSignal)
            update()
        }
    }

    // MARK: Transmitter

    private func transmit(_ byte: UInt8) {
        charactersWritten &+= 1
        if isLooped {
            accept(byte, errors: 0)
        } else {
            backend?.write(byte)
        }
        current.pointee.transmitInterrupt = true
        update()
    }

    // MARK: Receiver

    /// Free places in the FIFO; in loopback the receiver is cut off from the line, which then has to wait.
    public var receiveCapacity: Int { current.pointee.heldUntil != nil || !current.pointee.unread.isEmpty ? 0 : room }

    private var room: Int { isLooped ? 0 : depth - current.pointee.received.count }

    public func receive(_ bytes: [UInt8]) {
        guard !isLooped else { return }
        for byte in bytes { accept(byte, errors: 0) }
        update()
    }

    public func receiveBreak() {
        guard !isLooped else { return }
        accept(0, errors: LSR.breakSignal)
        update()
    }

    /// A character has arrived in the receiver's shift register.
    private func accept(_ byte: UInt8, errors: UInt8) {
        if current.pointee.received.count >= depth {
            current.pointee.lineErrors |= LSR.overrun
            // With FIFOs the newcomer is lost; without, it replaces the unread character.
            if usesFIFOs { return }
            current.pointee.received.removeAll(keepingCapacity: true)
        }
        current.pointee.received.append(UInt16(errors) << 8 | UInt16(byte))
        if current.pointee.received.count == 1 { current.pointee.lineErrors |= errors }
        restartTimeout()
    }

    private func popReceived() -> UInt8 {
        guard let first = current.pointee.received.first else { return 0 }
        let wasFull = receiveCapacity == 0
        current.pointee.received.removeFirst()
        // Errors become visible when their character reaches the top of the FIFO.
        if let next = current.pointee.received.first { current.pointee.lineErrors |= UInt8(next >> 8) }
        current.pointee.timeoutInterrupt = false
        restartTimeout()
        update()
        if wasFull { offerLine() }
        return UInt8(truncatingIfNeeded: first)
    }

    /// Takes back what the guest has not read, and lets nothing arrive for a while.
    private func holdLine() {
        if !isLooped { current.pointee.unread = current.pointee.received.filter { $0 >> 8 == 0 }.map { UInt8(truncatingIfNeeded: $0) } + current.pointee.unread }
        let deadline = events.now &+ Self.holdTime
        current.pointee.heldUntil = deadline
        hold.schedule(at: deadline)
    }

    private func releaseLine() {
        current.pointee.heldUntil = nil
        offerLine()
    }

    /// There is room: first for what was taken back, then for the backend.
    private func offerLine() {
        if current.pointee.heldUntil != nil { return }
        while !current.pointee.unread.isEmpty && room > 0 { accept(current.pointee.unread.removeFirst(), errors: 0) }
        update()
        if receiveCapacity > 0 { backend?.frontendReady() }
    }

    private func clearReceiver() {
        current.pointee.received.removeAll(keepingCapacity: true)
        current.pointee.timeoutInterrupt = false
        restartTimeout()
    }

    /// Starts the four-character wait anew while characters sit in the FIFO.
    private func restartTimeout() {
        if usesFIFOs, !current.pointee.received.isEmpty, !current.pointee.timeoutInterrupt {
            let deadline = events.now &+ 4 &* characterTime
            current.pointee.timeoutDeadline = deadline
            timeout.schedule(at: deadline)
        } else if current.pointee.timeoutDeadline != nil {
            current.pointee.timeoutDeadline = nil
            timeout.cancel()
        }
    }

    /// Nanoseconds one character takes on the line: start bit, data, parity and stop bits at the programmed rate.
    private var characterTime: UInt64 {
        let data = UInt64(current.pointee.lcr & 3) + 5
        // Half bits, because 5 data bits with "two" stop bits have one and a half.
        let stop: UInt64 = current.pointee.lcr & LCR.stopBits == 0 ? 2 : (data == 5 ? 3 : 4)
        let halfBits = 2 * (1 + data + (current.pointee.lcr & LCR.parity != 0 ? 1 : 0)) + stop
        return halfBits * 8 * UInt64(max(current.pointee.divisor, 1)) * 1_000_000_000 / Self.clockFrequency
    }

    // MARK: Status and interrupt

    private func readLineStatus() -> UInt8 {
        var value = LSR.transmitEmpty | current.pointee.lineErrors
        if !current.pointee.received.isEmpty { value |= readReceiverStatus() }
        if current.pointee.lineErrors != 0 {
            current.pointee.lineErrors = 0
            update()
        }
        return value
    }

    /// What LSR tells of the characters that wait.
    private var receiverStatus: UInt8 {
        LSR.dataReady | (usesFIFOs && current.pointee.received.contains { $0 >> 8 != 0 } ? LSR.fifoError : 0)
    }

    /// The same as a read of LSR has it, which clears the errors of the first one.
    private func readReceiverStatus() -> UInt8 {
        let value = receiverStatus
        if let first = current.pointee.received.first, first >> 8 != 0 { current.pointee.received[0] = first & 0xFF }
        return value
    }

    private func interruptSource() -> UInt8 {
        let enabled = current.pointee.ier
        if enabled & IER.lineStatus != 0, current.pointee.lineErrors & LSR.errors != 0 { return IIR.lineStatus }
        if enabled & IER.received != 0 {
            if current.pointee.received.count >= triggerLevel { return IIR.received }
            if current.pointee.timeoutInterrupt { return IIR.timeout }
        }
        if enabled & IER.transmitEmpty != 0, current.pointee.transmitInterrupt { return IIR.transmitEmpty }
        if enabled & IER.modemStatus != 0, current.pointee.msr & 0x0F != 0 { return IIR.modemStatus }
        return IIR.none
    }

    private func update() {
        let level = interruptSource() != IIR.none
        guard level != interruptLevel else { return }
        interruptLevel = level
        interrupt.set(level)
    }

    /// Master reset: everything but the receive buffer's contents has a defined value; the buffer is emptied as well.
    public func reset() {
        let wasFull = receiveCapacity == 0
        if current.pointee.lcr & LCR.sendBreak != 0, !isLooped { backend?.setBreak(false) }
        timeout.cancel()
        hold.cancel()
        current.pointee = State()
        update()
        if wasFull { offerLine() }
    }

    // MARK: State

    public var stateName: String { name }

    public var state: State {
        get { current.pointee }
        set {
            current.pointee = newValue
            current.pointee.received = Array(newValue.received.prefix(depth))
            interruptLevel = interruptSource() != IIR.none
            interrupt.set(interruptLevel)
            timeout.cancel()
            if let deadline = current.pointee.timeoutDeadline { timeout.schedule(at: deadline) }
            hold.cancel()
            if let deadline = current.pointee.heldUntil { hold.schedule(at: deadline) }
        }
    }

    // MARK: Device tree

    /// `serial@…`.
    public func fdtNode(at base: UInt64, interruptParent: UInt32) -> FDTNode {
        var node = FDTNode("serial@" + String(base, radix: 16))
        node.set("compatible", "ns16550a")
        node.set("reg", pairs: [base, Self.size])
        node.set("clock-frequency", cells: [UInt32(Self.clockFrequency)])
        node.set("interrupt-parent", cells: [interruptParent])
        node.set("interrupts", cells: [UInt32(interrupt.number)])
        return node
    }
}
