/// The legacy calls of SBI chapter 5: one function per extension id, result in a0 only.
func handleLegacyCall(_ id: UInt64, _ call: SBICall) {
    let frame = call.frame
    guard SBIExtension.isAvailable(id, call.hart) else {
        frame[10] = UInt64(bitPattern: SBIError.notSupported.rawValue)
        return
    }
    switch id {
    case 0x00:
        setTimer(call.argument(0), call.hart)
        frame[10] = 0
    case 0x01:
        _ = withConsole { $0.write(UInt8(truncatingIfNeeded: call.argument(0))) }
        frame[10] = 0
    case 0x02:
        let byte = withConsole { $0.read() }
        frame[10] = byte.map { UInt64($0) } ?? .max
    case 0x03:
        let wasPending = read_mip() & Interrupt.supervisorSoftware != 0
        clear_mip(Interrupt.supervisorSoftware)
        frame[10] = wasPending ? 1 : 0
    case 0x04...0x07:
        handleLegacyMasked(id, call)
    default:
        platform.shutDown(failure: false)
        park()
    }
}

/// Calls whose first argument is the virtual address of a bit vector of harts.
private func handleLegacyMasked(_ id: UInt64, _ call: SBICall) {
    let frame = call.frame
    let vector = call.argument(0)
    var request = FenceRequest()
    if id != 0x05 {
        request.kind = id == 0x06 ? .addressSpace : .addressSpaceASID
        request.start = call.argument(1)
        request.size = call.argument(2)
        request.space = call.argument(3)
    }
    // A null pointer means every hart.
    let words: UInt64 = vector == 0 ? 1 : (hart_ids()[HartTable.count - 1] >> 6) &+ 1
    for word in 0..<min(words, UInt64(MAX_HARTS) / 64) {
        var targets = HartMask(mask: 0, base: .max)
        if vector != 0 {
            var trap = ProbedTrap()
            targets = HartMask(mask: guestLoad(vector &+ word &* 8, bytes: 8, &trap), base: word &* 64)
            if trap.cause != .max {
                // The caller faults on its own ecall.
                frame.pc &-= 4
                redirect(TrapCause(cause: trap.cause, value: trap.value), frame, call.hart)
                return
            }
        }
        if id == 0x04 {
            sendIPI(targets, from: call.hart)
        } else {
            remoteFence(request, targets, from: call.hart)
        }
    }
    frame[10] = 0
}
