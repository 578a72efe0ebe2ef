import EmuBus
import EmuCPU
import EmuMachine

/// What goes into a trace.
public struct TraceFilter: Sendable {
    /// Kinds of lines.
    public enum Kind: String, CaseIterable, Sendable {
        /// Instructions executed.
        case instructions
        /// Loads and stores, device registers included.
        case memory
        /// Accesses to device registers.
        case mmio
        /// Exceptions and interrupts taken.
        case exceptions
    }

    public var kinds: Set<Kind>
    /// Addresses of instructions: lines about others are left out. Empty for all.
    public var code: [ClosedRange<UInt64>] = []
    /// Addresses accessed. Empty for all.
    public var data: [ClosedRange<UInt64>] = []
    /// Empty for all.
    public var harts: Set<Int> = []
    /// Privileges by name; empty for all.
    public var privileges: Set<UInt8> = []

    /// Reads the words of a command: kinds, and `code RANGE`, `data RANGE`, `hart N`, `priv NAME`.
    /// - Throws: `DebugError` naming the word that is wrong.
    init(_ words: [String], _ session: DebugSession) throws(DebugError) {
        kinds = []
        var rest = words[...]
        while let word = rest.popFirst() {
            if let kind = Self.kind(word) {
                kinds.insert(kind)
                continue
            }
            let names = Kind.allCases.map(\.rawValue) + ["code", "data", "hart", "priv"]
            guard ["code", "data", "hart", "priv"].contains(word) else {
                throw DebugError("trace: '\(word)' is neither a kind of line nor a filter" + didYouMean(word, among: names) + "; known are \(names.joined(separator: ", "))")
            }
            guard let value = rest.popFirst() else { throw DebugError("trace: something is needed after '\(word)'") }
            try add(word, value, session)
        }
        if kinds.isEmpty { kinds = [.instructions, .exceptions] }
    }

    /// A kind by its name or an unambiguous beginning of it.
    private static func kind(_ word: String) -> Kind? {
        let found = Kind.allCases.filter { $0.rawValue.hasPrefix(word) }
        return Kind(rawValue: word) ?? (found.count == 1 ? found[0] : nil)
    }

    private mutating func add(_ name: String, _ value: String, _ session: DebugSession) throws(DebugError) {
        switch name {
        case "code": code.append(try Self.range(value, session))
        case "data": data.append(try Self.range(value, session))
        case "hart":
            guard let number = Int(value), session.harts.indices.contains(number) else {
                throw DebugError("trace: there is no hart \(value); " + (session.hartCount == 1 ? "the only one is 0" : "they are 0 to \(session.hartCount - 1)"))
            }
            harts.insert(number)
        default:
            guard let privilege = session.hart.privilege(named: value) else { throw DebugError("trace: '\(value)' is not a privilege; write U, S or M") }
            privileges.insert(privilege)
        }
    }

    /// `START..END`, `START+LENGTH`, or a symbol for all of its bytes.
    private static func range(_ text: String, _ session: DebugSession) throws(DebugError) -> ClosedRange<UInt64> {
        if let dots = text.firstRange(of: "..") {
            let first = try session.evaluate(String(text[..<dots.lowerBound])).bits, last = try session.evaluate(String(text[dots.upperBound...])).bits
            guard first <= last else { throw DebugError("trace: the range '\(text)' ends before it begins") }
            return first...last
        }
        if let plus = text.lastIndex(of: "+"), plus != text.startIndex {
            let first = try session.evaluate(String(text[..<plus])).bits, length = try session.evaluate(String(text[text.index(after: plus)...])).bits
            guard length > 0 else { throw DebugError("trace: the range '\(text)' is empty") }
            return range(first, length)
        }
        if let address = session.symbols?.address(of: text) {
            let size = session.symbols?.symbol(at: address)?.size ?? 0
            guard size > 0 else { throw DebugError("trace: the size of '\(text)' is not known; write START..END or START+LENGTH") }
            return range(address, size)
        }
        throw DebugError("trace: '\(text)' is no range of addresses; write START..END, START+LENGTH or the name of a function")
    }

    /// `length` addresses from `first` on, at least one, or those up to the last there is.
    private static func range(_ first: UInt64, _ length: UInt64) -> ClosedRange<UInt64> {
        let (last, overflow) = first.addingReportingOverflow(length - 1)
        return first...(overflow ? .max : last)
    }

    func includes(hart: Int, privilege: UInt8) -> Bool {
        (harts.isEmpty || harts.contains(hart)) && (privileges.isEmpty || privileges.contains(privilege))
    }

    func includes(code address: UInt64) -> Bool { code.isEmpty || code.contains { $0.contains(address) } }
    func includes(data address: UInt64, _ size: UInt64) -> Bool {
        data.isEmpty || data.contains { HartWatch.Data(first: $0.lowerBound, last: $0.upperBound).overlaps(address, size) }
    }
}

/// Writes what harts do to a file, a line for each thing: hart, privilege, what it is, and the particulars.
final class Tracer: Instrument {
    let file: OutputFile
    let filter: TraceFilter
    private let machine: Machine
    private let symbols: (any SymbolLookup)?
    private(set) var lines = 0

    init(_ session: DebugSession, path: String, _ filter: TraceFilter) throws(DebugError) {
        file = try OutputFile(path, for: "trace")
        self.filter = filter
        machine = session.machine
        symbols = session.symbols
    }

    var wantsInstructions: Bool { filter.kinds.contains(.instructions) }

    var watchedData: [HartWatch.Data] {
        if filter.kinds.contains(.memory) {
            if filter.data.isEmpty { return [HartWatch.Data(first: 0, last: .max)] }
            return filter.data.map { HartWatch.Data(first: $0.lowerBound, last: $0.upperBound) }
        }
        guard filter.kinds.contains(.mmio) else { return [] }
        return machine.regions.map { HartWatch.Data(first: $0.base, last: $0.base + ($0.size - 1), isPhysical: true) }
    }

    var watchedEvents: HartWatch.Events { filter.kinds.contains(.exceptions) ? .traps : [] }

    func willExecute(_ hart: any DebugHart, pc: UInt64, physical: UInt64) {
        guard filter.includes(hart: hart.index, privilege: hart.privilege), filter.includes(code: pc) else { return }
        var bytes: [UInt8] = []
        for offset in stride(from: UInt64(0), to: UInt64(hart.maximumInstructionLength), by: 2) {
            // What reaches into the next page may be anywhere.
            let place = (physical &+ offset) & 0xfff < offset ? hart.physical(pc &+ offset) : physical &+ offset
            guard let place, let half = machine.bus.loadCode(place, as: UInt16.self) else { break }
            bytes += [UInt8(truncatingIfNeeded: half), UInt8(half >> 8)]
        }
        guard let instruction = hart.instruction(bytes, at: pc, symbol: { [symbols] in symbols?.symbol(at: $0)?.text }) else { return }
        let digits = instruction.bytes.reversed().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        write(hart, hart.privilege, "exec \(symbols.addressText(pc)) \(digits) \(instruction.text.replacing("\t", with: " "))")
    }

    func observe(_ hart: any DebugHart, _ event: HartEvent) {
        switch event {
        case .access(let access):
            guard filter.includes(hart: hart.index, privilege: hart.privilege), filter.includes(code: access.pc) else { return }
            guard filter.includes(data: access.address, access.size) else { return }
            write(access, hart)
        case .trap(let cause, let value, let pc, let from, let to):
            guard filter.kinds.contains(.exceptions), filter.includes(hart: hart.index, privilege: from), filter.includes(code: pc) else { return }
            let kind = hart.isInterrupt(cause) ? "interrupt" : "exception"
            write(hart, from, "\(kind) \(hart.causeName(cause)), value \(hexText(value)), at \(symbols.addressText(pc)), to \(hart.privilegeName(to))")
        case .registerWrite, .privilege: break
        }
    }

    private func write(_ access: HartAccess, _ hart: any DebugHart) {
        let region = machine.bus.region(at: access.physical)
        guard filter.kinds.contains(.memory) || region != nil && filter.kinds.contains(.mmio) else { return }
        let kind = switch access.kind {
        case .read: region == nil ? "load" : "mmio-read"
        case .write: region == nil ? "store" : "mmio-write"
        case .readWrite: "atomic"
        }
        let place = region.map { "\($0.device.name)+\(hexText(access.physical &- $0.base))" } ?? symbols.addressText(access.address)
        var text = "\(kind) \(place) size \(access.size)"
        if access.kind != .read, let old = access.old { text += " old \(hexText(old))" }
        if let new = access.new { text += access.kind == .read ? " value \(hexText(new))" : " new \(hexText(new))" }
        write(hart, hart.privilege, text + " by \(symbols.addressText(access.pc))")
    }

    private func write(_ hart: any DebugHart, _ privilege: UInt8, _ text: String) {
        lines += 1
        file.write("\(hart.index) \(hart.privilegeName(privilege)) \(text)\n")
    }
}
