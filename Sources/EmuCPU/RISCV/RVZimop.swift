extension RVTable {
    /// Zimop: may-be-operations; unless a later extension gives one a meaning it writes zero to rd.
    static let zimop: [RVInstruction] =
        (0..<32).map { n in
            .init("mop.r.\(n)", "1\(bit(n, 4))00\(bit(n, 3))\(bit(n, 2))0111\(bit(n, 1))\(bit(n, 0)) sssss 100 ddddd 1110011", .all(.zimop), .unary, .mop)
        }
        + (0..<8).map { n in
            .init("mop.rr.\(n)", "1\(bit(n, 2))00\(bit(n, 1))\(bit(n, 0))1 ttttt sssss 100 ddddd 1110011", .all(.zimop), .r, .mop)
        }

    /// Zcmop: compressed may-be-operations, in the place of `c.lui` with an immediate of zero. They write nothing.
    static let zcmop: [RVInstruction] = stride(from: 1, to: 16, by: 2).map { n in
        .init(
            "c.mop.\(n)", "011 0 0\(bit(n, 3))\(bit(n, 2))\(bit(n, 1))1 00000 01", .compressed(.zcmop), .none, .hint,
            refines: "c.lui", "reserved c.lui")
    }

    private static func bit(_ n: Int, _ position: Int) -> Int { n >> position & 1 }
}
