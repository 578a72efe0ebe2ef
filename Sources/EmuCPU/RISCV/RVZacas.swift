extension RVTable {
    /// Zabha: byte and halfword atomic memory operations.
    static let zabha: [RVInstruction] = [
        .init("amoswap.b", "00001 ar ttttt sssss 000 ddddd 0101111", .all(.zabha), .atomic, .amoswap_b),
        .init("amoadd.b",  "00000 ar ttttt sssss 000 ddddd 0101111", .all(.zabha), .atomic, .amoadd_b),
        .init("amoxor.b",  "00100 ar ttttt sssss 000 ddddd 0101111", .all(.zabha), .atomic, .amoxor_b),
        .init("amoand.b",  "01100 ar ttttt sssss 000 ddddd 0101111", .all(.zabha), .atomic, .amoand_b),
        .init("amoor.b",   "01000 ar ttttt sssss 000 ddddd 0101111", .all(.zabha), .atomic, .amoor_b),
        .init("amomin.b",  "10000 ar ttttt sssss 000 ddddd 0101111", .all(.zabha), .atomic, .amomin_b),
        .init("amomax.b",  "10100 ar ttttt sssss 000 ddddd 0101111", .all(.zabha), .atomic, .amomax_b),
        .init("amominu.b", "11000 ar ttttt sssss 000 ddddd 0101111", .all(.zabha), .atomic, .amominu_b),
        .init("amomaxu.b", "11100 ar ttttt sssss 000 ddddd 0101111", .all(.zabha), .atomic, .amomaxu_b),
        .init("amoswap.h", "00001 ar ttttt sssss 001 ddddd 0101111", .all(.zabha), .atomic, .amoswap_h),
        .init("amoadd.h",  "00000 ar ttttt sssss 001 ddddd 0101111", .all(.zabha), .atomic, .amoadd_h),
        .init("amoxor.h",  "00100 ar ttttt sssss 001 ddddd 0101111", .all(.zabha), .atomic, .amoxor_h),
        .init("amoand.h",  "01100 ar ttttt sssss 001 ddddd 0101111", .all(.zabha), .atomic, .amoand_h),
        .init("amoor.h",   "01000 ar ttttt sssss 001 ddddd 0101111", .all(.zabha), .atomic, .amoor_h),
        .init("amomin.h",  "10000 ar ttttt sssss 001 ddddd 0101111", .all(.zabha), .atomic, .amomin_h),
        .init("amomax.h",  "10100 ar ttttt sssss 001 ddddd 0101111", .all(.zabha), .atomic, .amomax_h),
        .init("amominu.h", "11000 ar ttttt sssss 001 ddddd 0101111", .all(.zabha), .atomic, .amominu_h),
        .init("amomaxu.h", "11100 ar ttttt sssss 001 ddddd 0101111", .all(.zabha), .atomic, .amomaxu_h),
        .init("amocas.b",  "00101 ar ttttt sssss 000 ddddd 0101111", .all(.zabha, .zacas), .atomic, .amocas_b),
        .init("amocas.h",  "00101 ar ttttt sssss 001 ddddd 0101111", .all(.zabha, .zacas), .atomic, .amocas_h),
    ]

    /// Zacas: compare-and-swap. `amocas.q` names register pairs; an odd first register is reserved.
    static let zacas: [RVInstruction] = [
        .init("amocas.w", "00101 ar ttttt sssss 010 ddddd 0101111", .all(.zacas), .atomic, .amocas_w),
        .init("amocas.d", "00101 ar ttttt sssss 011 ddddd 0101111", .all(.zacas), .atomic, .amocas_d),
        .init("amocas.q", "00101 ar tttt0 sssss 100 dddd0 0101111", .all(.zacas), .atomic, .amocas_q),
    ]
}
