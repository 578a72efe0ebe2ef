/// Counter indices of the PMU extension: 0...31 are the hardware counters by CSR number (index 1, the time register, is
/// none of them), then come the firmware counters.
enum CounterIndex {
    static let firstFirmware: UInt64 = 32
    static let firmwareCount: UInt64 = 16
    static let count = firstFirmware + firmwareCount

    static func isFirmware(_ index: UInt64) -> Bool { index >= firstFirmware && index < count }
}

/// One hart's counters.
struct PMUState: ~Copyable {
    /// Bit per hardware counter: it is configured for an event.
    var hardwareConfigured: UInt64 = 0
    /// Bits per firmware counter.
    var firmwareConfigured: UInt64 = 0
    var firmwareStarted: UInt64 = 0
    var firmwareEvent = InlineArray<16, UInt16>(repeating: 0)
    var firmwareValue = InlineArray<16, UInt64>(repeating: 0)
}

/// Events the firmware itself counts (SBI chapter 11, type 15). The hypervisor fence events (14 to 21) never occur.
enum FirmwareEvent: UInt16 {
    case misalignedLoad = 0
    case misalignedStore = 1
    case loadAccessFault = 2
    case storeAccessFault = 3
    case illegalInstruction = 4
    case setTimer = 5
    case ipiSent = 6
    case ipiReceived = 7
    case fenceISent = 8
    case fenceIReceived = 9
    case sfenceSent = 10
    case sfenceReceived = 11
    case sfenceASIDSent = 12
    case sfenceASIDReceived = 13
    case hfenceGVMASent = 14
    case hfenceGVMAReceived = 15
    case hfenceGVMAVMIDSent = 16
    case hfenceGVMAVMIDReceived = 17
    case hfenceVVMASent = 18
    case hfenceVVMAReceived = 19
    case hfenceVVMAASIDSent = 20
    case hfenceVVMAASIDReceived = 21

    static let lastStandard: UInt64 = 21
}

func countEvent(_ event: FirmwareEvent, _ hart: HartPointer) {
    var started = hart.pointee.pmu.firmwareStarted
    while started != 0 {
        let counter = started.trailingZeroBitCount
        started &= started &- 1
        if hart.pointee.pmu.firmwareEvent[counter] == event.rawValue {
            hart.pointee.pmu.firmwareValue[counter] &+= 1
        }
    }
}

/// Fields of mhpmevent with Sscofpmf.
enum EventSelector {
    static let overflow: UInt64 = 1 << 63
    static let inhibitMachine: UInt64 = 1 << 62
    static let inhibitSupervisor: UInt64 = 1 << 61
    static let inhibitUser: UInt64 = 1 << 60
    static let inhibitVirtualSupervisor: UInt64 = 1 << 59
    static let inhibitVirtualUser: UInt64 = 1 << 58
    /// Bits that select no event once Sscofpmf is there.
    static let reserved: UInt64 = 0xff << 56
}

/// Cycle and instret run, programmable counters are stopped and select nothing.
func resetPMU(_ hart: HartPointer) {
    hart.pointee.pmu = PMUState()
    let features = hart.pointee.features
    guard features.hasCounterInhibit else { return }
    write_mcountinhibit(~0b111 & 0xffff_ffff)
    for number: UInt64 in 3..<32 where features.counters >> number & 1 != 0 { write_mhpmevent(number, 0) }
}
