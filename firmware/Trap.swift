/// The registers of the interrupted mode, as trap_vector saved them on the hart's stack.
struct TrapFrame {
    // SAFETY: points into the running hart's own stack for the duration of the trap; indices are register numbers (0...31).
    let slots: UnsafeMutablePointer<UInt64>

    subscript(register: UInt64) -> UInt64 {
        get { register == 0 ? 0 : slots[Int(register & 31)] }
        nonmutating set { slots[Int(register & 31)] = newValue }
    }

    var pc: UInt64 {
        get { slots[Int(FRAME_MEPC)] }
        nonmutating set { slots[Int(FRAME_MEPC)] = newValue }
    }

    var status: UInt64 {
        get { slots[Int(FRAME_MSTATUS)] }
        nonmutating set { slots[Int(FRAME_MSTATUS)] = newValue }
    }

    /// The mode the trap came from.
    var previousMode: UInt64 {
        status >> MachineStatus.machinePreviousPrivilegeShift & 3
    }

    /// a0...a7.
    func argument(_ number: UInt64) -> UInt64 { self[10 + number] }
}

/// What a trap tells S mode: scause, stval and, with the hypervisor extension, htval and htinst.
struct TrapCause {
    var cause: UInt64
    var value: UInt64
    var value2: UInt64 = 0
    var instruction: UInt64 = 0
}

private let interruptFlag: UInt64 = 1 << 63

@c(fw_trap)
public func trap(_ slots: UnsafeMutablePointer<UInt64>, _ state: UnsafeMutableRawPointer) {
    let frame = TrapFrame(slots: slots)
    let hart = state.assumingMemoryBound(to: Hart.self)
    let cause = read_mcause()

    if hart.pointee.features.hasNonMaskable, read_mnstatus() & NonMaskable.enable == 0 { reportNonMaskable() }
    if frame.previousMode == PrivilegeMode.machine { reportOwnFault(cause, frame) }
    if cause & interruptFlag != 0 {
        switch cause & ~interruptFlag {
        case 3, 11: receiveInterprocessorInterrupt(hart)
        case 7: receiveMachineTimer()
        default: fail("unexpected machine interrupt", cause)
        }
        return
    }

    var trap = TrapCause(cause: cause, value: read_mtval())
    switch cause {
    case Exception.supervisorCall:
        // The return address is set first: a call that never returns here may reuse the frame's stack.
        frame.pc &+= 4
        handleCall(frame, hart)
        return
    case Exception.doubleTrap: reportDoubleTrap(read_mtval2(), frame)
    case Exception.illegalInstruction:
        countEvent(.illegalInstruction, hart)
        if emulateIllegalInstruction(frame, hart, &trap) { return }
    case Exception.loadMisaligned:
        countEvent(.misalignedLoad, hart)
        if emulateMisaligned(frame, hart, &trap) { return }
    case Exception.storeMisaligned:
        countEvent(.misalignedStore, hart)
        if emulateMisaligned(frame, hart, &trap) { return }
    case Exception.loadAccess:
        countEvent(.loadAccessFault, hart)
        readGuestTrapDetails(&trap, hart)
    case Exception.storeAccess:
        countEvent(.storeAccessFault, hart)
        readGuestTrapDetails(&trap, hart)
    default:
        readGuestTrapDetails(&trap, hart)
    }
    redirect(trap, frame, hart)
}

private func readGuestTrapDetails(_ trap: inout TrapCause, _ hart: HartPointer) {
    guard hart.pointee.features.hasHypervisor else { return }
    trap.value2 = read_mtval2()
    trap.instruction = read_mtinst()
}

/// Hands the trap to supervisor mode as if it had been delegated.
func redirect(_ trap: TrapCause, _ frame: TrapFrame, _ hart: HartPointer) {
    let fromSupervisor = frame.previousMode == PrivilegeMode.supervisor
    let wasVirtual = hart.pointee.features.hasHypervisor
        && frame.status & MachineStatus.machinePreviousVirtualization != 0

    if wasVirtual, read_hedeleg() >> trap.cause & 1 != 0 {
        write_vscause(trap.cause)
        write_vsepc(frame.pc)
        write_vstval(trap.value)
        write_vsstatus(statusAfterTrap(read_vsstatus(), fromSupervisor: fromSupervisor))
        frame.pc = read_vstvec() & ~3
    } else {
        if hart.pointee.features.hasHypervisor {
            write_hstatus(hypervisorStatusAfterTrap(frame.status, wasVirtual: wasVirtual, fromSupervisor: fromSupervisor))
            write_htval(trap.value2)
            write_htinst(trap.instruction)
        }
        write_scause(trap.cause)
        write_sepc(frame.pc)
        write_stval(trap.value)
        frame.status = statusAfterTrap(frame.status, fromSupervisor: fromSupervisor)
            & ~MachineStatus.machinePreviousVirtualization
        // With Ssdbltrp in force S mode must say when it is ready for the next one.
        if has_menvcfg(), read_menvcfg() & EnvironmentConfig.doubleTrap != 0 {
            if frame.status & MachineStatus.supervisorDisableTrap != 0 { reportDoubleTrap(trap.cause, frame) }
            frame.status |= MachineStatus.supervisorDisableTrap
        }
        // The handler need not start with a landing pad.
        if frame.status & MachineStatus.machineLandingPad != 0 {
            frame.status = frame.status & ~MachineStatus.machineLandingPad | MachineStatus.supervisorLandingPad
        } else {
            frame.status &= ~MachineStatus.supervisorLandingPad
        }
        frame.pc = read_stvec() & ~3
    }
    frame.status = frame.status & ~MachineStatus.machinePreviousPrivilege
        | PrivilegeMode.supervisor << MachineStatus.machinePreviousPrivilegeShift
}

/// SPP and SPIE take the interrupted state, SIE is cleared.
private func statusAfterTrap(_ status: UInt64, fromSupervisor: Bool) -> UInt64 {
    var new = status & ~(MachineStatus.supervisorPreviousPrivilege | MachineStatus.supervisorPreviousEnable
        | MachineStatus.supervisorInterruptEnable)
    if fromSupervisor { new |= MachineStatus.supervisorPreviousPrivilege }
    if status & MachineStatus.supervisorInterruptEnable != 0 { new |= MachineStatus.supervisorPreviousEnable }
    return new
}

private func hypervisorStatusAfterTrap(_ machineStatus: UInt64, wasVirtual: Bool, fromSupervisor: Bool) -> UInt64 {
    let guestAddress: UInt64 = 1 << 6
    let previousVirtualization: UInt64 = 1 << 7
    let previousVirtualPrivilege: UInt64 = 1 << 8
    var status = read_hstatus() & ~(guestAddress | previousVirtualization)
    if machineStatus & MachineStatus.guestVirtualAddress != 0 { status |= guestAddress }
    if wasVirtual {
        status |= previousVirtualization
        status &= ~previousVirtualPrivilege
        if fromSupervisor { status |= previousVirtualPrivilege }
    }
    return status
}

/// Nobody is told of double traps and non-maskable interrupts but who reads the console: the hart stops.
private func reportDoubleTrap(_ cause: UInt64, _ frame: TrapFrame) -> Never {
    report("double trap in supervisor mode", "cause", cause, frame.pc)
}

private func reportNonMaskable() -> Never {
    report("non-maskable interrupt or double trap in machine mode", "mncause", read_mncause(), read_mnepc())
}

private func report(_ what: StaticString, _ name: StaticString, _ cause: UInt64, _ pc: UInt64) -> Never {
    let printer = Printer(console: platform.pointee.console)
    printer.text("emulate SBI: ")
    printer.text(what)
    printer.text(" on hart ")
    printer.decimal(read_mhartid())
    printer.text(": ")
    printer.text(name)
    printer.text(" ")
    printer.hex(cause)
    printer.text(", pc ")
    printer.hex(pc)
    printer.text("\n")
    park()
}

/// A trap in machine mode is a defect of the firmware or of the machine under it.
private func reportOwnFault(_ cause: UInt64, _ frame: TrapFrame) -> Never {
    let printer = Printer(console: platform.pointee.console)
    printer.text("emulate SBI: fault in machine mode on hart ")
    printer.decimal(read_mhartid())
    printer.text(": mcause ")
    printer.hex(cause)
    printer.text(", mepc ")
    printer.hex(frame.pc)
    printer.text(", mtval ")
    printer.hex(read_mtval())
    printer.text("\n")
    park()
}
