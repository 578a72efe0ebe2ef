extension RVTable {
    /// Zba: address generation.
    static let zba: [RVInstruction] = [
        .init("sh1add",    "0010000 ttttt sssss 010 ddddd 0110011", .all(.zba), .r, .sh1add),
        .init("sh2add",    "0010000 ttttt sssss 100 ddddd 0110011", .all(.zba), .r, .sh2add),
        .init("sh3add",    "0010000 ttttt sssss 110 ddddd 0110011", .all(.zba), .r, .sh3add),
        .init("add.uw",    "0000100 ttttt sssss 000 ddddd 0111011", .all(.zba), .r, .add_uw),
        .init("sh1add.uw", "0010000 ttttt sssss 010 ddddd 0111011", .all(.zba), .r, .sh1add_uw),
        .init("sh2add.uw", "0010000 ttttt sssss 100 ddddd 0111011", .all(.zba), .r, .sh2add_uw),
        .init("sh3add.uw", "0010000 ttttt sssss 110 ddddd 0111011", .all(.zba), .r, .sh3add_uw),
        .init("slli.uw",   "000010 iiiiii sssss 001 ddddd 0011011", .all(.zba), .shift, .slli_uw),
    ]
}
