extension RVTable {
    /// Zicond: conditional zeroing.
    static let zicond: [RVInstruction] = [
        .init("czero.eqz", "0000111 ttttt sssss 101 ddddd 0110011", .all(.zicond), .r, .czero_eqz),
        .init("czero.nez", "0000111 ttttt sssss 111 ddddd 0110011", .all(.zicond), .r, .czero_nez),
    ]
}
