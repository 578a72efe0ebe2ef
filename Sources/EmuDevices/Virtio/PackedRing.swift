import EmuBus

/// Packed rings: one ring of descriptors that driver and device overwrite in turn (virtio 1.2, 2.7).
extension Virtqueue {
    /// Values of the flags in an event suppression structure (2.7.10).
    private enum EventFlags {
        static let enable: UInt16 = 0
        static let disable: UInt16 = 1
        static let descriptor: UInt16 = 2
    }

    func takePacked() throws(VirtqueueError) -> DescriptorChain? {
        let first = try descriptor(state.descriptorArea, Int(state.nextAvailable))
        let isAvailable = first.word14 & RawDescriptor.Flags.available != 0
        let isUsed = first.word14 & RawDescriptor.Flags.used != 0
        guard isAvailable == state.availableWrap, isUsed != state.availableWrap else { return nil }
        fence()
        let chain = try walkPacked()
        guard UInt32(state.inFlight) + UInt32(chain.slots) <= UInt32(state.size) else {
            throw VirtqueueError("more descriptors in flight than the queue has entries")
        }
        state.inFlight &+= chain.slots
        var (slot, wrap) = (state.nextAvailable, state.availableWrap)
        Self.advance(&slot, &wrap, by: chain.slots, size: state.size)
        state.nextAvailable = slot
        state.availableWrap = wrap
        return chain
    }

    private func walkPacked() throws(VirtqueueError) -> DescriptorChain {
        var builder = ChainBuilder(memory, limit: Int(maximumSize))
        var slot = state.nextAvailable
        var slots: UInt16 = 0
        while true {
            slots += 1
            guard slots <= state.size else { throw VirtqueueError("descriptor list is longer than the queue") }
            let entry = try descriptor(state.descriptorArea, Int(slot))
            let flags = entry.word14
            if flags & RawDescriptor.Flags.indirect != 0 {
                guard allowsIndirect else { throw VirtqueueError("indirect descriptor without VIRTIO_F_INDIRECT_DESC") }
                guard slots == 1, flags & RawDescriptor.Flags.next == 0 else {
                    throw VirtqueueError("indirect descriptor inside a descriptor list")
                }
                try walkTable(entry, &builder)
                return builder.chain(id: entry.word12, slots: 1)
            }
            try builder.add(address: entry.address, length: entry.length, isWrite: flags & RawDescriptor.Flags.write != 0)
            if flags & RawDescriptor.Flags.next == 0 { return builder.chain(id: entry.word12, slots: slots) }
            slot = slot &+ 1 == state.size ? 0 : slot &+ 1
        }
    }

    /// All entries of an indirect table in order; only their WRITE flag counts (2.7.7).
    private func walkTable(_ reference: RawDescriptor, _ builder: inout ChainBuilder) throws(VirtqueueError) {
        let entries = try builder.tableEntries(reference.length)
        guard memory.isMemory(reference.address, UInt64(reference.length), isWrite: false) else {
            throw VirtqueueError("indirect table at \(hex(reference.address)) is not memory")
        }
        for index in 0..<entries {
            let entry = try descriptor(reference.address, index)
            try builder.add(address: entry.address, length: entry.length, isWrite: entry.word14 & RawDescriptor.Flags.write != 0)
        }
    }

    func giveBackPacked(_ used: [(chain: DescriptorChain, written: UInt32)]) throws(VirtqueueError) {
        var positions: [(slot: UInt16, wrap: Bool)] = []
        var slot = state.nextUsed
        var wrap = state.usedWrap
        for entry in used {
            positions.append((slot, wrap))
            Self.advance(&slot, &wrap, by: entry.chain.slots, size: state.size)
        }
        // The first descriptor last, so that the driver never sees part of a batch (2.7.9).
        for (entry, position) in zip(used, positions).reversed() {
            let address = state.descriptorArea &+ UInt64(position.slot) &* RawDescriptor.size
            try store(address &+ 8, UInt64(entry.written) | UInt64(entry.chain.id) << 32 | UInt64(try load(address &+ 14) as UInt16) << 48)
            fence()
            var flags = position.wrap ? RawDescriptor.Flags.available | RawDescriptor.Flags.used : 0
            if entry.written > 0 { flags |= RawDescriptor.Flags.write }
            try store(address &+ 14, flags)
        }
        state.nextUsed = slot
        state.usedWrap = wrap
    }

    func interruptWantedPacked() throws(VirtqueueError) -> Bool {
        let position: UInt16 = try load(state.driverArea)
        let flags: UInt16 = try load(state.driverArea &+ 2)
        switch flags & 3 {
        case EventFlags.disable:
            return false
        case EventFlags.descriptor where usesEventIndex:
            var event = position & 0x7fff
            // A position of the previous lap lies one ring length back.
            if (position & 0x8000 != 0) != state.usedWrap { event &-= state.size }
            return Self.passes(event: event, new: state.nextUsed, old: state.nextUsed &- state.usedSinceSignal)
        default:
            return true
        }
    }

    func suppressNotificationsPacked(_ suppressed: Bool) throws(VirtqueueError) {
        if suppressed {
            try store(state.deviceArea &+ 2, EventFlags.disable)
        } else if usesEventIndex {
            try store(state.deviceArea, state.nextAvailable | (state.availableWrap ? 0x8000 : 0))
            fence()
            try store(state.deviceArea &+ 2, EventFlags.descriptor)
        } else {
            try store(state.deviceArea &+ 2, EventFlags.enable)
        }
    }

    private static func advance(_ slot: inout UInt16, _ wrap: inout Bool, by slots: UInt16, size: UInt16) {
        slot &+= slots
        if slot >= size {
            slot &-= size
            wrap.toggle()
        }
    }
}
