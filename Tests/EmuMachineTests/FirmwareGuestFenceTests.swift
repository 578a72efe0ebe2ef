import EmuBus
import EmuMachine
import TestSupport
import Testing

/// The hypervisor's fences on other harts ("RFENCE Extension", functions 3 to 6): hart 0 knows a translation of a guest's, hart 1 asks for fences.
@Suite struct FirmwareGuestFenceTests {
    private let directory: TemporaryDirectory
    init() throws { directory = try TemporaryDirectory() }

    private static let start: UInt64 = 0x8020_0000
    /// Where the program finds its parameters and leaves its results.
    private static let data: UInt64 = 0x8100_0000
    private static let guestAddress: UInt64 = 0xc000_0000
    private static let (before, after): (UInt64, UInt64) = (0x1111, 0x2222)
    private static let (own, other): (UInt64, UInt64) = (5, 6)

    /// Doublewords from `data` on.
    private enum Cell: Int32 {
        case status, guest, otherGuest, table, address, entry, place, askersGuest, function, fenceStart, fenceSize, fenceSpace, flag
        case known, kept, seen, error

        var offset: Int32 { rawValue * 8 }
        var place: UInt64 { FirmwareGuestFenceTests.data + UInt64(offset) }
    }

    struct Fence: Sendable, CustomStringConvertible {
        var function: UInt64
        var start: UInt64 = FirmwareGuestFenceTests.guestAddress
        var size: UInt64 = 4096
        var space: UInt64 = 0
        /// VMID in hart 1's hgatp.
        var asker = FirmwareGuestFenceTests.own
        var reaches = true
        /// Functions 5 and 6 are of the guest's own tables.
        var isVirtual: Bool { function >= 5 }
        var description: String { "function \(function), \(hex(start)) + \(hex(size)), space \(space), VMID \(asker)" }
    }

    // MARK: The program

    private static let (results, t0, t1, t2, a0, a4): (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) = (8, 5, 6, 7, 10, 14)

    private static func load(_ register: UInt32, _ cell: Cell) -> UInt32 { RVAssembly.loadDouble(register, results, cell.offset) }
    private static func store(_ register: UInt32, _ cell: Cell) -> UInt32 { RVAssembly.storeDouble(register, results, cell.offset) }
    private static func set(_ csr: UInt32, _ cell: Cell) -> [UInt32] { [load(t0, cell), RVAssembly.writeCSR(csr, t0)] }

    /// A 32-bit number: lui and addiw, its upper half cleared.
    private static func constant(_ register: UInt32, _ value: UInt32) -> [UInt32] {
        let low = Int32(bitPattern: value << 20) >> 20
        return [
            value &- UInt32(bitPattern: low) | register << 7 | 0x37, UInt32(bitPattern: low) << 20 | register << 15 | register << 7 | 0x1b,
            0x0200_1013 | register << 15 | register << 7, 0x0200_5013 | register << 15 | register << 7,
        ]
    }

    private static func call(_ number: UInt32, _ function: UInt32, _ arguments: UInt32...) -> [UInt32] {
        constant(17, number) + constant(16, function) + arguments.enumerated().flatMap { constant(a0 + UInt32($0.offset), $0.element) } + [RVAssembly.environmentCall]
    }

    /// hlv.d t1, (a4)
    private static let look: UInt32 = 0x6c00_4073 | a4 << 15 | t1 << 7
    private static let (hstatus, hgatp, vsatp): (UInt32, UInt32, UInt32) = (0x600, 0x680, 0x280)

    private static let program: [UInt32] = {
        func first(_ second: UInt32) -> [UInt32] {
            constant(results, UInt32(data)) + set(hstatus, .status) + set(hgatp, .guest) + set(vsatp, .table) + [load(a4, .address)]
                + [look, store(t1, .known), load(t0, .entry), load(t2, .place), RVAssembly.storeDouble(t0, t2, 0), look, store(t1, .kept)]
                // Another guest's turn here.
                + set(hgatp, .otherGuest) + call(0x48_534d, 0, 1, second, 0)
                + [load(t1, .flag), RVAssembly.branchIfNotEqual(t1, 0, 8), RVAssembly.jump(-8)]
                + set(hgatp, .guest) + [look, store(t1, .seen)] + call(0x5352_5354, 0, 0, 0) + [RVAssembly.jump(0)]
        }
        let second = UInt32(start) + UInt32(first(0).count * 4)
        // Hart 1: the fence on hart 0.
        return first(second) + constant(results, UInt32(data)) + set(hgatp, .askersGuest) + constant(17, 0x5246_4e43)
            + [load(16, .function), RVAssembly.addImmediate(a0, 0, 1), RVAssembly.addImmediate(11, 0, 0), load(12, .fenceStart), load(13, .fenceSize), load(a4, .fenceSpace)]
            + [RVAssembly.environmentCall, store(a0, .error), RVAssembly.addImmediate(t1, 0, 1), store(t1, .flag), RVAssembly.jump(0)]
    }()

    // MARK: Tables

    private static let pages: (old: UInt64, new: UInt64) = (0x8104_0000, 0x8105_0000)

    private static func pointer(_ address: UInt64) -> UInt64 { (address >> 12) << 10 | 1 }
    /// V R W X A D, and U where the second stage wants it.
    private static func leaf(_ address: UInt64, isGuests: Bool) -> UInt64 { (address >> 12) << 10 | (isGuests ? 0xcf : 0xdf) }

    private func run(_ fence: Fence) throws -> (cells: (Cell) -> UInt64?, reason: Bool) {
        var config = MachineConfig()
        config.clock = .virtual
        config.cpu = "max"
        config.harts = 2
        config.kernel = try directory.file("program.elf", ELFBuilder.program(at: Self.start, code: Self.program).bytes)
        config.serial = [CharacterConfig(.null)]
        let machine = try Machine(config)
        func put(_ address: UInt64, _ value: UInt64) { #expect(machine.bus.storeMemory(address, value)) }
        let (root, middle, last): (UInt64, UInt64, UInt64) = (0x8101_0000, 0x8102_0000, 0x8103_0000)
        put(root + 3 * 8, Self.pointer(middle))
        put(middle, Self.pointer(last))
        put(last, Self.leaf(Self.pages.old, isGuests: fence.isVirtual))
        put(Self.pages.old, Self.before)
        put(Self.pages.new, Self.after)
        // For guests with tables of their own memory is where it is.
        let identity: UInt64 = 0x8106_0000
        put(identity + 2 * 8, Self.leaf(0x8000_0000, isGuests: false))
        let second = (8 << 60 | (fence.isVirtual ? identity : root) >> 12) as UInt64
        for (cell, value) in [
            (Cell.status, 1 << 8), (.guest, second | Self.own << 44), (.otherGuest, second | Self.other << 44), (.askersGuest, second | fence.asker << 44),
            (.table, fence.isVirtual ? 8 << 60 | 9 << 44 | root >> 12 : 0), (.address, Self.guestAddress), (.entry, Self.leaf(Self.pages.new, isGuests: fence.isVirtual)),
            (.place, last), (.function, fence.function), (.fenceStart, fence.start), (.fenceSize, fence.size), (.fenceSpace, fence.space), (.flag, 0),
        ] as [(Cell, UInt64)] { put(cell.place, value) }
        let reason = machine.run().reason
        return ({ machine.bus.loadMemory($0.place, as: UInt64.self) }, reason == .poweroff)
    }

    private static let fences: [Fence] = [
        Fence(function: 3, space: own), Fence(function: 3, start: 0, size: 0, space: own), Fence(function: 3, space: other, reaches: false),
        Fence(function: 4), Fence(function: 4, start: 0, size: .max),
        // Of the guest that the asking hart has in hgatp, whatever hart 0 has.
        Fence(function: 5, space: 9), Fence(function: 5, start: 0, size: 0, space: 9), Fence(function: 5, space: 8, reaches: false),
        Fence(function: 5, space: 9, asker: other, reaches: false),
        Fence(function: 6), Fence(function: 6, start: 0, size: 0), Fence(function: 6, start: guestAddress + 4096, reaches: false), Fence(function: 6, asker: other, reaches: false),
    ]

    @Test(arguments: fences) func otherHartsForgetWhatTheCallSays(fence: Fence) throws {
        let (cells, isDone) = try run(fence)
        #expect(isDone && cells(.error) == 0)
        // Known, and still in use after the entry was changed.
        #expect(cells(.known) == Self.before && cells(.kept) == Self.before)
        #expect(cells(.seen) == (fence.reaches ? Self.after : Self.before))
    }
}
