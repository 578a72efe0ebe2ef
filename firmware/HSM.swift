/// Hart states of SBI chapter 9. Plain numbers, as they live in a cell shared by atomics.
enum HSMState {
    static let started: UInt64 = 0
    static let stopped: UInt64 = 1
    static let startPending: UInt64 = 2
    static let stopPending: UInt64 = 3
    static let suspended: UInt64 = 4
    static let suspendPending: UInt64 = 5
    static let resumePending: UInt64 = 6

    static func isStopped(_ hart: HartPointer) -> Bool {
        let state = atomic_load(&hart.pointee.hsmState)
        return state == stopped || state == startPending
    }
}

/// Interrupts that end a suspension: those S mode enabled for itself.
private let supervisorInterrupts =
    Interrupt.supervisorSoftware | Interrupt.supervisorTimer | Interrupt.supervisorExternal | Interrupt.counterOverflow

/// Has a stopped hart start at `address`. Returns false if it is not stopped.
func startHart(_ hart: HartPointer, address: UInt64, argument: UInt64, mode: UInt64) -> Bool {
    // Of two starters only one gets to write the arguments; the hart reads them when they are marked complete.
    guard atomic_compare_swap(&hart.pointee.hsmState, HSMState.stopped, HSMState.startPending) else { return false }
    hart.pointee.startAddress = address
    hart.pointee.startArgument = argument
    hart.pointee.startMode = mode
    atomic_store(&hart.pointee.startRequested, 1)
    wake(hart)
    return true
}

/// The executing hart becomes stopped, and leaves only by being started.
func stopHart(_ hart: HartPointer) -> Never {
    atomic_store(&hart.pointee.hsmState, HSMState.stopPending)
    write_mie(hart.interprocessorInterrupt)
    resetTimer(hart)
    atomic_store(&hart.pointee.hsmState, HSMState.stopped)
    waitForStart(hart)
}

/// Sleeps until the hart is asked to start, then enters the next stage.
func waitForStart(_ hart: HartPointer) -> Never {
    while true {
        receiveInterprocessorInterrupt(hart)
        if atomic_swap(&hart.pointee.startRequested, 0) != 0 { break }
        wait_for_interrupt()
    }
    // Nothing that was asked of the hart before its start counts any more.
    atomic_store(&hart.pointee.pendingIPI, 0)
    clear_mip(Interrupt.supervisorSoftware | Interrupt.supervisorTimer)
    resetFirmwareFeatures(hart)
    let address = hart.pointee.startAddress
    let argument = hart.pointee.startArgument
    let mode = hart.pointee.startMode
    atomic_store(&hart.pointee.hsmState, HSMState.started)
    enterNextStage(hart, address: address, argument: argument, mode: mode)
}

/// Sleeps until an interrupt S mode enabled is pending.
func suspendHart(_ hart: HartPointer) {
    atomic_store(&hart.pointee.hsmState, HSMState.suspended)
    while true {
        let pending = read_mip() & read_mie()
        if pending & hart.interprocessorInterrupt != 0 { receiveInterprocessorInterrupt(hart) }
        if pending & Interrupt.machineTimer != 0 { receiveMachineTimer() }
        if read_mip() & read_mie() & supervisorInterrupts != 0 { break }
        wait_for_interrupt()
    }
    atomic_store(&hart.pointee.hsmState, HSMState.started)
}

/// Enters `address` with a0 the hart id and a1 `argument`, translation and supervisor interrupts off.
func enterNextStage(_ hart: HartPointer, address: UInt64, argument: UInt64, mode: UInt64) -> Never {
    write_satp(0)
    // mie's supervisor bits are sie.
    clear_mie(supervisorInterrupts)
    let cleared = MachineStatus.machinePreviousPrivilege | MachineStatus.machinePreviousEnable
        | MachineStatus.supervisorInterruptEnable | MachineStatus.machinePreviousVirtualization
    write_mstatus(read_mstatus() & ~cleared | mode << MachineStatus.machinePreviousPrivilegeShift)
    sfence_vma_all()
    if hart.pointee.features.hasHypervisor { hfence_gvma_all() }
    fence_i()
    enter_next_mode(hart.pointee.id, argument, address)
}
