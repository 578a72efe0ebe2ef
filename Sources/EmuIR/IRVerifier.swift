/// A rule of the IR that a unit breaks.
public struct IRViolation: Error, Hashable, Sendable, CustomStringConvertible {
    /// Offset of the block, unless the unit as a whole is wrong.
    public let block: GuestOffset?
    /// The line of text, unless the block as a whole is wrong.
    public let line: String?
    public let reason: String

    public var description: String {
        var text = block.map { "block \(hexadecimal($0)): " } ?? ""
        if let line { text += "\"\(line)\": " }
        return text + reason
    }
}

extension IRUnit {
    /// Throws the first rule broken. Passes and back ends rely on all of them; docs/ir.md lists them.
    public func verify() throws(IRViolation) {
        if blocks.isEmpty { throw IRViolation(block: nil, line: nil, reason: "a unit has at least one block") }
        for (index, block) in blocks.enumerated() {
            if self.index(of: block.offset) != index {
                throw IRViolation(block: block.offset, line: nil, reason: "another block starts at this offset")
            }
            try block.verify()
            for offset in block.expected where self.index(of: offset) == nil {
                throw IRViolation(block: block.offset, line: nil, reason: "no block starts at \(hexadecimal(offset)), where it is expected to go")
            }
        }
    }
}

extension IRBlock {
    /// Throws the first rule broken.
    public func verify() throws(IRViolation) {
        var verifier = BlockVerifier(tempCount: tempCount)
        do throws(BlockVerifier.Failure) {
            try verifier.checkHeader(self)
        } catch {
            throw IRViolation(block: offset, line: nil, reason: error.reason)
        }
        for instruction in instructions {
            do throws(BlockVerifier.Failure) {
                try verifier.check(instruction, guestCount: guestCount)
            } catch {
                throw IRViolation(block: offset, line: "\(instruction.guest): \(instruction)", reason: error.reason)
            }
        }
        do throws(BlockVerifier.Failure) {
            try verifier.check(terminator, guest: terminatorGuest, guestCount: guestCount)
        } catch {
            throw IRViolation(block: offset, line: "\(terminatorGuest): \(terminator)", reason: error.reason)
        }
    }
}

/// Walks a block and remembers what its rules depend on.
private struct BlockVerifier {
    struct Failure: Error {
        let reason: String
        init(_ reason: String) { self.reason = reason }
    }

    private enum Temp {
        case undefined
        case value
        case probe(Probe)
    }

    private struct Probe {
        let index: Int
        let base: Operand
        let first: Int
        let end: Int
        let rights: ProbeRights
    }

    private var temps: [Temp]
    /// Index of the instruction being checked.
    private var index = -1
    private var lastGuest: UInt16 = 0
    private var lastInterpret = -1
    /// Index of the last write, by integer register.
    private var lastWrite = [Int](repeating: -1, count: 32)
    /// The guest register last written, and the position of its guest instruction.
    private var written: (register: Operand, guest: UInt16)?
    private var isGuarded = false

    private static let greatestProbe: Int64 = 4096

    init(tempCount: Int) {
        temps = .init(repeating: .undefined, count: max(0, min(tempCount, 1 << 16)))
    }

    func checkHeader(_ block: IRBlock) throws(Failure) {
        guard 0..<4096 ~= block.offset else { throw Failure("a block starts at an offset of 0 to 0xfff") }
        guard 1...65536 ~= block.guestCount else { throw Failure("a block has 1 to 65536 guest instructions, not \(block.guestCount)") }
        guard 0...65536 ~= block.tempCount else { throw Failure("a block has 0 to 65536 temps, not \(block.tempCount)") }
        if block.expected.isEmpty { return }
        guard case .indirect = block.terminator else { throw Failure("only indirect jumps are expected to go somewhere") }
        guard Set(block.expected).count == block.expected.count else { throw Failure("it is expected to go to a place twice") }
        guard block.expected.allSatisfy({ $0 & 1 == 0 }) else { throw Failure("bit 0 of where an indirect jump goes is clear") }
    }

    // MARK: - Instructions

    mutating func check(_ instruction: Instruction, guestCount: Int) throws(Failure) {
        index += 1
        let info = instruction.op.info
        try checkGuest(instruction.guest, guestCount: guestCount)
        try check(instruction.a, "a", is: info.shape.a, of: info)
        try check(instruction.b, "b", is: info.shape.b, of: info)
        try check(instruction.c, "c", is: info.shape.c, of: info)
        try checkConstants(instruction)
        try checkShape(instruction, info)
        if info.shape.syntax == .plain, instruction.displacement != 0 { throw Failure("\(info.name) takes no displacement") }
        if info.isGuarded, !isGuarded { throw Failure("no guard.float stands before the first floating instruction") }
        if info.mayLeave { try checkState(at: instruction.guest) }
        switch info.shape.syntax {
        case .load: try checkAccess(instruction, via: instruction.b, needs: .read)
        case .store: try checkAccess(instruction, via: instruction.c, needs: .write)
        case .plain, .probe: break
        }
        if instruction.op == .guardFloat { isGuarded = true }
        if instruction.op == .interpret { lastInterpret = index }
        try define(instruction, is: info.shape.dst, of: info)
    }

    private mutating func checkGuest(_ guest: UInt16, guestCount: Int) throws(Failure) {
        guard guest < guestCount else { throw Failure("the block has \(guestCount) guest instructions only") }
        guard guest >= lastGuest else { throw Failure("guest positions never decrease, and the one before is \(lastGuest)") }
        lastGuest = guest
    }

    /// Whoever goes on in the middle of a guest instruction starts it anew.
    private func checkState(at guest: UInt16) throws(Failure) {
        if let written, written.guest == guest {
            throw Failure("may leave the block after \(written.register) was written for the same guest instruction")
        }
    }

    private func check(_ operand: Operand, _ place: String, is kind: OperandKind, of info: OpcodeInfo) throws(Failure) {
        try checkKind(operand, place, kind, info.name)
        switch operand {
        case .integer(let number): try checkInteger(number)
        case .float(let number): try checkFloat(number)
        case .vector(let number): try checkVector(number)
        case .constant(let value) where kind != .wideValue && Int64(Int32(truncatingIfNeeded: value)) != value:
            throw Failure("\(operand) does not fit 32 bits: only mov takes such a constant")
        case .temp(let number):
            guard Int(number) < temps.count else { throw Failure("\(operand) is not below the number of temps, \(temps.count)") }
            switch (temps[Int(number)], kind) {
            case (.undefined, _): throw Failure("\(operand) is used before it is assigned")
            case (.probe, .value), (.probe, .wideValue), (.probe, .elements): throw Failure("\(operand) is a host address, which no guest value may depend on")
            case (.value, .probed): throw Failure("\(operand) does not come from a probe")
            default: break
            }
        default: break
        }
    }

    private func checkKind(_ operand: Operand, _ place: String, _ kind: OperandKind, _ name: StaticString) throws(Failure) {
        let fits: Bool
        switch (operand, kind) {
        case (.none, .unused), (.none, .probed), (.temp, .probed), (.temp, .hostAddress), (.float, .float), (.constant, .constant): fits = true
        case (.integer, .register), (.temp, .register): fits = true
        case (.integer, .value), (.temp, .value), (.constant, .value): fits = true
        case (.integer, .wideValue), (.temp, .wideValue), (.constant, .wideValue): fits = true
        case (.vector, .vector), (.vector, .elements), (.float, .elements), (.integer, .elements), (.temp, .elements), (.constant, .elements): fits = true
        default: fits = false
        }
        if fits { return }
        let wanted =
            switch kind {
            case .unused: "nothing"
            case .register: "an integer register or a temp"
            case .value, .wideValue: "an integer register, a temp or a constant"
            case .float: "a floating register"
            case .vector: "a vector register"
            case .elements: "a vector register, an integer register, a temp, a constant or a floating register"
            case .constant: "a constant"
            case .hostAddress: "a temp"
            case .probed: "nothing or the temp of a probe"
            }
        throw Failure("\(place) is \(operand), where \(name) has \(wanted)")
    }

    private func checkInteger(_ number: UInt8) throws(Failure) {
        guard 1...31 ~= number else { throw Failure("x\(number) is no register: there are x1 to x31, and a guest's zero is a constant") }
    }

    private func checkFloat(_ number: UInt8) throws(Failure) {
        guard number < 32 else { throw Failure("f\(number) is no register: there are f0 to f31") }
    }

    private func checkVector(_ number: UInt8) throws(Failure) {
        guard number < 32 else { throw Failure("v\(number) is no register: there are v0 to v31") }
    }

    /// The operands' groups lie inside the registers.
    private func checkShape(_ instruction: Instruction, _ info: OpcodeInfo) throws(Failure) {
        let shape = instruction.vector
        guard info.isVector else {
            if shape == .none { return }
            throw Failure("\(info.name) works on no vectors")
        }
        guard shape.width <= 3 else { throw Failure("elements have 8, 16, 32 or 64 bits") }
        guard 4...7 ~= shape.registerSize else { throw Failure("registers have 128 to 1024 bits") }
        guard shape.count <= shape.greatest else { throw Failure("there are at most \(shape.greatest) elements") }
        guard shape.indexWidth <= 3 else { throw Failure("indices have 8, 16, 32 or 64 bits") }
        let bytes = instruction.vectorBytes
        for (operand, bytes) in [(instruction.dst, bytes.dst), (instruction.a, bytes.a), (instruction.b, bytes.b), (instruction.c, bytes.c)] {
            guard case .vector(let number) = operand else { continue }
            try checkVector(number)
            guard (Int(number) << Int(shape.registerSize)) + bytes <= 32 << Int(shape.registerSize) else {
                throw Failure("there are no \(bytes) bytes from v\(number) on")
            }
        }
    }

    private func checkConstants(_ instruction: Instruction) throws(Failure) {
        switch (instruction.op, instruction.b, instruction.c) {
        case (.shladd, _, .constant(let amount)), (.shladduw, _, .constant(let amount)):
            guard 0...3 ~= amount else { throw Failure("c is 0 to 3") }
        case (let op, .constant(let value), _) where op.constantRange != nil:
            guard let range = op.constantRange, range.contains(value) else { throw Failure("b of \(op.info.name) is not \(value)") }
        case (.probe, .constant(let length), .constant(let rights)):
            guard 1...Self.greatestProbe ~= length else { throw Failure("a probe covers 1 to \(Self.greatestProbe) bytes") }
            guard 1...7 ~= rights, rights != ProbeRights.steady.rawValue else { throw Failure("the rights of a probe are r, w or rw") }
        default: break
        }
    }

    private func checkAccess(_ instruction: Instruction, via host: Operand, needs: ProbeRights) throws(Failure) {
        guard case .temp(let number) = host, case .probe(let probe) = temps[Int(number)] else { return }
        guard probe.base == instruction.a else { throw Failure("\(host) was probed for another base, \(probe.base)") }
        if case .integer(let register) = probe.base, lastWrite[Int(register)] > probe.index {
            throw Failure("\(probe.base) was written after it was probed for \(host)")
        }
        guard lastInterpret < probe.index else { throw Failure("the interpreter may have changed the mapping since \(host) was probed") }
        let first = Int(instruction.displacement)
        guard probe.first <= first, first + instruction.accessBytes <= probe.end else {
            throw Failure("\(host) covers displacements \(probe.first) to \(probe.end - 1) only")
        }
        guard probe.rights.isSuperset(of: needs) else { throw Failure("\(host) was probed for other rights, \(probe.rights.text)") }
    }

    private mutating func define(_ instruction: Instruction, is kind: OperandKind, of info: OpcodeInfo) throws(Failure) {
        let dst = instruction.dst
        try checkKind(dst, "dst", kind, info.name)
        switch dst {
        case .integer(let number):
            try checkInteger(number)
            lastWrite[Int(number)] = index
            written = (dst, instruction.guest)
        case .float(let number):
            try checkFloat(number)
            written = (dst, instruction.guest)
        case .temp(let number):
            guard Int(number) < temps.count else { throw Failure("\(dst) is not below the number of temps, \(temps.count)") }
            guard case .undefined = temps[Int(number)] else { throw Failure("\(dst) is assigned twice") }
            if kind == .hostAddress, case .constant(let length) = instruction.b, case .constant(let rights) = instruction.c {
                let first = Int(instruction.displacement)
                temps[Int(number)] = .probe(
                    Probe(index: index, base: instruction.a, first: first, end: first + Int(length), rights: ProbeRights(rawValue: rights)))
            } else {
                temps[Int(number)] = .value
            }
        case .vector(let number):
            try checkVector(number)
            written = (dst, instruction.guest)
        case .none, .constant: break
        }
    }

    // MARK: - The terminator

    mutating func check(_ terminator: Terminator, guest: UInt16, guestCount: Int) throws(Failure) {
        try checkGuest(guest, guestCount: guestCount)
        // A terminator reads values as an addition does.
        let info = Opcode.add.info
        switch terminator {
        case .jump: break
        case .branch(_, let a, let b, _, _):
            try checkTerminator(a, "a branch", info)
            try checkTerminator(b, "a branch", info)
        case .indirect(let target, _, _):
            try checkTerminator(target, "an indirect jump", info)
        case .interpret: try checkState(at: guest)
        }
    }

    private func checkTerminator(_ operand: Operand, _ what: String, _ info: OpcodeInfo) throws(Failure) {
        switch operand {
        case .none, .float, .vector: throw Failure("\(what) takes integer registers, temps and constants, not \(operand)")
        default: try check(operand, "a", is: .value, of: info)
        }
    }
}
