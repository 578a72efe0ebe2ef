/// The machine-level interrupt controllers of the advanced interrupt architecture: what they get is the supervisor's.
extension PlatformPointer {
    /// Registers of an APLIC's domain (RISC-V AIA, "Memory-mapped control region for an interrupt domain").
    private enum Register {
        static let source: UInt64 = 0x0004
        static let machineAddress: UInt64 = 0x1bc0, machineAddressHigh: UInt64 = 0x1bc4
        static let supervisorAddress: UInt64 = 0x1bc8, supervisorAddressHigh: UInt64 = 0x1bcc
        static let delegate: UInt32 = 1 << 10
    }

    /// Delegates the sources of machine-level APLICs as the device tree says, tells them where interrupt files are, and takes what is machine mode's
    /// out of the tree that the next stage gets.
    func routeInterrupts(_ tree: FDT) {
        var candidate = tree.nextCompatible(after: nil, "riscv,aplic")
        while let node = candidate {
            candidate = tree.nextCompatible(after: node, "riscv,aplic")
            guard let registers = tree.registers(node), let children = tree.property(node, "riscv,children") else { continue }
            delegate(tree, node, registers.start, children)
            setMessageAddresses(tree, node, registers.start, children)
            tree.remove(node)
        }
        candidate = tree.nextCompatible(after: nil, "riscv,imsics")
        while let node = candidate {
            candidate = tree.nextCompatible(after: node, "riscv,imsics")
            let machineExternal: UInt32 = 11
            if tree.property(node, "interrupts-extended")?.cell(1) == machineExternal { tree.remove(node) }
        }
    }

    private func delegate(_ tree: FDT, _ node: FDTNode, _ base: UInt64, _ children: FDTProperty) {
        guard let ranges = tree.property(node, "riscv,delegation") ?? tree.property(node, "riscv,delegate") else { return }
        var entry = 0
        while let child = ranges.cell(entry), let first = ranges.cell(entry + 1), let last = ranges.cell(entry + 2) {
            entry += 3
            var index: UInt32 = 0
            while let handle = children.cell(Int(index)), handle != child { index += 1 }
            guard children.cell(Int(index)) != nil, first >= 1, last <= 1023 else { continue }
            var source = first
            while source <= last {
                mmio_write32(base &+ Register.source &+ UInt64(source - 1) &* 4, Register.delegate | index)
                source += 1
            }
        }
    }

    /// Where the files of the domain's harts, and of its first child's, are.
    private func setMessageAddresses(_ tree: FDT, _ node: FDTNode, _ base: UInt64, _ children: FDTProperty) {
        guard let machine = messageParent(tree, node), let machinePages = tree.registers(machine) else { return }
        let hartBits = tree.number(machine, "riscv,hart-index-bits") ?? bits(for: pointee.hartCount)
        let groupBits = tree.number(machine, "riscv,group-index-bits") ?? 0
        let groupShift = tree.number(machine, "riscv,group-index-shift") ?? 24
        var high = machinePages.start >> 44 & 0xfff
        high |= (hartBits & 15) << 12 | (groupBits & 7) << 16
        high |= (tree.number(machine, "riscv,guest-index-bits") ?? 0) << 20 | ((groupShift &- 24) & 31) << 24
        if let child = children.cell(0).flatMap({ find(tree, handle: $0) }), let supervisor = messageParent(tree, child), let pages = tree.registers(supervisor) {
            let guestBits = tree.number(supervisor, "riscv,guest-index-bits") ?? 0
            mmio_write32(base &+ Register.supervisorAddress, UInt32(truncatingIfNeeded: pages.start >> 12))
            mmio_write32(base &+ Register.supervisorAddressHigh, UInt32(truncatingIfNeeded: pages.start >> 44 & 0xfff | (guestBits & 7) << 20))
        }
        mmio_write32(base &+ Register.machineAddress, UInt32(truncatingIfNeeded: machinePages.start >> 12))
        mmio_write32(base &+ Register.machineAddressHigh, UInt32(truncatingIfNeeded: high))
    }

    private func messageParent(_ tree: FDT, _ node: FDTNode) -> FDTNode? {
        tree.number(node, "msi-parent").flatMap { find(tree, handle: UInt32(truncatingIfNeeded: $0)) }
    }

    private func find(_ tree: FDT, handle: UInt32) -> FDTNode? {
        var node = tree.root
        while let current = node {
            if tree.number(current, "phandle") == UInt64(handle) { return current }
            node = tree.nextNode(after: current)
        }
        return nil
    }

    /// Bits that number `count` things from 0 on.
    private func bits(for count: UInt64) -> UInt64 { count <= 1 ? 0 : UInt64(64 - (count - 1).leadingZeroBitCount) }
}
