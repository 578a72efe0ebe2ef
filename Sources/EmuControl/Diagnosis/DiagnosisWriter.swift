import EmuBus
import EmuCPU
import EmuDevices
import EmuMachine

/// Puts what was found out about a machine into words.
struct DiagnosisWriter {
    let machine: Machine
    let symbols: (any SymbolLookup)?
    let harts: [any DebugHart]
    let conditions: [HartCondition]

    /// Lines of a listing at most.
    private static let listingLimit = 8
    /// Exceptions that follow each other within so many cycles belong together.
    private static let closeTogether: UInt64 = 1000

    // MARK: Harts

    func report(_ index: Int) -> Diagnosis.HartReport {
        let hart = harts[index], condition = conditions[index]
        let mode = "in \(hart.privilegeName)-mode"
        let place = symbols.addressText(hart.pc)
        let othersRun = harts.contains { $0.index != index && !$0.isWaiting }
        let wakeUps = hart.wakeUps(machine, othersRun: othersRun)
        switch condition.kind {
        case .waiting:
            let canWake = wakeUps.contains(where: \.canCome)
            let what = wakeUps.isEmpty ? "no interrupt is enabled" : canWake ? "it waits for an interrupt" : "no enabled interrupt can come"
            return .init(
                state: canWake ? Diagnosis.idle : Diagnosis.dead, pc: hart.pc, summary: "waits \(mode) at \(place); \(what)", details: wakeUps.map(text))
        case .trapLoop(let exceptions):
            return .init(
                state: "trap-loop", pc: hart.pc,
                summary: "is in a loop of exceptions \(mode)" + (condition.isExact ? ", with nothing that could end it" : ""),
                details: trapLoop(hart, exceptions, isExact: condition.isExact))
        case .spinning(let reads, let readsTime):
            let input = reads.lazy.compactMap(console).first
            let count = condition.code.count
            let loop = count == 1 ? "executes one instruction over and over" : "executes the same \(count) instructions over and over"
            return .init(
                state: input == nil ? "spinning" : Diagnosis.input, pc: hart.pc,
                summary: input.map { "waits \(mode) at \(place) for a character on \($0), looking for it again and again" } ?? "\(loop) \(mode), at \(place)",
                details: self.reads(reads, readsTime, isExact: condition.isExact) + listing(hart, condition.code) + interruptions(wakeUps))
        case .working:
            return .init(state: Diagnosis.working, pc: hart.pc, summary: "works \(mode), at \(place)", details: [])
        }
    }

    private func text(_ wakeUp: WakeUp) -> String { "\(wakeUp.name): \(wakeUp.text)" }

    /// What could take a hart out of a loop.
    private func interruptions(_ wakeUps: [WakeUp]) -> [String] {
        let taken = wakeUps.filter { $0.canCome && $0.entersHandler }
        return taken.isEmpty ? ["no interrupt can take it out of there"] : ["an interrupt can take it out of there: " + taken.map(text).joined(separator: "; ")]
    }

    private func listing(_ hart: any DebugHart, _ code: [UInt64]) -> [String] {
        guard code.count <= Self.listingLimit else {
            let functions = code.compactMap { symbols?.symbol(at: $0)?.name }.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
            let range = "from \(hexText(code.min() ?? 0)) to \(hexText(code.max() ?? 0))"
            return ["they lie \(range)" + (functions.isEmpty ? "" : ", in \(functions.prefix(Self.listingLimit).joined(separator: ", "))")]
        }
        return code.compactMap { address in instruction(hart, address).map { "  " + Listing.line($0, symbols) } }
    }

    private func instruction(_ hart: any DebugHart, _ address: UInt64) -> DebugInstruction? {
        var bytes: [UInt8] = []
        for offset in stride(from: UInt64(0), to: UInt64(hart.maximumInstructionLength), by: 2) {
            // The second half may lie in another page.
            guard let physical = hart.physical(address &+ offset), let half = machine.bus.loadCode(physical, as: UInt16.self) else { break }
            bytes += [UInt8(truncatingIfNeeded: half), UInt8(half >> 8)]
        }
        return hart.instruction(bytes, at: address) { symbols?.symbol(at: $0)?.text }
    }

    /// The console whose input a loop looks for.
    private func console(_ read: HartCondition.Read) -> String? {
        guard let region = machine.bus.region(at: read.physical), let source = region.device as? any CharacterSource else { return nil }
        return source.tellsOfInput(read.physical &- region.base) ? source.name : nil
    }

    private func reads(_ reads: [HartCondition.Read], _ readsTime: Bool, isExact: Bool) -> [String] {
        if reads.isEmpty { return [readsTime ? "it looks at the time, and at nothing else" : "it reads nothing, so nothing it could wait for ends it"] }
        // Device registers and locks are what a loop waits for; the rest of what it reads is on the way there.
        let special = reads.filter { machine.bus.region(at: $0.physical) != nil || $0.isAtomic }
        let sorted = special.isEmpty ? reads : special
        let head = readsTime ? "it looks at the time, and at:" : isExact ? "it goes on so until what it reads changes:" : "it seems to wait until something it reads changes:"
        let lines = sorted.prefix(Self.listingLimit).map { read in
            let by = read.isAtomic ? "atomically " : ""
            let value = read.value.map { "holds \(hexText($0))" } ?? "its value cannot be looked at without effect; 0 was supposed"
            return "  \(placeText(read)), \(read.size) byte\(read.size == 1 ? "" : "s") read \(by)by \(symbols.addressText(read.pc)): \(value)"
        }
        let others = reads.count - lines.count
        return [head] + lines + (others > 0 ? ["  and \(others) other place\(others == 1 ? "" : "s") in memory"] : [])
    }

    private func placeText(_ read: HartCondition.Read) -> String {
        guard let region = machine.bus.region(at: read.physical) else { return symbols.addressText(read.address) }
        return "\(region.device.name)+\(hexText(read.physical &- region.base)) at \(hexText(read.address))"
    }

    // MARK: Traps

    private func trapLoop(_ hart: any DebugHart, _ exceptions: [Lookahead.Exception], isExact: Bool) -> [String] {
        let history = hart.traps.recent
        var lines = exceptions.prefix(Self.listingLimit).map { exception in
            let known = history.first { $0.cause == exception.cause && $0.pc == exception.pc }
            return trapText(hart, exception.cause, exception.pc, exception.value, exception.from, exception.to) + (known.map { ", \($0.count) times so far" } ?? "")
        }
        let inLoop = { (record: TrapRecord) in exceptions.contains { $0.cause == record.cause && $0.pc == record.pc } }
        if let start = history.firstIndex(where: inLoop) {
            // Whatever trapped just before belongs to the story.
            var first = start
            while first > 0, !hart.isInterrupt(history[first - 1].cause), history[first].first &- history[first - 1].last < Self.closeTogether { first -= 1 }
            if first < start {
                lines.append("it began with:")
                lines += history[first..<start].map { "  " + trapText(hart, $0.cause, $0.pc, $0.value, $0.from, $0.to) }
            }
        }
        for privilege in Set(exceptions.map(\.to)).sorted() {
            let handler = hart.trapHandler(privilege)
            let problem = hart.story(handler.address, .execute)
            lines.append("its handler is at \(symbols.addressText(handler.address)) (\(handler.register))" + (problem.fault.map { _ in ": \(problem.reason)" } ?? ""))
        }
        return lines
    }

    private func trapText(_ hart: any DebugHart, _ cause: UInt64, _ pc: UInt64, _ value: UInt64, _ from: UInt8, _ to: UInt8) -> String {
        "\(hart.causeName(cause)) at \(symbols.addressText(pc)), value \(hexText(value)), \(hart.privilegeName(from)) -> \(hart.privilegeName(to))"
    }

    // MARK: The machine

    func facts() -> [Diagnosis.Fact] {
        var facts: [Diagnosis.Fact] = []
        for hart in harts {
            let name = harts.count > 1 ? "hart \(hart.index)'s " : ""
            if let fact = emptyStage(hart) { facts.append(fact) }
            for record in hart.traps.firstIllegal { facts.append(illegal(hart, record, name)) }
            if let record = hart.traps.lastRefused { facts.append(refused(hart, record, name)) }
        }
        for source in machine.characterSources {
            let count = source.charactersWritten
            facts.append(.init(name: "console", lines: [
                count == 0 ? "\(source.name) was never written: the guest has printed nothing"
                    : "\(source.name): \(count) character\(count == 1 ? "" : "s") written so far"
            ]))
        }
        return facts
    }

    private func illegal(_ hart: any DebugHart, _ record: TrapRecord, _ name: String) -> Diagnosis.Fact {
        let others = record.count > 1 ? "; \(record.count) in all" : ""
        return .init(
            name: "illegal-instruction",
            lines: [
                "\(name)first illegal instruction in \(hart.privilegeName(record.from))-mode: \(hexText(record.value)) at \(symbols.addressText(record.pc))\(others)"
            ])
    }

    private func refused(_ hart: any DebugHart, _ record: TrapRecord, _ name: String) -> Diagnosis.Fact {
        var reason = ""
        if let physical = hart.physical(record.value) {
            let at = physical == record.value ? "" : " (physical \(hexText(physical)))"
            if let region = machine.bus.region(at: physical) {
                reason = "\(region.device.name) is there\(at) and did not take it"
            } else if machine.bus.memory(at: physical) != nil {
                reason = "memory is there\(at), but protected or read-only"
            } else {
                reason = "nothing is there\(at)" + nearest(physical)
            }
        }
        let count = record.count > 1 ? " (\(record.count) access faults in all)" : ""
        return .init(
            name: "access-fault",
            lines: ["\(name)last access fault\(count): \(hart.causeName(record.cause)) at \(symbols.addressText(record.pc)), address \(hexText(record.value)): "
                + (reason.isEmpty ? "not mapped now" : reason)])
    }

    /// What is next to an address where nothing is.
    private func nearest(_ address: UInt64) -> String {
        let ranges = machine.regions.map { ($0.base, $0.size, $0.device.name) } + machine.memories.map { ($0.base, $0.size, $0.isReadOnly ? "ROM" : "RAM") }
        func distance(_ range: (UInt64, UInt64, String)) -> UInt64 { address < range.0 ? range.0 - address : address - (range.0 + (range.1 - 1)) }
        guard let best = ranges.min(by: { distance($0) < distance($1) }) else { return "" }
        return "; nearest is \(best.2), \(hexText(best.0)) to \(hexText(best.0 + (best.1 - 1)))"
    }

    /// A program was started where there is none.
    private func emptyStage(_ hart: any DebugHart) -> Diagnosis.Fact? {
        let fetches = hart.traps.recent.filter { hart.isFetchFault($0.cause) }
        for record in (hart.traps.firstIllegal + fetches).sorted(by: { $0.first < $1.first }) {
            guard let physical = hart.physical(record.pc) else { continue }
            let who = hart.privilegeName(record.from)
            let page = physical & ~UInt64(GuestRAM.pageSize - 1)
            guard let start = machine.bus.codeMemory(at: page, length: UInt64(GuestRAM.pageSize)).map({ $0.pointer(to: page) }) else {
                // A handler that does not exist is told of with the trap loop.
                if machine.bus.region(at: physical) != nil || record.pc == hart.trapHandler(record.to).address { continue }
                return .init(name: "empty-stage", lines: ["the guest jumped to \(hexText(record.pc)) in \(who)-mode, where there is no memory" + nearest(physical)])
            }
            // SAFETY: the bus vouches for the page.
            let bytes = UnsafeRawBufferPointer(start: start, count: GuestRAM.pageSize)
            guard let filler = bytes.first, filler == 0 || filler == 0xff, bytes.allSatisfy({ $0 == filler }) else { continue }
            var lines = ["the guest jumped to \(symbols.addressText(record.pc)) in \(who)-mode, but memory there is empty: no program was loaded"]
            lines.append(advice)
            return .init(name: "empty-stage", lines: lines)
        }
        return nil
    }

    private var advice: String {
        switch (machine.config.firmware, machine.config.kernel) {
        case (.none, _): "what starts the guest is -kernel; check the address it was linked for"
        case (_, nil): "the firmware has nothing to start: give the next stage with -kernel"
        case (_, let kernel?): "-kernel \(kernel) was loaded elsewhere, or is not meant for this firmware"
        }
    }
}
