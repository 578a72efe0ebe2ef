import EmuBus
import EmuDevices
import TestSupport
import Testing

private typealias Offset = VirtioMockDriver.Offset
private typealias Feature = VirtioMockDriver.Feature

@Suite struct VirtioQueueTests {
    @Test(arguments: VirtioSetup.allCases, [false, true])
    func requestsOfManyBuffersAreServedAsOneRun(_ setup: VirtioSetup, indirect: Bool) throws {
        let bench = try VirtioBench(setup, InvertingDevice())
        bench.driver.start()
        let queue = bench.driver.queues[0]!
        let outputs = [bench.driver.writable(1), bench.driver.writable(4)]
        let id = queue.add([bench.driver.readable([1, 2, 3]), bench.driver.readable([4]), outputs[0], outputs[1]], indirect: indirect)
        queue.kick()
        let used = queue.used()
        #expect(used.map(\.id) == [id])
        #expect(used.map(\.written) == [4])
        #expect(outputs.flatMap(bench.driver.contents) == [0xfe, 0xfd, 0xfc, 0xfb, 0])
        #expect(!bench.needsReset)
    }

    @Test(arguments: VirtioSetup.allCases)
    func ringsWrapForALongTime(_ setup: VirtioSetup) throws {
        let device = InvertingDevice()
        let bench = try VirtioBench(setup, device)
        bench.driver.start()
        let queue = bench.driver.queues[0]!
        let input = bench.driver.readable([7]), output = bench.driver.writable(1)
        var collected = 0
        for round in 0..<30_000 {
            // Requests of one to three descriptors, so that lists straddle the end of a packed ring.
            queue.add(round % 3 == 0 ? [input] : round % 3 == 1 ? [input, output] : [input, input, output])
            queue.kick()
            collected += queue.used().count
        }
        #expect(collected == 30_000)
        #expect(device.state.served == 30_000)
        #expect(!bench.needsReset)
    }

    @Test func packedRingSizeNeedNotBeAPowerOfTwo() throws {
        let bench = try VirtioBench(.modernPacked, InvertingDevice())
        bench.driver.start(size: 7)
        let queue = bench.driver.queues[0]!
        for _ in 0..<50 {
            queue.add([bench.driver.readable([1]), bench.driver.writable(1)])
            queue.kick()
            #expect(queue.used().count == 1)
        }
    }

    @Test(arguments: VirtioSetup.allCases)
    func interruptFlagSuppressesInterruptsWithoutEventIndex(_ setup: VirtioSetup) throws {
        let bench = try VirtioBench(setup, InvertingDevice())
        bench.driver.start(~Feature.eventIndex)
        let queue = bench.driver.queues[0]!
        queue.suppressInterrupts(true)
        queue.add([bench.driver.writable(1)])
        queue.kick()
        #expect(!bench.interrupted)
        queue.suppressInterrupts(false)
        queue.add([bench.driver.writable(1)])
        queue.kick()
        #expect(bench.interrupted)
    }

    @Test(arguments: VirtioSetup.allCases)
    func eventIndexDelaysTheInterruptUntilThatManyAreUsed(_ setup: VirtioSetup) throws {
        let bench = try VirtioBench(setup, InvertingDevice())
        bench.driver.start()
        let queue = bench.driver.queues[0]!
        // Several laps, so that events lie before and behind the end of the ring.
        for lap in 0..<20 {
            queue.requestInterrupt(after: 3)
            for number in 1...3 {
                queue.add([bench.driver.writable(1)])
                queue.kick()
                #expect(bench.interrupted == (number == 3), "lap \(lap), request \(number)")
            }
            #expect(queue.used().count == 3)
            bench.driver.acknowledgeInterrupts()
        }
    }

    @Test(arguments: VirtioSetup.allCases, [false, true])
    func deviceAsksForOneNotificationWhenItHasServedEverything(_ setup: VirtioSetup, eventIndex: Bool) throws {
        let bench = try VirtioBench(setup, InvertingDevice())
        bench.driver.start(eventIndex ? .max : ~Feature.eventIndex)
        let queue = bench.driver.queues[0]!
        for _ in 0..<40 {
            queue.add([bench.driver.writable(1)])
            #expect(queue.kick())
            #expect(queue.used().count == 1)
        }
    }

    @Test func oneInterruptServesABatch() throws {
        let bench = try VirtioBench(.modernSplit, InvertingDevice())
        bench.driver.start()
        let queue = bench.driver.queues[0]!
        for _ in 0..<6 { queue.add([bench.driver.writable(1)]) }
        queue.kick()
        #expect(queue.used().count == 6)
        #expect(bench.interrupts.rises[1] == 1)
    }

    @Test(arguments: VirtioSetup.allCases)
    func indirectTableMayBeLongerThanTheRing(_ setup: VirtioSetup) throws {
        let bench = try VirtioBench(setup, InvertingDevice(size: 16))
        bench.driver.start(size: 4)
        let queue = bench.driver.queues[0]!
        let output = bench.driver.writable(15)
        queue.add((0..<15).map { bench.driver.readable([UInt8($0)]) } + [output], indirect: true)
        queue.kick()
        #expect(bench.driver.contents(output) == (0..<15).map { ~UInt8($0) })
    }

    // MARK: Malformed rings

    /// Runs `corrupt` on a ready queue and expects the device to ask for a reset, and to work again after one.
    private func expectBroken(_ setup: VirtioSetup, _ features: UInt64 = .max, _ corrupt: (VirtioBench, MockQueue) -> Void) throws {
        let bench = try VirtioBench(setup, InvertingDevice())
        bench.driver.start(features)
        let queue = bench.driver.queues[0]!
        corrupt(bench, queue)
        queue.notify()
        #expect(bench.needsReset)
        #expect(bench.driver.read(Offset.interruptStatus) & 2 == 2)
        #expect(queue.used().isEmpty)
        // Broken means broken: nothing is served until the reset.
        queue.notify()
        #expect(queue.used().isEmpty)
        bench.driver.start()
        let fresh = bench.driver.queues[0]!
        fresh.add([bench.driver.writable(1)])
        fresh.kick()
        #expect(fresh.used().count == 1)
        #expect(!bench.needsReset)
    }

    @Test func loopOfDescriptorsBreaksTheDevice() throws {
        for length: UInt32 in [16, 0] {
            try expectBroken(.modernSplit) { bench, queue in
                let buffer = bench.driver.allocate(16)
                queue.putDescriptor(queue.areas.descriptors, 0, buffer, length, 1, 1)
                queue.putDescriptor(queue.areas.descriptors, 1, buffer, length, 1, 0)
                queue.offerHead(0)
            }
        }
        try expectBroken(.modernPacked) { bench, queue in
            let buffer = bench.driver.allocate(16)
            for slot in 0..<Int(queue.size) { queue.putDescriptor(queue.areas.descriptors, slot, buffer, 16, 0, 1 << 7 | 1) }
        }
    }

    @Test(arguments: [VirtioSetup.legacySplit, .modernSplit])
    func indicesOutsideTheTableBreakTheDevice(_ setup: VirtioSetup) throws {
        for head: UInt16 in [8, .max] { try expectBroken(setup) { _, queue in queue.offerHead(head) } }
        try expectBroken(setup) { bench, queue in
            queue.putDescriptor(queue.areas.descriptors, 0, bench.driver.allocate(8), 8, 1, 8)
            queue.offerHead(0)
        }
        // An index further ahead than the ring is long.
        try expectBroken(setup) { _, queue in queue.put(queue.areas.driver + 2, UInt16(9)) }
    }

    @Test(arguments: VirtioSetup.allCases)
    func addressesOutsideMemoryBreakTheDevice(_ setup: VirtioSetup) throws {
        let end = VirtioBench.ramBase + VirtioBench.ramSize
        for (address, length) in [(0, 16), (UInt64.max - 3, 16), (end - 4, 8), (VirtioBench.ramBase - 4, 8), (VirtioBench.ramBase, Int(UInt32.max))] {
            for isWritable in [false, true] {
                try expectBroken(setup) { _, queue in queue.add([MockBuffer(address, length, isWritable: isWritable)]) }
            }
        }
    }

    @Test(arguments: VirtioSetup.allCases)
    func readableAfterWritableBreaksTheDevice(_ setup: VirtioSetup) throws {
        for indirect in [false, true] {
            try expectBroken(setup) { bench, queue in queue.add([bench.driver.writable(1), bench.driver.readable([1])], indirect: indirect) }
        }
    }

    /// Offers one descriptor with `flags` that refers to a table.
    private func offerTable(_ queue: MockQueue, _ table: UInt64, _ length: UInt32, flags: UInt16 = 4) {
        if queue.isPacked {
            queue.putDescriptor(queue.areas.descriptors, 0, table, length, 0, flags | 1 << 7)
        } else {
            queue.putDescriptor(queue.areas.descriptors, 0, table, length, flags, 1)
            queue.offerHead(0)
        }
    }

    @Test(arguments: VirtioSetup.allCases)
    func badIndirectTablesBreakTheDevice(_ setup: VirtioSetup) throws {
        for length: UInt32 in [0, 8, 17, 17 * 16, .max, 0xffff_fff0] {
            try expectBroken(setup) { bench, queue in
                let table = bench.driver.allocate(17 * 16)
                // A chain through the whole table.
                for slot in 0..<17 {
                    queue.putDescriptor(table, slot, table, 1, queue.isPacked ? 0 : 1, queue.isPacked ? 0 : UInt16(slot + 1))
                }
                offerTable(queue, table, length)
            }
        }
        // Outside memory, and with NEXT set.
        try expectBroken(setup) { _, queue in offerTable(queue, 0x1000, 16) }
        try expectBroken(setup) { bench, queue in offerTable(queue, bench.driver.allocate(16), 16, flags: 5) }
        // Not negotiated.
        try expectBroken(setup, ~Feature.indirect) { bench, queue in offerTable(queue, bench.driver.allocate(16), 16) }
    }

    @Test func indirectInsideIndirectBreaksTheDevice() throws {
        for setup in [VirtioSetup.legacySplit, .modernSplit] {
            try expectBroken(setup) { bench, queue in
                let table = bench.driver.allocate(16)
                queue.putDescriptor(table, 0, table, 16, 4, 0)
                offerTable(queue, table, 16)
            }
        }
        // In packed rings the table's own flags do not count; a list may not lead to a table.
        try expectBroken(.modernPacked) { bench, queue in
            let table = bench.driver.allocate(16)
            queue.putDescriptor(queue.areas.descriptors, 0, table, 16, 0, 1 << 7 | 1)
            queue.putDescriptor(queue.areas.descriptors, 1, table, 16, 0, 1 << 7 | 4)
        }
    }

    @Test(arguments: VirtioSetup.allCases)
    func queuesThatCannotBeSetUpBreakTheDevice(_ setup: VirtioSetup) throws {
        func attempt(size: UInt32, table: UInt64, driver: UInt64, device: UInt64) throws -> Bool {
            let bench = try VirtioBench(setup, InvertingDevice())
            bench.driver.negotiate()
            bench.driver.write(Offset.queueSelect, 0)
            bench.driver.write(Offset.queueSize, size)
            if setup.isLegacy {
                bench.driver.write(Offset.queuePFN, UInt32(table >> 12))
            } else {
                for (register, address) in [(Offset.descriptorArea, table), (Offset.driverArea, driver), (Offset.deviceArea, device)] {
                    bench.driver.write(register, UInt32(truncatingIfNeeded: address))
                    bench.driver.write(register + 4, UInt32(truncatingIfNeeded: address >> 32))
                }
                bench.driver.write(Offset.queueReady, 1)
            }
            return bench.needsReset
        }
        let ram = VirtioBench.ramBase, good = ram + 0x1000, far: UInt64 = 0x10_0000_0000
        #expect(try !attempt(size: 16, table: ram, driver: good, device: good + 0x1000))
        for size: UInt32 in [0, 17, 32, 0x1_0008, .max] { #expect(try attempt(size: size, table: ram, driver: good, device: good + 0x1000)) }
        #expect(try attempt(size: 8, table: far, driver: good, device: good))
        if setup != .legacySplit {
            #expect(try attempt(size: 8, table: ram + 8, driver: good, device: good))
            #expect(try attempt(size: 8, table: ram, driver: good + 1, device: good))
            #expect(try attempt(size: 8, table: ram, driver: good, device: good + 2))
            #expect(try attempt(size: 8, table: ram, driver: far, device: good))
            #expect(try attempt(size: 8, table: ram, driver: good, device: far))
            #expect(try attempt(size: 8, table: ram, driver: good, device: ram + VirtioBench.ramSize))
        }
        if setup == .modernSplit { #expect(try attempt(size: 7, table: ram, driver: good, device: good)) }
    }

    @Test(arguments: VirtioSetup.allCases)
    func randomRingBytesNeverHurtTheHost(_ setup: VirtioSetup) throws {
        let bench = try VirtioBench(setup, InvertingDevice(size: 8))
        var random = SplitMix(seed: 0x1234_5678)
        var broken = 0
        for _ in 0..<3_000 {
            bench.driver.freeEverything()
            bench.driver.start(size: 8)
            let queue = bench.driver.queues[0]!
            // Descriptors made of plausible pieces: half of all chains should get far.
            let table = VirtioBench.ramBase + 0x8000
            for slot in 0..<32 {
                let inRAM = VirtioBench.ramBase + random.next() % 0x10000
                let address = random.next() % 16 == 0 ? random.next() : random.next() % 3 == 0 ? queue.areas.descriptors + random.next() % 256 : inRAM
                let length = random.next() % 16 == 0 ? UInt32(truncatingIfNeeded: random.next()) : UInt32(random.next() % 8) * 16
                let flags = UInt16(random.next() % 8) & (random.next() % 4 == 0 ? 7 : 3) | (setup.isPacked ? 1 << 7 : 0)
                let link = UInt16(random.next() % 9)
                queue.putDescriptor(slot < 8 ? queue.areas.descriptors : table, slot % 8, address, length,
                                    setup.isPacked ? link : flags, setup.isPacked ? flags : link)
            }
            if !setup.isPacked {
                for _ in 0..<random.next() % 9 { queue.offerHead(UInt16(random.next() % 8)) }
            }
            queue.notify()
            bench.runEvents()
            if bench.needsReset { broken += 1 }
        }
        #expect(broken > 300 && broken < 3_000)
        // And entirely random bytes.
        for _ in 0..<1_000 {
            bench.driver.freeEverything()
            bench.driver.start(size: 8)
            let queue = bench.driver.queues[0]!
            bench.driver.store(queue.areas.descriptors, (0..<0x200).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            queue.notify()
            bench.runEvents()
        }
    }

    @Test func deviceThatFeedsItsOwnRingYieldsToTheMachine() throws {
        let device = SelfFeedingDevice()
        let bench = try VirtioBench(.modernSplit, device)
        bench.driver.start()
        let queue = bench.driver.queues[0]!
        device.availableIndex = queue.areas.driver + 2
        queue.putDescriptor(queue.areas.descriptors, 0, bench.driver.allocate(1), 1, 2, 0)
        queue.offerHead(0)
        queue.notify()
        let served = device.served
        #expect(served == 32)
        // The rest comes as events, between which the machine does as it likes.
        bench.runEvents()
        #expect(device.served == 64)
        bench.driver.write(Offset.status, 0)
        bench.runEvents()
        #expect(device.served == 64)
    }

    @Test func hugeRequestsYieldToTheMachineAndNotifyingAgainDoesNotHurryThem() throws {
        let device = SelfFeedingDevice()
        let bench = try VirtioBench(.modernSplit, device)
        bench.driver.start()
        let queue = bench.driver.queues[0]!
        device.availableIndex = queue.areas.driver + 2
        queue.putDescriptor(queue.areas.descriptors, 0, VirtioBench.ramBase + (16 << 20), 16 << 20, 2, 0)
        queue.offerHead(0)
        var yields = 0
        bench.events.deadlineMoved = { yields += 1 }
        queue.notify()
        #expect(device.served == 4 && yields > 0)
        queue.notify()
        #expect(device.served == 4)
        bench.runEvents()
        #expect(device.served == 8)
    }
}

/// Makes the driver's next request available itself, for ever.
private final class SelfFeedingDevice: VirtioDevice {
    struct State: Codable {}
    let stateName = "feeder0"
    let deviceID: UInt32 = 42
    let deviceFeatures: UInt64 = 0
    let queueSizes: [UInt16] = [16]
    weak var core: VirtioCore?
    var state = State()
    var served = 0
    var availableIndex: UInt64 = 0

    func process(queue index: Int) {
        core?.serve(index) { chain in
            served += 1
            _ = core?.memory.bus.storeMemory(availableIndex, UInt16(truncatingIfNeeded: served + 1))
            return 0
        }
    }

    func reset() {}
}
