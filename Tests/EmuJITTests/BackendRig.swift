#if arch(x86_64)
import EmuCPU
import EmuIR
import EmuJIT
import Glibc
import Testing

/// The back end with a hart's state, memory and helpers that are nobody's: runs units and compares them with `IRReference`.
///
/// SAFETY: `state`, `entries`, `jumps` and `pages` live as long as the rig, and only code that was compiled for them runs, on this thread.
/// The last word of `state`, behind what the layout describes, points back to the rig.
final class BackendRig {
    static let page: UInt64 = 0x77_1234_5000
    private static let stateSize = MemoryLayout<RVHart>.size

    let layout = RVProcessor.stateLayout
    let backend: X86Backend
    private let state: UnsafeMutableRawPointer
    /// TLB entries for loads, and behind them those for stores.
    private let entries: UnsafeMutableRawPointer
    private static let entryCount = 256
    private let jumps: UnsafeMutableRawPointer
    /// The directly accessible pages, and what they hold at first.
    private let pages: UnsafeMutableRawPointer
    private let originals: UnsafeMutableRawPointer
    private static let pageBytes = SparseMemory.direct.count * 4096
    private let enter: @convention(c) (UnsafeMutableRawPointer, UnsafeRawPointer) -> UInt32

    // The run in hand.
    private var unit = IRUnit(blocks: [])
    private var memory = SparseMemory()
    private var rounding: RoundingMode?
    private var flags: FloatFlags = []
    private var stop: IRReference.Stop?

    init() throws {
        backend = try X86Backend(layout: layout, capacity: 4 << 20)
        state = .allocate(byteCount: Self.stateSize + 8, alignment: 64)
        state.initializeMemory(as: UInt8.self, repeating: 0, count: Self.stateSize + 8)
        let tableBytes = Self.entryCount << layout.tlbEntryShift
        entries = .allocate(byteCount: 2 * tableBytes, alignment: 64)
        entries.initializeMemory(as: UInt8.self, repeating: 0xff, count: 2 * tableBytes)
        jumps = .allocate(byteCount: layout.jumpEntryCount << layout.jumpEntryShift, alignment: 64)
        pages = .allocate(byteCount: Self.pageBytes, alignment: 4096)
        originals = .allocate(byteCount: Self.pageBytes, alignment: 4096)
        for offset in 0..<Self.pageBytes {
            let address = SparseMemory.direct[offset / 4096] + UInt64(offset % 4096)
            originals.storeBytes(of: SparseMemory.original(address), toByteOffset: offset, as: UInt8.self)
        }
        enter = unsafeBitCast(backend.enter, to: (@convention(c) (UnsafeMutableRawPointer, UnsafeRawPointer) -> UInt32).self)
        state.storeBytes(of: UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque()), toByteOffset: Self.stateSize, as: UInt.self)
        for helper in HelperCall.allCases { set(layout.helpers + 8 * helper.rawValue, UInt64(Self.address(of: helper))) }
        set(layout.loads, UInt64(UInt(bitPattern: entries)))
        set(layout.stores, UInt64(UInt(bitPattern: entries + tableBytes)))
        for mask in [layout.loadMask, layout.storeMask] { set(mask, UInt64((Self.entryCount - 1) << layout.tlbEntryShift)) }
        set(layout.jumps, UInt64(UInt(bitPattern: jumps)))
        set(layout.jumpSalt, 0x35 << 57)
        set(layout.pageBase, Self.page)
        for (number, page) in SparseMemory.direct.enumerated() { map(page, number, isWritable: page != SparseMemory.readOnly) }
        forgetJumps()
    }

    deinit {
        state.deallocate()
        entries.deallocate()
        jumps.deallocate()
        pages.deallocate()
        originals.deallocate()
    }

    // MARK: State

    func field(_ offset: Int) -> UInt64 { state.load(fromByteOffset: offset, as: UInt64.self) }
    private func word(_ offset: Int) -> UInt32 { state.load(fromByteOffset: offset, as: UInt32.self) }
    private func set(_ offset: Int, _ value: UInt64) { state.storeBytes(of: value, toByteOffset: offset, as: UInt64.self) }
    private func setWord(_ offset: Int, _ value: UInt32) { state.storeBytes(of: value, toByteOffset: offset, as: UInt32.self) }

    private func map(_ page: UInt64, _ number: Int, isWritable: Bool) {
        let host = UInt64(UInt(bitPattern: pages + number * 4096))
        for table in 0..<(isWritable ? 2 : 1) {
            let entry = entries + (table * Self.entryCount + Int(page >> 12) % Self.entryCount) << layout.tlbEntryShift
            entry.storeBytes(of: page, toByteOffset: layout.tlbTag, as: UInt64.self)
            entry.storeBytes(of: host &- page, toByteOffset: layout.tlbAddend, as: UInt64.self)
        }
    }

    private func forgetJumps() {
        for index in 0..<layout.jumpEntryCount { jumps.storeBytes(of: 1, toByteOffset: index << layout.jumpEntryShift + layout.jumpKey, as: UInt64.self) }
    }

    /// Makes the jump cache know code for a guest address.
    func remember(_ address: UInt64, _ code: UnsafeRawPointer) {
        let entry = jumps + Int(address >> 1 & UInt64(layout.jumpEntryCount - 1)) << layout.jumpEntryShift
        entry.storeBytes(of: address ^ field(layout.jumpSalt), toByteOffset: layout.jumpKey, as: UInt64.self)
        entry.storeBytes(of: UInt(bitPattern: code), toByteOffset: layout.jumpCode, as: UInt.self)
    }

    // MARK: Running

    /// What helpers and exits know block `index` by.
    static func identity(_ index: Int) -> UInt { 0xb10c_0000 + UInt(index) * 16 }
    private static func block(_ identity: UInt) -> Int { Int(identity - 0xb10c_0000) / 16 }

    /// - Parameter loop: nil for the canonical assignment.
    func compile(_ unit: IRUnit, loop: LoopShape? = nil, number: UInt64 = 7) -> CompiledUnit? {
        let identities = unit.blocks.indices.map(Self.identity)
        let windows = Array(0..<8)
        set(layout.filledWindowCount, 0)
        set(layout.run, 0)
        for offset in 0..<windows.count * 32 { state.storeBytes(of: 0, toByteOffset: layout.windows + offset, as: UInt8.self) }
        func compile() -> CompiledUnit? {
            backend.compile(unit, number: number, blockAddresses: identities, loop: loop, windows: windows)
        }
        if let compiled = compile() { return compiled }
        backend.buffer.openSegment(0)
        return compile()
    }

    /// Runs code from a block's entry on the reference's registers, memory and budget; then these are the host's.
    /// - Returns: how it ended, and the reason as such.
    func run(_ unit: IRUnit, _ compiled: CompiledUnit, from first: Int, _ guest: inout IRReference) throws -> (stop: IRReference.Stop, exit: CodeExit) {
        self.unit = unit
        memory = guest.memory
        rounding = guest.rounding
        flags = guest.flags
        stop = nil
        for index in 0..<32 {
            set(layout.integers + 8 * index, guest.integers[index])
            set(layout.floats + 8 * index, guest.floats[index])
        }
        set(layout.remaining, UInt64(bitPattern: Int64(guest.remaining)))
        set(layout.pageBase, guest.page)
        set(layout.pc, 0)
        setWord(layout.leave, 0)
        setWord(layout.floatLive, 0)
        setWord(layout.floatControl, 0)
        pages.copyMemory(from: originals, byteCount: Self.pageBytes)
        let reason = enter(state, backend.buffer.executable(compiled.entries[first].position))
        for index in 1..<32 { guest.integers[index] = field(layout.integers + 8 * index) }
        for index in 0..<32 { guest.floats[index] = field(layout.floats + 8 * index) }
        guest.remaining = Int(Int64(bitPattern: field(layout.remaining)))
        guest.memory = memoryAfterRun()
        if word(layout.floatLive) != 0 { foldFlags() }
        guest.flags = flags
        let exit = try #require(CodeExit(rawValue: reason))
        return (try stopped(exit, compiled), exit)
    }

    private func stopped(_ exit: CodeExit, _ compiled: CompiledUnit) throws -> IRReference.Stop {
        let site = word(layout.exitSite)
        switch exit {
        case .dispatch: return stop ?? .address(field(layout.pc))
        case .computed: return .address(field(layout.pc))
        case .link:
            #expect(field(layout.exitUnit) == 7)
            let target = compiled.links[Int(site)].target
            #expect(field(layout.pc) == field(layout.pageBase) &+ UInt64(bitPattern: Int64(target)))
            return .address(field(layout.pc))
        case .budget:
            #expect(field(layout.exitUnit) == 7)
            #expect(field(layout.pc) == field(layout.pageBase) &+ UInt64(unit.blocks[Int(site)].offset))
            return .budget(block: Int(site))
        case .bail: return .bail(block: Self.block(UInt(field(layout.exitUnit))), guest: Site(rawValue: site).guest)
        case .trap, .wait, .yield: return try #require(stop)
        }
    }

    /// What was written: to the pages through pointers, elsewhere by the helpers.
    private func memoryAfterRun() -> SparseMemory {
        var result = memory
        let line = 64
        for start in stride(from: 0, to: Self.pageBytes, by: line) where memcmp(pages + start, originals + start, line) != 0 {
            for offset in start..<start + line {
                let address = SparseMemory.direct[offset / 4096] + UInt64(offset % 4096)
                result.store(address, 1, UInt64(pages.load(fromByteOffset: offset, as: UInt8.self)))
            }
        }
        return result
    }

    private func foldFlags() {
        let control = word(layout.floatControl)
        for (bit, flag) in [(0, .invalid), (2, .divideByZero), (3, .overflow), (4, .underflow), (5, .inexact)] as [(UInt32, FloatFlags)]
        where control >> bit & 1 != 0 { flags.insert(flag) }
    }

    // MARK: Helpers

    private static func address(of helper: HelperCall) -> UInt {
        typealias Helper = @convention(c) (UnsafeMutableRawPointer, UInt64, UInt64, UInt) -> UInt64
        let function: Helper =
            switch helper {
            case .load: { BackendRig.of($0).load($1, Site(rawValue: UInt32($2)), $3) }
            case .store: { BackendRig.of($0).store($1, Site(rawValue: UInt32($2)), $3) }
            case .interpret: { BackendRig.of($0).interpret(Site(rawValue: UInt32($2)).guest, $3) }
            // What is not in the tables already is not accessible.
            case .probe: { _, _, _, _ in 0 }
            case .enableFloat: { state, _, _, _ in BackendRig.of(state).enableFloat() }
            }
        return unsafeBitCast(function, to: UInt.self)
    }

    private static func of(_ state: UnsafeMutableRawPointer) -> BackendRig {
        let address = state.load(fromByteOffset: stateSize, as: UInt.self)
        return Unmanaged<BackendRig>.fromOpaque(UnsafeRawPointer(bitPattern: address)!).takeUnretainedValue()
    }

    private func leave(_ stop: IRReference.Stop, _ reason: CodeExit) {
        self.stop = stop
        setWord(layout.exitReason, reason.rawValue)
        setWord(layout.leave, 1)
    }

    /// The place behind an address of a directly accessible page.
    private func place(_ address: UInt64) -> UnsafeMutableRawPointer? {
        SparseMemory.direct.firstIndex(of: address & ~0xfff).map { pages + $0 * 4096 + Int(address & 0xfff) }
    }

    private func load(_ address: UInt64, _ site: Site, _ block: UInt) -> UInt64 {
        guard let op = site.op else { return 0 }
        let length = Int(op.info.accessBytes)
        let kind = memory.kind(address, length)
        if kind == .faulting {
            leave(.trap(block: Self.block(block), guest: site.guest), .trap)
            return 0
        }
        var bits: UInt64 = 0
        for index in 0..<length {
            let at = address &+ UInt64(index)
            bits |= UInt64(place(at)?.load(as: UInt8.self) ?? memory.byte(at)) << UInt64(8 * index)
        }
        let value = IRReference.loaded(op, bits)
        if kind == .leaving {
            // The helper completes the instruction.
            for i in unit.blocks[Self.block(block)].instructions where Int(i.guest) == site.guest && i.op == op { write(i.dst, value) }
            leave(.left(block: Self.block(block), guest: site.guest), .dispatch)
        }
        return value
    }

    private func store(_ address: UInt64, _ site: Site, _ block: UInt) -> UInt64 {
        guard let op = site.op else { return 0 }
        let length = Int(op.info.accessBytes)
        let kind = memory.kind(address, length)
        if kind == .faulting {
            leave(.trap(block: Self.block(block), guest: site.guest), .trap)
            return 0
        }
        for index in 0..<length {
            let at = address &+ UInt64(index)
            let byte = UInt8(truncatingIfNeeded: field(layout.storeValue) >> UInt64(8 * index))
            if let place = place(at) { place.storeBytes(of: byte, as: UInt8.self) } else { memory.store(at, 1, UInt64(byte)) }
        }
        if kind == .leaving { leave(.left(block: Self.block(block), guest: site.guest), .dispatch) }
        return 0
    }

    private func write(_ destination: Operand, _ value: UInt64) {
        switch destination {
        case .integer(let number): set(layout.integers + 8 * Int(number), value)
        case .float(let number): set(layout.floats + 8 * Int(number), value)
        case .temp, .vector, .none, .constant: break
        }
    }

    /// A floating-point operation the host has no answer for, or whatever `interpret` stands for.
    private func interpret(_ guest: Int, _ identity: UInt) -> UInt64 {
        let index = Self.block(identity)
        let block = unit.blocks[index]
        if case .interpret = block.terminator, guest == Int(block.terminatorGuest) {
            interpretAnything(guest)
            leave(.left(block: index, guest: guest), .dispatch)
            return 0
        }
        for i in block.instructions where Int(i.guest) == guest {
            if i.op == .interpret {
                interpretAnything(guest)
            } else if i.op.info.isGuarded, i.op.info.shape.syntax == .plain {
                let operands = [i.a, i.b, i.c].map { operand -> UInt64 in
                    switch operand {
                    case .float(let number): field(layout.floats + 8 * Int(number))
                    case .integer(let number): field(layout.integers + 8 * Int(number))
                    case .none, .vector, .temp, .constant: 0
                    }
                }
                if let result = FloatOperations.result(i.op, operands, rounding ?? .rne, &flags) { write(i.dst, result) }
            }
        }
        return 0
    }

    private func interpretAnything(_ guest: Int) {
        var integers = (0..<32).map { field(layout.integers + 8 * $0) }
        var floats = (0..<32).map { field(layout.floats + 8 * $0) }
        IRReference.interpret(&integers, &floats, guest: guest)
        for index in 1..<32 { write(.integer(UInt8(index)), integers[index]) }
        for index in 0..<32 { write(.float(UInt8(index)), floats[index]) }
    }

    private func enableFloat() -> UInt64 {
        guard let rounding else { return 0 }
        let control: UInt32 = switch rounding {
        case .rne: 0
        case .rdn: 1
        case .rup: 2
        case .rtz: 3
        case .rmm: 0
        }
        setWord(layout.floatControl, 0x1f80 | control << 13)
        setWord(layout.floatLive, 1)
        return 1
    }
}
#endif
