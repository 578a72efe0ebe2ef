/// HSM, SBI chapter 9.
func handleHartState(_ call: SBICall) -> SBIResult {
    switch call.function {
    case 0: return start(call)
    case 1: stopHart(call.hart)
    case 2:
        guard let target = HartTable.find(id: call.argument(0)) else { return .failure(.invalidParameter) }
        return .success(atomic_load(&target.pointee.hsmState))
    case 3: return suspend(call)
    default: return .failure(.notSupported)
    }
}

private func start(_ call: SBICall) -> SBIResult {
    guard let target = HartTable.find(id: call.argument(0)) else { return .failure(.invalidParameter) }
    guard atomic_load(&target.pointee.hsmState) == HSMState.stopped else { return .failure(.alreadyAvailable) }
    guard isExecutableAddress(call.argument(1)) else { return .failure(.invalidAddress) }
    // A hart without a software interrupt cannot be woken.
    guard target.canBeWoken else { return .failure(.failed) }
    let started = startHart(
        target, address: call.argument(1), argument: call.argument(2), mode: PrivilegeMode.supervisor)
    return started ? .success : .failure(.alreadyAvailable)
}

private func suspend(_ call: SBICall) -> SBIResult {
    let retentive: UInt64 = 0
    let nonRetentive: UInt64 = 0x8000_0000
    switch call.argument(0) & 0xffff_ffff {
    case retentive:
        suspendHart(call.hart)
        return .success
    case nonRetentive:
        guard isExecutableAddress(call.argument(1)) else { return .failure(.invalidAddress) }
        let address = call.argument(1)
        let argument = call.argument(2)
        suspendHart(call.hart)
        enterNextStage(call.hart, address: address, argument: argument, mode: PrivilegeMode.supervisor)
    default:
        return .failure(.invalidParameter)
    }
}

/// SUSP, SBI chapter 13. Suspend-to-RAM keeps everything in RAM anyway; the hart sleeps until an interrupt it enabled.
func handleSystemSuspend(_ call: SBICall) -> SBIResult {
    guard call.function == 0 else { return .failure(.notSupported) }
    guard call.argument(0) & 0xffff_ffff == 0 else { return .failure(.invalidParameter) }
    let address = call.argument(1)
    let argument = call.argument(2)
    guard isExecutableAddress(address) else { return .failure(.invalidAddress) }
    for index in 0..<HartTable.count {
        let other = HartTable.pointer(index)
        if other != call.hart, atomic_load(&other.pointee.hsmState) != HSMState.stopped { return .failure(.denied) }
    }
    suspendHart(call.hart)
    enterNextStage(call.hart, address: address, argument: argument, mode: PrivilegeMode.supervisor)
}
