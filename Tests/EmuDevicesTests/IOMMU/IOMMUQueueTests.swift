import EmuBus
import EmuDevices
import Testing

/// Command queue, fault queue and interrupts of an IOMMU.
@Suite struct IOMMUQueueTests {
    private let bench: IOMMUBench

    init() throws {
        bench = try IOMMUBench()
        bench.startQueues()
        bench.start()
    }

    private var commandControl: UInt64 { bench.get(72, size: 4) }
    private var faultControl: UInt64 { bench.get(76, size: 4) }
    private var pending: UInt64 { bench.get(84, size: 4) }

    // MARK: Commands

    /// Every command there is, with the operands it may have.
    private static let legal: [(UInt64, UInt64)] = [
        (1, 0), (1 | 1 << 10 | 1 << 32 | 1 << 33 | 1 << 34 | 0xf_ffff << 12 | 0xffff << 44, 1 << 9 | 0xf_ffff_ffff_ffff << 10),
        (1 | 1 << 7, 0), (1 | 1 << 7 | 1 << 10 | 1 << 33 | 1 << 34, 5 << 10), (2, 0), (2 | 3 << 12, 0), (3, 0), (3 | 1 << 33 | 0xff_ffff << 40, 0),
        (3 | 1 << 7 | 1 << 33 | 0xf_ffff << 12, 0),
    ]

    @Test func commandsAreCarriedOutInOrder() {
        for (index, command) in Self.legal.enumerated() {
            bench.run(command.0, command.1)
            #expect(bench.get(32, size: 4) == UInt64(index + 1) && commandControl == 0x1_0003, "\(hex(command.0))")
        }
    }

    /// Opcodes, functions and bits that are reserved, and commands that are not offered: ATS, a wire that is not in use.
    private static let illegal: [(UInt64, UInt64)] = [
        (0, 0), (5, 0), (64, 0), (1 | 2 << 7, 0), (1 | 1 << 11, 0), (1 | 1 << 35, 0), (1 | 1 << 60, 0), (1, 1), (1, 1 << 62), (1 | 1 << 7 | 1 << 32, 0),
        (2 | 1 << 7, 0), (2 | 1 << 14, 0), (2 | 1 << 11, 0), (2, 1 << 62), (3 | 2 << 7, 0), (3 | 1 << 10, 0), (3 | 1 << 12, 0), (3 | 1 << 32, 0),
        (3 | 1 << 34, 0), (3, 1), (3 | 1 << 7, 0), (4, 0), (4 | 1 << 7, 0),
    ]

    @Test func illegalCommandsStopTheQueue() {
        for command in Self.illegal {
            bench.startQueues()
            bench.add(2)
            bench.add(command.0, command.1)
            bench.run(2)
            #expect(commandControl == 0x1_0403 && bench.get(32, size: 4) == 1 && pending == 1, "\(hex(command.0)) \(hex(command.1))")
            // Software puts a good one in its place, and goes on.
            bench.store(bench.commands + 16, 2, 0)
            bench.put(72, 0x403, size: 4)
            bench.put(84, 1, size: 4)
            #expect(commandControl == 0x1_0003 && bench.get(32, size: 4) == 3 && pending == 0)
        }
    }

    @Test func fencesWriteAndCallByWire() {
        let flag = bench.pages()
        bench.run(2 | 1 << 10 | 0xdead_beef << 32, (flag + 8) >> 2)
        #expect(bench.word(flag + 8) == 0xdead_beef)
        bench.put(8, 2, size: 4)
        bench.run(2 | 1 << 11)
        #expect(commandControl == 0x1_0803 && pending == 1 && bench.pci.interrupts.high != [])
        bench.put(72, 0x803, size: 4)
        bench.put(84, 1, size: 4)
        #expect(pending == 0 && bench.pci.interrupts.high == [])
        // A place that is no memory stops the queue at the fence.
        let head = bench.get(32, size: 4)
        bench.run(2 | 1 << 10, 0x40)
        #expect(commandControl == 0x1_0103 && bench.get(32, size: 4) == head)
    }

    @Test func queuesOutsideMemoryFault() {
        bench.put(72, 0, size: 4)
        #expect(commandControl == 0)
        bench.put(24, 5 << 10)
        bench.put(72, 1, size: 4)
        bench.put(36, 1, size: 4)
        #expect(commandControl == 0x1_0101 && bench.get(32, size: 4) == 0)
        // Switching it on anew clears that.
        bench.put(72, 0, size: 4)
        bench.put(36, 0, size: 4)
        bench.put(72, 1, size: 4)
        #expect(commandControl == 0x1_0001)
        bench.put(76, 0, size: 4)
        bench.put(40, 5 << 10)
        bench.put(76, 3, size: 4)
        #expect(bench.translate(0x1000) == nil && faultControl == 0x1_0103 && pending & 2 != 0)
    }

    @Test func baseRegistersTakeWhatThereIs() {
        for base: UInt64 in [24, 40] {
            bench.put(base, .max)
            #expect(bench.get(base) == (1 << 44 - 1) << 10 | 15)
            bench.put(base, 1 | 7 << 10)
            // Indices have as many bits as the queue needs.
            let index: UInt64 = base == 24 ? 36 : 48
            bench.put(index, .max, size: 4)
            #expect(bench.get(index, size: 4) == 3)
            bench.put(index, 0, size: 4)
        }
    }

    @Test func halvesOfRegistersCanBeWrittenAlone() {
        bench.put(44, 3, size: 4)
        bench.put(40, 0x1234_5402, size: 4)
        #expect(bench.get(40) == 0x3_1234_5402 && bench.get(44, size: 4) == 3)
        bench.put(48, 2 << 32 | 1)
        #expect(bench.get(48) & 0xffff_ffff == 1)
        // Registers that are not there.
        for offset: UInt64 in [56, 64, 80, 88, 96, 352, 624, 1024, 4088] {
            bench.put(offset, .max, size: 4)
            #expect(bench.get(offset, size: 4) == 0, "\(offset)")
        }
    }

    // MARK: Faults

    @Test func faultRecordsOverflow() {
        for _ in 0..<127 { _ = bench.translate(0x1000) }
        #expect(bench.get(52, size: 4) == 127 && faultControl == 0x1_0003 && pending == 2)
        bench.put(84, 2, size: 4)
        _ = bench.translate(0x2000)
        #expect(bench.get(52, size: 4) == 127 && faultControl == 0x1_0203 && pending == 2)
        // The reason stays until it is cleared, and nothing is recorded meanwhile.
        bench.put(84, 2, size: 4)
        #expect(pending == 2)
        while bench.takeFault() != nil {}
        _ = bench.translate(0x3000)
        #expect(bench.takeFault() == nil)
        bench.put(76, 0x203, size: 4)
        _ = bench.translate(0x3000)
        #expect(bench.takeFault()?[2] == 0x3000)
    }

    @Test func withoutAQueueFaultsAreLost() {
        bench.put(76, 0, size: 4)
        #expect(bench.translate(0x1000) == nil && faultControl == 0 && pending == 0)
    }

    // MARK: Interrupts

    @Test func messagesGoByTheVectorOfTheirCause() {
        let target = bench.pages()
        let capability = bench.function.capabilities(0x11)[0]
        #expect(bench.function.read(capability + 2, as: UInt16.self) == 3 && bench.function.read(capability + 4, as: UInt32.self) == 0x300)
        bench.function.write(capability + 2, UInt16(1 << 15))
        bench.put(760, .max)
        #expect(bench.get(760) == 0x3333)
        bench.put(760, 0x0021)
        for vector: UInt64 in 0..<4 {
            bench.put(768 + 16 * vector, target + 8 * vector)
            bench.put(776 + 16 * vector, 70 + vector)
        }
        bench.run(5)
        #expect(bench.word(target + 8) == 71 && bench.word(target) == 0)
        _ = bench.translate(0x1000)
        #expect(bench.word(target + 16) == 72)
        // An edge: none while it is pending.
        bench.store(target + 16, 0)
        _ = bench.translate(0x1000)
        #expect(bench.word(target + 16) == 0)
        // Masked, it comes later.
        bench.put(780 + 32, 1, size: 4)
        bench.put(84, 2, size: 4)
        _ = bench.translate(0x1000)
        #expect(bench.word(target + 16) == 0)
        bench.put(780 + 32, 0, size: 4)
        #expect(bench.word(target + 16) == 72)
        // A message that nothing takes is a fault itself.
        while bench.takeFault() != nil {}
        bench.put(768 + 32, 0x10)
        bench.put(84, 2, size: 4)
        _ = bench.translate(0x1000)
        #expect((bench.takeFault()?[0] ?? 0) & 0xfff == 258)
        #expect(bench.takeFault() == [273, 0, 0x10, 0])
    }

    @Test func theWireFollowsWhatIsPending() {
        bench.put(8, .max, size: 4)
        #expect(bench.get(8, size: 4) == 2)
        _ = bench.translate(0x1000)
        #expect(pending == 2 && bench.pci.interrupts.high != [])
        bench.put(84, 2, size: 4)
        #expect(pending == 0 && bench.pci.interrupts.high == [])
    }

    @Test func aResetAndASavedStateBringEverythingBack() throws {
        let saved = try bench.iommu.encodedState()
        bench.put(16, 0)
        bench.put(72, 0, size: 4)
        try bench.iommu.restoreState(from: saved)
        #expect(bench.get(16) & 0xf == 2 && commandControl == 0x1_0003)
        #expect(bench.cause(0x1000) == 258)
        bench.iommu.reset()
        bench.function.place(0, at: IOMMUBench.registers)
        bench.function.enable()
        #expect(bench.get(16) == 1 && commandControl == 0 && faultControl == 0 && pending == 0)
    }
}
