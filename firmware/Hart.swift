/// One hart's state. It lies at the top of the hart's area, directly above its stack, and `mscratch` points to it
/// whenever the hart runs below machine mode. Other harts touch only the cells marked shared, by atomics.
struct Hart: ~Copyable {
    /// `mhartid`.
    var id: UInt64 = 0
    /// Position in the list of harts and areas.
    var index: UInt64 = 0
    /// phandle of the hart's interrupt controller node; 0 if it has none.
    var interruptController: UInt32 = 0

    /// Addresses of this hart's software-interrupt register, timer compare register and the time register; 0 if absent.
    var softwareInterrupt: UInt64 = 0
    /// Address of the page of its machine-level interrupt file (IMSIC); 0 if absent. Used where there is no software-interrupt register.
    var interruptFile: UInt64 = 0
    var timerCompare: UInt64 = 0
    var timeRegister: UInt64 = 0

    var features = HartFeatures()

    /// Shared. An `HSMState`.
    var hsmState: UInt64 = HSMState.stopped
    /// Shared. 1 once the three start parameters are complete.
    var startRequested: UInt64 = 0
    /// Where, with which argument and in which mode (mstatus.MPP) to enter the next stage.
    var startAddress: UInt64 = 0
    var startArgument: UInt64 = 0
    var startMode: UInt64 = PrivilegeMode.supervisor

    /// Shared. 1 when a supervisor software interrupt is to be raised here.
    var pendingIPI: UInt64 = 0
    /// The remote fence this hart asks others for.
    var fenceRequest = FenceRequest()
    /// Shared. Targets that have not yet performed `fenceRequest`.
    var fencesOutstanding: UInt64 = 0
    /// Shared. Bit per hart index: that hart's `fenceRequest` is to be performed here.
    var fencesWanted = InlineArray<8, UInt64>(repeating: 0)

    /// Bit per FWFT feature: S mode may not change it any more.
    var lockedFeatures: UInt64 = 0

    var pmu = PMUState()
}

/// SAFETY: a hart's area exists from the cold boot until reset. Cells marked shared are only reached through the atomics of
/// Firmware.h, which take their address in place.
typealias HartPointer = UnsafeMutablePointer<Hart>

extension HartPointer {
    /// Other harts can interrupt it.
    var canBeWoken: Bool { pointee.softwareInterrupt != 0 || pointee.interruptFile != 0 }

    /// The machine interrupt that other harts' messages raise, as a bit of mie.
    var interprocessorInterrupt: UInt64 {
        pointee.softwareInterrupt == 0 && pointee.interruptFile != 0 ? Interrupt.machineExternal : Interrupt.machineSoftware
    }
}

/// Values of mstatus.MPP and of fw_dynamic's next_mode.
enum PrivilegeMode {
    static let user: UInt64 = 0
    static let supervisor: UInt64 = 1
    static let machine: UInt64 = 3
}

/// The harts the device tree lists as usable, in ascending order of their ids.
enum HartTable {
    static var count: Int { Int(truncatingIfNeeded: platform.pointee.hartCount) }

    static func pointer(_ index: Int) -> HartPointer {
        let top = platform.pointee.hartAreas &+ UInt64(index + 1) &* UInt64(HART_AREA_SIZE) &- UInt64(HART_STATE_SIZE)
        // SAFETY: `index` is below `count`, and the cold boot set aside an area for each of them.
        return HartPointer(bitPattern: UInt(top)).unsafelyUnwrapped
    }

    static func find(id: UInt64) -> HartPointer? {
        // Ids are usually 0, 1, 2 …
        if id < platform.pointee.hartCount, hart_ids()[Int(id)] == id { return pointer(Int(id)) }
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if hart_ids()[middle] < id { low = middle + 1 } else { high = middle }
        }
        return low < count && hart_ids()[low] == id ? pointer(low) : nil
    }
}

/// A set of harts as SBI calls give it: bit i of `mask` is hart `base + i`; `base` all ones means every hart.
struct HartMask {
    var mask: UInt64
    var base: UInt64

    /// Whether every hart named exists.
    var isValid: Bool {
        if base == .max { return true }
        var rest = mask
        while rest != 0 {
            let (id, overflow) = base.addingReportingOverflow(UInt64(rest.trailingZeroBitCount))
            if overflow || HartTable.find(id: id) == nil { return false }
            rest &= rest &- 1
        }
        return true
    }

    @inline(__always)
    func forEach(_ body: (HartPointer) -> Void) {
        if base == .max {
            for index in 0..<HartTable.count { body(HartTable.pointer(index)) }
            return
        }
        var rest = mask
        while rest != 0 {
            if let hart = HartTable.find(id: base &+ UInt64(rest.trailingZeroBitCount)) { body(hart) }
            rest &= rest &- 1
        }
    }
}
