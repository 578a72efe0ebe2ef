import EmuMachine

/// Finds out where harts spend their time: looks at their stacks every so many of their own cycles. With the virtual clock a run gives the
/// same profile each time. Harts that wait spend no cycles and do not appear.
public final class Profiler: HartSampler {
    /// Cycles between two looks unless something else is asked for.
    public static let defaultInterval = 100_000
    /// Frames followed on a stack at most.
    private static let deepest = 128

    public let interval: Int
    public private(set) var tree = CallTree()
    private unowned let session: DebugSession
    /// Cycles since a hart was looked at, and until it is to be.
    private var since: [Int]
    private var left: [Int]
    private var randomState: UInt64 = 0x9E37_79B9_7F4A_7C15

    init(_ session: DebugSession, interval: Int) {
        self.session = session
        self.interval = interval
        since = session.harts.map { _ in 0 }
        left = session.harts.map { _ in interval }
    }

    package func cyclesToNextSample(hart: Int) -> Int { left[hart] }

    package func didRun(hart: Int, cycles: Int) {
        since[hart] += cycles
        left[hart] -= cycles
        guard left[hart] <= 0 else { return }
        tree.add(stack(hart), cycles: UInt64(since[hart]))
        since[hart] = 0
        left[hart] = nextInterval()
    }

    /// Intervals vary, so that loops whose length divides them are not always met at the same place; the sequence is fixed.
    private func nextInterval() -> Int {
        guard interval > 1 else { return 1 }
        randomState = randomState &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return max(1, interval / 2 + Int((randomState >> 33) % UInt64(interval)))
    }

    /// Names of the functions on a hart's stack, outermost first.
    private func stack(_ hart: Int) -> [String] {
        let before = session.selected
        session.selected = hart
        defer { session.selected = before }
        var names: [String] = []
        for frame in session.backtrace(limit: Self.deepest) {
            if frame.scopes.isEmpty {
                names.append(name(frame.pc, isInner: frame.level == 0))
            } else {
                names += frame.scopes.map { $0.function ?? unknown(frame.pc) }
            }
        }
        if session.hartCount > 1 { names.append("hart \(hart)") }
        return names.reversed()
    }

    private func name(_ pc: UInt64, isInner: Bool) -> String {
        // A return address may be the first of the next function.
        session.symbols?.symbol(at: isInner ? pc : pc &- 1)?.name ?? unknown(pc)
    }

    /// Code without a name, by its page.
    private func unknown(_ pc: UInt64) -> String { "[\(session.hart.privilegeName)-mode \(hexText(pc & ~0xfff))]" }

    // MARK: Reports

    /// Writes the profile: an SVG flame graph when the name ends in `.svg`, else folded stacks.
    func save(to path: String) throws(DebugError) {
        try OutputFile.write(path.hasSuffix(".svg") ? flameGraph : tree.folded, to: path, for: "profile")
    }

    public var flameGraph: String { FlameGraph(tree: tree, title: "\(tree.total) cycles, \(tree.samples) samples").svg }
}
