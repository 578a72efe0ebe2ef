import EmuBus

/// The control region of a domain (RISC-V AIA, "Memory-mapped control region for an interrupt domain").
extension APLIC {
    private enum Register {
        static let source: UInt64 = 0x0004, addresses: UInt64 = 0x1BC0
        static let setPending: UInt64 = 0x1C00, setPendingNumber: UInt64 = 0x1CDC
        static let clearPending: UInt64 = 0x1D00, clearPendingNumber: UInt64 = 0x1DDC
        static let setEnable: UInt64 = 0x1E00, setEnableNumber: UInt64 = 0x1EDC
        static let clearEnable: UInt64 = 0x1F00, clearEnableNumber: UInt64 = 0x1FDC
        static let setPendingLittleEndian: UInt64 = 0x2000
        static let message: UInt64 = 0x3000, target: UInt64 = 0x3004, delivery: UInt64 = 0x4000
        /// Of a bit set over all sources.
        static let setSize: UInt64 = 0x80
    }

    private enum Delivery {
        static let stride: UInt64 = 32
        static let enable: UInt64 = 0x00, force: UInt64 = 0x04, threshold: UInt64 = 0x08, top: UInt64 = 0x18, claim: UInt64 = 0x1C
    }

    /// `mmsiaddrcfgh` is locked.
    private var areAddressesLocked: Bool { current.addresses[1] >> 31 != 0 }

    public func peek(_ offset: UInt64, size: Int) -> UInt64? {
        if offset >= Register.delivery, offset % Delivery.stride == Delivery.claim { return read(offset - Delivery.claim + Delivery.top, size: size) }
        return read(offset, size: size)
    }

    public func read(_ offset: UInt64, size: Int) -> UInt64 {
        switch offset {
        case 0: UInt64(Domain.fixed | current.domain)
        case Register.source..<Register.source + 4 * UInt64(sources): UInt64(current.source[Int(offset / 4)])
        case Register.addresses..<Register.addresses + 16 where child != nil && canSendMessages: UInt64(current.addresses[Int((offset - Register.addresses) / 4)])
        case Register.setPending..<Register.setPending + Register.setSize: word(offset, current.pending)
        case Register.clearPending..<Register.clearPending + Register.setSize: UInt64(inputs(Int((offset - Register.clearPending) / 4)))
        case Register.setEnable..<Register.setEnable + Register.setSize: word(offset, current.enabled)
        case Register.message: sendsMessages ? UInt64(current.message) : 0
        case Register.target..<Register.target + 4 * UInt64(sources): UInt64(current.target[Int((offset - Register.target) / 4) + 1])
        case Register.delivery...: readDelivery(offset - Register.delivery)
        default: 0
        }
    }

    private func word(_ offset: UInt64, _ set: [UInt32]) -> UInt64 {
        let word = Int(offset % Register.setSize / 4)
        return word < words ? UInt64(set[word]) : 0
    }

    /// The rectified inputs of 32 sources.
    private func inputs(_ word: Int) -> UInt32 {
        (0..<32).reduce(0) { rectified(word * 32 + $1) ? $0 | 1 << UInt32($1) : $0 }
    }

    private func readDelivery(_ offset: UInt64) -> UInt64 {
        let hart = Int(offset / Delivery.stride)
        guard current.delivery.indices.contains(hart) else { return 0 }
        switch offset % Delivery.stride {
        case Delivery.enable: return UInt64(current.delivery[hart])
        case Delivery.force: return UInt64(current.force[hart])
        case Delivery.threshold: return UInt64(current.threshold[hart])
        case Delivery.top: return UInt64(top(hart: hart))
        case Delivery.claim: return UInt64(claim(hart: hart))
        default: return 0
        }
    }

    public func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        let value = UInt32(truncatingIfNeeded: value)
        // A number that no source has is ignored further on.
        let number = Int(value)
        switch offset {
        case 0: setDomain(value)
        case Register.source..<Register.source + 4 * UInt64(sources): configure(Int(offset / 4), value)
        case Register.addresses..<Register.addresses + 16: setAddress(Int((offset - Register.addresses) / 4), value)
        case Register.setPending..<Register.setPending + Register.setSize: forEach(offset, value, requestPending)
        case Register.setPendingNumber, Register.setPendingLittleEndian: requestPending(number)
        case Register.clearPending..<Register.clearPending + Register.setSize: forEach(offset, value, clearPending)
        case Register.clearPendingNumber: clearPending(number)
        case Register.setEnable..<Register.setEnable + Register.setSize: forEach(offset, value) { setEnabled($0, true) }
        case Register.setEnableNumber: setEnabled(number, true)
        case Register.clearEnable..<Register.clearEnable + Register.setSize: forEach(offset, value) { setEnabled($0, false) }
        case Register.clearEnableNumber: setEnabled(number, false)
        case Register.message: sendMessage(value)
        case Register.target..<Register.target + 4 * UInt64(sources): setTarget(Int((offset - Register.target) / 4) + 1, value)
        case Register.delivery...: writeDelivery(offset - Register.delivery, value)
        default: Log.write(.guestErrors, "\(name): write of read-only or unused offset \(hex(offset))")
        }
    }

    private func forEach(_ offset: UInt64, _ value: UInt32, _ body: (Int) -> Void) {
        var rest = value
        while rest != 0 {
            body(Int(offset % Register.setSize / 4) * 32 + rest.trailingZeroBitCount)
            rest &= rest &- 1
        }
    }

    /// Defined bits of the four registers.
    private static let addressMasks: [UInt32] = [.max, 0x9f77_ffff, .max, 0x0070_0fff]

    private func setAddress(_ register: Int, _ value: UInt32) {
        guard child != nil, canSendMessages, !areAddressesLocked else { return }
        current.addresses[register] = value & Self.addressMasks[register]
    }

    private func writeDelivery(_ offset: UInt64, _ value: UInt32) {
        let hart = Int(offset / Delivery.stride)
        guard current.delivery.indices.contains(hart) else { return }
        switch offset % Delivery.stride {
        case Delivery.enable: if value <= 1 { current.delivery[hart] = value }
        case Delivery.force: if value <= 1 { current.force[hart] = value }
        case Delivery.threshold: current.threshold[hart] = value & 0xff
        default: return
        }
        update(hart: hart)
    }

    // MARK: Device tree

    /// `interrupt-controller@…`.
    /// - Parameters:
    ///   - outputs: for each hart the phandle of its controller and the interrupt there; empty where messages are sent.
    ///   - messages: phandle of the IMSICs.
    ///   - childHandle: phandle of the child's node, which gets all sources.
    public func fdtNode(at base: UInt64, phandle: UInt32, outputs: [(controller: UInt32, interrupt: UInt32)], messages: UInt32?, childHandle: UInt32?) -> FDTNode {
        var node = FDTNode("interrupt-controller@" + String(base, radix: 16))
        node.set("phandle", cells: [phandle])
        if let childHandle {
            let all = [childHandle, 1, UInt32(sources)]
            node.set("riscv,children", cells: [childHandle])
            node.set("riscv,delegation", cells: all)
            node.set("riscv,delegate", cells: all)
        }
        node.set("riscv,num-sources", cells: [UInt32(sources)])
        node.set("reg", pairs: [base, Self.size])
        if let messages { node.set("msi-parent", cells: [messages]) } else { node.set("interrupts-extended", cells: outputs.flatMap { [$0.controller, $0.interrupt] }) }
        node.set("interrupt-controller")
        node.set("#interrupt-cells", cells: [2])
        node.set("#address-cells", cells: [0])
        node.set("compatible", "qemu,aplic", "riscv,aplic")
        return node
    }
}
