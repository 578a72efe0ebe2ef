extension RVTable {
    /// Zicbom: cache-block management.
    static let zicbom: [RVInstruction] = [
        .init("cbo.clean", "0000000 00001 sssss 010 00000 0001111", .all(.zicbom), .cacheBlock, .cbo_clean),
        .init("cbo.flush", "0000000 00010 sssss 010 00000 0001111", .all(.zicbom), .cacheBlock, .cbo_flush),
        .init("cbo.inval", "0000000 00000 sssss 010 00000 0001111", .all(.zicbom), .cacheBlock, .cbo_inval),
    ]

    /// Zicboz: cache-block zeroing.
    static let zicboz: [RVInstruction] = [
        .init("cbo.zero", "0000000 00100 sssss 010 00000 0001111", .all(.zicboz), .cacheBlock, .cbo_zero),
    ]

    /// Zicbop: prefetches, which are `ori` to x0.
    static let zicbop: [RVInstruction] = [
        .init("prefetch.i", "iiiiiii 00000 sssss 110 00000 0010011", .all(.zicbop), .prefetch, .hint, refines: "ori"),
        .init("prefetch.r", "iiiiiii 00001 sssss 110 00000 0010011", .all(.zicbop), .prefetch, .hint, refines: "ori"),
        .init("prefetch.w", "iiiiiii 00011 sssss 110 00000 0010011", .all(.zicbop), .prefetch, .hint, refines: "ori"),
    ]
}
