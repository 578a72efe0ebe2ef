import EmuBus

/// Platform-level interrupt controller (RISC-V PLIC specification 1.0.0) with level-triggered gateways.
///
/// A gateway forwards one request while its input is high; the request stays pending until it is claimed, even if
/// the input falls meanwhile. The next request is forwarded after completion. Priorities are 3 bits, 0 is "never".
public final class PLIC: MMIODevice, InterruptSink, Saveable {
    public static let size: UInt64 = 0x60_0000
    public static let accessSizes: AccessSizes = .word
    /// Priority and threshold values have 3 bits.
    private static let priorityMask: UInt64 = 7

    private enum Register {
        static let pending: UInt64 = 0x1000
        static let enable: UInt64 = 0x2000
        static let enableStride: UInt64 = 0x80
        static let context: UInt64 = 0x20_0000
        static let contextStride: UInt64 = 0x1000
        static let threshold: UInt64 = 0
        static let claim: UInt64 = 4
    }

    /// Guest-visible state. Bit sets hold source n at bit `n % 32` of word `n / 32`.
    public struct State: Codable, Equatable {
        /// By source, entry 0 unused.
        public var priority: [UInt8]
        /// Levels of the inputs.
        public var level: [UInt32]
        public var pending: [UInt32]
        /// Sources whose gateway waits for a completion.
        public var inService: [UInt32]
        /// Words of context 0, then those of context 1, …
        public var enable: [UInt32]
        /// By context.
        public var threshold: [UInt8]
    }

    public let name: String
    /// Highest source number, `riscv,ndev`.
    public let sources: Int
    private let contexts: [InterruptLine]
    /// Words of a bit set over sources 0…`sources`.
    private let words: Int
    private var current: State

    /// - Parameters:
    ///   - sources: highest source number, 1…1023.
    ///   - contexts: what each context drives, in context order; on RISC-V `mip` bit 11 (M) and 9 (S) of each hart.
    public init(name: String = "plic", sources: Int, contexts: [InterruptLine]) {
        precondition((1...1023).contains(sources) && contexts.count <= 1024)
        self.name = name
        self.sources = sources
        self.contexts = contexts
        words = sources / 32 + 1
        current = Self.powerOnState(sources, contexts.count)
    }

    private static func powerOnState(_ sources: Int, _ contexts: Int) -> State {
        let none = [UInt32](repeating: 0, count: sources / 32 + 1)
        return State(
            priority: Array(repeating: 0, count: sources + 1), level: none, pending: none, inService: none,
            enable: Array(repeating: 0, count: none.count * contexts), threshold: Array(repeating: 0, count: contexts))
    }

    /// Implemented bits of word `word` of a bit set: source 0 and those above `sources` do not exist.
    private func mask(_ word: Int) -> UInt32 {
        let above = sources - word * 32
        let low: UInt32 = above >= 31 ? .max : (1 << UInt32(above + 1)) - 1
        return word == 0 ? low & ~1 : low
    }

    // MARK: Gateways and contexts

    /// Drives source `number`; numbers outside 1…`sources` are not wired to anything.
    public func setInterrupt(_ number: Int, level: Bool) {
        guard number >= 1, number <= sources else { return }
        let word = number / 32, bit: UInt32 = 1 << UInt32(number % 32)
        if level {
            guard current.level[word] & bit == 0 else { return }
            current.level[word] |= bit
            forward(word, bit)
        } else {
            current.level[word] &= ~bit
        }
    }

    /// Makes a source pending when its input is high and its gateway is free.
    private func forward(_ word: Int, _ bit: UInt32) {
        guard current.level[word] & bit != 0, (current.inService[word] | current.pending[word]) & bit == 0 else { return }
        current.pending[word] |= bit
        updateContexts(word, bit)
    }

    /// Drives the contexts that listen to a source again.
    private func updateContexts(_ word: Int, _ bit: UInt32) {
        for context in contexts.indices where current.enable[context * words + word] & bit != 0 { update(context) }
    }

    private func update(_ context: Int) {
        let best = strongest(context)
        contexts[context].set(best != 0 && current.priority[best] > current.threshold[context])
    }

    /// The enabled pending source of highest priority, the lowest number among equals; 0 when there is none.
    /// The threshold plays no part: it masks the notification, not the claim.
    private func strongest(_ context: Int) -> Int {
        var best = 0
        var bestPriority: UInt8 = 0
        for word in 0..<words {
            var candidates = current.pending[word] & current.enable[context * words + word]
            while candidates != 0 {
                let source = word * 32 + candidates.trailingZeroBitCount
                candidates &= candidates &- 1
                if current.priority[source] > bestPriority {
                    best = source
                    bestPriority = current.priority[source]
                }
            }
        }
        return best
    }

    private func claim(_ context: Int) -> Int {
        let source = strongest(context)
        if source != 0 {
            let word = source / 32, bit: UInt32 = 1 << UInt32(source % 32)
            current.pending[word] &= ~bit
            current.inService[word] |= bit
            updateContexts(word, bit)
        }
        return source
    }

    /// Completion of a source the context has not enabled is ignored, as the specification demands.
    private func complete(_ context: Int, _ value: UInt64) {
        guard value >= 1, value <= UInt64(sources) else {
            Log.write(.guestErrors, "\(name): context \(context) completes source \(value), which does not exist")
            return
        }
        let word = Int(value) / 32, bit: UInt32 = 1 << UInt32(value % 32)
        guard current.enable[context * words + word] & bit != 0 else {
            Log.write(.guestErrors, "\(name): context \(context) completes source \(value), which it has not enabled")
            return
        }
        current.inService[word] &= ~bit
        forward(word, bit)
    }

    // MARK: Registers

    public func peek(_ offset: UInt64, size: Int) -> UInt64? {
        if offset >= Register.context {
            let (context, register) = contextPosition(offset)
            if context < contexts.count, register == Register.claim { return UInt64(strongest(context)) }
        }
        return read(offset, size: size)
    }

    /// The sources that can interrupt `context`: enabled there, with a priority above its threshold.
    public func enabledSources(context: Int) -> [Int] {
        guard contexts.indices.contains(context) else { return [] }
        return (1...sources).filter { source in
            current.enable[context * words + source / 32] >> UInt32(source % 32) & 1 != 0 && current.priority[source] > current.threshold[context]
        }
    }

    public func read(_ offset: UInt64, size: Int) -> UInt64 {
        switch offset {
        case 0..<Register.pending:
            let source = Int(offset / 4)
            if source <= sources { return UInt64(current.priority[source]) }
        case Register.pending..<Register.pending + Register.enableStride:
            let word = Int((offset - Register.pending) / 4)
            return word < words ? UInt64(current.pending[word]) : 0
        case Register.enable..<Register.context:
            let (context, word) = enablePosition(offset)
            if context < contexts.count { return word < words ? UInt64(current.enable[context * words + word]) : 0 }
        case Register.context...:
            let (context, register) = contextPosition(offset)
            guard context < contexts.count else { break }
            if register == Register.threshold { return UInt64(current.threshold[context]) }
            if register == Register.claim { return UInt64(claim(context)) }
        default: break
        }
        Log.write(.guestErrors, "\(name): read of unused offset \(hex(offset))")
        return 0
    }

    public func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        switch offset {
        case 0..<Register.pending:
            let source = Int(offset / 4)
            if source == 0 { return }
            if source <= sources {
                current.priority[source] = UInt8(value & Self.priorityMask)
                return updateContexts(source / 32, 1 << UInt32(source % 32))
            }
        case Register.enable..<Register.context:
            let (context, word) = enablePosition(offset)
            if context < contexts.count {
                guard word < words else { return }
                current.enable[context * words + word] = UInt32(truncatingIfNeeded: value) & mask(word)
                return update(context)
            }
        case Register.context...:
            let (context, register) = contextPosition(offset)
            guard context < contexts.count else { break }
            if register == Register.threshold {
                current.threshold[context] = UInt8(value & Self.priorityMask)
                return update(context)
            }
            if register == Register.claim { return complete(context, value & 0xFFFF_FFFF) }
        default:
            break  // pending bits are read-only
        }
        Log.write(.guestErrors, "\(name): write of read-only or unused offset \(hex(offset))")
    }

    private func enablePosition(_ offset: UInt64) -> (context: Int, word: Int) {
        let relative = offset - Register.enable
        return (Int(relative / Register.enableStride), Int(relative % Register.enableStride / 4))
    }

    private func contextPosition(_ offset: UInt64) -> (context: Int, register: UInt64) {
        let relative = offset - Register.context
        return (Int(relative / Register.contextStride), relative % Register.contextStride)
    }

    /// Clears every register. Inputs keep their levels: they belong to the devices, which are reset on their own.
    public func reset() {
        let level = current.level
        current = Self.powerOnState(sources, contexts.count)
        for word in 0..<words {
            current.level[word] = level[word]
            current.pending[word] = level[word]
        }
        for context in contexts.indices { update(context) }
    }

    // MARK: State

    public var stateName: String { name }

    public var state: State {
        get { current }
        set {
            let mask = (0..<words).map(mask)
            func bits(_ set: [UInt32]) -> [UInt32] { zip(set.fitted(to: words, filler: 0), mask).map { $0 & $1 } }
            current.priority = newValue.priority.fitted(to: sources + 1, filler: 0).map { $0 & UInt8(Self.priorityMask) }
            current.priority[0] = 0
            current.level = bits(newValue.level)
            current.pending = bits(newValue.pending)
            current.inService = bits(newValue.inService)
            let enable = newValue.enable.fitted(to: words * contexts.count, filler: 0)
            current.enable = enable.indices.map { enable[$0] & mask[$0 % words] }
            current.threshold = newValue.threshold.fitted(to: contexts.count, filler: 0).map { $0 & UInt8(Self.priorityMask) }
            for context in contexts.indices { update(context) }
        }
    }

    // MARK: Device tree

    /// `plic@…`.
    /// - Parameters:
    ///   - phandle: what devices name as their `interrupt-parent`.
    ///   - outputs: for each context, in order, the phandle of the hart's controller and the interrupt number there.
    public func fdtNode(at base: UInt64, phandle: UInt32, outputs: [(controller: UInt32, interrupt: UInt32)]) -> FDTNode {
        var node = FDTNode("plic@" + String(base, radix: 16))
        node.set("compatible", "sifive,plic-1.0.0", "riscv,plic0")
        node.set("reg", pairs: [base, Self.size])
        node.set("interrupt-controller")
        node.set("#interrupt-cells", cells: [1])
        node.set("#address-cells", cells: [0])
        node.set("riscv,ndev", cells: [UInt32(sources)])
        node.set("interrupts-extended", cells: outputs.flatMap { [$0.controller, $0.interrupt] })
        node.set("phandle", cells: [phandle])
        return node
    }
}
