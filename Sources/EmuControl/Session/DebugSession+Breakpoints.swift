import EmuBus
import EmuCPU

/// Making, changing and judging breakpoints.
extension DebugSession {
    /// The breakpoints the user made, by number.
    public var userBreakpoints: [Breakpoint] { breakpoints.filter { !$0.isInternal } }

    public func breakpoint(_ id: Int) -> Breakpoint? { breakpoints.first { $0.id == id } }

    /// Adds a breakpoint and returns its number.
    /// - Parameters:
    ///   - location: how it is shown; looked up again, when `kind` is `pending`, whenever symbols arrive.
    ///   - condition: an expression that must be true; `$old` and `$new` are the values of a watched access.
    @discardableResult
    public func addBreakpoint(
        _ kind: Breakpoint.Kind, location: String, condition: String = "", isTemporary: Bool = false, hart: Int? = nil, space: UInt64? = nil
    ) throws(DebugError) -> Int {
        if case .data(let address, let length, _, _) = kind {
            guard length > 0, address &+ (length - 1) >= address else { throw DebugError("a watchpoint needs at least one byte, and may not go round the end of memory") }
        }
        if let hart, !harts.indices.contains(hart) { throw DebugError("there is no hart \(hart)") }
        var point = Breakpoint(id: nextID, kind: kind, location: location)
        point.isTemporary = isTemporary
        point.hart = hart
        point.space = space.map { self.hart.identity(ofSpace: $0) }
        try Self.setCondition(&point, condition)
        breakpoints.append(point)
        nextID += 1
        watchIsStale = true
        return point.id
    }

    /// Changes a breakpoint: enables, ignores, gives commands.
    public func changeBreakpoint(_ id: Int, _ change: (inout Breakpoint) -> Void) throws(DebugError) {
        guard let index = breakpoints.firstIndex(where: { $0.id == id && !$0.isInternal }) else { throw DebugError("there is no breakpoint \(id)") }
        change(&breakpoints[index])
        watchIsStale = true
    }

    /// Replaces the condition; an empty one removes it.
    public func setCondition(_ id: Int, _ text: String) throws(DebugError) {
        guard let index = breakpoints.firstIndex(where: { $0.id == id && !$0.isInternal }) else { throw DebugError("there is no breakpoint \(id)") }
        try Self.setCondition(&breakpoints[index], text)
    }

    private static func setCondition(_ point: inout Breakpoint, _ text: String) throws(DebugError) {
        point.parsedCondition = text.isEmpty ? nil : try ExpressionParser.parse(text)
        point.condition = text
    }

    /// Removes a breakpoint; false when there is none with this number.
    @discardableResult
    public func removeBreakpoint(_ id: Int) -> Bool {
        guard let index = breakpoints.firstIndex(where: { $0.id == id && !$0.isInternal }) else { return false }
        breakpoints.remove(at: index)
        watchIsStale = true
        return true
    }

    /// Gives breakpoints whose symbols were unknown their addresses, now that there are more.
    func resolvePending() {
        for index in breakpoints.indices where breakpoints[index].kind == .pending {
            guard let address = try? location(breakpoints[index].location) else { continue }
            breakpoints[index].kind = .code(address: address, isPhysical: false)
            watchIsStale = true
        }
    }

    // MARK: Telling the harts

    /// Makes the harts report what enabled breakpoints need.
    func updateWatch() {
        guard watchIsStale else { return }
        watchIsStale = false
        var code: Set<HartWatch.Code> = []
        var data: [HartWatch.Data] = []
        var events: HartWatch.Events = []
        codeByAddress = [:]
        for point in breakpoints where point.isEnabled {
            switch point.kind {
            case .code(let address, let isPhysical):
                code.insert(HartWatch.Code(address: address, isPhysical: isPhysical, space: point.space))
                codeByAddress[address, default: []].append(point.id)
            case .data(let address, let length, let isPhysical, _):
                data.append(HartWatch.Data(first: address, last: address &+ (length &- 1), isPhysical: isPhysical, space: point.space))
            case .event(.exception), .event(.interrupt), .event(.systemCall): events.insert(.traps)
            case .event(.registerWrite): events.insert(.registerWrites)
            case .event(.privilege): events.insert(.privilege)
            case .pending: break
            }
        }
        for instrument in instruments {
            data += instrument.watchedData
            events.formUnion(instrument.watchedEvents)
        }
        watch.events = events
        watch.set(code: code, data: data, everyInstruction: instruments.contains { $0.wantsInstructions })
    }

    // MARK: Judging

    /// Those of `points` that stop `hart`; counts hits.
    private func hits(_ points: [Int], _ hart: any DebugHart) -> [Breakpoint] {
        var result: [Breakpoint] = []
        for index in breakpoints.indices where points.contains(breakpoints[index].id) {
            let point = breakpoints[index]
            if let only = point.hart, only != hart.index { continue }
            if let space = point.space, space != hart.identity(ofSpace: hart.space) { continue }
            if let guardCondition = point.guardCondition, !guardCondition(hart) { continue }
            if let condition = point.parsedCondition {
                do throws(DebugError) {
                    guard try ExpressionEvaluator(context: SessionContext(self, hart)).evaluate(condition).isTrue else { continue }
                    breakpoints[index].problem = nil
                } catch {
                    // Better stop and say so than run past what the user waits for.
                    breakpoints[index].problem = error.description
                }
            }
            breakpoints[index].hits += 1
            if point.ignoreCount > 0 {
                breakpoints[index].ignoreCount -= 1
                continue
            }
            result.append(breakpoints[index])
        }
        return result
    }
}

extension DebugSession: HartObserver {
    package func stops(hart index: Int, before pc: UInt64, physical: UInt64) -> Bool {
        if breaks(hart: index, before: pc, physical: physical) { return true }
        for instrument in instruments where instrument.wantsInstructions { instrument.willExecute(harts[index], pc: pc, physical: physical) }
        return false
    }

    /// A breakpoint stops the hart here.
    func breaks(hart index: Int, before pc: UInt64, physical: UInt64) -> Bool {
        if passes[index] == pc {
            passes[index] = nil
            return false
        }
        let points = (codeByAddress[pc] ?? []) + (pc == physical ? [] : codeByAddress[physical] ?? [])
        let here = points.filter { id in
            guard case .code(let address, let isPhysical)? = breakpoint(id)?.kind else { return false }
            return address == (isPhysical ? physical : pc)
        }
        guard !here.isEmpty else { return false }
        pcInQuestion = pc
        defer { pcInQuestion = nil }
        let hit = hits(here, harts[index])
        guard !hit.isEmpty else { return false }
        let ids = hit.filter { !$0.isInternal }.map(\.id)
        stop(ids.isEmpty ? .location : .breakpoint(ids: ids), index, pc)
        return true
    }

    package func observe(hart index: Int, _ event: HartEvent) -> Bool {
        let hart = harts[index]
        for instrument in instruments { instrument.observe(hart, event) }
        if case .access(let access) = event { return observe(access, hart) }
        let ids = breakpoints.filter { $0.isEnabled && matches($0, event, hart) }.map(\.id)
        let hit = hits(ids, hart)
        guard !hit.isEmpty else { return false }
        stop(.event(ids: hit.map(\.id), text(event, hart)), index, hart.pc)
        return true
    }

    private func observe(_ access: HartAccess, _ hart: any DebugHart) -> Bool {
        accessInQuestion = access
        pcInQuestion = access.pc
        defer {
            accessInQuestion = nil
            pcInQuestion = nil
        }
        let hit = hits(breakpoints.filter { $0.isEnabled && matches($0, access) }.map(\.id), hart)
        guard let first = hit.first else { return false }
        var shown = Stop.Access(
            isWrite: access.kind != .read, address: access.address, size: access.size, old: access.old, new: access.new, pc: access.pc)
        // What is watched, rather than what was accessed, where the access covers it.
        if case .data(let address, let length, let isPhysical, _) = first.kind, length <= 8 {
            let distance = address &- (isPhysical ? access.physical : access.address)
            if access.size <= 8, distance < access.size, distance &+ length <= access.size {
                let mask = ~UInt64(0) >> (64 - 8 * length)
                shown = Stop.Access(
                    isWrite: shown.isWrite, address: access.address &+ distance, size: length, old: access.old.map { $0 >> (8 * distance) & mask },
                    new: access.new.map { $0 >> (8 * distance) & mask }, pc: access.pc)
            }
        }
        stop(.watchpoint(ids: hit.map(\.id), shown), hart.index, hart.pc)
        return true
    }

    private func stop(_ reason: Stop.Reason, _ index: Int, _ pc: UInt64) {
        if pendingStop == nil { pendingStop = Stop(reason: reason, hart: index, pc: pc) }
    }

    private func matches(_ point: Breakpoint, _ access: HartAccess) -> Bool {
        guard case .data(let address, let length, let isPhysical, let kind) = point.kind else { return false }
        let start = isPhysical ? access.physical : access.address
        let watched = HartWatch.Data(first: address, last: address &+ (length &- 1))
        guard watched.overlaps(start, access.size) else { return false }
        switch kind {
        case .access: return true
        case .read: return access.kind != .write
        case .write: return access.kind != .read
        case .change:
            guard access.kind != .read else { return false }
            // Contents nobody could compare count as changed.
            guard let old = access.old, let new = access.new else { return true }
            for offset in 0..<access.size where watched.overlaps(start &+ offset, 1) {
                if (old ^ new) >> (8 * offset) & 0xff != 0 { return true }
            }
            return false
        }
    }

    private func matches(_ point: Breakpoint, _ event: HartEvent, _ hart: any DebugHart) -> Bool {
        guard case .event(let wanted) = point.kind else { return false }
        switch (wanted, event) {
        case (.exception(let causes), .trap(let cause, _, _, _, _)):
            return !hart.isInterrupt(cause) && (causes.isEmpty || causes.contains(cause))
        case (.interrupt(let causes), .trap(let cause, _, _, _, _)):
            return hart.isInterrupt(cause) && (causes.isEmpty || causes.contains(cause))
        case (.systemCall(let numbers), .trap(let cause, _, _, _, _)):
            return hart.isSystemCall(cause) && (numbers.isEmpty || numbers.contains(hart.systemCallNumber))
        case (.registerWrite(let registers), .registerWrite(let number, _, _, _)):
            return registers.isEmpty || registers.contains(Int(number))
        case (.privilege(let wanted), .privilege(_, let to, _)):
            return wanted ?? to == to
        default: return false
        }
    }

    /// One line about an event.
    private func text(_ event: HartEvent, _ hart: any DebugHart) -> String {
        switch event {
        case .access: return "memory access"
        case .trap(let cause, let value, let pc, let from, let to):
            var text = "\(hart.causeName(cause)) at \(addressText(pc)), value \(hexText(value)), \(hart.privilegeName(from)) -> \(hart.privilegeName(to))"
            if hart.isSystemCall(cause) { text += ", number \(hart.systemCallNumber)" }
            return text
        case .registerWrite(let number, let old, let new, let pc):
            let name = hart.registers.first { $0.group == .system && $0.number == Int(number) }?.name ?? hexText(UInt64(number))
            return "\(name) written at \(addressText(pc)): \(hexText(old)) -> \(hexText(new))"
        case .privilege(let from, let to, let pc):
            return "privilege \(hart.privilegeName(from)) -> \(hart.privilegeName(to)) at \(addressText(pc))"
        }
    }
}
