extension RVTable {
    /// Zfbfmin: conversions of BF16. Its loads, stores and moves are those of Zfhmin.
    static let zfbfmin: [RVInstruction] = [
        .init("fcvt.s.bf16", "01000 00 00110 sssss mmm ddddd 1010011", .all(.zfbfmin), .ffExact, .fcvt_s_bf16),
        .init("fcvt.bf16.s", "01000 10 01000 sssss mmm ddddd 1010011", .all(.zfbfmin), .ffRounded, .fcvt_bf16_s),
    ]
}

extension RVProcessor {
    /// Rows of Zfbfmin; false if the instruction raised a trap.
    func executeZfbfmin(_ op: RVOp, _ r: DecodedOp) -> Bool {
        op == .fcvt_s_bf16
            ? floatConvert(Binary32.self, from: BFloat16.self, r) { BFloat16.convert($0, to: Binary32.self, $1, &$2) }
            : floatConvert(BFloat16.self, from: Binary32.self, r) { Binary32.convert($0, to: BFloat16.self, $1, &$2) }
    }
}
