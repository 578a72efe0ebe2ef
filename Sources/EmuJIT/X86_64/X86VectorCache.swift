import EmuIR

/// What host registers hold of the guest's vector registers at a point of a block.
///
/// The state always has all of it, so that nothing is lost when the block is left; holding it saves the way through memory from one operation
/// to the next. Whoever comes back into a block from elsewhere, a helper for example, reads the registers again.
struct X86VectorCache {
    struct Entry {
        /// Bytes of the guest's vector registers, counted from the first of v0: 16 or 32.
        let range: Range<Int>
        let register: XMMRegister
        /// In the order in which they were made.
        let number: Int
        /// Written by an operation, not read by one.
        let isResult: Bool

        var size: X86VectorSize { range.count == 32 ? .full : .half }
    }

    private(set) var entries: [Entry] = []
    /// Number of the last entry made.
    private(set) var last = 0
    /// Host registers, by bit, whose values the operation in hand still needs.
    private var inUse: UInt16 = 0

    mutating func removeAll() { entries.removeAll() }

    /// Begins a block with what a loop carries around.
    mutating func begin(with carried: [Entry]) { entries = carried }

    /// What a loop carries, in its own register.
    static func carried(_ range: Range<Int>, in register: XMMRegister) -> Entry { Entry(range: range, register: register, number: 0, isResult: false) }

    /// What was held for the pieces before is needed no more.
    mutating func release() { inUse = 0 }

    /// The register that has `range` in its low part. The operation in hand may rely on it until it writes its next result.
    mutating func register(of range: Range<Int>) -> XMMRegister? {
        guard let entry = entries.first(where: { $0.range.lowerBound == range.lowerBound && $0.range.count >= range.count }) else { return nil }
        inUse |= 1 << UInt16(entry.register.number)
        return entry.register
    }

    /// Forgets what lies in `range`.
    mutating func drop(_ range: Range<Int>) { entries.removeAll { $0.range.overlaps(range) } }

    /// Forgets what lies in the destination of an operation that began behind entry `first`, except for its results.
    mutating func drop(_ range: Range<Int>, writtenSince first: Int) {
        entries.removeAll { $0.range.overlaps(range) && !($0.isResult && $0.number > first) }
    }

    /// Forgets what needs upper halves.
    mutating func dropUpperHalves() { entries.removeAll { $0.size == .full } }

    /// Forgets what none of `uses` reads nor a loop carries around.
    mutating func keepWhatIsRead(in uses: ArraySlice<X86VectorUse>, or carried: [Entry]) {
        entries.removeAll { entry in
            X86VectorUse.nextRead(of: entry.range, in: uses) == .max && !carried.contains { $0.register == entry.register }
        }
    }

    /// Whether an entry is where the next time round a loop expects it.
    func has(_ carried: Entry) -> Bool { entries.contains { $0.register == carried.register && $0.range == carried.range } }

    /// Makes an entry in a register of its own.
    mutating func put(_ range: Range<Int>, isResult: Bool, in register: XMMRegister) {
        entries.removeAll { $0.register == register }
        last += 1
        entries.append(Entry(range: range, register: register, number: last, isResult: isResult))
        inUse |= 1 << UInt16(register.number)
    }

    /// Makes an entry for what is read again, in the place of the one that is read again last where no register is free.
    /// - Returns: `preferred` if that is free; nil when the others are all worth more.
    mutating func add(
        _ range: Range<Int>, isResult: Bool, preferring preferred: XMMRegister? = nil, pool: [XMMRegister], before uses: ArraySlice<X86VectorUse>
    ) -> XMMRegister? {
        let own = X86VectorUse.nextRead(of: range, in: uses)
        if own == .max { return nil }
        func isFree(_ register: XMMRegister) -> Bool { !entries.contains { $0.register == register } }
        var chosen = preferred.flatMap { isFree($0) ? $0 : nil } ?? pool.first(where: isFree)
        if chosen == nil {
            var latest = own
            for entry in entries where inUse >> UInt16(entry.register.number) & 1 == 0 {
                let next = X86VectorUse.nextRead(of: entry.range, in: uses)
                if next > latest { (latest, chosen) = (next, entry.register) }
            }
        }
        guard let register = chosen else { return nil }
        put(range, isResult: isResult, in: register)
        return register
    }
}

/// Bytes of the guest's vector registers that an instruction reads and writes, as far as it is worth knowing.
struct X86VectorUse {
    private var reads: (Range<Int>, Range<Int>, Range<Int>, Range<Int>) = (0..<0, 0..<0, 0..<0, 0..<0)
    /// What it overwrites whatever it was.
    private var overwrites = 0..<0
    /// Behind it nothing is held.
    private let endsAll: Bool

    init(_ i: Instruction) {
        endsAll = i.op == .interpret
        guard i.op.info.isVector else { return }
        var least = i
        least.vector.greatest = i.vector.count
        let bytes = least.vectorBytes, size = Int(i.vector.registerSize)
        func range(_ operand: Operand, _ bytes: Int) -> Range<Int> {
            guard case .vector(let number) = operand else { return 0..<0 }
            return Int(number) << size..<Int(number) << size + bytes
        }
        let dst = range(i.dst, bytes.dst), readsDestination = i.vector.isMasked || i.op.buildsOnDestination
        reads = (range(i.a, bytes.a), range(i.b, bytes.b), range(i.c, bytes.c), readsDestination ? dst : 0..<0)
        if !readsDestination { overwrites = dst }
    }

    /// How many instructions on `range` is read, unless it is overwritten first: the greatest number stands for never.
    static func nextRead(of range: Range<Int>, in uses: ArraySlice<X86VectorUse>) -> Int {
        for (distance, use) in uses.enumerated() {
            if use.endsAll { return .max }
            let reads = use.reads
            if reads.0.overlaps(range) || reads.1.overlaps(range) || reads.2.overlaps(range) || reads.3.overlaps(range) { return distance }
            if use.overwrites.lowerBound <= range.lowerBound, range.upperBound <= use.overwrites.upperBound { return .max }
        }
        return .max
    }
}

extension Opcode {
    /// Its destination is an operand too.
    var buildsOnDestination: Bool {
        switch self {
        case .vmacc, .vnmsac, .vmadd, .vnmsub, .vwmaccu, .vwmacc, .vwmaccsu, .vwmaccus, .vfmacc, .vfnmacc, .vfmsac, .vfnmsac, .vfmadd, .vfnmadd, .vfmsub, .vfnmsub,
            .vfwmacc, .vfwnmacc, .vfwmsac, .vfwnmsac, .vaesef, .vaesem, .vaesdf, .vaesdm, .vaesz, .vaeskf2, .vghash, .vsha2ms, .vsha2cl, .vsha2ch, .vsm4r, .vsm3c,
            .vslideup: true
        default: false
        }
    }

    /// It reads all its sources, and writes its results, piece by piece in an order in which what is held is what memory has.
    var goesThroughPieces: Bool {
        switch self {
        case .vload, .vstore, .vloadStrided, .vmove, .vadd, .vsub, .vrsub, .vand, .vor, .vxor, .vandn, .vminu, .vmin, .vmaxu, .vmax, .vmul, .vmulh, .vmulhu, .vmerge, .vmacc, .vnmsac,
            .vmadd, .vnmsub, .vsll, .vsrl, .vsra, .vrol, .vror, .vzext, .vsext, .vnsrl, .vnsra, .vwsll, .vbrev8, .vrev8, .vbrev, .vwaddu, .vwadd, .vwsubu, .vwsub,
            .vwadduW, .vwaddW, .vwsubuW, .vwsubW, .vwmulu, .vwmul, .vwmulsu, .vwmaccu, .vwmacc, .vwmaccsu, .vwmaccus, .vmseq, .vmsne, .vmsltu, .vmslt, .vmsleu, .vmsle,
            .vmsgtu, .vmsgt, .vredsum, .vredand, .vredor, .vredxor, .vredminu, .vredmin, .vredmaxu, .vredmax, .vfadd, .vfsub, .vfrsub, .vfmul, .vfdiv, .vfrdiv,
            .vfsqrt, .vfmin, .vfmax, .vfsgnj, .vfsgnjn, .vfsgnjx, .vfmacc, .vfnmacc, .vfmsac, .vfnmsac, .vfmadd, .vfnmadd, .vfmsub, .vfnmsub, .vmfeq, .vmfne, .vmflt,
            .vmfle, .vmfgt, .vmfge, .vclmul, .vclmulh, .vghash, .vaesef, .vaesem, .vaesdf, .vaesdm, .vaesz, .vaeskf1, .vaeskf2, .vsha2ms, .vsha2cl, .vsha2ch: true
        default: false
        }
    }
}
