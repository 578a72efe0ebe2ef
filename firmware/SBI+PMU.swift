/// PMU, SBI chapter 11. Snapshots in shared memory are not supported.
func handlePerformance(_ call: SBICall) -> SBIResult {
    let pmu = PMUCall(call: call)
    return switch call.function {
    case 0: .success(CounterIndex.count)
    case 1: pmu.counterInfo()
    case 2: pmu.configureMatching()
    case 3: pmu.start()
    case 4: pmu.stop()
    case 5: pmu.firmwareRead()
    case 6: pmu.firmwareReadHigh()
    default: .failure(.notSupported)
    }
}

private enum ConfigFlag {
    static let skipMatch: UInt64 = 1 << 0
    static let clearValue: UInt64 = 1 << 1
    static let autoStart: UInt64 = 1 << 2
    static let inhibitVirtualUser: UInt64 = 1 << 3
    static let inhibitVirtualSupervisor: UInt64 = 1 << 4
    static let inhibitUser: UInt64 = 1 << 5
    static let inhibitSupervisor: UInt64 = 1 << 6
    static let inhibitMachine: UInt64 = 1 << 7
    static let all: UInt64 = 0xff
}

/// What an event needs of a counter.
private enum EventDemand {
    case hardware(counters: UInt64, selector: UInt64)
    case firmware(code: UInt16)
}

private struct PMUCall {
    let call: SBICall

    private var hart: HartPointer { call.hart }

    // MARK: Functions

    func counterInfo() -> SBIResult {
        let index = call.argument(0)
        guard exists(index) else { return .failure(.invalidParameter) }
        if CounterIndex.isFirmware(index) { return .success(1 << 63) }
        let cycleCSR: UInt64 = 0xc00
        let widthMinusOne: UInt64 = 63
        return .success(widthMinusOne << 12 | cycleCSR + index)
    }

    func configureMatching() -> SBIResult {
        let flags = call.argument(2)
        guard flags & ~ConfigFlag.all == 0, let set = counterSet() else { return .failure(.invalidParameter) }
        guard let demand = demand(event: call.argument(3), data: call.argument(4)) else { return .failure(.notSupported) }
        let chosen = flags & ConfigFlag.skipMatch != 0 ? set & (~set &+ 1) : choose(from: set, demand)
        guard chosen != 0 else { return .failure(.notSupported) }
        let index = UInt64(chosen.trailingZeroBitCount)

        switch demand {
        case .firmware(let code):
            guard CounterIndex.isFirmware(index) else { return .failure(.notSupported) }
            let counter = index - CounterIndex.firstFirmware
            hart.pointee.pmu.firmwareEvent[Int(counter)] = code
            hart.pointee.pmu.firmwareConfigured |= 1 << counter
        case .hardware(let counters, let selector):
            guard counters >> index & 1 != 0 else { return .failure(.notSupported) }
            if index >= 3 { write_mhpmevent(index, selectorValue(selector, flags)) }
            hart.pointee.pmu.hardwareConfigured |= 1 << index
        }
        if flags & ConfigFlag.clearValue != 0 { setValue(index, 0) }
        if flags & ConfigFlag.autoStart != 0 { run(index) }
        return .success(index)
    }

    func start() -> SBIResult {
        let setInitialValue: UInt64 = 1 << 0
        let fromSnapshot: UInt64 = 1 << 1
        let flags = call.argument(2)
        guard flags & ~(setInitialValue | fromSnapshot) == 0, let set = counterSet() else {
            return .failure(.invalidParameter)
        }
        if flags & fromSnapshot != 0 { return .failure(.noSharedMemory) }
        var result = SBIResult.success
        forEach(set) { index in
            if isRunning(index) {
                result = .failure(.alreadyStarted)
                return
            }
            if flags & setInitialValue != 0 { setValue(index, call.argument(3)) }
            run(index)
        }
        return result
    }

    func stop() -> SBIResult {
        let reset: UInt64 = 1 << 0
        let takeSnapshot: UInt64 = 1 << 1
        let flags = call.argument(2)
        guard flags & ~(reset | takeSnapshot) == 0, let set = counterSet() else { return .failure(.invalidParameter) }
        if flags & takeSnapshot != 0 { return .failure(.noSharedMemory) }
        var result = SBIResult.success
        forEach(set) { index in
            if isRunning(index) {
                halt(index)
            } else {
                result = .failure(.alreadyStopped)
            }
            if flags & reset != 0 { forget(index) }
        }
        return result
    }

    func firmwareRead() -> SBIResult {
        let index = call.argument(0)
        guard CounterIndex.isFirmware(index) else { return .failure(.invalidParameter) }
        return .success(hart.pointee.pmu.firmwareValue[Int(index - CounterIndex.firstFirmware)])
    }

    /// Counters fit one register on RV64.
    func firmwareReadHigh() -> SBIResult {
        CounterIndex.isFirmware(call.argument(0)) ? .success(0) : .failure(.invalidParameter)
    }

    // MARK: Sets and events

    private func exists(_ index: UInt64) -> Bool {
        if CounterIndex.isFirmware(index) { return true }
        return index < CounterIndex.firstFirmware && hart.pointee.features.counters >> index & 1 != 0
    }

    /// The set named by arguments 0 (base) and 1 (mask) as a mask by index, or nil if a counter in it does not exist.
    private func counterSet() -> UInt64? {
        let base = call.argument(0)
        let mask = call.argument(1)
        guard base < CounterIndex.count, mask != 0 else { return nil }
        let set = mask << base
        guard set >> base == mask, set >> CounterIndex.count == 0 else { return nil }
        let existing = hart.pointee.features.counters
            | ((1 << CounterIndex.firmwareCount) - 1) << CounterIndex.firstFirmware
        return set & ~existing == 0 ? set : nil
    }

    private func forEach(_ set: UInt64, _ body: (UInt64) -> Void) {
        var rest = set
        while rest != 0 {
            body(UInt64(rest.trailingZeroBitCount))
            rest &= rest &- 1
        }
    }

    private func demand(event: UInt64, data: UInt64) -> EventDemand? {
        let existing = hart.pointee.features.counters
        let code = event & 0xffff
        switch event >> 16 {
        case 0, 1:
            let counters = platform.hardwareCounters(event: event) & existing
            guard event != 0, counters != 0 else { return nil }
            return .hardware(counters: counters, selector: platform.eventSelector(event: event))
        case 2, 3:
            guard code == 0 else { return nil }
            let selector = data & (event >> 16 == 2 ? (1 << 48) - 1 : (1 << 56) - 1)
            let counters = platform.hardwareCounters(raw: selector) & existing
            guard counters != 0 else { return nil }
            return .hardware(counters: counters, selector: selector)
        case 15:
            guard code <= FirmwareEvent.lastStandard else { return nil }
            return .firmware(code: UInt16(code))
        default:
            return nil
        }
    }

    /// The best free counter of `set` as a one-bit mask; 0 if none is free.
    private func choose(from set: UInt64, _ demand: EventDemand) -> UInt64 {
        let free: UInt64
        switch demand {
        case .firmware:
            free = set & ~(hart.pointee.pmu.firmwareConfigured << CounterIndex.firstFirmware)
                & ~0xffff_ffff
        case .hardware(let counters, _):
            free = set & counters & ~hart.pointee.pmu.hardwareConfigured
        }
        // The fixed counters neither interrupt nor filter: with Sscofpmf a programmable one is better.
        let programmable = free & ~0b111
        let preferred = hart.pointee.features.hasCounterOverflow && programmable != 0 ? programmable : free
        return preferred & (~preferred &+ 1)
    }

    private func selectorValue(_ selector: UInt64, _ flags: UInt64) -> UInt64 {
        guard hart.pointee.features.hasCounterOverflow else { return selector }
        // Overflow interrupts stay off (OF set) until the counter is started.
        var value = selector & ~EventSelector.reserved | EventSelector.overflow
        if flags & ConfigFlag.inhibitMachine != 0 { value |= EventSelector.inhibitMachine }
        if flags & ConfigFlag.inhibitSupervisor != 0 { value |= EventSelector.inhibitSupervisor }
        if flags & ConfigFlag.inhibitUser != 0 { value |= EventSelector.inhibitUser }
        if flags & ConfigFlag.inhibitVirtualSupervisor != 0 { value |= EventSelector.inhibitVirtualSupervisor }
        if flags & ConfigFlag.inhibitVirtualUser != 0 { value |= EventSelector.inhibitVirtualUser }
        return value
    }

    // MARK: One counter

    private func isRunning(_ index: UInt64) -> Bool {
        if CounterIndex.isFirmware(index) {
            return hart.pointee.pmu.firmwareStarted >> (index - CounterIndex.firstFirmware) & 1 != 0
        }
        return read_mcountinhibit() >> index & 1 == 0
    }

    private func run(_ index: UInt64) {
        if CounterIndex.isFirmware(index) {
            hart.pointee.pmu.firmwareStarted |= 1 << (index - CounterIndex.firstFirmware)
            return
        }
        if index >= 3, hart.pointee.features.hasCounterOverflow {
            write_mhpmevent(index, read_mhpmevent(index) & ~EventSelector.overflow)
        }
        write_mcountinhibit(read_mcountinhibit() & ~(1 << index))
    }

    private func halt(_ index: UInt64) {
        if CounterIndex.isFirmware(index) {
            hart.pointee.pmu.firmwareStarted &= ~(1 << (index - CounterIndex.firstFirmware))
        } else {
            write_mcountinhibit(read_mcountinhibit() | 1 << index)
        }
    }

    private func forget(_ index: UInt64) {
        if CounterIndex.isFirmware(index) {
            hart.pointee.pmu.firmwareConfigured &= ~(1 << (index - CounterIndex.firstFirmware))
            return
        }
        hart.pointee.pmu.hardwareConfigured &= ~(1 << index)
        if index >= 3 { write_mhpmevent(index, 0) }
    }

    private func setValue(_ index: UInt64, _ value: UInt64) {
        if CounterIndex.isFirmware(index) {
            hart.pointee.pmu.firmwareValue[Int(index - CounterIndex.firstFirmware)] = value
        } else {
            write_mhpmcounter(index, value)
        }
    }
}
