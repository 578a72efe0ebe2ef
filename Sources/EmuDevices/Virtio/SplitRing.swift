import EmuBus
import Synchronization

/// Split rings: a descriptor table, a ring of available heads and a ring of used ones (virtio 1.2, 2.6).
extension Virtqueue {
    private var availableFlags: UInt64 { state.driverArea }
    private var availableIndex: UInt64 { state.driverArea &+ 2 }
    private func availableEntry(_ index: UInt16) -> UInt64 {
        state.driverArea &+ 4 &+ 2 &* UInt64(index & (state.size &- 1))
    }
    private var usedEvent: UInt64 { state.driverArea &+ 4 &+ 2 &* UInt64(state.size) }
    private var usedFlags: UInt64 { state.deviceArea }
    private var usedIndex: UInt64 { state.deviceArea &+ 2 }
    private func usedEntry(_ index: UInt16) -> UInt64 {
        state.deviceArea &+ 4 &+ 8 &* UInt64(index & (state.size &- 1))
    }
    private var availableEvent: UInt64 { state.deviceArea &+ 4 &+ 8 &* UInt64(state.size) }

    func takeSplit() throws(VirtqueueError) -> DescriptorChain? {
        let offered: UInt16 = try load(availableIndex)
        let waiting = offered &- state.nextAvailable
        if waiting == 0 { return nil }
        guard waiting <= state.size else {
            throw VirtqueueError("available index \(offered) is \(waiting) ahead of \(state.nextAvailable), queue size \(state.size)")
        }
        guard state.inFlight < state.size else { throw VirtqueueError("more requests in flight than the queue has entries") }
        fence()
        let head: UInt16 = try load(availableEntry(state.nextAvailable))
        guard head < state.size else { throw VirtqueueError("available head \(head) is outside the table of \(state.size)") }
        let chain = try walkSplit(head)
        state.nextAvailable &+= 1
        state.inFlight &+= 1
        return chain
    }

    private func walkSplit(_ head: UInt16) throws(VirtqueueError) -> DescriptorChain {
        var builder = ChainBuilder(memory, limit: Int(maximumSize))
        var table = state.descriptorArea
        var entries = Int(state.size)
        var inIndirect = false
        var index = Int(head)
        var steps = 0
        while true {
            // The table bounds the walk, so that a loop ends even when its descriptors are empty.
            steps += 1
            guard steps <= entries else { throw VirtqueueError("descriptor chain from head \(head) loops") }
            let entry = try descriptor(table, index)
            let flags = entry.word12
            if flags & RawDescriptor.Flags.indirect != 0 {
                guard allowsIndirect else { throw VirtqueueError("indirect descriptor without VIRTIO_F_INDIRECT_DESC") }
                guard !inIndirect else { throw VirtqueueError("indirect descriptor inside an indirect table") }
                guard flags & RawDescriptor.Flags.next == 0 else { throw VirtqueueError("indirect descriptor with NEXT") }
                entries = try builder.tableEntries(entry.length)
                guard memory.isMemory(entry.address, UInt64(entry.length), isWrite: false) else {
                    throw VirtqueueError("indirect table at \(hex(entry.address)) is not memory")
                }
                table = entry.address
                inIndirect = true
                index = 0
                steps = 0
                continue
            }
            try builder.add(address: entry.address, length: entry.length, isWrite: flags & RawDescriptor.Flags.write != 0)
            if flags & RawDescriptor.Flags.next == 0 { return builder.chain(id: head, slots: 1) }
            index = Int(entry.word14)
            guard index < entries else { throw VirtqueueError("next descriptor \(index) is outside the table of \(entries)") }
        }
    }

    func giveBackSplit(_ used: [(chain: DescriptorChain, written: UInt32)]) throws(VirtqueueError) {
        var index = state.nextUsed
        for entry in used {
            try store(usedEntry(index), UInt64(entry.chain.id) | UInt64(entry.written) << 32)
            index &+= 1
        }
        fence()
        try store(usedIndex, index)
        state.nextUsed = index
    }

    func interruptWantedSplit() throws(VirtqueueError) -> Bool {
        if usesEventIndex {
            let event: UInt16 = try load(usedEvent)
            return Self.passes(event: event, new: state.nextUsed, old: state.nextUsed &- state.usedSinceSignal)
        }
        let flags: UInt16 = try load(availableFlags)
        return flags & 1 == 0
    }

    func suppressNotificationsSplit(_ suppressed: Bool) throws(VirtqueueError) {
        if usesEventIndex {
            // A position already passed asks for nothing, so suppressing needs no write.
            if !suppressed { try store(availableEvent, state.nextAvailable) }
        } else {
            try store(usedFlags, UInt16(suppressed ? 1 : 0))
        }
    }
}

/// A full fence; see `Virtqueue.fence`.
func atomicFence() { atomicMemoryFence(ordering: .sequentiallyConsistent) }
