/// TIME, SBI chapter 6.
func handleTimer(_ call: SBICall) -> SBIResult {
    guard call.function == 0 else { return .failure(.notSupported) }
    setTimer(call.argument(0), call.hart)
    return .success
}

/// IPI, SBI chapter 7.
func handleIPI(_ call: SBICall) -> SBIResult {
    guard call.function == 0 else { return .failure(.notSupported) }
    let targets = call.hartMask(at: 0)
    guard targets.isValid else { return .failure(.invalidParameter) }
    sendIPI(targets, from: call.hart)
    return .success
}

/// RFENCE, SBI chapter 8.
func handleRemoteFence(_ call: SBICall) -> SBIResult {
    guard let kind = UInt8(exactly: call.function).flatMap(FenceRequest.Kind.init) else { return .failure(.notSupported) }
    var request = FenceRequest(kind: kind)
    if kind != .instruction {
        request.start = call.argument(2)
        request.size = call.argument(3)
    }
    if kind.hasSpace { request.space = call.argument(4) }
    let targets = call.hartMask(at: 0)
    guard targets.isValid else { return .failure(.invalidParameter) }
    if kind.isHypervisors {
        // Harts that are stopped have nothing to forget, and are not known yet.
        var canAll = call.hart.pointee.features.hasHypervisor
        targets.forEach { target in
            if !HSMState.isStopped(target), !target.pointee.features.hasHypervisor { canAll = false }
        }
        guard canAll else { return .failure(.notSupported) }
        request.guestTranslation = read_hgatp()
    }
    remoteFence(request, targets, from: call.hart)
    return .success
}
