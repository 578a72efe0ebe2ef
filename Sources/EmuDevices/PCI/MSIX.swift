import EmuBus

/// MSI-X: a table of messages, one for each vector (PCI Express Base 5.0, 7.7.2 and 6.1.4).
public final class MSIX {
    /// What software has set up, and what waits.
    public struct State: Codable, Equatable {
        /// Four words for each vector: address low and high, data, control.
        var table: [UInt32]
        /// One bit for each vector.
        var pending: [UInt64]
    }

    private enum Control {
        static let enable: UInt16 = 1 << 15
        static let maskAll: UInt16 = 1 << 14
    }

    /// Most vectors the capability can count.
    public static let maximumVectors = 2048
    private static let masked: UInt32 = 1

    /// 1…2048.
    public let vectors: Int
    private let bar: Int
    private let tableOffset: UInt64
    private let pendingOffset: UInt64
    private let capability: Int
    private unowned let function: PCIFunction
    private var table: [UInt32]
    private var pending: [UInt64]

    init(_ function: PCIFunction, vectors: Int, bar: Int, table: UInt64, pending: UInt64) {
        precondition((1...Self.maximumVectors).contains(vectors) && table % 8 == 0 && pending % 8 == 0)
        self.function = function
        self.vectors = vectors
        self.bar = bar
        tableOffset = table
        pendingOffset = pending
        capability = function.config.addCapability(PCICapability.msix, size: 12)
        function.config.define(capability + 2, UInt16(vectors - 1), writable: Control.enable | Control.maskAll)
        function.config.define(capability + 4, UInt32(table) | UInt32(bar))
        function.config.define(capability + 8, UInt32(pending) | UInt32(bar))
        self.table = []
        self.pending = []
        reset()
    }

    /// Bytes of the table, for laying out a base address register.
    public static func tableSize(_ vectors: Int) -> UInt64 { UInt64(vectors) * 16 }
    /// Bytes of the pending bits.
    public static func pendingSize(_ vectors: Int) -> UInt64 { UInt64((vectors + 63) / 64) * 8 }

    /// The driver uses it, so the interrupt pin is not used.
    public var isEnabled: Bool { control & Control.enable != 0 }
    private var control: UInt16 { function.config[capability + 2] }

    /// Interrupts through `vector`, as soon as it is not masked. Vectors that do not exist are no interrupts.
    public func notify(_ vector: Int) {
        guard isEnabled, vector >= 0, vector < vectors else { return }
        if isMasked(vector) {
            pending[vector / 64] |= 1 << UInt64(vector % 64)
        } else {
            send(vector)
        }
    }

    private func isMasked(_ vector: Int) -> Bool {
        control & Control.maskAll != 0 || table[4 * vector + 3] & Self.masked != 0 || !function.isBusMaster
    }

    private func send(_ vector: Int) {
        let address = UInt64(table[4 * vector]) | UInt64(table[4 * vector + 1]) << 32
        if !function.sendMessage(address: address, data: table[4 * vector + 2]) { function.device?.messageRefused(address: address) }
    }

    private func sendPending(_ vector: Int) {
        let bit: UInt64 = 1 << UInt64(vector % 64)
        guard isEnabled, pending[vector / 64] & bit != 0, !isMasked(vector) else { return }
        pending[vector / 64] &= ~bit
        send(vector)
    }

    func configWritten(_ range: Range<Int>, busMasterMayHaveChanged: Bool) {
        guard busMasterMayHaveChanged || range.overlaps(capability + 2..<capability + 4), pending.contains(where: { $0 != 0 }) else { return }
        for vector in 0..<vectors { sendPending(vector) }
    }

    /// What is read at `offset` of `bar`; nil when neither table nor pending bits are there.
    func read(_ bar: Int, _ offset: UInt64, size: Int) -> UInt64? {
        guard let place = place(bar, offset) else { return nil }
        guard size >= 4 else {
            Log.write(.guestErrors, "\(function.name): \(size)-byte read of the MSI-X \(place.isTable ? "table" : "pending bits")")
            return 0
        }
        let word = Int(place.offset / 4)
        let low = UInt64(self.word(place.isTable, word))
        return size == 4 ? low : low | UInt64(self.word(place.isTable, word + 1)) << 32
    }

    private func word(_ isTable: Bool, _ index: Int) -> UInt32 {
        isTable ? table[index] : UInt32(truncatingIfNeeded: pending[index / 2] >> (index % 2 == 0 ? 0 : 32))
    }

    /// False when the address is neither in the table nor in the pending bits.
    func write(_ bar: Int, _ offset: UInt64, _ value: UInt64, size: Int) -> Bool {
        guard let place = place(bar, offset) else { return false }
        guard place.isTable, size >= 4 else {
            Log.write(.guestErrors, "\(function.name): \(size)-byte write of the MSI-X \(place.isTable ? "table" : "pending bits")")
            return true
        }
        let word = Int(place.offset / 4)
        for index in 0..<size / 4 {
            let position = word + index
            let part = UInt32(truncatingIfNeeded: value >> UInt64(32 * index))
            switch position % 4 {
            case 0: table[position] = part & ~3
            case 3: table[position] = part & Self.masked
            default: table[position] = part
            }
        }
        sendPending(word / 4)
        return true
    }

    private func place(_ bar: Int, _ offset: UInt64) -> (isTable: Bool, offset: UInt64)? {
        guard bar == self.bar else { return nil }
        if offset >= tableOffset, offset - tableOffset < Self.tableSize(vectors) { return (true, offset - tableOffset) }
        if offset >= pendingOffset, offset - pendingOffset < Self.pendingSize(vectors) { return (false, offset - pendingOffset) }
        return nil
    }

    func reset() {
        table = (0..<4 * vectors).map { $0 % 4 == 3 ? Self.masked : 0 }
        pending = Array(repeating: 0, count: (vectors + 63) / 64)
    }

    var state: State {
        get { State(table: table, pending: pending) }
        set {
            reset()
            guard newValue.table.count == table.count, newValue.pending.count == pending.count else { return }
            table = newValue.table
            pending = newValue.pending
            let left = vectors % 64
            if left != 0 { pending[pending.count - 1] &= (1 << UInt64(left)) - 1 }
        }
    }
}
