/// A function that is being executed.
public struct CallerFrame: Equatable, Sendable {
    /// 0 is the innermost.
    public var level: Int
    /// Where it stands, or will go on after a call.
    public var pc: UInt64
    /// Its stack pointer or frame address, as far as known.
    public var frame: UInt64
    /// The function and what was inlined at this place, innermost first; empty when no symbols tell.
    public var scopes: [CodeScope] = []
}

extension CallerFrame {
    init(_ frame: StackFrame, _ architecture: UnwindArchitecture) {
        self.init(level: frame.number, pc: frame.pc, frame: frame.cfa ?? frame.registers[architecture.stackPointer] ?? 0, scopes: frame.scopes)
    }
}

/// Who called whom.
extension DebugSession {
    /// The selected hart's frames, innermost first: by the unwind information and the symbols loaded, or else by frame pointers alone.
    public func backtrace(limit: Int) -> [CallerFrame] {
        guard limit > 0, let table = symbols as? SymbolTable, !table.isEmpty else { return frameChain(limit: limit) }
        let (architecture, registers) = hart.unwinding
        let unwinder = Unwinder(symbols: table, memory: SessionMemory(session: self), architecture: architecture)
        let trace = Backtrace(registers, unwinder, limit: limit)
        // Where the symbols know nothing of the code, its frame pointers may still lead on.
        if trace.frames.count == 1, trace.end != .outermost, trace.frames[0].symbol == nil { return frameChain(limit: limit) }
        return trace.frames.map { CallerFrame($0, architecture) }
    }

    /// Follows frame pointers (`s0`, with the caller's return address and frame pointer just below it); the caller of a function that has
    /// not made a frame yet, or makes none, is what the return-address register says.
    private func frameChain(limit: Int) -> [CallerFrame] {
        var frames = [CallerFrame(level: 0, pc: hart.pc, frame: hart.stackPointer)]
        var pointer = hart.framePointer
        var low = hart.stackPointer
        let inner = returnAddressOf(pointer)
        let register = hart.returnAddress
        // A leaf's return address is only in the register; where the frame names the same one, they are the same call.
        if register != 0, inner != register, isCode(register), isAfterCall(register) {
            if frames.count < limit { frames.append(CallerFrame(level: 1, pc: register, frame: pointer)) }
        }
        while frames.count < limit, pointer & 7 == 0, pointer > low, let pc = returnAddressOf(pointer), isCode(pc) {
            frames.append(CallerFrame(level: frames.count, pc: pc, frame: pointer))
            guard let outer = try? readNumber(pointer &- 16, 8) else { break }
            low = pointer
            pointer = outer
        }
        return frames
    }

    private func returnAddressOf(_ pointer: UInt64) -> UInt64? {
        guard pointer & 7 == 0, pointer >= 16 else { return nil }
        return try? readNumber(pointer &- 8, 8)
    }

    private func isCode(_ address: UInt64) -> Bool { address & 1 == 0 && address != 0 && (try? readMemory(address, 2)) != nil }

    /// True when the instruction before `address` is a call.
    private func isAfterCall(_ address: UInt64) -> Bool {
        [UInt64(4), 2].contains { length in
            guard let before = instruction(at: address &- length) else { return false }
            return before.length == length && before.flow == .call
        }
    }
}

/// Memory as the selected hart's code sees it.
struct SessionMemory: FrameMemory {
    let session: DebugSession

    func read(_ address: UInt64, size: Int) -> UInt64? { try? session.readNumber(address, size) }
    func bytes(_ address: UInt64, _ count: Int) -> [UInt8]? { try? session.readMemory(address, count) }
}
