/// DBCN, SBI chapter 12.
func handleDebugConsole(_ call: SBICall) -> SBIResult {
    switch call.function {
    case 0: write(call)
    case 1: read(call)
    case 2: withConsole { $0.write(UInt8(truncatingIfNeeded: call.argument(0))) } ? .success : .failure(.failed)
    default: .failure(.notSupported)
    }
}

/// The buffer a call names by length, address low and address high, if S mode itself could use it.
private func buffer(_ call: SBICall) -> PhysicalRange? {
    let range = PhysicalRange(start: call.argument(1), size: call.argument(0))
    guard call.argument(2) == 0, !range.start.addingReportingOverflow(range.size).overflow,
        !platform.pointee.firmwareRegion.overlaps(start: range.start, size: range.size)
    else { return nil }
    return range
}

private func write(_ call: SBICall) -> SBIResult {
    guard let range = buffer(call) else { return .failure(.invalidParameter) }
    return withConsole { console in
        var written: UInt64 = 0
        while written < range.size {
            var trap = ProbedTrap()
            let byte = physical_load8(range.start &+ written, &trap)
            guard trap.cause == .max else { return .failure(.invalidParameter) }
            guard console.write(UInt8(truncatingIfNeeded: byte)) else { break }
            written &+= 1
        }
        return .success(written)
    }
}

private func read(_ call: SBICall) -> SBIResult {
    guard let range = buffer(call) else { return .failure(.invalidParameter) }
    return withConsole { console in
        var taken: UInt64 = 0
        while taken < range.size {
            var trap = ProbedTrap()
            // The place is tried before a byte is taken from the device, so that none is lost.
            let old = physical_load8(range.start &+ taken, &trap)
            if trap.cause == .max { physical_store8(range.start &+ taken, old, &trap) }
            guard trap.cause == .max else { return .failure(.invalidParameter) }
            guard let byte = console.read() else { break }
            physical_store8(range.start &+ taken, UInt64(byte), &trap)
            taken &+= 1
        }
        return .success(taken)
    }
}
