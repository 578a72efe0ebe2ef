/// The identity harts interrupt each other by where they have interrupt files.
private let interprocessorIdentity: UInt32 = 1

/// Raises the machine software interrupt of `hart`, or sends it a message.
func wake(_ hart: HartPointer) {
    if hart.pointee.softwareInterrupt != 0 {
        mmio_write32(hart.pointee.softwareInterrupt, 1)
    } else if hart.pointee.interruptFile != 0 {
        mmio_write32(hart.pointee.interruptFile, interprocessorIdentity)
    }
}

/// Lets messages of other harts through the executing hart's machine-level interrupt file (RISC-V AIA, "Indirectly accessed interrupt-file registers").
func openInterruptFile() {
    write_miselect(0x72)
    write_mireg(0)
    write_miselect(0xc0)
    write_mireg(1 << UInt64(interprocessorIdentity))
    write_miselect(0x70)
    write_mireg(1)
}

/// Does what other harts asked of this one.
func receiveInterprocessorInterrupt(_ hart: HartPointer) {
    // Cleared first: a request that arrives meanwhile raises it again.
    if hart.pointee.softwareInterrupt != 0 {
        mmio_write32(hart.pointee.softwareInterrupt, 0)
    } else if hart.pointee.interruptFile != 0 {
        write_mtopei(0)
    }
    if atomic_swap(&hart.pointee.pendingIPI, 0) != 0 {
        countEvent(.ipiReceived, hart)
        set_mip(Interrupt.supervisorSoftware)
    }
    performWantedFences(hart)
}

/// Raises the supervisor software interrupt of every started hart in `targets`.
func sendIPI(_ targets: HartMask, from hart: HartPointer) {
    targets.forEach { target in
        guard !HSMState.isStopped(target) else { return }
        countEvent(.ipiSent, hart)
        atomic_store(&target.pointee.pendingIPI, 1)
        wake(target)
    }
}

/// A fence one hart asks of others.
struct FenceRequest {
    /// By the numbers of RFENCE's functions.
    enum Kind: UInt8 {
        case instruction
        case addressSpace
        case addressSpaceASID
        case guestPhysicalVMID
        case guestPhysical
        case guestVirtualASID
        case guestVirtual

        /// Of translations in two stages.
        var isHypervisors: Bool { rawValue >= Kind.guestPhysicalVMID.rawValue }
        /// Only one ASID or VMID is meant.
        var hasSpace: Bool { self == .addressSpaceASID || self == .guestPhysicalVMID || self == .guestVirtualASID }
    }

    var kind = Kind.instruction
    var start: UInt64 = 0
    var size: UInt64 = 0
    /// ASID or VMID.
    var space: UInt64 = 0
    /// hgatp of the hart that asks, whose VMID fences of guest virtual addresses are for.
    var guestTranslation: UInt64 = 0

    private static let pageSize: UInt64 = 4096
    /// Larger ranges flush everything: quicker than page by page.
    private static let largestRange: UInt64 = 64 * pageSize

    var coversEverything: Bool {
        (start == 0 && size == 0) || size > Self.largestRange || start.addingReportingOverflow(size).overflow
    }

    var sentEvent: FirmwareEvent {
        switch kind {
        case .instruction: .fenceISent
        case .addressSpace: .sfenceSent
        case .addressSpaceASID: .sfenceASIDSent
        case .guestPhysicalVMID: .hfenceGVMAVMIDSent
        case .guestPhysical: .hfenceGVMASent
        case .guestVirtualASID: .hfenceVVMAASIDSent
        case .guestVirtual: .hfenceVVMASent
        }
    }

    var receivedEvent: FirmwareEvent {
        switch kind {
        case .instruction: .fenceIReceived
        case .addressSpace: .sfenceReceived
        case .addressSpaceASID: .sfenceASIDReceived
        case .guestPhysicalVMID: .hfenceGVMAVMIDReceived
        case .guestPhysical: .hfenceGVMAReceived
        case .guestVirtualASID: .hfenceVVMAASIDReceived
        case .guestVirtual: .hfenceVVMAReceived
        }
    }

    func perform() {
        switch kind {
        case .instruction:
            fence_i()
        case .addressSpace:
            if coversEverything {
                sfence_vma_all()
            } else {
                forEachPage { sfence_vma_address($0) }
            }
        case .addressSpaceASID:
            if coversEverything {
                sfence_vma_asid(space)
            } else {
                forEachPage { sfence_vma_address_asid($0, space) }
            }
        case .guestPhysicalVMID:
            // Guest physical addresses are given without their two lowest bits.
            if coversEverything {
                hfence_gvma_vmid(space)
            } else {
                forEachPage { hfence_gvma_address_vmid($0 >> 2, space) }
            }
        case .guestPhysical:
            if coversEverything {
                hfence_gvma_all()
            } else {
                forEachPage { hfence_gvma_address($0 >> 2) }
            }
        case .guestVirtualASID:
            asAskersGuest {
                if coversEverything {
                    hfence_vvma_asid(space)
                } else {
                    forEachPage { hfence_vvma_address_asid($0, space) }
                }
            }
        case .guestVirtual:
            asAskersGuest {
                if coversEverything {
                    hfence_vvma_all()
                } else {
                    forEachPage { hfence_vvma_address($0) }
                }
            }
        }
    }

    /// These fences go by the VMID in the executing hart's hgatp, which may be another guest's at the moment.
    @inline(__always)
    private func asAskersGuest(_ body: () -> Void) {
        let own = read_hgatp()
        write_hgatp(guestTranslation)
        body()
        write_hgatp(own)
    }

    @inline(__always)
    private func forEachPage(_ body: (UInt64) -> Void) {
        let end = start &+ size
        var page = start & ~(Self.pageSize &- 1)
        while page < end {
            body(page)
            let (next, overflow) = page.addingReportingOverflow(Self.pageSize)
            if overflow { return }
            page = next
        }
    }
}

/// Has every hart in `targets` that is not stopped perform `request`, and returns when all have. A stopped hart fences
/// when it is started.
func remoteFence(_ request: FenceRequest, _ targets: HartMask, from hart: HartPointer) {
    hart.pointee.fenceRequest = request
    var isWaiting = false
    let ownIndex = hart.pointee.index
    let word = Int(truncatingIfNeeded: ownIndex >> 6)
    let bit: UInt64 = 1 << (ownIndex & 63)
    targets.forEach { target in
        guard !HSMState.isStopped(target) else { return }
        if target == hart {
            request.perform()
            return
        }
        countEvent(request.sentEvent, hart)
        isWaiting = true
        _ = atomic_add(&hart.pointee.fencesOutstanding, 1)
        _ = atomic_or(&target.pointee.fencesWanted[word], bit)
        wake(target)
    }
    guard isWaiting else { return }
    // The targets may be waiting for this hart in the same way, so its own share is done meanwhile. The last target's
    // interrupt ends the sleep.
    while true {
        receiveInterprocessorInterrupt(hart)
        if atomic_load(&hart.pointee.fencesOutstanding) == 0 { return }
        wait_for_interrupt()
    }
}

private func performWantedFences(_ hart: HartPointer) {
    let words = (HartTable.count + 63) / 64
    for word in 0..<words where atomic_load(&hart.pointee.fencesWanted[word]) != 0 {
        var askers = atomic_swap(&hart.pointee.fencesWanted[word], 0)
        while askers != 0 {
            let asker = HartTable.pointer(word * 64 + askers.trailingZeroBitCount)
            askers &= askers &- 1
            let request = asker.pointee.fenceRequest
            countEvent(request.receivedEvent, hart)
            request.perform()
            if atomic_add(&asker.pointee.fencesOutstanding, .max) == 1 { wake(asker) }
        }
    }
}
