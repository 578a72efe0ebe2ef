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

/// RFENCE, SBI chapter 8. The hypervisor fences (functions 3 to 6) are not supported.
func handleRemoteFence(_ call: SBICall) -> SBIResult {
    var request = FenceRequest()
    switch call.function {
    case 0: request.kind = .instruction
    case 1: request.kind = .addressSpace
    case 2:
        request.kind = .addressSpaceASID
        request.asid = call.argument(4)
    default: return .failure(.notSupported)
    }
    if request.kind != .instruction {
        request.start = call.argument(2)
        request.size = call.argument(3)
    }
    let targets = call.hartMask(at: 0)
    guard targets.isValid else { return .failure(.invalidParameter) }
    remoteFence(request, targets, from: call.hart)
    return .success
}
