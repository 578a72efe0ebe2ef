import EmuBus

/// One interrupt domain of an advanced platform-level interrupt controller (RISC-V AIA, "Advanced Platform-Level Interrupt Controller (APLIC)").
///
/// The root domain is the machine's; sources it delegates belong to its only child, the supervisor's. A domain drives its harts' external interrupts itself
/// or sends messages to their IMSICs. Byte order is little-endian, priorities have eight bits.
public final class APLIC: MMIODevice, InterruptSink, Saveable {
    public static let size: UInt64 = 0x8000
    public static let accessSizes: AccessSizes = .word
    /// Harts the region has interrupt delivery controls for.
    public static let maximumHarts = 512

    /// Guest-visible state. Lists by source have an entry 0 that is not used; bit sets hold source n at bit n % 32 of word n / 32.
    public struct State: Codable, Equatable {
        /// IE and DM of `domaincfg`.
        public var domain: UInt32 = 0
        public var source: [UInt32]
        public var target: [UInt32]
        /// Levels of the wires.
        public var level: [UInt32]
        public var pending: [UInt32]
        public var enabled: [UInt32]
        /// By hart.
        public var delivery: [UInt32]
        public var force: [UInt32]
        public var threshold: [UInt32]
        /// `mmsiaddrcfg`, `mmsiaddrcfgh`, `smsiaddrcfg`, `smsiaddrcfgh`; of the root domain only.
        public var addresses: [UInt32] = [0, 0, 0, 0]
        public var message: UInt32 = 0
    }

    enum Domain {
        static let enable: UInt32 = 1 << 8, messages: UInt32 = 1 << 2
        static let fixed: UInt32 = 0x8000_0000
    }

    enum Source {
        static let delegate: UInt32 = 1 << 10
        static let inactive: UInt32 = 0, detached: UInt32 = 1, rising: UInt32 = 4, falling: UInt32 = 5, high: UInt32 = 6, low: UInt32 = 7
    }

    public let name: String
    /// Highest source number, `riscv,num-sources`.
    public let sources: Int
    private let lines: [InterruptLine]
    private let harts: Int
    /// Sends `data` to an address in some IMSIC; nil where the harts have none.
    private let send: ((_ address: UInt64, _ data: UInt32) -> Void)?
    public let child: APLIC?
    private unowned(unsafe) var parent: APLIC?
    var current: State
    /// Words of a bit set.
    let words: Int

    /// - Parameters:
    ///   - sources: 1…1023.
    ///   - lines: what the domain drives itself, by hart; none where the harts have IMSICs.
    ///   - child: the domain that sources can be delegated to.
    ///   - send: delivers a message. It must not lead back here.
    public init(
        name: String, sources: Int, harts: Int, lines: [InterruptLine], child: APLIC? = nil, send: ((_ address: UInt64, _ data: UInt32) -> Void)? = nil
    ) {
        precondition((1...1023).contains(sources) && harts <= Self.maximumHarts && lines.count <= harts)
        self.name = name
        self.sources = sources
        self.harts = harts
        self.lines = lines
        self.child = child
        self.send = send
        words = sources / 32 + 1
        current = Self.powerOnState(sources, harts)
        // SAFETY: the board keeps both for as long as either is used.
        child?.parent = self
    }

    private static func powerOnState(_ sources: Int, _ harts: Int) -> State {
        let bits = [UInt32](repeating: 0, count: sources / 32 + 1), each = [UInt32](repeating: 0, count: sources + 1), hart = [UInt32](repeating: 0, count: harts)
        return State(source: each, target: each, level: bits, pending: bits, enabled: bits, delivery: hart, force: hart, threshold: hart)
    }

    var sendsMessages: Bool { current.domain & Domain.messages != 0 }
    var canSendMessages: Bool { send != nil }

    // MARK: Sources

    private func bit(_ set: [UInt32], _ source: Int) -> Bool { set[source / 32] >> UInt32(source % 32) & 1 != 0 }
    private func mode(_ source: Int) -> UInt32 { current.source[source] & 7 }
    private func isDelegated(_ source: Int) -> Bool { current.source[source] & Source.delegate != 0 }

    /// The source exists in this domain.
    func exists(_ source: Int) -> Bool { source >= 1 && source <= sources && parent?.isDelegated(source) ?? true }
    func isActive(_ source: Int) -> Bool { exists(source) && !isDelegated(source) && mode(source) != Source.inactive }
    private func isLevel(_ source: Int) -> Bool { mode(source) >= Source.high }

    /// The input as an interrupt: high means asserted.
    func rectified(_ source: Int) -> Bool {
        guard isActive(source), mode(source) != Source.detached else { return false }
        return bit(current.level, source) != (mode(source) & 1 != 0)
    }

    /// Drives source `number`; others than 1…`sources` are not wired to anything.
    public func setInterrupt(_ number: Int, level: Bool) {
        guard number >= 1, number <= sources else { return }
        child?.setInterrupt(number, level: level)
        let before = rectified(number)
        let mask: UInt32 = 1 << UInt32(number % 32)
        current.level[number / 32] = level ? current.level[number / 32] | mask : current.level[number / 32] & ~mask
        let after = rectified(number)
        guard before != after, isActive(number) else { return }
        if after { setPending(number, true) } else if isLevel(number) { setPending(number, false) }
    }

    private func setPending(_ source: Int, _ isPending: Bool) {
        let mask: UInt32 = 1 << UInt32(source % 32)
        current.pending[source / 32] = isPending ? current.pending[source / 32] | mask : current.pending[source / 32] & ~mask
        deliver(source)
    }

    /// As a write of `setip` asks for ("Precise effects on interrupt-pending bits").
    func requestPending(_ source: Int) {
        guard isActive(source) else { return }
        if isLevel(source), !sendsMessages || !rectified(source) { return }
        setPending(source, true)
    }

    /// As a write of `in_clrip`, or a claim, asks for.
    func clearPending(_ source: Int) {
        guard isActive(source), !isLevel(source) || sendsMessages else { return }
        setPending(source, false)
    }

    func setEnabled(_ source: Int, _ isEnabled: Bool) {
        guard isActive(source) else { return }
        let mask: UInt32 = 1 << UInt32(source % 32)
        current.enabled[source / 32] = isEnabled ? current.enabled[source / 32] | mask : current.enabled[source / 32] & ~mask
        deliver(source)
    }

    func configure(_ source: Int, _ value: UInt32) {
        guard exists(source) else { return }
        if value & Source.delegate != 0, child != nil {
            forget(source)
            current.source[source] = Source.delegate
            return
        }
        let wasActive = isActive(source), wasDelegated = isDelegated(source)
        let mode = value & Source.delegate != 0 || [2, 3].contains(value & 7) ? Source.inactive : value & 7
        if wasDelegated { child?.forget(source) }
        if mode == Source.inactive { return forget(source) }
        current.source[source] = mode
        if !wasActive { current.target[source] = sendsMessages ? 0 : 1 }
        if isLevel(source), rectified(source) != bit(current.pending, source), rectified(source) || !sendsMessages { setPending(source, rectified(source)) }
    }

    /// The source is not this domain's any more, or inactive.
    private func forget(_ source: Int) {
        guard source <= sources else { return }
        if isDelegated(source) { child?.forget(source) }
        let mask: UInt32 = 1 << UInt32(source % 32)
        let hart = Int(current.target[source] >> 18)
        current.source[source] = 0
        current.target[source] = 0
        current.pending[source / 32] &= ~mask
        current.enabled[source / 32] &= ~mask
        update(hart: hart)
    }

    func setTarget(_ source: Int, _ value: UInt32) {
        guard isActive(source) else { return }
        let old = Int(current.target[source] >> 18)
        // Harts are numbered as far as there are any; files of guests belong to supervisors.
        let hart = value >> 18 < UInt32(harts) ? value & 0xfffc_0000 : 0
        if sendsMessages {
            current.target[source] = hart | (parent != nil ? value & 0x7000 : 0) | value & 0x7ff
        } else {
            current.target[source] = hart | max(1, value & 0xff)
        }
        update(hart: old)
        deliver(source)
    }

    func setDomain(_ value: UInt32) {
        let wasSending = sendsMessages
        current.domain = value & (Domain.enable | (canSendMessages ? Domain.messages : 0))
        if wasSending != sendsMessages {
            for source in 1...sources where isActive(source) {
                current.target[source] = sendsMessages ? 0 : 1
                if isLevel(source), !sendsMessages { setPending(source, rectified(source)) }
            }
        }
        for source in 1...sources where bit(current.pending, source) { deliver(source) }
        for hart in 0..<harts { update(hart: hart) }
    }

    // MARK: Delivery

    private func deliver(_ source: Int) {
        guard sendsMessages else { return update(hart: Int(current.target[source] >> 18)) }
        guard current.domain & Domain.enable != 0, bit(current.pending, source), bit(current.enabled, source) else { return }
        current.pending[source / 32] &= ~(1 << UInt32(source % 32))
        let target = current.target[source]
        send?(messageAddress(hart: target >> 18, guest: target >> 12 & 0x3f), target & 0x7ff)
    }

    func sendMessage(_ value: UInt32) {
        guard sendsMessages else { return }
        current.message = value & 0xfffc_07ff
        if value >> 18 < UInt32(harts) { send?(messageAddress(hart: value >> 18, guest: 0), value & 0x7ff) }
    }

    /// "Addresses and data for outgoing MSIs"; the root domain knows them all.
    private func messageAddress(hart: UInt32, guest: UInt32) -> UInt64 {
        let addresses = parent?.current.addresses ?? current.addresses
        let high = UInt64(addresses[1]), hart = UInt64(hart)
        let lowWidth = high >> 12 & 15, highWidth = high >> 16 & 7, highShift = high >> 24 & 31
        let own = parent == nil ? (addresses[0], addresses[1]) : (addresses[2], addresses[3])
        let base = UInt64(own.1 & 0xfff) << 32 | UInt64(own.0), lowShift = UInt64(own.1) >> 20 & 7
        let group = hart >> lowWidth & (1 << highWidth - 1), index = hart & (1 << lowWidth - 1)
        return (base | group << (highShift + 12) | index << lowShift | UInt64(guest)) << 12
    }

    /// `topi` of a hart: source and priority of the first that waits for it.
    func top(hart: Int) -> UInt32 {
        var best: UInt32 = 0
        guard !sendsMessages else { return 0 }
        for word in 0..<words {
            var ready = current.pending[word] & current.enabled[word]
            while ready != 0 {
                let source = word * 32 + ready.trailingZeroBitCount
                ready &= ready &- 1
                let priority = current.target[source] & 0xff
                guard current.target[source] >> 18 == UInt32(hart), current.threshold[hart] == 0 || priority < current.threshold[hart] else { continue }
                if best == 0 || priority < best & 0xff { best = UInt32(source) << 16 | priority }
            }
        }
        return best
    }

    func claim(hart: Int) -> UInt32 {
        let best = top(hart: hart)
        if best == 0 {
            current.force[hart] = 0
            update(hart: hart)
        } else {
            clearPending(Int(best >> 16))
        }
        return best
    }

    func update(hart: Int) {
        guard hart < lines.count else { return }
        let isOn = !sendsMessages && current.domain & Domain.enable != 0 && current.delivery[hart] != 0
        lines[hart].set(isOn && (current.force[hart] != 0 || top(hart: hart) != 0))
    }

    /// Clears every register. Inputs keep their levels: they belong to the devices.
    public func reset() {
        let level = current.level
        current = Self.powerOnState(sources, harts)
        current.level = level
        for hart in 0..<harts { update(hart: hart) }
    }

    /// The sources that can interrupt `hart`.
    public func enabledSources(hart: Int) -> [Int] {
        (1...sources).filter { isActive($0) && bit(current.enabled, $0) && current.target[$0] >> 18 == UInt32(hart) && current.domain & Domain.enable != 0 }
    }

    // MARK: State

    public var stateName: String { name }

    public var state: State {
        get { current }
        set {
            let plain = Self.powerOnState(sources, harts)
            var state = newValue
            state.domain &= Domain.enable | (canSendMessages ? Domain.messages : 0)
            state.source = newValue.source.fitted(to: plain.source.count, filler: 0).map { $0 & (Source.delegate | 7) }
            state.target = newValue.target.fitted(to: plain.target.count, filler: 0).map { $0 >> 18 < UInt32(harts) ? $0 : $0 & 0x3_ffff }
            state.level = newValue.level.fitted(to: words, filler: 0)
            for set in [\State.pending, \State.enabled] {
                state[keyPath: set] = newValue[keyPath: set].fitted(to: words, filler: 0).enumerated().map { $1 & existing($0) }
            }
            for list in [\State.delivery, \State.force, \State.threshold] { state[keyPath: list] = newValue[keyPath: list].fitted(to: harts, filler: 0).map { $0 & 0xff } }
            state.addresses = newValue.addresses.fitted(to: 4, filler: 0)
            current = state
            for hart in 0..<harts { update(hart: hart) }
        }
    }

    /// The sources of a word of a bit set.
    private func existing(_ word: Int) -> UInt32 {
        (0..<32).reduce(0) { (1...sources).contains(word * 32 + $1) ? $0 | 1 << UInt32($1) : $0 }
    }
}
