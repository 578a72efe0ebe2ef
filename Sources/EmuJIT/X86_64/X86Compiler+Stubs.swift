import EmuIR

/// Code out of line: what is jumped to when something rare happens, assembled behind the blocks.
extension X86Compiler {
    /// What happened, where the code for it begins, and where it goes on.
    enum Stub {
        /// A load or store at the address in rax that its TLB entry does not serve.
        case load(Instruction, entry: X86Label, back: X86Label)
        case store(Instruction, entry: X86Label, back: X86Label)
        /// The interpreter executes the instruction instead.
        case interpret(guest: UInt16, entry: X86Label, back: X86Label)
        /// Goes on in the interpreter at the instruction.
        case bail(guest: UInt16, Opcode, entry: X86Label)
        case enableFloat(guest: UInt16, entry: X86Label, back: X86Label)
        /// A result that is a NaN becomes the canonical one.
        case canonicalNaN(XMMRegister, X86Float, entry: X86Label, back: X86Label)
        /// The same after a fused multiplication and addition.
        case fusedNaN(Instruction, XMMRegister, X86Float, entry: X86Label, back: X86Label)
        /// A vector operation under another length than it was made for; under another type the slow path.
        case anyLength(Instruction, since: Int, entry: X86Label, slow: X86Label, back: X86Label)
        /// Vectors at the address in rax that the TLB entry of their first byte does not serve.
        case pageEnd(entries: Int, mask: Int, X86Compiler.Extent, entry: X86Label, slow: X86Label, back: X86Label)
        /// The interpreter goes on with a vector operation at an element: through its slow path.
        case finishVector(start: Int32, entry: X86Label, slow: X86Label)
        /// A probe at the address in rax whose page the TLB or the window does not know. At `skip`, where it is given, the interpreter executes
        /// the guest instruction instead.
        case probe(Instruction, first: Opcode, window: Int?, skip: X86Label?, entry: X86Label, back: X86Label)
        /// Leaves the unit for an address, through a link that is not made yet where it has a number.
        case leave(GuestOffset, link: Int?, entry: X86Label)
        /// Leaves the unit for a computed address.
        case computed(Operand, Int32, exit: UInt, entry: X86Label)
        /// The budget does not suffice for the block.
        case budget(count: Int32, offset: GuestOffset, entry: X86Label)
        /// Divisions by zero and by −1.
        case division(Instruction, zero: X86Label, minusOne: X86Label, back: X86Label)
        /// Lets a loop run unchecked if it may.
        case startRun(loop: Int, entry: X86Label)
        /// Leaves a loop's unchecked copy: for an address, for a place in the checked copy, or because the run is over.
        case leaveRun(GuestOffset, entry: X86Label)
        case resume(X86Label, vectors: Int, entry: X86Label)
        case endRun(count: Int32, entry: X86Label)
    }

    /// Code of an unchecked loop never calls a helper nor the interpreter: the checked copy goes on at the instruction in hand.
    mutating func add(_ stub: Stub) {
        var stub = stub
        if run != nil {
            switch stub {
            case .load(_, let entry, _), .store(_, let entry, _), .interpret(_, let entry, _), .bail(_, _, let entry), .enableFloat(_, let entry, _),
                .probe(_, _, _, _, let entry, _):
                guard let places = checked[block], let vectors = checkedVectors[block] else { preconditionFailure("an unchecked loop has a checked copy") }
                stub = .resume(places[position], vectors: number(of: vectors[position]), entry: entry)
            case .canonicalNaN, .fusedNaN, .anyLength, .pageEnd, .finishVector, .division, .leave, .computed, .budget, .startRun, .leaveRun, .resume, .endRun: break
            }
        }
        stubs.append((block, held, number(of: vectorCache), run, stub))
    }

    /// Keeps what is held for a stub; -1 stands for a unit without vectors.
    private mutating func number(of vectors: X86VectorCache) -> Int {
        if vectorPool.isEmpty { return -1 }
        stubVectors.append(vectors)
        return stubVectors.count - 1
    }

    mutating func assemble(_ stub: Stub, in unit: IRUnit) {
        switch stub {
        case .load(let instruction, let entry, let back):
            asm.bind(entry)
            call(.load, Site(guest: instruction.guest, instruction.op))
            finishLoad(instruction)
            asm.jmp(back)
        case .store(let instruction, let entry, let back):
            asm.bind(entry)
            storeValueToState(instruction)
            call(.store, Site(guest: instruction.guest, instruction.op))
            asm.jmp(back)
        case .interpret(let guest, let entry, let back):
            asm.bind(entry)
            callInterpreter(guest)
            asm.jmp(back)
        case .bail(let guest, let op, let entry):
            asm.bind(entry)
            toCanonical()
            asm.mov(.rdx, immediate: Int64(Site(guest: guest, op).rawValue))
            asm.lea(.rcx, words[1 + block])
            asm.jmp(address: runtime.bailExit)
        case .enableFloat(let guest, let entry, let back):
            asm.bind(entry)
            call(.enableFloat, Site(guest: guest, .guardFloat))
            asm.test(.rax, .rax)
            let bail = asm.newLabel()
            asm.jcc(.e, bail)
            asm.ldmxcsr(state.field(layout.floatControl))
            asm.jmp(back)
            add(.bail(guest: guest, .guardFloat, entry: bail))
        case .fusedNaN(let instruction, let register, let format, let entry, let back):
            asm.bind(entry)
            assembleFusedNaN(instruction, register, format)
            asm.jmp(back)
        case .canonicalNaN(let register, let format, let entry, let back):
            asm.bind(entry)
            asm.mov(.rax, immediate: Self.canonicalNaN(format))
            asm.movq(register, .rax)
            asm.jmp(back)
        case .anyLength(let instruction, let first, let entry, let slow, let back):
            asm.bind(entry)
            assembleAnyLength(instruction, since: first, slow, back)
        case .pageEnd(let entries, let mask, let extent, let entry, let slow, let back):
            asm.bind(entry)
            assemblePageEnd(entries, mask, extent, slow: slow, back: back)
        case .finishVector(let start, let entry, let slow):
            asm.bind(entry)
            asm.mov(state.field(layout.vectorStart), immediate: start)
            asm.mov(state.field(layout.vectorKey), immediate: 0, .long)
            asm.jmp(slow)
        case .probe(let instruction, let first, let window, let skip, let entry, let back):
            asm.bind(entry)
            assembleFailedProbe(instruction, first, window, skip, back)
        case .budget(let count, let offset, let entry):
            asm.bind(entry)
            asm.alu(.add, .r15, immediate: count)
            toCanonical()
            asm.mov(.rax, immediate: Int64(offset))
            asm.mov(.rdx, immediate: Int64(block))
            asm.lea(.rcx, words[0])
            asm.jmp(address: runtime.budgetExit)
        case .leave(let target, let link, let entry):
            asm.bind(entry)
            if let link {
                asm.mov(.rax, immediate: Int64(target))
                asm.mov(.rdx, immediate: Int64(link))
                asm.lea(.rcx, words[0])
                asm.jmp(address: runtime.linkExit)
            } else {
                leave(to: target)
            }
        case .computed(let base, let displacement, let exit, let entry):
            asm.bind(entry)
            leaveComputed(base, displacement, exit: exit)
        case .division(let instruction, let zero, let minusOne, let back):
            assembleDivisionCorners(instruction, zero, minusOne, back)
        case .startRun(let loop, let entry):
            asm.bind(entry)
            startRun(loop)
        case .leaveRun(let target, let entry):
            asm.bind(entry)
            jump(target, in: unit)
        case .resume(let place, let vectors, let entry):
            asm.bind(entry)
            leaveRun()
            if vectors >= 0 { reloadVectors(stubVectors[vectors]) }
            asm.jmp(place)
        case .endRun(let count, let entry):
            asm.bind(entry)
            endRun(count)
            asm.jmp(runs.first { $0.loop.head == block }?.checkedHead ?? labels[block])
        }
    }
}
