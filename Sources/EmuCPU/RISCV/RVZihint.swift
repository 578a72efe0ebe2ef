extension RVTable {
    /// Zihintpause and Zihintntl. Without the extension they are the `fence` and `add` they are encoded as.
    static let zihint: [RVInstruction] = [
        .init("pause",      "0000 0001 0000 00000 000 00000 0001111", .all(.zihintpause), .none, .pause, refines: "fence"),
        .init("ntl.p1",     "0000000 00010 00000 000 00000 0110011", .all(.zihintntl), .hintAdd, .hint, refines: "add"),
        .init("ntl.pall",   "0000000 00011 00000 000 00000 0110011", .all(.zihintntl), .hintAdd, .hint, refines: "add"),
        .init("ntl.s1",     "0000000 00100 00000 000 00000 0110011", .all(.zihintntl), .hintAdd, .hint, refines: "add"),
        .init("ntl.all",    "0000000 00101 00000 000 00000 0110011", .all(.zihintntl), .hintAdd, .hint, refines: "add"),
        .init("c.ntl.p1",   "100 1 00000 00010 10", .compressed(.zihintntl), .cHintAdd, .hint, refines: "c.add"),
        .init("c.ntl.pall", "100 1 00000 00011 10", .compressed(.zihintntl), .cHintAdd, .hint, refines: "c.add"),
        .init("c.ntl.s1",   "100 1 00000 00100 10", .compressed(.zihintntl), .cHintAdd, .hint, refines: "c.add"),
        .init("c.ntl.all",  "100 1 00000 00101 10", .compressed(.zihintntl), .cHintAdd, .hint, refines: "c.add"),
    ]
}
