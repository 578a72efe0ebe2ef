/// Which pair of queues a flow's frames arrive in: the one its driver last sent a frame of that flow through (virtio 1.2, 5.1.6.5.5).
struct VirtioNetSteering: Codable, Equatable, Sendable {
    /// Pairs in use.
    private(set) var pairs = 1
    /// By the highest bits of a flow's hash; empty while there is but one pair.
    private var pairOfFlow: [UInt8] = []
    private static let indexBits = 8

    /// The driver uses `pairs` pairs from now on; all flows are new.
    mutating func use(pairs: Int) {
        self.pairs = pairs
        // Until the driver has sent something, flows spread evenly.
        pairOfFlow = pairs == 1 ? [] : (0..<1 << Self.indexBits).map { UInt8($0 % pairs) }
    }

    private static func index(_ frame: UnsafeRawBufferPointer) -> Int? {
        EthernetFrame(frame).map { Int($0.flowHash(frame) >> UInt32(32 - indexBits)) }
    }

    mutating func noteSent(_ frame: UnsafeRawBufferPointer, pair: Int) {
        guard pairs > 1, pair < pairs, let index = Self.index(frame) else { return }
        pairOfFlow[index] = UInt8(pair)
    }

    func pair(for frame: UnsafeRawBufferPointer) -> Int {
        guard pairs > 1, let index = Self.index(frame) else { return 0 }
        return Int(pairOfFlow[index])
    }

    /// False when no run of a card with `maximum` pairs can have left this behind.
    func isPossible(maximum: Int) -> Bool {
        (1...maximum).contains(pairs) && pairOfFlow.count == (pairs == 1 ? 0 : 1 << Self.indexBits) && pairOfFlow.allSatisfy { $0 < pairs }
    }
}
