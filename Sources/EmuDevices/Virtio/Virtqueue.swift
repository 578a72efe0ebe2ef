import EmuBus

/// Everything a virtqueue must remember between two accesses (virtio 1.2, 2.6 and 2.7).
public struct QueueState: Codable, Equatable, Sendable {
    /// Entries, as the driver chose them.
    public var size: UInt16
    public var ready = false
    /// Guest physical address of the descriptor table (split) or ring (packed).
    public var descriptorArea: UInt64 = 0
    /// Available ring (split) or driver event suppression (packed).
    public var driverArea: UInt64 = 0
    /// Used ring (split) or device event suppression (packed).
    public var deviceArea: UInt64 = 0
    /// Split: free-running index of the next available entry. Packed: slot of the next available descriptor.
    var nextAvailable: UInt16 = 0
    /// Split: free-running index of the next used entry. Packed: slot of the next used descriptor.
    var nextUsed: UInt16 = 0
    /// Packed: wrap counters that go with the two positions.
    var availableWrap = true
    var usedWrap = true
    /// Slots taken from the driver and not yet given back.
    var inFlight: UInt16 = 0
    /// Slots given back since the driver was last considered for an interrupt.
    var usedSinceSignal: UInt16 = 0
    /// True after the device asked the driver not to notify it.
    var notificationsSuppressed = false

    init(size: UInt16) { self.size = size }
}

/// One ring shared with a driver. Knows nothing of devices or transports.
///
/// `take` and `giveBack` move requests; `takeInterruptRequest` decides whether the driver wants to hear of it.
/// Whatever a malformed ring holds, the result is a `VirtqueueError`, after which the owner must stop using the queue.
public final class Virtqueue {
    let memory: DMASpace
    /// Largest size the driver may choose, and the longest chain.
    public let maximumSize: UInt16
    public internal(set) var state: QueueState
    /// VIRTIO_F_RING_PACKED was negotiated.
    public internal(set) var isPacked = false
    /// VIRTIO_F_EVENT_IDX was negotiated.
    public internal(set) var usesEventIndex = false
    /// VIRTIO_F_INDIRECT_DESC was negotiated.
    public internal(set) var allowsIndirect = false

    public init(memory: DMASpace, maximumSize: UInt16) {
        self.memory = memory
        self.maximumSize = maximumSize
        state = QueueState(size: maximumSize)
    }

    /// Back to the state after reset: not ready, no addresses.
    public func reset() { state = QueueState(size: maximumSize) }

    /// Takes over a saved state; false, leaving the queue reset, when no run of this queue can have produced it.
    func restore(_ saved: QueueState) -> Bool {
        reset()
        guard saved.size <= maximumSize || !saved.ready, !isPacked || saved.nextAvailable < max(saved.size, 1),
              !isPacked || saved.nextUsed < max(saved.size, 1) else { return false }
        state = saved
        return true
    }

    /// Takes over the ring format the driver negotiated.
    public func negotiate(_ features: UInt64) {
        isPacked = features & VirtioFeature.ringPacked != 0
        usesEventIndex = features & VirtioFeature.eventIndex != 0
        allowsIndirect = features & VirtioFeature.indirectDescriptors != 0
    }

    /// Makes the queue usable. Checks size, alignment and that all three parts are memory.
    public func enable() throws(VirtqueueError) {
        let size = state.size
        guard size > 0, size <= maximumSize, isPacked || size.nonzeroBitCount == 1 else {
            throw VirtqueueError("queue size \(size) is not \(isPacked ? "" : "a power of two ")between 1 and \(maximumSize)")
        }
        let entries = UInt64(size)
        let parts: [(name: String, address: UInt64, alignment: UInt64, length: UInt64, isWritten: Bool)] = isPacked
            ? [("descriptor ring", state.descriptorArea, 16, 16 * entries, true),
               ("driver event suppression", state.driverArea, 4, 4, false),
               ("device event suppression", state.deviceArea, 4, 4, true)]
            : [("descriptor table", state.descriptorArea, 16, 16 * entries, false),
               ("available ring", state.driverArea, 2, 4 + 2 * entries + (usesEventIndex ? 2 : 0), false),
               ("used ring", state.deviceArea, 4, 4 + 8 * entries + (usesEventIndex ? 2 : 0), true)]
        for part in parts {
            guard part.address % part.alignment == 0 else {
                throw VirtqueueError("\(part.name) at \(hex(part.address)) is not \(part.alignment)-byte aligned")
            }
            guard memory.isMemory(part.address, part.length, isWrite: part.isWritten) else { throw VirtqueueError("\(part.name) at \(hex(part.address)) is not memory") }
        }
        let fresh = QueueState(size: size)
        state.nextAvailable = fresh.nextAvailable
        state.nextUsed = fresh.nextUsed
        state.availableWrap = fresh.availableWrap
        state.usedWrap = fresh.usedWrap
        state.inFlight = 0
        state.usedSinceSignal = 0
        state.notificationsSuppressed = false
        state.ready = true
    }

    /// The next request, or nil when the driver has offered none; then the driver will notify the device of the next.
    public func take() throws(VirtqueueError) -> DescriptorChain? {
        guard state.ready else { return nil }
        if let chain = try isPacked ? takePacked() : takeSplit() {
            if !state.notificationsSuppressed { try suppressNotifications(true) }
            return chain
        }
        // Ask for a notification, then look again: the driver may have added a request in between.
        guard state.notificationsSuppressed || usesEventIndex else { return nil }
        try suppressNotifications(false)
        fence()
        return try isPacked ? takePacked() : takeSplit()
    }

    /// Undoes the latest `take`, which must not have been given back.
    public func putBack(_ chain: DescriptorChain) {
        state.inFlight &-= chain.slots
        if !isPacked {
            state.nextAvailable &-= 1
        } else if state.nextAvailable >= chain.slots {
            state.nextAvailable -= chain.slots
        } else {
            state.nextAvailable = state.nextAvailable &+ state.size &- chain.slots
            state.availableWrap.toggle()
        }
    }

    /// Gives requests back to the driver, who sees all of them at once.
    /// - Parameter used: each request with the number of bytes written into its writable part.
    public func giveBack(_ used: [(chain: DescriptorChain, written: UInt32)]) throws(VirtqueueError) {
        // A request of before a queue reset is nobody's any more.
        guard state.ready else { return }
        if isPacked { try giveBackPacked(used) } else { try giveBackSplit(used) }
        for entry in used {
            state.inFlight &-= entry.chain.slots
            state.usedSinceSignal &+= entry.chain.slots
        }
    }

    /// Whether the driver wants an interrupt for what was given back since the last call (2.6.7, 2.7.10).
    public func takeInterruptRequest() throws(VirtqueueError) -> Bool {
        guard state.ready, state.usedSinceSignal > 0 else { return false }
        fence()
        let wanted = try isPacked ? interruptWantedPacked() : interruptWantedSplit()
        state.usedSinceSignal = 0
        return wanted
    }

    private func suppressNotifications(_ suppressed: Bool) throws(VirtqueueError) {
        state.notificationsSuppressed = suppressed
        if isPacked { try suppressNotificationsPacked(suppressed) } else { try suppressNotificationsSplit(suppressed) }
    }

    /// True when moving from `old` to `new` passes the event position.
    static func passes(event: UInt16, new: UInt16, old: UInt16) -> Bool {
        new &- event &- 1 < new &- old
    }

    func load<T: FixedWidthInteger>(_ address: UInt64, as type: T.Type = T.self) throws(VirtqueueError) -> T {
        guard let value = memory.load(address, as: T.self) else {
            throw VirtqueueError("ring at \(hex(address)) is not memory")
        }
        return value
    }

    func store<T: FixedWidthInteger>(_ address: UInt64, _ value: T) throws(VirtqueueError) {
        guard memory.store(address, value) else {
            throw VirtqueueError("ring at \(hex(address)) is not writable memory")
        }
    }

    func descriptor(_ table: UInt64, _ index: Int) throws(VirtqueueError) -> RawDescriptor {
        let address = table &+ UInt64(index) &* RawDescriptor.size
        guard let descriptor = RawDescriptor(memory, address) else {
            throw VirtqueueError("descriptor at \(hex(address)) is not memory")
        }
        return descriptor
    }

    /// Orders ring accesses against those of other host threads that run harts.
    func fence() { atomicFence() }
}
