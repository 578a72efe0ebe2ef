import EmuBus
import EmuCPU
import EmuDevices
import EmuMachine

/// What a diagnosis asks of a RISC-V hart.
extension RVDebugHart {
    private enum Cause {
        static let fetchMisaligned: UInt64 = 0, fetchAccess: UInt64 = 1, fetchPage: UInt64 = 12, fetchGuestPage: UInt64 = 20
    }

    private enum Status {
        static let sie: UInt64 = 1 << 1, mie: UInt64 = 1 << 3
    }

    var traps: TrapHistory { cpu.traps }
    var stateDigest: Int { cpu.stateDigest }
    func isFetchFault(_ cause: UInt64) -> Bool { [Cause.fetchMisaligned, Cause.fetchAccess, Cause.fetchPage, Cause.fetchGuestPage].contains(cause) }

    func trapHandler(_ privilege: UInt8) -> (register: String, address: UInt64) {
        switch privilege {
        case 3: ("mtvec", cpu.inspectCSR(.mtvec) & ~3)
        case 4...: ("vstvec", cpu.inspectCSR(.vstvec) & ~3)
        default: ("stvec", cpu.inspectCSR(.stvec) & ~3)
        }
    }

    func copy(bus: AddressSpace, cache: TranslationCache, events: EventQueue, onTime: @escaping () -> Void) throws -> any DebugHart {
        let ticks = cpu.readTime(), start = events.now
        let period = max(1, 1_000_000_000 / max(1, cpu.config.timebase))
        let copy = try cpu.copy(bus: bus, cache: cache, events: events) {
            onTime()
            return ticks &+ (events.now &- start) / period
        }
        return RVDebugHart(copy, bus: bus)
    }

    func wakeUps(_ machine: Machine, othersRun: Bool) -> [WakeUp] {
        // Under mvien S-mode enables interrupts of its own that M-mode's registers do not show.
        let enabled = cpu.inspectCSR(.mie) | cpu.inspectCSR(.sie)
        let pending = cpu.inspectCSR(.mip) | cpu.inspectCSR(.sip)
        return (0..<64).filter { enabled >> UInt64($0) & 1 != 0 }.map { number in
            var (canCome, text) = source(number, machine, othersRun)
            if pending >> UInt64(number) & 1 != 0 { (canCome, text) = (true, "pending") }
            return WakeUp(name: causeName(1 << 63 | UInt64(number)), canCome: canCome, entersHandler: isTaken(number), text: text)
        }
    }

    /// Where interrupt `number` would come from.
    private func source(_ number: Int, _ machine: Machine, _ othersRun: Bool) -> (canCome: Bool, text: String) {
        switch number {
        case RVInterrupt.machineTimer: return timer(["clint hart \(index)"], machine)
        case RVInterrupt.supervisorTimer:
            if cpu.inspectCSR(.menvcfg) >> 63 != 0 { return timer(["stimecmp\(index)"], machine) }
            return (othersRun, "without Sstc only M-mode software raises it")
        case RVInterrupt.machineSoftware, RVInterrupt.supervisorSoftware:
            return (othersRun, othersRun ? "another hart may send it" : "no other hart runs that could send it")
        case RVInterrupt.guestTimer:
            if cpu.inspectCSR(.henvcfg) >> 63 != 0 { return timer(["stimecmp\(index)"], machine) }
            return (false, "only the hypervisor raises it, in hvip")
        case RVInterrupt.guestExternal where !cpu.guestFiles.isEmpty, RVInterrupt.supervisorGuestExternal where !cpu.guestFiles.isEmpty:
            return (true, "messages to a guest's interrupt file may raise it")
        case RVInterrupt.machineExternal, RVInterrupt.supervisorExternal: return external(number == RVInterrupt.machineExternal ? 0 : 1, machine)
        default: return (false, "nothing raises it while the hart waits")
        }
    }

    private func timer(_ names: [String], _ machine: Machine) -> (canCome: Bool, text: String) {
        guard let event = machine.events.pending.first(where: { names.contains($0.name) }) else { return (false, "its timer is not set") }
        let now = machine.events.now
        return (true, event.deadline > now ? "its timer ends in \(secondsText(event.deadline - now)) s" : "its timer has ended")
    }

    private func external(_ context: Int, _ machine: Machine) -> (canCome: Bool, text: String) {
        let devices = machine.regions.map(\.device)
        let name: String, sources: [Int]
        if let plic = devices.lazy.compactMap({ $0 as? PLIC }).first {
            (name, sources) = (plic.name, plic.enabledSources(context: 2 * index + context))
        } else if let file = context == 0 ? cpu.machineFile : cpu.supervisorFile {
            name = "hart's interrupt file"
            var identities: [Int] = []
            for word in 0..<4 {
                let enabled = file.read(0xC0 + 2 * UInt64(word))
                for bit in 0..<64 where enabled >> UInt64(bit) & 1 != 0 { identities.append(64 * word + bit) }
            }
            sources = file.read(0x70) == 1 ? identities : []
        } else if let aplic = devices.lazy.compactMap({ $0 as? APLIC }).first(where: { ($0.child != nil) == (context == 0) }) {
            (name, sources) = (aplic.name, aplic.enabledSources(hart: index))
        } else {
            return (false, "the board has no interrupt controller")
        }
        guard !sources.isEmpty else { return (false, "no source is enabled in the \(name)") }
        return (true, "the \(name) lets source\(sources.count == 1 ? "" : "s") \(sources.map(String.init).joined(separator: ", ")) through")
    }

    /// Interrupt `number` would be taken if it were pending.
    private func isTaken(_ number: Int) -> Bool {
        let status = cpu.inspectCSR(.mstatus)
        let isSupervisors = (cpu.inspectCSR(.mideleg) | cpu.inspectCSR(.sie)) >> UInt64(number) & 1 != 0
        if cpu.isGuest { return true }
        if isSupervisors { return cpu.privilege == 0 || cpu.privilege == 1 && status & Status.sie != 0 }
        return cpu.privilege < 3 || status & Status.mie != 0
    }
}
