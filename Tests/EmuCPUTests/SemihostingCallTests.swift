import EmuBus
import EmuCPU
import EmuJIT
import TestSupport
import Testing

/// What makes an ebreak a semihosting call, and what the program gets back, interpreted and translated.
@Suite struct SemihostingCallTests {
    private final class Handler: SemihostingHandler {
        var servesUserMode = false
        var calls: [[UInt64]] = []
        var result: UInt64? = 77
        var memory: [UInt8]?

        func perform(_ operation: UInt64, _ parameter: UInt64, for caller: any SemihostingCaller) -> UInt64? {
            calls.append([operation, parameter])
            memory = caller.readMemory(parameter, count: 8)
            return result
        }
    }

    private static let code = TestHart.ram + 0x1000, trap = TestHart.ram + 0x8000
    private static let entry: UInt32 = 0x01f0_1013, exit: UInt32 = 0x4070_5013
    private static let call = [entry, RVAssembly.breakpoint, exit]
    /// Numbers of a0 and a1.
    private static let a0 = 10, a1 = 11

    private let handler = Handler()

    /// - Parameter code: followed by a jump to itself.
    private func run(_ code: [UInt32], translating: Bool, at address: UInt64 = code, privilege: UInt8 = Mode.machine, cycles: Int = 20) throws -> TestHart {
        let hart = try TestHart()
        if translating {
            hart.cache.hostCode = HostCodeCache(cache: hart.cache, backend: try X86Backend(layout: RVProcessor.stateLayout, capacity: 4 << 20), threshold: 0)
        }
        for (index, word) in (code + [RVAssembly.jump(0)]).enumerated() { #expect(hart.bus.storeMemory(address + 4 * UInt64(index), word)) }
        #expect(hart.bus.storeMemory(Self.trap, RVAssembly.jump(0)))
        hart[.mtvec] = Self.trap
        hart.cpu.semihosting = handler
        hart.cpu.x[Self.a0] = 5
        hart.cpu.x[Self.a1] = TestHart.ram
        hart.cpu.privilege = privilege
        hart.cpu.pc = address
        _ = hart.cpu.run(budget: cycles, clockBase: 0)
        return hart
    }

    private static let engines = X86Backend.isSupported ? [false, true] : [false]

    @Test(arguments: engines) func theSequenceIsACall(translating: Bool) throws {
        let hart = try run(Self.call, translating: translating)
        #expect(handler.calls == [[5, TestHart.ram]] && hart.cpu.x[Self.a0] == 77)
        #expect(hart.cpu.pc == Self.code + 12)
    }

    @Test(arguments: engines) func theCallMayLieAcrossPages(translating: Bool) throws {
        for offset: UInt64 in [2, 4, 6, 8, 10] {
            handler.calls = []
            let address = TestHart.ram + 0x2000 - offset
            #expect(try run(Self.call, translating: translating, at: address).cpu.pc == address + 12)
            #expect(handler.calls.count == 1)
        }
    }

    @Test(arguments: engines, [
        [entry, RVAssembly.breakpoint, RVAssembly.nop], [RVAssembly.nop, RVAssembly.breakpoint, exit], [RVAssembly.breakpoint],
        // c.ebreak, with a c.nop behind it.
        [entry, 0x0001_9002, exit],
    ])
    func otherBreakpointsTrap(translating: Bool, code: [UInt32]) throws {
        let hart = try run(code, translating: translating)
        #expect(handler.calls.isEmpty && hart.cpu.x[Self.a0] == 5)
        #expect(hart[.mcause] == 3 && hart.cpu.pc == Self.trap)
    }

    @Test(arguments: engines) func userModeIsServedOnRequest(translating: Bool) throws {
        #expect(try run(Self.call, translating: translating, privilege: Mode.user)[.mcause] == 3)
        #expect(try run(Self.call, translating: translating, privilege: Mode.supervisor).cpu.x[Self.a0] == 77)
        #expect(handler.calls.count == 1)
        handler.servesUserMode = true
        #expect(try run(Self.call, translating: translating, privilege: Mode.user).cpu.x[Self.a0] == 77)
    }

    @Test(arguments: engines) func anOperationThatWaitsIsTriedAgain(translating: Bool) throws {
        handler.result = nil
        let hart = try run(Self.call, translating: translating)
        #expect(hart.cpu.isWaiting && hart.cpu.pc == Self.code + 4 && hart.cpu.x[Self.a0] == 5)
        handler.result = 9
        #expect(hart.cpu.run(budget: 20, clockBase: 0) == .waiting && handler.calls.count == 1)
        hart.cpu.retry()
        _ = hart.cpu.run(budget: 20, clockBase: 0)
        #expect(handler.calls.count == 2 && hart.cpu.x[Self.a0] == 9 && hart.cpu.pc == Self.code + 12)
    }

    @Test func memoryIsThatOfTheProgram() throws {
        let hart = try run(Self.call, translating: false)
        #expect(handler.memory == [UInt8](repeating: 0, count: 8))
        let end = TestHart.ram + 0x10_0000
        #expect(hart.cpu.writeMemory(end - 3, [1, 2, 3]) && !hart.cpu.writeMemory(end - 2, [1, 2, 3]))
        #expect(hart.cpu.readMemory(end - 3, count: 1) == [1])
        #expect(hart.cpu.readMemory(end - 2, count: 3) == nil && hart.cpu.readMemory(0x4000_0000, count: 1) == nil)
        #expect(hart.cpu.readMemory(TestHart.rom, count: 2) != nil && !hart.cpu.writeMemory(TestHart.rom, [1]))
        // Across pages.
        let bytes = (0..<10000).map { UInt8(truncatingIfNeeded: $0) }
        #expect(hart.cpu.writeMemory(TestHart.ram + 0x10ff0, bytes) && hart.cpu.readMemory(TestHart.ram + 0x10ff0, count: 10000) == bytes)
    }

    @Test(arguments: engines) func writtenCodeIsExecuted(translating: Bool) throws {
        let hart = try run(Self.call, translating: translating)
        // The jump to itself becomes addi a0, x0, 3 and another one.
        let code = [RVAssembly.addImmediate(10, 0, 3), RVAssembly.jump(0)].flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
        #expect(hart.cpu.writeMemory(Self.code + 12, code))
        _ = hart.cpu.run(budget: 20, clockBase: 0)
        #expect(hart.cpu.x[Self.a0] == 3 && hart.cpu.pc == Self.code + 16)
    }

    @Test func withoutAHandlerACallIsABreakpoint() throws {
        let hart = try TestHart()
        for (index, word) in Self.call.enumerated() { #expect(hart.bus.storeMemory(Self.code + 4 * UInt64(index), word)) }
        #expect(hart.bus.storeMemory(Self.trap, RVAssembly.jump(0)))
        hart[.mtvec] = Self.trap
        hart.cpu.pc = Self.code
        _ = hart.cpu.run(budget: 5, clockBase: 0)
        #expect(hart[.mcause] == 3 && hart.cpu.pc == Self.trap)
    }
}
