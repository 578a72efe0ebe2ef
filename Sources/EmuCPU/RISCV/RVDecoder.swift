/// Turns instruction bits into `DecodedOp`s for one set of extensions.
///
/// Rows are sorted into buckets by a few bits that every row fixes or a bucket per value repeats; a bucket holds at most a few
/// dozen candidates, the most specific first, so the first match is the answer.
public struct RVDecoder: Sendable {
    /// What decoding needs of a row, in one trivial value.
    private struct Candidate {
        let mask: UInt32
        let match: UInt32
        let op: RVOp
        let layout: RVLayout
        /// The destination is an integer register.
        let integer: Bool
        let constant: Int32
        /// Position in `RVTable.all`.
        let row: UInt16
    }

    private var candidates: [Candidate] = []
    /// Candidates of bucket n: `starts[n]..<starts[n + 1]`.
    private var starts: [UInt16] = []

    public init(extensions: RVExtensionSet) {
        var buckets = [[(candidate: Candidate, specificity: Int)]](repeating: [], count: Self.bucketCount)
        for (position, row) in RVTable.all.enumerated() where row.needs.isMet(by: extensions) {
            let candidate = Candidate(
                mask: row.mask, match: row.match, op: row.op, layout: row.format.layout, integer: row.format.hasIntegerDestination,
                constant: row.constant, row: UInt16(position))
            for bucket in Self.buckets(of: row) { buckets[bucket].append((candidate, row.specificity)) }
        }
        for bucket in buckets {
            starts.append(UInt16(candidates.count))
            candidates += bucket.sorted { $0.specificity > $1.specificity }.map(\.candidate)
        }
        starts.append(UInt16(candidates.count))
    }

    /// - Parameter bits: 32 bits at the instruction's address; only the low 16 count when bits 1:0 are not 11.
    public func decode(_ bits: UInt32) -> DecodedOp {
        let raw = bits & 3 == 3 ? bits : bits & 0xffff
        guard let found = find(raw) else { return DecodedOp(.illegal, raw: raw) }
        var result = found.layout.operands(of: raw)
        result.op = found.op.rawValue
        result.raw = raw
        if found.integer && result.rd == 0 { result.rd = 32 }
        if found.layout == .cUnary { result.imm = found.constant }
        return result
    }

    /// Position in `RVTable.all` of the row that `bits` are an instance of.
    package func position(of bits: UInt32) -> Int? {
        find(bits & 3 == 3 ? bits : bits & 0xffff).map { Int($0.row) }
    }

    @inline(__always)
    private func find(_ raw: UInt32) -> Candidate? {
        let bucket = Self.bucket(raw)
        for index in Int(starts[bucket])..<Int(starts[bucket + 1]) where raw & candidates[index].mask == candidates[index].match {
            return candidates[index]
        }
        return nil
    }

    // MARK: Buckets

    /// 32 major opcodes by funct3; 128 of OP-FP by funct7; three compressed quadrants by funct3; 64 of OP-V by funct6.
    private static let bucketCount = 256 + 128 + 24 + 64
    private static let floatOpcode: UInt32 = 0x53
    private static let vectorOpcode: UInt32 = 0x57

    @inline(__always)
    private static func bucket(_ raw: UInt32) -> Int {
        if raw & 3 != 3 { return Int(384 + (raw & 3) * 8 + raw >> 13 & 7) }
        if raw & 0x7f == floatOpcode { return Int(256 + raw >> 25) }
        if raw & 0x7f == vectorOpcode { return Int(408 + raw >> 26) }
        return Int((raw >> 2 & 31) * 8 + raw >> 12 & 7)
    }

    /// Every bucket in which an encoding of `row` can be looked for.
    private static func buckets(of row: RVInstruction) -> Set<Int> {
        let (shift, count): (UInt32, UInt32) =
            row.length == 2 ? (13, 8) : row.match & 0x7f == floatOpcode ? (25, 128) : row.match & 0x7f == vectorOpcode ? (26, 64) : (12, 8)
        return Set(
            (0..<count).lazy.map { $0 << shift }.filter { ($0 ^ row.match) & row.mask & (count - 1) << shift == 0 }
                .map { bucket(row.match | $0) })
    }
}
