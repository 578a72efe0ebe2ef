extension RVTable {
    /// Zbc: carry-less multiplication.
    static let zbc: [RVInstruction] = [
        .init("clmul",  "0000101 ttttt sssss 001 ddddd 0110011", .all(.zbc), .r, .clmul),
        .init("clmulr", "0000101 ttttt sssss 010 ddddd 0110011", .all(.zbc), .r, .clmulr),
        .init("clmulh", "0000101 ttttt sssss 011 ddddd 0110011", .all(.zbc), .r, .clmulh),
    ]
}
