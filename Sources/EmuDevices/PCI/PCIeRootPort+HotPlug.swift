import EmuBus

/// Native hot-plug (PCI Express Base 5.0, 6.7): the slot tells what is in it, and interrupts when that changes.
extension PCIeRootPort {
    private typealias Register = PCIExpress.Register
    private typealias Control = PCIExpress.Slot.Control
    private typealias Status = PCIExpress.Slot.Status

    private var slotControl: UInt16 { function.config[express + Register.slotControl] }

    private var slotStatus: UInt16 {
        get { function.config[express + Register.slotStatus] }
        set { function.config[express + Register.slotStatus] = newValue }
    }

    /// Called when a device was plugged in.
    func presenceChanged() {
        updatePresence()
        raise(Status.presenceChanged | Status.linkChanged)
    }

    private var linkStatus: UInt16 {
        get { function.config[express + Register.linkStatus] }
        set { function.config[express + Register.linkStatus] = newValue }
    }

    /// A device is in the slot and has power.
    var isLinkUp: Bool { linkStatus & PCIExpress.linkActive != 0 }

    /// Shows whether a device is in the slot, and the link up.
    func updatePresence() {
        let isPresent = !secondary.devices.isEmpty
        slotStatus = isPresent ? slotStatus | Status.isPresent : slotStatus & ~Status.isPresent
        let link = linkStatus
        linkStatus = isPresent && slotControl & Control.powerOff == 0 ? link | PCIExpress.linkActive | 4 << 4 : link & ~(PCIExpress.linkActive | 0x3f0)
    }

    /// Asks the guest to let the device go, as a press of the slot's attention button does. It may take seconds, and may not happen.
    public func requestRemoval() {
        isRemovalRequested = true
        raise(Status.attentionButton)
    }

    private func raise(_ events: UInt16) {
        guard isHotPluggable else { return }
        slotStatus |= events
        updateInterrupt()
    }

    /// Something software wants to hear of has happened.
    private var isInterrupting: Bool {
        guard slotControl & Control.interrupt != 0 else { return false }
        return [(Status.attentionButton, Control.attentionButton), (Status.presenceChanged, Control.presence), (Status.linkChanged, Control.linkState)]
            .contains { slotStatus & $0 != 0 && slotControl & $1 != 0 }
    }

    func updateInterrupt() {
        let before = wasInterrupting
        wasInterrupting = isInterrupting
        if wasInterrupting, !before { function.msix?.notify(0) }
        function.setInterrupt(wasInterrupting)
    }

    /// Takes over a restored state. A message for what it shows has been sent already.
    func slotRestored() {
        updatePresence()
        wasInterrupting = isInterrupting
        updateInterrupt()
    }

    /// Software has written `range` of the configuration space.
    func slotWritten(_ range: Range<Int>) {
        guard range.overlaps(express + Register.slotControl..<express + Register.slotStatus + 2) else { return }
        let wasUp = isLinkUp
        updatePresence()
        if wasUp != isLinkUp { raise(Status.linkChanged) }
        // Without power a device forgets everything.
        if wasUp, !isLinkUp { for device in secondary.devices { device.reset() } }
        // Power is off and the light is out: who has asked for the device may take it. If nobody has, it is there when power is on again.
        if isRemovalRequested, let removed, slotControl & Control.powerOff != 0, slotControl & Control.powerIndicator == Control.powerIndicatorOff, !secondary.devices.isEmpty {
            let devices = secondary.removeAll()
            updatePresence()
            raise(Status.presenceChanged)
            isRemovalRequested = false
            removed(devices)
        }
        updateInterrupt()
    }
}
