import EmuBus

/// The interrupt files of one privilege level of all harts (RISC-V AIA, "Incoming MSI Controller (IMSIC)"): a page of registers for each file,
/// into which devices write the identity of an interrupt.
///
/// Behind a hart's own file lie those for its guests, which drive inputs of their own: the hart's hgeip.
public final class IMSIC: MMIODevice, Saveable {
    /// Identities of a file are 1…255.
    public static let identities = 255
    /// Bytes of a file's registers.
    public static let pageSize: UInt64 = 0x1000
    /// A message is a word.
    public static let accessSizes: AccessSizes = .word

    private enum Register {
        static let setPendingLittleEndian: UInt64 = 0
    }

    /// Guest-visible state of a file.
    public struct FileState: Codable, Equatable {
        /// `eidelivery`, 0 or 1.
        public var delivery: UInt64 = 0
        /// `eithreshold`.
        public var threshold: UInt64 = 0
        /// Identity n at bit n % 64 of word n / 64.
        public var pending = [UInt64](repeating: 0, count: words)
        public var enabled = [UInt64](repeating: 0, count: words)
    }

    static let words = (identities + 1) / 64

    /// One file, and the hart's input it drives.
    public final class File: InterruptFile {
        private let line: InterruptLine?
        /// What software and devices have made of it.
        fileprivate(set) public var state = FileState() { didSet { update() } }

        fileprivate init(_ line: InterruptLine?) { self.line = line }

        private enum Selector {
            static let delivery: UInt64 = 0x70, threshold: UInt64 = 0x72
            static let pending: UInt64 = 0x80, enabled: UInt64 = 0xC0
        }

        /// The register `*iselect` chooses, 0x70…0xFF; reserved ones read as zero.
        public func read(_ selector: UInt64) -> UInt64 {
            switch selector {
            case Selector.delivery: state.delivery
            case Selector.threshold: state.threshold
            case Selector.pending..<Selector.enabled: Self.word(selector - Selector.pending).map { state.pending[$0] } ?? 0
            case Selector.enabled...0xFF: Self.word(selector - Selector.enabled).map { state.enabled[$0] } ?? 0
            default: 0
            }
        }

        /// Writes a register; values it cannot take are made legal or ignored.
        public func write(_ selector: UInt64, _ value: UInt64) {
            switch selector {
            case Selector.delivery: if value <= 1 { state.delivery = value }
            case Selector.threshold: state.threshold = value & UInt64(IMSIC.identities)
            case Selector.pending..<Selector.enabled: if let word = Self.word(selector - Selector.pending) { state.pending[word] = value & Self.mask(word) }
            case Selector.enabled...0xFF: if let word = Self.word(selector - Selector.enabled) { state.enabled[word] = value & Self.mask(word) }
            default: break
            }
        }

        /// Registers count words of 32 bits.
        private static func word(_ register: UInt64) -> Int? { register / 2 < UInt64(words) ? Int(register / 2) : nil }
        /// There is no identity 0.
        static func mask(_ word: Int) -> UInt64 { word == 0 ? ~1 : ~0 }

        /// The lowest identity that is pending, enabled and below the threshold; 0 when there is none.
        public var top: UInt64 {
            for word in 0..<words {
                let ready = state.pending[word] & state.enabled[word]
                guard ready != 0 else { continue }
                let identity = UInt64(word * 64 + ready.trailingZeroBitCount)
                return state.threshold == 0 || identity < state.threshold ? identity : 0
            }
            return 0
        }

        /// Clears the pending bit of `top`.
        public func claim() {
            let identity = top
            if identity != 0 { state.pending[Int(identity / 64)] &= ~(1 << (identity % 64)) }
        }

        /// A message with an identity has come.
        func receive(_ identity: UInt64) {
            guard (1...UInt64(IMSIC.identities)).contains(identity) else { return }
            state.pending[Int(identity / 64)] |= 1 << (identity % 64)
        }

        private func update() { line?.set(state.delivery == 1 && top != 0) }

        /// The same state, driving nothing.
        public func detachedCopy() -> any InterruptFile {
            let copy = File(nil)
            copy.state = state
            return copy
        }
    }

    /// Unique on the board; saved state has it too.
    public let name: String
    /// Bits of the page number that choose among a hart's own file and its guests'.
    public let guestBits: Int
    /// Files of a hart: its own and its guests'.
    private let filesPerHart: Int
    private let files: [File]
    private let harts: Int

    /// - Parameters:
    ///   - guests: guest interrupt files of a hart, 0…7.
    ///   - lines: the external interrupt input of hart 0, 1, …
    ///   - guestLine: the input for a hart's guest 1, 2, …; nil where nothing listens.
    public init(name: String, guests: Int, lines: [InterruptLine], guestLine: (_ hart: Int, _ guest: Int) -> InterruptLine? = { _, _ in nil }) {
        precondition((0...7).contains(guests))
        self.name = name
        filesPerHart = guests + 1
        guestBits = guests == 0 ? 0 : Int.bitWidth - guests.leadingZeroBitCount
        harts = lines.count
        files = lines.enumerated().flatMap { hart, line in [File(line)] + (0..<guests).map { File(guestLine(hart, $0 + 1)) } }
    }

    /// Bytes from one hart's page to the next one's.
    public var stride: UInt64 { Self.pageSize << UInt64(guestBits) }
    /// Bytes of all harts' pages.
    public var size: UInt64 { stride * UInt64(harts) }

    /// A hart's own file.
    public func file(hart: Int) -> File { files[hart * filesPerHart] }
    /// Those of its guests.
    public func guestFiles(hart: Int) -> [File] { Array(files[hart * filesPerHart + 1..<(hart + 1) * filesPerHart]) }

    // MARK: Registers

    public func read(_ offset: UInt64, size: Int) -> UInt64 { 0 }
    public func peek(_ offset: UInt64, size: Int) -> UInt64? { 0 }

    public func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        let hart = Int(offset / stride), guest = Int(offset % stride / Self.pageSize)
        guard hart < harts, guest < filesPerHart, offset % Self.pageSize == Register.setPendingLittleEndian else { return }
        files[hart * filesPerHart + guest].receive(value)
    }

    public func reset() { for file in files { file.state = FileState() } }

    // MARK: State

    public var stateName: String { name }

    /// Of every file, a hart's own before its guests'. What does not fit is made legal.
    public var state: [FileState] {
        get { files.map(\.state) }
        set {
            for (file, saved) in zip(files, newValue) {
                var state = saved
                state.delivery &= 1
                state.threshold &= UInt64(Self.identities)
                state.pending = saved.pending.fitted(to: Self.words, filler: 0).enumerated().map { $1 & File.mask($0) }
                state.enabled = saved.enabled.fitted(to: Self.words, filler: 0).enumerated().map { $1 & File.mask($0) }
                file.state = state
            }
        }
    }

    // MARK: Device tree

    /// `interrupt-controller@…`.
    /// - Parameters:
    ///   - interrupt: number of the harts' inputs, 11 or 9.
    ///   - controllers: phandle of each hart's `interrupt-controller`.
    public func fdtNode(at base: UInt64, phandle: UInt32, interrupt: UInt32, controllers: [UInt32]) -> FDTNode {
        var node = FDTNode("interrupt-controller@" + String(base, radix: 16))
        node.set("phandle", cells: [phandle])
        if guestBits > 0 { node.set("riscv,guest-index-bits", cells: [UInt32(guestBits)]) }
        node.set("riscv,num-ids", cells: [UInt32(Self.identities)])
        node.set("reg", pairs: [base, size])
        node.set("interrupts-extended", cells: controllers.flatMap { [$0, interrupt] })
        node.set("msi-controller")
        node.set("#msi-cells", cells: [0])
        node.set("interrupt-controller")
        node.set("#interrupt-cells", cells: [0])
        node.set("compatible", "qemu,imsics", "riscv,imsics")
        return node
    }
}
