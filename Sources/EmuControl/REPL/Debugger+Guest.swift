/// The guest's operating system, for the commands.
extension Debugger {
    /// The Linux kernel that runs in the guest; looked for at the first use, and again when another one runs.
    /// - Throws: why there is none to look into.
    func guest() throws(DebugError) -> LinuxGuest {
        if let linux, linux.refresh() {
            refreshModules(linux)
            return linux
        }
        forgetGuest()
        let found = try LinuxGuest(session, symbols)
        linux = found
        if let file = found.symbols { symbols.add(file) }
        refreshModules(found)
        session.symbolsChanged()
        return found
    }

    private func forgetGuest() {
        linux = nil
        symbols.remove(named: LinuxGuest.symbolsName)
        for name in guestModules.values { symbols.remove(named: name) }
        guestModules = [:]
    }

    /// Adds the symbols of modules that were loaded since, and drops those of modules that are gone.
    private func refreshModules(_ guest: LinuxGuest) {
        guard let modules = try? guest.modules().elements.filter({ $0.state == "live" }) else { return }
        let present = Set(modules.map(\.address))
        for (address, name) in guestModules where !present.contains(address) {
            symbols.remove(named: name)
            guestModules[address] = nil
        }
        var isChanged = false
        var budget = Self.moduleSymbolLimit
        for module in modules where guestModules[module.address] != "[\(module.name)]" {
            guard let file = guest.symbols(of: module, limit: budget) else { continue }
            budget -= file.symbolCount
            symbols.add(file)
            guestModules[module.address] = file.name
            isChanged = true
        }
        if isChanged { session.symbolsChanged() }
    }

    /// The value of the translation register that `words` mean: a number, `current`, or a process by its number.
    func space(_ words: [String]) throws(DebugError) -> UInt64 {
        let isProcess = words.first == "pid"
        guard let word = isProcess ? words.dropFirst().first : words.first else {
            throw DebugError("a value of satp, a process's number, or current, is needed after 'space'")
        }
        if word == "current" { return session.hart.space }
        let value = try session.evaluate(word).bits
        // With translation the highest bits of the register are set, without it all are clear.
        guard isProcess || (1...Self.greatestProcess).contains(value) else { return value }
        guard (1...Self.greatestProcess).contains(value) else { throw DebugError("'\(word)' is not the number of a process") }
        let guest = try guest()
        return try guest.space(of: try guest.task(pid: Int(value)))
    }

    /// Of all modules together.
    private static let moduleSymbolLimit = 1 << 19

    /// The kernel's PID_MAX_LIMIT.
    private static let greatestProcess: UInt64 = 4 << 20
}
