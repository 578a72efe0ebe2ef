extension RVTable {
    /// Zicsr: control and status registers.
    static let zicsr: [RVInstruction] = [
        .init("csrrw",  "cccccccccccc sssss 001 ddddd 1110011", .all(.zicsr), .csr, .csrrw),
        .init("csrrs",  "cccccccccccc sssss 010 ddddd 1110011", .all(.zicsr), .csr, .csrrs),
        .init("csrrc",  "cccccccccccc sssss 011 ddddd 1110011", .all(.zicsr), .csr, .csrrc),
        .init("csrrwi", "cccccccccccc zzzzz 101 ddddd 1110011", .all(.zicsr), .csrImmediate, .csrrwi),
        .init("csrrsi", "cccccccccccc zzzzz 110 ddddd 1110011", .all(.zicsr), .csrImmediate, .csrrsi),
        .init("csrrci", "cccccccccccc zzzzz 111 ddddd 1110011", .all(.zicsr), .csrImmediate, .csrrci),
    ]
}
