/// Finds a function's caller: by the file's unwind information, or else by what the function's first instructions did, or by the chain
/// of frame pointers.
public struct Unwinder {
    public let symbols: SymbolTable
    public let memory: any FrameMemory
    public let architecture: UnwindArchitecture

    public init(symbols: SymbolTable, memory: any FrameMemory, architecture: UnwindArchitecture) {
        self.symbols = symbols
        self.memory = memory
        self.architecture = architecture
    }

    enum Result {
        /// The caller's registers, how they were found, and whether it was interrupted instead of having called.
        case caller(FrameRegisters, StackFrame.Source, isTrap: Bool)
        case end(Backtrace.End)
    }

    struct Step {
        let cfa: UInt64?
        let result: Result
    }

    /// Bytes of a function that are read at most for what they did to the stack.
    private static let codeLimit: UInt64 = 16 << 10

    /// The caller's registers when a function is at `frame.pc`, or nil when it has none or it cannot be found.
    /// - Parameter isExact: true for the innermost and for interrupted functions, whose `pc` is the next instruction to be executed.
    public func registersOfCaller(of frame: FrameRegisters, isExact: Bool = true) -> FrameRegisters? {
        if case .caller(let registers, _, _) = caller(of: frame, isExact: isExact).result { registers } else { nil }
    }

    func caller(of frame: FrameRegisters, isExact: Bool) -> Step {
        let place = isExact ? frame.pc : frame.pc &- 1
        if let step = throughTrap(frame, place) { return step }
        for module in symbols.modules {
            guard let row = module.file.callFrames?.row(at: module.linked(place)) else { continue }
            return byRow(row, frame, slide: module.slide)
        }
        let step = withoutInformation(frame, place, isExact)
        if case .caller(let caller, _, _) = step.result, !mayBeCode(caller.pc) { return Step(cfa: step.cfa, result: .end(.noCode(caller.pc))) }
        return step
    }

    // MARK: Unwind information

    private func byRow(_ row: CallFrameRow, _ frame: FrameRegisters, slide: UInt64) -> Step {
        guard let cfa = address(row, frame, slide) else { return Step(cfa: nil, result: .end(.noInformation)) }
        var caller = FrameRegisters(pc: 0)
        for (register, value) in frame.known where architecture.preserved.contains(register) && row.rules[register] == nil {
            caller[register] = value
        }
        caller[architecture.stackPointer] = cfa
        for (register, rule) in row.rules {
            switch rule {
            case .undefined: caller[register] = nil
            case .sameValue: caller[register] = frame[register]
            case .offset(let offset): caller[register] = memory.read(cfa &+ UInt64(bitPattern: offset), size: 8)
            case .valueOffset(let offset): caller[register] = cfa &+ UInt64(bitPattern: offset)
            case .register(let other): caller[register] = frame[other]
            case .expression(let expression):
                var machine = DWARFExpression(registers: frame, memory: memory, slide: slide)
                caller[register] = machine.evaluate(expression, initial: cfa).flatMap { memory.read($0, size: 8) }
            case .valueExpression(let expression):
                var machine = DWARFExpression(registers: frame, memory: memory, slide: slide)
                caller[register] = machine.evaluate(expression, initial: cfa)
            }
        }
        let link: UInt64?
        switch row.rules[row.link] {
        case .undefined: return Step(cfa: cfa, result: .end(.outermost))
        // A function that makes no calls leaves the return address where it is.
        case nil: link = frame[row.link]
        case .offset(let offset) where caller[row.link] == nil:
            return Step(cfa: cfa, result: .end(.unreadable(cfa &+ UInt64(bitPattern: offset))))
        default: link = caller[row.link]
        }
        guard let link else { return Step(cfa: cfa, result: .end(.noInformation)) }
        caller.pc = row.isTrap ? link : architecture.returnAddress(link)
        if caller.pc == 0 { return Step(cfa: cfa, result: .end(.outermost)) }
        return Step(cfa: cfa, result: .caller(caller, .callFrameInformation, isTrap: row.isTrap))
    }

    private func address(_ row: CallFrameRow, _ frame: FrameRegisters, _ slide: UInt64) -> UInt64? {
        switch row.cfa {
        case .register(let register, let offset): return frame[register].map { $0 &+ UInt64(bitPattern: offset) }
        case .expression(let expression):
            var machine = DWARFExpression(registers: frame, memory: memory, slide: slide)
            return machine.evaluate(expression)
        case nil: return nil
        }
    }

    // MARK: Without unwind information

    private func withoutInformation(_ frame: FrameRegisters, _ place: UInt64, _ isExact: Bool) -> Step {
        if let match = symbols.lookup(place), match.symbol.kind != .object, let step = byCode(frame, match, isExact) { return step }
        let byChain = byFramePointer(frame)
        // A function that has not made its frame, or never makes one, is only seen in the return address register.
        if isExact, case .end = byChain.result, let link = frame[architecture.link], mayBeCode(architecture.returnAddress(link)) {
            return byLink(frame, link)
        }
        return byChain
    }

    private func byLink(_ frame: FrameRegisters, _ link: UInt64) -> Step {
        var caller = keepingPreserved(frame)
        caller.pc = architecture.returnAddress(link)
        caller[architecture.stackPointer] = frame[architecture.stackPointer]
        if caller.pc == 0 { return Step(cfa: frame[architecture.stackPointer], result: .end(.outermost)) }
        return Step(cfa: frame[architecture.stackPointer], result: .caller(caller, .link, isTrap: false))
    }

    private func keepingPreserved(_ frame: FrameRegisters) -> FrameRegisters {
        var result = FrameRegisters(pc: 0)
        for (register, value) in frame.known where architecture.preserved.contains(register) { result[register] = value }
        return result
    }

    /// By reading the function's instructions; nil when they cannot be read or explain nothing.
    private func byCode(_ frame: FrameRegisters, _ match: SymbolTable.Match, _ isExact: Bool) -> Step? {
        let before = frame.pc &- match.module.loaded(match.symbol.address)
        guard let code = code(frame.pc &- before, min(before, Self.codeLimit), match.module),
            let state = architecture.analyse(code)
        else { return nil }
        return step(state, frame, isExact)
    }

    /// Instructions as the file has them: those in memory may be patched, or not mapped where the debugger looks.
    private func code(_ address: UInt64, _ length: UInt64, _ module: SymbolTable.Module) -> [UInt8]? {
        let length = Int(truncatingIfNeeded: length)
        if let code = module.file.contents(at: module.linked(address), length), code.count == length { return code }
        return memory.bytes(address, length)
    }

    private func step(_ state: FrameState, _ frame: FrameRegisters, _ isExact: Bool) -> Step? {
        let cfa: UInt64
        if let offset = state.framePointer, let framePointer = frame[architecture.framePointer] {
            cfa = framePointer &- UInt64(bitPattern: offset)
        } else {
            guard let stackPointer = frame[architecture.stackPointer] else { return nil }
            cfa = stackPointer &+ UInt64(bitPattern: state.frameSize)
        }
        guard let place = state.saved[architecture.link] else {
            // Not saved: then the register still has it, unless this function has called another one since.
            guard isExact, let link = frame[architecture.link] else { return nil }
            var caller = restoring(state, cfa, frame)
            caller.pc = architecture.returnAddress(link)
            return Step(cfa: cfa, result: caller.pc == 0 ? .end(.outermost) : .caller(caller, .link, isTrap: false))
        }
        let address = cfa &+ UInt64(bitPattern: place)
        guard let link = memory.read(address, size: 8) else { return Step(cfa: cfa, result: .end(.unreadable(address))) }
        var caller = restoring(state, cfa, frame)
        caller.pc = architecture.returnAddress(link)
        return Step(cfa: cfa, result: caller.pc == 0 ? .end(.outermost) : .caller(caller, .code, isTrap: false))
    }

    private func restoring(_ state: FrameState, _ cfa: UInt64, _ frame: FrameRegisters) -> FrameRegisters {
        var caller = keepingPreserved(frame)
        for (register, place) in state.saved where architecture.preserved.contains(register) {
            caller[register] = memory.read(cfa &+ UInt64(bitPattern: place), size: 8)
        }
        caller[architecture.stackPointer] = cfa
        return caller
    }

    private func byFramePointer(_ frame: FrameRegisters) -> Step {
        guard let framePointer = frame[architecture.framePointer], framePointer != 0 else { return Step(cfa: nil, result: .end(.outermost)) }
        let top = framePointer &+ UInt64(bitPattern: architecture.frameTop)
        // A register used for something else than frames is caught here, or by its leading to no code.
        guard framePointer % 8 == 0, frame[architecture.stackPointer].map({ top >= $0 }) ?? true else {
            return Step(cfa: nil, result: .end(.noInformation))
        }
        let linkPlace = framePointer &+ UInt64(bitPattern: architecture.savedLink)
        guard let link = memory.read(linkPlace, size: 8) else { return Step(cfa: nil, result: .end(.unreadable(linkPlace))) }
        var caller = keepingPreserved(frame)
        caller[architecture.framePointer] = memory.read(framePointer &+ UInt64(bitPattern: architecture.savedFramePointer), size: 8)
        caller[architecture.stackPointer] = top
        caller.pc = architecture.returnAddress(link)
        return Step(cfa: top, result: caller.pc == 0 ? .end(.outermost) : .caller(caller, .framePointer, isTrap: false))
    }

    /// True when an address may be in a function: it has a name, or nothing has.
    private func mayBeCode(_ address: UInt64) -> Bool {
        guard memory.read(address & ~1, size: 2) != nil else { return symbols.lookup(address) != nil }
        return symbols.isEmpty || symbols.lookup(address &- 1).map { $0.symbol.kind != .object } ?? false
    }

    // MARK: Traps

    /// In an operating system's entry code the interrupted function's registers are on the stack.
    private func throughTrap(_ frame: FrameRegisters, _ place: UInt64) -> Step? {
        guard !architecture.trapFrames.isEmpty, let stack = frame[architecture.stackPointer] else { return nil }
        for layout in architecture.trapFrames {
            // Its last instruction may be a jump to what returns to the next symbol's beginning.
            guard [place, frame.pc].contains(where: { symbols.lookup($0).map { layout.functions.contains($0.symbol.name) } == true }) else { continue }
            if place == frame.pc, let here = symbols.lookup(place), here.offset == 0, here.symbol.name == layout.entry {
                return Step(cfa: nil, result: .end(.noInformation))
            }
            guard let pc = memory.read(stack &+ layout.pc, size: 8) else { return nil }
            var interrupted = FrameRegisters(pc: pc)
            for (register, offset) in layout.registers { interrupted[register] = memory.read(stack &+ offset, size: 8) }
            guard interrupted[architecture.stackPointer] != nil else { return nil }
            return Step(cfa: stack, result: .caller(interrupted, .trapFrame, isTrap: true))
        }
        return nil
    }
}
