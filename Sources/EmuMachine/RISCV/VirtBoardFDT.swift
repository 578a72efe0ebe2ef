import EmuBus
import EmuDevices

/// The `virt` board's device tree.
///
/// Its content is that of QEMU 7.2's tree (`-machine virt,dumpdtb=`), nodes and phandles in the same order, except:
/// - `riscv,isa` and `mmu-type` tell what these harts have; `riscv,isa-base`, `riscv,isa-extensions` and
///   `riscv,cbo?-block-size` are added, as later QEMU versions do.
/// - `/pmu` lists the events these harts count (cycles and instructions); QEMU's TLB-miss events do not exist here.
/// - With `aia=` and `aclint=on` the controllers' nodes are those of QEMU 10.
/// - `riscv,ndev` is 95, the number of sources (7.2 says 96, later versions 95).
/// - `linux,initrd-start` and `-end` have 64 bits, as in later versions; `rng-seed` differs in every run.
extension VirtBoard {
    func deviceTree(_ chosen: RVChosen, seed: [UInt8]) -> FDTNode {
        let parts = RVDeviceTree(processor: processor, harts: context.config.harts, numa: numa)
        let interruptHandle = parts.firstFreeHandle
        let finisherHandle = interruptHandle + (interrupts.plic == nil ? VirtInterrupts.handles : 1)
        var root = parts.root(compatible: "riscv-virtio", model: "riscv-virtio,qemu")
        root.children = [parts.pmu(), PFlash.fdtNode(at: flash.indices.map(Self.flashBase)), fwCfg.fdtNode(at: Map.fwCfg.base), chosenNode(seed)]
        root.children += TestFinisher.powerNodes(finisher: finisherHandle)
        root.children += [platformBus(interruptHandle)] + parts.memory(memory) + [parts.cpus()]
        root.children.append(parts.soc(peripherals(parts, interruptHandle, finisherHandle)))
        RVChosenNode.patch(&root, chosen)
        return root
    }

    private func chosenNode(_ seed: [UInt8]) -> FDTNode {
        var node = FDTNode("chosen")
        node.set("rng-seed", bytes: seed)
        node.set("stdout-path", "/soc/serial@" + String(Map.uart.base, radix: 16))
        return node
    }

    private func platformBus(_ interruptHandle: UInt32) -> FDTNode {
        var node = FDTNode("platform-bus@" + String(Map.platformBus.base, radix: 16))
        node.set("interrupt-parent", cells: [interruptHandle])
        node.set("ranges", cells: [0, 0, UInt32(Map.platformBus.base), UInt32(Map.platformBus.size)])
        node.set("#address-cells", cells: [1])
        node.set("#size-cells", cells: [1])
        node.set("compatible", "qemu,platform", "simple-bus")
        return node
    }

    private func peripherals(_ parts: RVDeviceTree, _ interruptHandle: UInt32, _ finisherHandle: UInt32) -> [FDTNode] {
        var nodes = [
            rtc.fdtNode(at: Map.rtc.base, interruptParent: interruptHandle),
            uart.fdtNode(at: Map.uart.base, interruptParent: interruptHandle),
            finisher.fdtNode(at: Map.finisher.base, phandle: finisherHandle),
            pci.fdtNode(
                firstInterrupt: UInt32(Source.pci), interruptParent: interruptHandle, sourceCells: interrupts.sourceCells,
                messageParent: interrupts.messageParent(first: interruptHandle), iommuHandle: finisherHandle + 1),
        ]
        for slot in transports.indices.reversed() {
            nodes.append(
                VirtioMMIO.fdtNode(base: Self.virtioBase(slot), interrupts: [UInt32(Source.virtio + slot)], interruptParent: interruptHandle))
        }
        nodes = nodes.map(interrupts.adapted) + interrupts.nodes(parts.controllers, first: interruptHandle)
        if let timer {
            nodes.append(timer.fdtNode(at: Map.clint.base, interruptControllers: parts.controllers))
        } else if let sswi {
            nodes.append(sswi.fdtNode(at: Map.sswi.base, interruptControllers: parts.controllers))
            nodes += clint.aclintNodes(at: Map.clint.base, interruptControllers: parts.controllers)
        } else {
            nodes.append(clint.fdtNode(at: Map.clint.base, interruptControllers: parts.controllers))
        }
        return nodes
    }
}
