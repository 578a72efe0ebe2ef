extension RVTable {
    /// M: multiplication and division.
    static let m: [RVInstruction] = [
        .init("mul",    "0000001 ttttt sssss 000 ddddd 0110011", .all(.m), .r, .mul),
        .init("mulh",   "0000001 ttttt sssss 001 ddddd 0110011", .all(.m), .r, .mulh),
        .init("mulhsu", "0000001 ttttt sssss 010 ddddd 0110011", .all(.m), .r, .mulhsu),
        .init("mulhu",  "0000001 ttttt sssss 011 ddddd 0110011", .all(.m), .r, .mulhu),
        .init("div",    "0000001 ttttt sssss 100 ddddd 0110011", .all(.m), .r, .div),
        .init("divu",   "0000001 ttttt sssss 101 ddddd 0110011", .all(.m), .r, .divu),
        .init("rem",    "0000001 ttttt sssss 110 ddddd 0110011", .all(.m), .r, .rem),
        .init("remu",   "0000001 ttttt sssss 111 ddddd 0110011", .all(.m), .r, .remu),
        .init("mulw",   "0000001 ttttt sssss 000 ddddd 0111011", .all(.m), .r, .mulw),
        .init("divw",   "0000001 ttttt sssss 100 ddddd 0111011", .all(.m), .r, .divw),
        .init("divuw",  "0000001 ttttt sssss 101 ddddd 0111011", .all(.m), .r, .divuw),
        .init("remw",   "0000001 ttttt sssss 110 ddddd 0111011", .all(.m), .r, .remw),
        .init("remuw",  "0000001 ttttt sssss 111 ddddd 0111011", .all(.m), .r, .remuw),
    ]
}
