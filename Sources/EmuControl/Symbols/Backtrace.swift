import EmuBus

/// One function on the stack.
public struct StackFrame {
    /// How the frame's registers were found.
    public enum Source: Equatable, Sendable {
        /// The processor's own: the function being executed.
        case registers
        /// By the file's unwind information.
        case callFrameInformation
        /// By reading what the instructions of the function called did to the stack.
        case code
        /// By the chain of frame pointers.
        case framePointer
        /// From the return address register of a function that had not saved it.
        case link
        /// From what an operating system's entry code saved.
        case trapFrame
    }

    /// From 0, the innermost.
    public let number: Int
    public let pc: UInt64
    /// The caller's stack pointer at its call of this function; nil when it could not be found.
    public let cfa: UInt64?
    /// Registers as this function would see them, as far as they are known.
    public let registers: FrameRegisters
    public let symbol: SymbolTable.Match?
    /// The function and what was inlined at this place, innermost first; empty when nothing is known.
    public let scopes: [CodeScope]
    public let source: Source
}

/// The functions on a stack, innermost first.
public struct Backtrace {
    /// Why there are no more frames.
    public enum End: Equatable, Sendable {
        /// The outermost function says that it has no caller.
        case outermost
        /// More frames than asked for.
        case limit
        /// The stack leads back to a frame that was already seen.
        case cycle
        /// The caller's address is not one of code.
        case noCode(UInt64)
        /// Memory at an address could not be read.
        case unreadable(UInt64)
        /// There is nothing to find the caller with.
        case noInformation

        /// In words, as in "the backtrace ends here: …".
        public var description: String {
            switch self {
            case .outermost: "the outermost function"
            case .limit: "more frames than asked for"
            case .cycle: "the stack repeats itself"
            case .noCode(let address): "the caller's address \(hex(address)) is not one of known code"
            case .unreadable(let address): "the stack at \(hex(address)) cannot be read"
            case .noInformation: "there is neither unwind information nor a frame pointer"
            }
        }
    }

    public let frames: [StackFrame]
    public let end: End

    /// Walks the stack.
    /// - Parameter registers: the processor's: the program counter and at least stack pointer, frame pointer and return address.
    /// - Parameter limit: most frames to find.
    public init(_ registers: FrameRegisters, _ unwinder: Unwinder, limit: Int = 256) {
        var frames: [StackFrame] = []
        var end = End.limit
        var current = registers
        var source = StackFrame.Source.registers
        // The frame's own program counter is the next instruction of an interrupted function, but the one after a call elsewhere.
        var isExact = true
        struct Place: Hashable {
            let pc: UInt64
            let stack: UInt64?
        }
        var seen: Set<Place> = []
        while frames.count < limit {
            guard seen.insert(Place(pc: current.pc, stack: current[unwinder.architecture.stackPointer])).inserted else {
                end = .cycle
                break
            }
            let step = unwinder.caller(of: current, isExact: isExact)
            let place = isExact ? current.pc : current.pc &- 1
            let table = unwinder.symbols
            frames.append(
                StackFrame(
                    number: frames.count, pc: current.pc, cfa: step.cfa, registers: current,
                    symbol: Self.match(table, current.pc, place), scopes: table.scopes(at: place), source: source))
            switch step.result {
            case .end(let reason):
                self.frames = frames
                self.end = reason
                return
            case .caller(let caller, let found, let isTrap):
                current = caller
                source = found
                isExact = isTrap
            }
        }
        self.frames = frames
        self.end = end
    }

    /// The symbol of `place`, with the distance of `pc`: a call that does not return may be the last instruction of its function.
    private static func match(_ table: SymbolTable, _ pc: UInt64, _ place: UInt64) -> SymbolTable.Match? {
        table.lookup(place).map { SymbolTable.Match(symbol: $0.symbol, offset: $0.offset &+ (pc &- place), module: $0.module) }
    }
}
