import EmuIR

/// Pieces of vector registers that host registers hold between the operations of a block.
extension X86Compiler {
    /// Host registers for them: what neither operations nor f registers need.
    static func vectorPool(_ unit: IRUnit, _ assignment: X86Assignment) -> [XMMRegister] {
        guard unit.blocks.contains(where: { $0.instructions.contains { $0.op.info.isVector } }) else { return [] }
        let floats = assignment.floats.map(\.host)
        return (X86Assignment.box.number..<Self.scratch12.number).map(XMMRegister.init).filter { !floats.contains($0) && (floats.isEmpty || $0 != X86Assignment.box) }
    }

    /// Nothing is known where a block begins, nor held, but in the unchecked copy of a loop of one block.
    mutating func prepareVectors(_ ir: IRBlock) {
        vectorCache.removeAll()
        carried.removeAll()
        knownKey = nil
        vectorUses.removeAll(keepingCapacity: true)
        if vectorPool.isEmpty { return }
        if let run, runs[run].loop.blocks.count == 1 {
            carried = whatIsCarried(ir)
            runs[run].carried = carried
            vectorCache.begin(with: carried)
        }
        for each in ir.instructions { vectorUses.append(X86VectorUse(each)) }
    }

    /// What a loop of this block alone reads of what an earlier time round, or what came before, has left; sums and the like first.
    private func whatIsCarried(_ ir: IRBlock) -> [X86VectorCache.Entry] {
        var written: [Range<Int>] = [], read: [Range<Int>] = []
        for var each in ir.instructions where each.op.info.isVector {
            let whole = destination(each)
            each.vector.greatest = each.vector.count
            if each.op.goesThroughPieces, each.vector.fields == 1 {
                let all = each.vector.bytes, bytes = each.vectorBytes, isBuiltOn = each.op.buildsOnDestination
                for (operand, count) in [(each.a, bytes.a), (each.b, bytes.b), (isBuiltOn ? each.dst : .none, bytes.dst)] where count == all {
                    guard case .vector = operand else { continue }
                    for piece in pieces(count) where piece.bytes >= 16 {
                        let range = self.bytes(operand, each.vector, piece.offset, piece.bytes)
                        if !written.contains(where: { $0.overlaps(range) }) && !read.contains(where: { $0.overlaps(range) }) { read.append(range) }
                    }
                }
            }
            written.append(whole)
        }
        let sums = read.filter { range in written.contains { $0.overlaps(range) } }, others = read.filter { !sums.contains($0) }
        return zip(sums + others, vectorPool.prefix(vectorPool.count / 2)).map { X86VectorCache.carried($0, in: $1) }
    }

    /// Before the next time round: what is carried and is not where it belongs.
    mutating func restoreCarried() {
        for entry in carried where !vectorCache.has(entry) { reload(entry) }
    }

    private func bytes(_ operand: Operand, _ shape: VectorShape, _ offset: Int, _ count: Int) -> Range<Int> {
        guard case .vector(let number) = operand else { return 0..<0 }
        let first = Int(number) << Int(shape.registerSize) + offset
        return first..<first + count
    }

    /// The rest of the block.
    private var laterUses: ArraySlice<X86VectorUse> { vectorUses[(position + 1)...].prefix(Self.greatestDistance) }

    /// What is read again later than so many instructions on is not kept for that.
    private static let greatestDistance = 64

    /// The host register that holds a source's piece, from here on if it is read again.
    mutating func vectorRegister(_ piece: X86Piece, of operand: Operand, _ shape: VectorShape) -> XMMRegister? {
        guard holdsVectors, piece.bytes >= 16 else { return nil }
        let range = bytes(operand, shape, piece.offset, piece.bytes)
        if let register = vectorCache.register(of: range) { return register }
        guard let register = add(range, isResult: false) else { return nil }
        asm.movdqu(piece.size, register, vectorMemory(operand, shape, piece.offset))
        return register
    }

    private mutating func add(_ range: Range<Int>, isResult: Bool, preferring preferred: XMMRegister? = nil) -> XMMRegister? {
        if carried.isEmpty { return vectorCache.add(range, isResult: isResult, preferring: preferred, pool: vectorPool, before: laterUses) }
        if let register = carried.first(where: { $0.range == range })?.register {
            vectorCache.put(range, isResult: isResult, in: register)
            return register
        }
        let pool = vectorPool.filter { register in !carried.contains { $0.register == register } }
        return vectorCache.add(range, isResult: isResult, preferring: preferred, pool: pool, before: laterUses)
    }

    /// A source's piece in a register: where it is held, else loaded to `register`; a scalar is in its register already.
    mutating func source(_ piece: X86Piece, of operand: Operand, _ shape: VectorShape, loadedTo register: XMMRegister) -> XMMRegister {
        guard case .vector = operand else { return Self.scalar }
        if let held = vectorRegister(piece, of: operand, shape) { return held }
        load(piece, of: operand, shape, to: register)
        return register
    }

    /// Computes a piece of a result, all of it, by one instruction that is given the register for it, and writes it: xmm0 unless it is held.
    mutating func write(_ piece: X86Piece, of i: Instruction, by compute: (inout X86Assembler, XMMRegister) -> Void) {
        let result = hold(piece, of: i.dst, i.vector) ?? XMMRegister(0)
        compute(&asm, result)
        storePiece(piece.bytes, vectorMemory(i.dst, i.vector, piece.offset), result)
    }

    /// The register to build on an operation's destination in: where that is held, if no source is, else `register`.
    mutating func destination(_ piece: X86Piece, of i: Instruction, besides sources: [XMMRegister], loadedTo register: XMMRegister) -> XMMRegister {
        if let held = vectorRegister(piece, of: i.dst, i.vector), !sources.contains(held) { return held }
        load(piece, of: i.dst, i.vector, to: register)
        return register
    }

    /// Writes a piece of a result, or reads it from memory that is not the state's.
    mutating func write(_ piece: X86Piece, of operand: Operand, _ shape: VectorShape, _ result: XMMRegister) {
        storePiece(piece.bytes, vectorMemory(operand, shape, piece.offset), result)
        if let register = hold(piece, of: operand, shape, preferring: result), register != result { asm.movdqu(piece.size, register, result) }
    }

    mutating func read(_ piece: X86Piece, of operand: Operand, _ shape: VectorShape, from memory: X86Memory) {
        let register = hold(piece, of: operand, shape) ?? XMMRegister(0)
        loadPiece(piece.bytes, register, memory)
        storePiece(piece.bytes, vectorMemory(operand, shape, piece.offset), register)
    }

    /// A register for a result that is read again.
    private mutating func hold(_ piece: X86Piece, of operand: Operand, _ shape: VectorShape, preferring preferred: XMMRegister? = nil) -> XMMRegister? {
        guard holdsVectors else { return nil }
        let range = bytes(operand, shape, piece.offset, piece.bytes)
        vectorCache.release()
        vectorCache.drop(range)
        if piece.bytes < 16 { return nil }
        let isPlace = vectorPool.contains { $0 == preferred } && !carried.contains { $0.register == preferred }
        return add(range, isResult: true, preferring: isPlace ? preferred : nil)
    }

    /// Whole registers that an operation may write to under any length.
    private func destination(_ i: Instruction) -> Range<Int> {
        let size = 1 << Int(i.vector.registerSize)
        return bytes(i.dst, i.vector, 0, (i.vectorBytes.dst + size - 1) / size * size)
    }

    /// Behind an operation that began when entry `first` was the last: nothing that it has written is held as it was, nor what nobody reads again.
    mutating func settleVectors(_ i: Instruction, since first: Int) {
        holdsVectors = false
        if vectorPool.isEmpty { return }
        vectorCache.release()
        vectorCache.drop(destination(i), writtenSince: first)
        vectorCache.keepWhatIsRead(in: laterUses, or: carried)
    }

    /// Reads again what is held here and may be another value, or not there, in the registers.
    mutating func reloadVectors(_ cache: X86VectorCache) {
        for entry in cache.entries { reload(entry) }
    }

    /// The same where only an operation has been executed in another way.
    mutating func reloadVectors(_ cache: X86VectorCache, behind i: Instruction, since first: Int) {
        let written = destination(i)
        for entry in cache.entries where entry.number > first || entry.range.overlaps(written) { reload(entry) }
    }

    mutating func reload(_ entry: X86VectorCache.Entry) {
        asm.movdqu(entry.size, entry.register, state.field(layout.vectors + entry.range.lowerBound))
    }
}
