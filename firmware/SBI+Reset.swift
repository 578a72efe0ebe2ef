/// SRST, SBI chapter 10.
func handleSystemReset(_ call: SBICall) -> SBIResult {
    guard call.function == 0 else { return .failure(.notSupported) }
    // Both parameters are 32 bits wide.
    let type = call.argument(0) & 0xffff_ffff
    let reason = call.argument(1) & 0xffff_ffff
    guard type <= 2, reason <= 1 else { return .failure(.invalidParameter) }
    if type == 0 {
        guard platform.canShutDown else { return .failure(.notSupported) }
        platform.shutDown(failure: reason != 0)
    } else {
        guard platform.pointee.reboot.exists else { return .failure(.notSupported) }
        platform.pointee.reboot.trigger()
    }
    // The device takes effect at once; reaching this means it did not.
    return .failure(.failed)
}
