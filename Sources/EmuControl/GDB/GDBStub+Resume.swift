/// Packets that let the guest run, and the answers when it has stopped.
extension GDBStub {
    // MARK: Asking for it

    /// Signals mean nothing to a machine.
    func skipSignal(_ arguments: inout GDBArguments) throws(GDBRefusal) {
        guard arguments.number() != nil else { throw .malformed }
        _ = arguments.skip(";")
    }

    /// `c`, `s` and their relatives, with the address to go on from if there is one.
    func resume(isStep: Bool, at arguments: inout GDBArguments) throws(GDBRefusal) -> Reply {
        let hart = resumedHart ?? generalHart
        if !arguments.isEmpty {
            guard let address = arguments.number(), arguments.isEmpty else { throw .malformed }
            guard let pc = session.harts[hart].register(named: "pc") else { throw .noSuchThing }
            session.harts[hart].set(pc, to: address)
        }
        return resume(isStep ? .step(hart: hart, range: nil, held: []) : .run(held: []))
    }

    private func resume(_ resumption: Resumption) -> Reply {
        self.resumption = resumption
        // Whatever paused the machine before, the client has taken over.
        session.machine.isPaused = false
        return .none
    }

    private enum Action { case run, step(Range<UInt64>?), stay }

    /// `vCont`: for each hart the first action that names it counts; those not named stay.
    func resume(actions arguments: inout GDBArguments) throws(GDBRefusal) -> Reply {
        var actions: [Int: Action] = [:]
        repeat {
            var word = GDBArguments(arguments.word(until: ";"))
            let action = try Self.action(&word)
            var concerned = harts
            if word.skip(":") {
                switch word.thread() {
                case .hart(let hart)?:
                    guard harts.contains(hart) else { throw .noSuchThing }
                    concerned = hart..<hart + 1
                case .all?: break
                case .any?: concerned = generalHart..<generalHart + 1
                case nil: throw .malformed
                }
            }
            guard word.isEmpty else { throw .malformed }
            for hart in concerned where actions[hart] == nil { actions[hart] = action }
        } while !arguments.isEmpty
        return perform(actions)
    }

    private static func action(_ word: inout GDBArguments) throws(GDBRefusal) -> Action {
        switch word.byte() {
        case UInt8(ascii: "c"): return .run
        case UInt8(ascii: "s"): return .step(nil)
        case UInt8(ascii: "t"): return .stay
        case UInt8(ascii: "C"):
            guard word.number() != nil else { throw .malformed }
            return .run
        case UInt8(ascii: "S"):
            guard word.number() != nil else { throw .malformed }
            return .step(nil)
        case UInt8(ascii: "r"):
            guard let (start, end) = word.pair() else { throw .malformed }
            return .step(start < end ? start..<end : nil)
        default: throw .malformed
        }
    }

    private func perform(_ actions: [Int: Action]) -> Reply {
        var held: Set<Int> = []
        var steps: [Int: Range<UInt64>?] = [:]
        for hart in harts {
            switch actions[hart] ?? .stay {
            case .run: break
            case .step(let range): steps[hart] = .some(range)
            case .stay: held.insert(hart)
            }
        }
        // All stay where they are, so that is where they have stopped.
        if held.count == harts.count { return .text("T00thread:\(GDBThread.text(hart: generalHart));") }
        if let hart = steps[generalHart] != nil ? generalHart : steps.keys.min(), let range = steps[hart] {
            return resume(.step(hart: hart, range: range, held: held))
        }
        return resume(.run(held: held))
    }

    // MARK: Doing it

    /// Lets the guest do what the client asked for, until it stops by itself or is interrupted.
    func performResumption(_ resumption: Resumption) throws(DebugError) -> Stop {
        defer { session.heldHarts = [] }
        switch resumption {
        case .run(let held):
            session.heldHarts = held
            if let first = harts.first(where: { !held.contains($0) }), held.contains(session.selected) { try session.select(hart: first) }
            return try session.resume()
        case .step(let hart, let range, let held):
            session.heldHarts = held
            try session.select(hart: hart)
            let alone = session.stepsOneHart
            session.stepsOneHart = held.count == harts.count - 1
            defer { session.stepsOneHart = alone }
            if let range { return try session.step(within: range) }
            return try session.step()
        }
    }

    /// Tells the client that what it asked for has ended.
    func report(_ stop: Stop) {
        resumption = nil
        generalHart = stop.hart
        resumedHart = nil
        send(Array(stopReply(stop).utf8))
    }

    /// Why and where the guest stopped.
    func stopReply(_ stop: Stop) -> String {
        if case .ended(let end) = stop.reason {
            if case .signal(let number) = end.status.reason { return "X" + Self.hex(UInt8(truncatingIfNeeded: number)) }
            return "W" + Self.hex(UInt8(truncatingIfNeeded: end.code))
        }
        var text = "T05"
        if case .interrupted = stop.reason { text = "T02" }
        text += "thread:\(GDBThread.text(hart: stop.hart));" + reason(stop)
        for number in target.expedited {
            guard let known = registers[number] else { continue }
            text += "\(String(number, radix: 16)):\(Self.text(of: known, session.harts[stop.hart]));"
        }
        return text
    }

    private static func hex(_ byte: UInt8) -> String { String(decoding: GDBPacket.hex([byte]), as: UTF8.self) }

    /// The part of a stop reply that says which of the client's breakpoints it was.
    private func reason(_ stop: Stop) -> String {
        let hit = breakpoints.filter { stop.breakpoints.contains($0.value) }.map(\.key).sorted { $0.kind.rawValue < $1.kind.rawValue }
        guard let first = hit.first else { return "" }
        switch (first.kind, stop.reason) {
        case (.software, _): return reportsSoftwareBreaks ? "swbreak:;" : ""
        case (.hardware, _): return reportsHardwareBreaks ? "hwbreak:;" : ""
        case (_, .watchpoint(_, let access)):
            // GDB looks for a watchpoint that covers the address: where the access began may be before it.
            let address = String(max(access.address, first.address), radix: 16)
            return "\(first.kind == .read ? "rwatch" : first.kind == .access ? "awatch" : "watch"):\(address);"
        default: return ""
        }
    }
}
