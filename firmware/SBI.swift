/// What an SBI call returns in a0 and a1.
struct SBIResult {
    var error: SBIError
    var value: UInt64 = 0

    static let success = SBIResult(error: .success)
    static func success(_ value: UInt64) -> SBIResult { SBIResult(error: .success, value: value) }
    static func failure(_ error: SBIError) -> SBIResult { SBIResult(error: error) }
}

/// Standard error codes (SBI chapter 3).
enum SBIError: Int64 {
    case success = 0
    case failed = -1
    case notSupported = -2
    case invalidParameter = -3
    case denied = -4
    case invalidAddress = -5
    case alreadyAvailable = -6
    case alreadyStarted = -7
    case alreadyStopped = -8
    case noSharedMemory = -9
    case deniedLocked = -14
}

/// Extension ids.
enum SBIExtension {
    static let legacyFirst: UInt64 = 0x00
    static let legacyLast: UInt64 = 0x08
    static let base: UInt64 = 0x10
    static let timer: UInt64 = 0x5449_4d45
    static let ipi: UInt64 = 0x73_5049
    static let remoteFence: UInt64 = 0x5246_4e43
    static let hartState: UInt64 = 0x48_534d
    static let systemReset: UInt64 = 0x5352_5354
    static let debugConsole: UInt64 = 0x4442_434e
    static let performance: UInt64 = 0x50_4d55
    static let systemSuspend: UInt64 = 0x5355_5350
    static let firmwareFeatures: UInt64 = 0x4657_4654

    /// Whether calls of the extension can do anything on this machine.
    static func isAvailable(_ id: UInt64, _ hart: HartPointer) -> Bool {
        switch id {
        case base, ipi, remoteFence, hartState: true
        case timer: hart.pointee.features.hasStimecmp || hart.pointee.timerCompare != 0
        case systemReset: platform.canReset
        case debugConsole: platform.hasConsole
        case performance: hart.pointee.features.hasCounterInhibit
        case systemSuspend, firmwareFeatures: true
        case 0x01, 0x02: platform.hasConsole
        case 0x08: platform.canReset
        case legacyFirst...legacyLast: true
        default: false
        }
    }
}

/// One call: the function id and its arguments.
struct SBICall {
    let frame: TrapFrame
    let hart: HartPointer

    var function: UInt64 { frame.argument(6) }
    func argument(_ number: UInt64) -> UInt64 { frame.argument(number) }

    /// The hart mask in two consecutive arguments from `first`.
    func hartMask(at first: UInt64) -> HartMask {
        HartMask(mask: frame.argument(first), base: frame.argument(first + 1))
    }
}

/// Performs the SBI call in `frame`. Calling convention: a7 extension, a6 function, results in a0 and a1.
func handleCall(_ frame: TrapFrame, _ hart: HartPointer) {
    let call = SBICall(frame: frame, hart: hart)
    // Extension ids are 32-bit values; callers may sign-extend them.
    let id = frame.argument(7) & 0xffff_ffff
    if id <= SBIExtension.legacyLast {
        handleLegacyCall(id, call)
        return
    }
    let result: SBIResult
    if SBIExtension.isAvailable(id, hart) {
        result = switch id {
        case SBIExtension.base: handleBase(call)
        case SBIExtension.timer: handleTimer(call)
        case SBIExtension.ipi: handleIPI(call)
        case SBIExtension.remoteFence: handleRemoteFence(call)
        case SBIExtension.hartState: handleHartState(call)
        case SBIExtension.systemReset: handleSystemReset(call)
        case SBIExtension.debugConsole: handleDebugConsole(call)
        case SBIExtension.performance: handlePerformance(call)
        case SBIExtension.systemSuspend: handleSystemSuspend(call)
        case SBIExtension.firmwareFeatures: handleFirmwareFeatures(call)
        default: .failure(.notSupported)
        }
    } else {
        result = .failure(.notSupported)
    }
    frame[10] = UInt64(bitPattern: result.error.rawValue)
    frame[11] = result.value
}

/// Whether S mode may run at `address`: outside the firmware, and something answers there.
func isExecutableAddress(_ address: UInt64) -> Bool {
    if address & 1 != 0 || platform.pointee.firmwareRegion.overlaps(start: address, size: 2) { return false }
    if platform.memoryContains(address) { return true }
    var trap = ProbedTrap()
    _ = physical_load8(address, &trap)
    return trap.cause == .max
}
