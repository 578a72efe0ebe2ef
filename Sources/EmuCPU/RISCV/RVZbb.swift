extension RVTable {
    /// Zbb: basic bit manipulation.
    static let zbb: [RVInstruction] = [
        .init("andn",   "0100000 ttttt sssss 111 ddddd 0110011", .all(.zbb), .r, .andn),
        .init("orn",    "0100000 ttttt sssss 110 ddddd 0110011", .all(.zbb), .r, .orn),
        .init("xnor",   "0100000 ttttt sssss 100 ddddd 0110011", .all(.zbb), .r, .xnor),
        .init("clz",    "0110000 00000 sssss 001 ddddd 0010011", .all(.zbb), .unary, .clz),
        .init("ctz",    "0110000 00001 sssss 001 ddddd 0010011", .all(.zbb), .unary, .ctz),
        .init("cpop",   "0110000 00010 sssss 001 ddddd 0010011", .all(.zbb), .unary, .cpop),
        .init("max",    "0000101 ttttt sssss 110 ddddd 0110011", .all(.zbb), .r, .max),
        .init("maxu",   "0000101 ttttt sssss 111 ddddd 0110011", .all(.zbb), .r, .maxu),
        .init("min",    "0000101 ttttt sssss 100 ddddd 0110011", .all(.zbb), .r, .min),
        .init("minu",   "0000101 ttttt sssss 101 ddddd 0110011", .all(.zbb), .r, .minu),
        .init("sext.b", "0110000 00100 sssss 001 ddddd 0010011", .all(.zbb), .unary, .sext_b),
        .init("sext.h", "0110000 00101 sssss 001 ddddd 0010011", .all(.zbb), .unary, .sext_h),
        .init("rol",    "0110000 ttttt sssss 001 ddddd 0110011", .all(.zbb), .r, .rol),
        .init("ror",    "0110000 ttttt sssss 101 ddddd 0110011", .all(.zbb), .r, .ror),
        .init("orc.b",  "0010100 00111 sssss 101 ddddd 0010011", .all(.zbb), .unary, .orc_b),
        .init("clzw",   "0110000 00000 sssss 001 ddddd 0011011", .all(.zbb), .unary, .clzw),
        .init("ctzw",   "0110000 00001 sssss 001 ddddd 0011011", .all(.zbb), .unary, .ctzw),
        .init("cpopw",  "0110000 00010 sssss 001 ddddd 0011011", .all(.zbb), .unary, .cpopw),
        .init("rolw",   "0110000 ttttt sssss 001 ddddd 0111011", .all(.zbb), .r, .rolw),
        .init("rorw",   "0110000 ttttt sssss 101 ddddd 0111011", .all(.zbb), .r, .rorw),
        .init("roriw",  "0110000 iiiii sssss 101 ddddd 0011011", .all(.zbb), .shift, .roriw),
        .init("rori",   "011000 iiiiii sssss 101 ddddd 0010011", .all(.zbb), .shift, .rori),
        .init("zext.h", "0000100 00000 sssss 100 ddddd 0111011", .all(.zbb), .unary, .zext_h),
        .init("rev8",   "0110101 11000 sssss 101 ddddd 0010011", .all(.zbb), .unary, .rev8),
    ]
}
