import EmuIR

/// Loads and stores of vectors. Those of one piece of memory look once for all of its bytes; where elements lie apart each is looked for, and
/// nothing is written before all of them are found.
extension X86Compiler {
    func vectorScratch(_ offset: Int) -> X86Memory { state.field(layout.vectorScratch + offset) }

    mutating func loadVector(_ i: Instruction) {
        if takesAnyLength { return loadAnyLength(i) }
        let source = hostAddress(i, loadTable, miss: vectorSlow)
        if i.vector.fields > 1 { return moveSegments(i.vector, i.dst, source, isStore: false) }
        for piece in pieces(i.accessBytes) {
            if !isPartial(i.vector) {
                read(piece, of: i.dst, i.vector, from: source + piece.offset)
                continue
            }
            loadPiece(piece.bytes, XMMRegister(0), source + piece.offset)
            finish(piece, of: i, XMMRegister(0))
        }
    }

    mutating func storeVector(_ i: Instruction) {
        if takesAnyLength { return storeAnyLength(i) }
        let target = hostAddress(i, storeTable, miss: vectorSlow)
        if i.vector.isMasked {
            asm.lea(.rax, target)
            return storeActive(i)
        }
        if i.vector.fields > 1 { return moveSegments(i.vector, i.b, target, isStore: true) }
        for piece in pieces(i.accessBytes) {
            if let held = vectorRegister(piece, of: i.b, i.vector) {
                storePiece(piece.bytes, target + piece.offset, held)
                continue
            }
            load(piece, of: i.b, i.vector, to: XMMRegister(0))
            storePiece(piece.bytes, target + piece.offset, XMMRegister(0))
        }
    }

    // MARK: Any length

    private mutating func loadAnyLength(_ i: Instruction) {
        hostAddress(ofElements: i.vector.fields << Int(i.vector.width), i, loadTable, miss: vectorSlow)
        if i.vector.fields > 1 { return moveSegmentsOneByOne(i.vector, i.dst, isStore: false) }
        guard i.vector.isMasked else { return copyElements(i, vectorMemory(i.dst, i.vector), isStore: false) }
        copyElements(i, vectorScratch(0), isStore: false)
        for piece in pieces(i.vector.bytes) {
            skipRest(from: piece, i.vector)
            loadPiece(piece.bytes, XMMRegister(0), vectorScratch(piece.offset))
            finish(piece, of: i, XMMRegister(0))
        }
    }

    private mutating func storeAnyLength(_ i: Instruction) {
        hostAddress(ofElements: i.vector.fields << Int(i.vector.width), i, storeTable, miss: vectorSlow)
        if i.vector.fields > 1 { return moveSegmentsOneByOne(i.vector, i.b, isStore: true) }
        if i.vector.isMasked { return storeActive(i) }
        copyElements(i, vectorMemory(i.b, i.vector), isStore: true)
    }

    /// Copies as many elements as there are between memory at rax and registers: 32 bytes at a time, then what is left by halves. None is split.
    private mutating func copyElements(_ i: Instruction, _ registers: X86Memory, isStore: Bool) {
        let isMask = i.op == .vloadMask || i.op == .vstoreMask
        let smallest = isMask ? 1 : 1 << Int(i.vector.width), most = isMask ? (Int(i.vector.greatest) + 7) / 8 : i.vector.bytes
        var registers = registers
        registers.index = .rdx
        let memory = X86Memory(.rax, index: .rdx)
        let (source, target) = isStore ? (registers, memory) : (memory, registers)
        asm.mov(.rcx, state.field(layout.vectorLength))
        if isMask {
            asm.alu(.add, .rcx, immediate: 7)
            asm.shift(.shr, .rcx, by: 3)
        } else if i.vector.width > 0 {
            asm.shift(.shl, .rcx, by: i.vector.width)
        }
        asm.alu(.xor, .rdx, .rdx, .long)
        if most >= 32 {
            let next = asm.newLabel(), end = asm.newLabel()
            asm.bind(next)
            asm.alu(.sub, .rcx, immediate: 32)
            asm.jcc(.b, end)
            asm.movdqu(.full, XMMRegister(0), source)
            asm.movdqu(.full, target, XMMRegister(0))
            asm.alu(.add, .rdx, immediate: 32)
            asm.jmp(next)
            asm.bind(end)
        }
        // The lower bits of what is left are as they were.
        if smallest < 4 { asm.push(.r8) }
        for bytes in [16, 8, 4, 2, 1] where bytes >= smallest && bytes <= most {
            let next = asm.newLabel()
            asm.test(.rcx, immediate: Int32(bytes), .byte)
            asm.jcc(.e, next)
            if bytes >= 4 {
                loadPiece(bytes, XMMRegister(0), source)
                storePiece(bytes, target, XMMRegister(0))
            } else {
                asm.movzx(.r8, source, from: bytes == 2 ? .word : .byte)
                asm.mov(target, .r8, bytes == 2 ? .word : .byte)
            }
            if bytes > smallest { asm.alu(.add, .rdx, immediate: Int32(bytes)) }
            asm.bind(next)
        }
        if smallest < 4 { asm.pop(.r8) }
    }

    /// Segments at rax, as many as there are. Uses rcx and rdx.
    private mutating func moveSegmentsOneByOne(_ shape: VectorShape, _ operand: Operand, isStore: Bool) {
        let next = asm.newLabel(), size = 1 << Int(shape.width), width = X86Width(rawValue: shape.width) ?? .quad
        asm.alu(.xor, .rcx, .rcx, .long)
        asm.bind(next)
        for field in 0..<shape.fields {
            var register = vectorMemory(operand, shape, field << (shape.fieldSize + Int(shape.registerSize)))
            register.index = .rcx
            register.scale = X86Scale(rawValue: shape.width) ?? .by8
            let memory = X86Memory(.rax, Int32(field * size))
            asm.mov(.rdx, isStore ? register : memory, width)
            asm.mov(isStore ? memory : register, .rdx, width)
        }
        asm.alu(.add, .rax, immediate: Int32(shape.fields * size))
        asm.alu(.add, .rcx, immediate: 1)
        asm.alu(.cmp, .rcx, state.field(layout.vectorLength))
        asm.jcc(.b, next)
    }

    // MARK: Masks

    /// Stores the active elements, which lie at rax, and touches nothing between them.
    private mutating func storeActive(_ i: Instruction) {
        let shape = i.vector
        if shape.width >= 2 {
            leaveOutRest(shape)
            for piece in pieces(shape.bytes) {
                skipRest(from: piece, shape)
                load(piece, of: i.b, shape, to: XMMRegister(0))
                loadLanes(piece, shape)
                asm.maskedStore(piece.size, wide: shape.width == 3, X86Memory(.rax, Int32(piece.offset)), Self.laneMask, XMMRegister(0))
            }
            return
        }
        let end = asm.newLabel(), width: X86Width = shape.width == 1 ? .word : .byte
        asm.push(.r8)
        for (first, count) in maskChunks(shape) {
            let next = asm.newLabel(), done = asm.newLabel()
            asm.mov(.rcx, vectorMemory(.vector(0), shape, first / 8))
            keepActive(first, count, none: end)
            asm.test(.rcx, .rcx)
            asm.jcc(.e, done)
            asm.bind(next)
            asm.tzcnt(.rdx, .rcx)
            var source = vectorMemory(i.b, shape, first << Int(shape.width))
            source.index = .rdx
            source.scale = X86Scale(rawValue: shape.width) ?? .by1
            asm.movzx(.r8, source, from: width)
            asm.mov(X86Memory(.rax, index: .rdx, source.scale, Int32(first << Int(shape.width))), .r8, width)
            asm.blsr(.rcx, .rcx)
            asm.jcc(.ne, next)
            asm.bind(done)
        }
        asm.bind(end)
        asm.pop(.r8)
    }

    // MARK: Elements apart

    /// Elements lie a distance apart. If one window holds them all there is nothing more to ask: the first, for which its probe answers, and the
    /// last; a stride of 32 bits cannot lead around the address space between them.
    mutating func loadStrided(_ i: Instruction) {
        guard !isPartial(i.vector), let number = window(of: i.host, in: block), i.vector.count <= Self.mostUnrolled else { return loadScattered(i) }
        let window = state.window(number), count = Int(i.vector.count)
        let apart = asm.newLabel(), end = asm.newLabel(), isAnswered = isStrideAnsweredByRun(i.host)
        load(i.c, to: .rdx)
        if !isAnswered {
            asm.movsx(.rax, .rdx, from: .long)
            asm.alu(.cmp, .rax, .rdx)
            asm.jcc(.ne, apart)
            asm.imul(.rax, .rax, immediate: Int32(count - 1))
            asm.alu(.add, .rax, place(i.a, constantIn: .rcx))
            asm.alu(.sub, .rax, window.page)
            asm.alu(.cmp, .rax, window.limit)
            asm.jcc(.ae, apart)
        }
        load(i.a, to: .rcx)
        if let home = addendHome(i.host) { asm.alu(.add, .rcx, home) } else { asm.alu(.add, .rcx, window.addend) }
        let first = vectorCache.last
        if i.vector.width >= 2 {
            asm.lea(.rax, X86Memory(.rdx, index: .rdx, .by2))
            for piece in pieces(i.vector.bytes) { collect(piece, of: i) }
        } else {
            let width: X86Width = i.vector.width == 1 ? .word : .byte
            for element in 0..<count {
                asm.mov(.rax, X86Memory(.rcx), width)
                asm.mov(vectorMemory(i.dst, i.vector, element << Int(i.vector.width)), .rax, width)
                asm.alu(.add, .rcx, .rdx)
            }
        }
        if isAnswered { return }
        asm.jmp(end)
        asm.bind(apart)
        holdsVectors = false
        loadScattered(i)
        reloadVectors(vectorCache, behind: i, since: first)
        asm.bind(end)
    }

    /// A piece of elements of 32 or 64 bits that lie rdx apart from rcx on; leaves the address of the next one in rcx. In a register, because what is
    /// written apart cannot be read in one before all of it has left for the cache. Uses rax, which holds three times rdx.
    private mutating func collect(_ piece: X86Piece, of i: Instruction) {
        let isWide = i.vector.width == 3, size = 1 << Int(i.vector.width), perHalf = 16 / size
        let count = piece.bytes / size
        for element in 0..<count {
            let register = XMMRegister(element < perHalf ? 0 : 1), index = element % perHalf
            if element > 0, element % 4 == 0 { asm.lea(.rcx, X86Memory(.rcx, index: .rdx, .by4)) }
            let memory =
                switch element % 4 {
                case 0: X86Memory(.rcx)
                case 1: X86Memory(.rcx, index: .rdx)
                case 2: X86Memory(.rcx, index: .rdx, .by2)
                default: X86Memory(.rcx, index: .rax)
                }
            if index == 0 {
                loadPiece(size, register, memory)
            } else if isWide {
                asm.movhps(register, register, memory)
            } else {
                asm.pinsrd(register, register, memory, at: UInt8(index))
            }
        }
        asm.lea(.rcx, X86Memory(.rcx, index: .rdx, X86Scale(rawValue: UInt8(min(count, 4).trailingZeroBitCount)) ?? .by4))
        if piece.bytes == 32 {
            write(piece, of: i) { $0.inserti128($1, XMMRegister(0), XMMRegister(1)) }
        } else {
            write(piece, of: i.dst, i.vector, XMMRegister(0))
        }
    }

    /// Elements of one strided load that a window serves.
    private static let mostUnrolled = 128

    /// Gathers active elements in the scratch memory, then moves them to the destination.
    mutating func loadScattered(_ i: Instruction) {
        let isCollected = i.vector.width >= 2 && !isPartial(i.vector), found = asm.newLabel()
        if isCollected, i.op == .vloadStrided, 2...Self.mostUnrolled ~= Int(i.vector.count) { findPages(i, found: found) }
        forEachAddress(i, loadTable) { compiler, width in
            compiler.asm.mov(.rax, X86Memory(.rax), width)
            compiler.asm.mov(compiler.element(compiler.vectorScratch(0), i.vector.width), .rax, width)
        }
        if isCollected {
            asm.lea(.rcx, vectorScratch(0))
            asm.mov(.rdx, immediate: 1 << Int64(i.vector.width))
            asm.bind(found)
            asm.lea(.rax, X86Memory(.rdx, index: .rdx, .by2))
        }
        for piece in pieces(i.vector.bytes) {
            if isCollected {
                collect(piece, of: i)
                continue
            }
            skipRest(from: piece, i.vector)
            loadPiece(piece.bytes, XMMRegister(0), vectorScratch(piece.offset))
            finish(piece, of: i, XMMRegister(0))
        }
    }

    /// Where the elements lie in at most three pages that lie one behind the other in the host's memory, too: goes to `found` with the host address of
    /// the first one in rcx and the stride in rdx.
    private mutating func findPages(_ i: Instruction, found: X86Label) {
        let saved: [X86Register] = [.r8, .r9, .r10], last = Int32(i.vector.count) - 1, size: Int32 = 1 << Int32(i.vector.width)
        let apart = asm.newLabel(), few = asm.newLabel(), other = asm.newLabel()
        load(i.a, to: .rax)
        load(i.c, to: .rdx)
        asm.alu(.cmp, .rdx, immediate: 2 * 4096 / last)
        asm.jcc(.a, other)
        for register in saved { asm.push(register) }
        asm.mov(.r8, .rax)
        asm.imul(.r9, .rdx, immediate: last)
        hostAddress(ofElement: size, loadTable, miss: apart)
        asm.mov(.r10, .rax)
        asm.alu(.sub, .r10, .r8)
        for (address, bytes) in [(X86Memory(.r8, index: .r9), size), (X86Memory(.r8, 4096), 1)] {
            asm.lea(.rax, address)
            hostAddress(ofElement: bytes, loadTable, miss: apart)
            asm.lea(.rcx, address)
            asm.alu(.sub, .rax, .rcx)
            asm.alu(.cmp, .rax, .r10)
            asm.jcc(.ne, apart)
            if bytes == 1 { continue }
            asm.alu(.cmp, .r9, immediate: 4096)
            asm.jcc(.be, few)
        }
        asm.bind(few)
        asm.lea(.rcx, X86Memory(.r8, index: .r10))
        for register in saved.reversed() { asm.pop(register) }
        load(i.c, to: .rdx)
        asm.jmp(found)
        asm.bind(apart)
        for register in saved.reversed() { asm.pop(register) }
        asm.bind(other)
    }

    /// Notes the active elements' host addresses in the scratch memory, then stores.
    mutating func storeScattered(_ i: Instruction) {
        guard i.vector.greatest <= Self.mostScattered else { return asm.jmp(vectorSlow) }
        forEachAddress(i, storeTable) { compiler, _ in compiler.asm.mov(compiler.element(compiler.vectorScratch(0), 3), .rax) }
        let width = X86Width(rawValue: i.vector.width) ?? .quad
        forEachElement(i) { compiler, _ in
            compiler.asm.mov(.rax, compiler.element(compiler.vectorScratch(0), 3))
            compiler.asm.mov(.rcx, compiler.element(compiler.vectorMemory(i.c, i.vector), i.vector.width), width)
            compiler.asm.mov(X86Memory(.rax), .rcx, width)
        }
    }

    /// Host addresses the scratch memory has room for.
    private static let mostScattered = 256

    /// Element r10 of those that begin at `first`.
    func element(_ first: X86Memory, _ width: UInt8) -> X86Memory {
        var memory = first
        memory.index = .r10
        memory.scale = X86Scale(rawValue: width) ?? .by8
        return memory
    }

    /// Runs `body` with the host address of each active element in rax and its number in r10; leaves the operation to the interpreter where the
    /// TLB does not serve one. Uses r8 and r9 besides, and keeps all three.
    private mutating func forEachAddress(_ i: Instruction, _ table: (entries: Int, mask: Int), _ body: (inout X86Compiler, X86Width) -> Void) {
        let saved: [X86Register] = [.r8, .r9, .r10]
        let miss = asm.newLabel(), over = asm.newLabel()
        let isStrided = i.op == .vloadStrided || i.op == .vstoreStrided, stride = i.op == .vloadStrided ? i.c : i.b
        load(i.a, to: .rax)
        if isStrided { load(stride, to: .rcx) }
        for register in saved { asm.push(register) }
        asm.mov(.r8, .rax)
        if isStrided { asm.mov(.r9, .rcx) }
        let width = X86Width(rawValue: i.vector.width) ?? .quad
        loop(i) { compiler, skip in
            compiler.skipInactive(i, skip)
            if isStrided {
                compiler.asm.mov(.rax, .r8)
            } else {
                let index = compiler.element(compiler.vectorMemory(i.b, i.vector), i.vector.indexWidth)
                if i.vector.indexWidth == 3 { compiler.asm.mov(.rax, index) } else { compiler.asm.movzx(.rax, index, from: X86Width(rawValue: i.vector.indexWidth) ?? .long) }
                compiler.asm.alu(.add, .rax, .r8)
            }
            compiler.hostAddress(ofElement: 1 << Int32(i.vector.width), table, miss: miss)
            body(&compiler, width)
        } advance: { compiler in
            if isStrided { compiler.asm.alu(.add, .r8, .r9) }
        }
        for register in saved.reversed() { asm.pop(register) }
        asm.jmp(over)
        asm.bind(miss)
        for register in saved.reversed() { asm.pop(register) }
        asm.jmp(vectorSlow)
        asm.bind(over)
    }

    /// Runs `body` for each active element with its number in r10, which is kept; `body` may jump to the label to go to the next one.
    mutating func forEachElement(_ i: Instruction, _ body: (inout X86Compiler, X86Label) -> Void) {
        asm.push(.r10)
        loop(i) { compiler, skip in
            compiler.skipInactive(i, skip)
            body(&compiler, skip)
        } advance: { _ in }
        asm.pop(.r10)
    }

    private mutating func loop(_ i: Instruction, _ body: (inout X86Compiler, X86Label) -> Void, advance: (inout X86Compiler) -> Void) {
        let next = asm.newLabel(), skip = asm.newLabel()
        asm.alu(.xor, .r10, .r10, .long)
        asm.bind(next)
        body(&self, skip)
        asm.bind(skip)
        advance(&self)
        asm.alu(.add, .r10, immediate: 1)
        if takesAnyLength {
            asm.alu(.cmp, .r10, state.field(layout.vectorLength))
        } else {
            asm.alu(.cmp, .r10, immediate: Int32(i.vector.count))
        }
        asm.jcc(.b, next)
    }

    /// Jumps to `skip` where the mask switches element r10 off. Uses rax.
    private mutating func skipInactive(_ i: Instruction, _ skip: X86Label) {
        guard i.vector.isMasked else { return }
        testBit(.vector(0), i.vector)
        asm.jcc(.ae, skip)
    }

    /// Carry flag = bit r10 of a mask. Uses rax.
    mutating func testBit(_ mask: Operand, _ shape: VectorShape) {
        asm.mov(.rax, .r10)
        asm.shift(.shr, .rax, by: 5)
        var bits = vectorMemory(mask, shape)
        bits.index = .rax
        bits.scale = .by4
        asm.mov(.rax, bits, .long)
        asm.bitTest(.bt, .rax, .r10, .long)
    }

    // MARK: Segments

    /// Segments lie one after the other at `address`, fields in registers from `operand` on. Uses rdx.
    private mutating func moveSegments(_ shape: VectorShape, _ operand: Operand, _ address: X86Memory, isStore: Bool) {
        let size = 1 << Int(shape.width), segment = shape.fields * size
        func place(_ field: Int, _ element: Int) -> X86Memory {
            vectorMemory(operand, shape, (field << (shape.fieldSize + Int(shape.registerSize))) + element * size)
        }
        var element = 0
        // Four segments of four 64-bit fields are a square.
        while shape.fields == 4, shape.width == 3, element + 4 <= Int(shape.count) {
            let rows = [XMMRegister(0), XMMRegister(1), Self.scratch12, Self.laneMask]
            for (row, register) in rows.enumerated() { asm.movdqu(.full, register, isStore ? place(row, element) : address + (element + row) * segment) }
            for (row, register) in transpose(rows).enumerated() {
                asm.movdqu(.full, isStore ? address + (element + row) * segment : place(row, element), register)
            }
            element += 4
        }
        let width = X86Width(rawValue: shape.width) ?? .quad
        for element in element..<Int(shape.count) {
            for field in 0..<shape.fields {
                let memory = address + (element * segment + field * size)
                asm.mov(.rdx, isStore ? place(field, element) : memory, width)
                asm.mov(isStore ? memory : place(field, element), .rdx, width)
            }
        }
    }

    /// Where the columns of four rows of four 64-bit numbers are.
    private mutating func transpose(_ rows: [XMMRegister]) -> [XMMRegister] {
        let (lower, upper) = (Self.scratch14, Self.scalar)
        asm.packed(.punpcklqdq, .full, lower, rows[0], rows[1])
        asm.packed(.punpckhqdq, .full, upper, rows[0], rows[1])
        asm.packed(.punpcklqdq, .full, rows[0], rows[2], rows[3])
        asm.packed(.punpckhqdq, .full, rows[1], rows[2], rows[3])
        asm.perm2i128(rows[2], lower, rows[0], 0x20)
        asm.perm2i128(rows[3], upper, rows[1], 0x20)
        asm.perm2i128(lower, lower, rows[0], 0x31)
        asm.perm2i128(upper, upper, rows[1], 0x31)
        return [rows[2], rows[3], lower, upper]
    }
}
