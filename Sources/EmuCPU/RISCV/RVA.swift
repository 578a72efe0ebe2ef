extension RVTable {
    /// Zalrsc: load-reserved and store-conditional.
    static let zalrsc: [RVInstruction] = [
        .init("lr.w", "00010 ar 00000 sssss 010 ddddd 0101111", .zalrsc, .loadReserved, .lr_w),
        .init("sc.w", "00011 ar ttttt sssss 010 ddddd 0101111", .zalrsc, .atomic, .sc_w),
        .init("lr.d", "00010 ar 00000 sssss 011 ddddd 0101111", .zalrsc, .loadReserved, .lr_d),
        .init("sc.d", "00011 ar ttttt sssss 011 ddddd 0101111", .zalrsc, .atomic, .sc_d),
    ]

    /// Zaamo: atomic memory operations.
    static let zaamo: [RVInstruction] = [
        .init("amoswap.w", "00001 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amoswap_w),
        .init("amoadd.w",  "00000 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amoadd_w),
        .init("amoxor.w",  "00100 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amoxor_w),
        .init("amoand.w",  "01100 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amoand_w),
        .init("amoor.w",   "01000 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amoor_w),
        .init("amomin.w",  "10000 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amomin_w),
        .init("amomax.w",  "10100 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amomax_w),
        .init("amominu.w", "11000 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amominu_w),
        .init("amomaxu.w", "11100 ar ttttt sssss 010 ddddd 0101111", .zaamo, .atomic, .amomaxu_w),
        .init("amoswap.d", "00001 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amoswap_d),
        .init("amoadd.d",  "00000 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amoadd_d),
        .init("amoxor.d",  "00100 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amoxor_d),
        .init("amoand.d",  "01100 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amoand_d),
        .init("amoor.d",   "01000 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amoor_d),
        .init("amomin.d",  "10000 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amomin_d),
        .init("amomax.d",  "10100 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amomax_d),
        .init("amominu.d", "11000 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amominu_d),
        .init("amomaxu.d", "11100 ar ttttt sssss 011 ddddd 0101111", .zaamo, .atomic, .amomaxu_d),
    ]
}
