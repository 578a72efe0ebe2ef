/// Arms the supervisor timer of the executing hart for time `deadline` (in ticks of the time register).
func setTimer(_ deadline: UInt64, _ hart: HartPointer) {
    countEvent(.setTimer, hart)
    if hart.pointee.features.hasStimecmp {
        write_stimecmp(deadline)
        return
    }
    // Without stimecmp the machine timer stands in: when it fires, STIP is raised by hand.
    clear_mip(Interrupt.supervisorTimer)
    guard hart.pointee.timerCompare != 0 else { return }
    mmio_write64(hart.pointee.timerCompare, deadline)
    set_mie(Interrupt.machineTimer)
}

/// The machine timer fired: pass it on and keep it quiet until the timer is set again.
func receiveMachineTimer() {
    clear_mie(Interrupt.machineTimer)
    set_mip(Interrupt.supervisorTimer)
}

/// No timer armed.
func resetTimer(_ hart: HartPointer) {
    clear_mie(Interrupt.machineTimer)
    if hart.pointee.features.hasStimecmp { write_stimecmp(.max) }
    if hart.pointee.timerCompare != 0 { mmio_write64(hart.pointee.timerCompare, .max) }
}
