import EmuBus
import EmuCPU
import EmuDevices

/// Device-tree parts every RISC-V board has (Devicetree Specification; Linux bindings "riscv/cpus", "riscv/extensions").
struct RVDeviceTree {
    let processor: RVConfig
    let harts: Int
    let numa: NUMALayout?

    /// Phandles are given out as QEMU does: the last hart first, two for each (the hart, its interrupt controller).
    func hartHandle(_ index: Int) -> UInt32 { UInt32(harts - 1 - index) * 2 + 1 }
    func controllerHandle(_ index: Int) -> UInt32 { hartHandle(index) + 1 }
    /// First phandle not taken by a hart.
    var firstFreeHandle: UInt32 { UInt32(harts) * 2 + 1 }
    /// Interrupt controllers of hart 0, 1, …
    var controllers: [UInt32] { (0..<harts).map(controllerHandle) }

    func root(compatible: String, model: String) -> FDTNode {
        var node = FDTNode("")
        node.set("#address-cells", cells: [2])
        node.set("#size-cells", cells: [2])
        node.set("compatible", compatible)
        node.set("model", model)
        return node
    }

    /// The nodes of RAM, and of how far it is from node to node (bindings "numa").
    func memory(_ ram: GuestRAM) -> [FDTNode] {
        func node(_ base: UInt64, _ size: UInt64, numaNode: Int?) -> FDTNode {
            var node = FDTNode("memory@" + String(base, radix: 16))
            node.set("device_type", "memory")
            node.set("reg", pairs: [base, size])
            if let numaNode { node.set("numa-node-id", cells: [UInt32(numaNode)]) }
            return node
        }
        guard let numa else { return [node(ram.base, ram.size, numaNode: nil)] }
        return numa.memory(from: ram.base).map { node($0.base, $0.size, numaNode: $0.node) } + (numa.distances.map { [distanceMap($0)] } ?? [])
    }

    private func distanceMap(_ distances: [[UInt8]]) -> FDTNode {
        var node = FDTNode("distance-map")
        node.set("compatible", "numa-distance-map-v1")
        node.set("distance-matrix", cells: distances.enumerated().flatMap { source, row in
            row.enumerated().flatMap { [UInt32(source), UInt32($0), UInt32($1)] }
        })
        return node
    }

    func soc(_ children: [FDTNode]) -> FDTNode {
        var node = FDTNode("soc")
        node.set("#address-cells", cells: [2])
        node.set("#size-cells", cells: [2])
        node.set("compatible", "simple-bus")
        node.set("ranges")
        node.children = children
        return node
    }

    func cpus() -> FDTNode {
        var node = FDTNode("cpus")
        node.set("#address-cells", cells: [1])
        node.set("#size-cells", cells: [0])
        node.set("timebase-frequency", cells: [UInt32(truncatingIfNeeded: processor.timebase)])
        node.children = (0..<harts).map(cpu) + [cpuMap()]
        return node
    }

    private func cpu(_ index: Int) -> FDTNode {
        var node = FDTNode("cpu@" + String(index, radix: 16))
        node.set("phandle", cells: [hartHandle(index)])
        node.set("device_type", "cpu")
        node.set("reg", cells: [UInt32(index)])
        node.set("status", "okay")
        if let numa { node.set("numa-node-id", cells: [UInt32(numa.node(ofHart: index))]) }
        node.set("compatible", "riscv")
        node.set("riscv,isa", processor.isaString)
        node.set("riscv,isa-base", "rv64i")
        node.set("riscv,isa-extensions", bytes: processor.isaExtensions.flatMap { Array($0.utf8) + [0] })
        node.set("mmu-type", processor.mmuType)
        let blockSizes: [(RVExtension, String)] = [
            (.zicbom, "riscv,cbom-block-size"), (.zicbop, "riscv,cbop-block-size"), (.zicboz, "riscv,cboz-block-size"),
        ]
        for (each, property) in blockSizes where processor.extensions.contains(each) { node.set(property, cells: [64]) }
        var controller = FDTNode("interrupt-controller")
        controller.set("#interrupt-cells", cells: [1])
        controller.set("interrupt-controller")
        controller.set("compatible", "riscv,cpu-intc")
        controller.set("phandle", cells: [controllerHandle(index)])
        node.children = [controller]
        return node
    }

    /// One cluster, or one for each node that has harts.
    private func cpuMap() -> FDTNode {
        let clusters = numa?.nodes.map(\.harts).filter { !$0.isEmpty } ?? [Array(0..<harts)]
        var map = FDTNode("cpu-map")
        map.children = clusters.enumerated().map { number, members in
            var cluster = FDTNode("cluster\(number)")
            cluster.children = members.enumerated().map { place, index in
                var core = FDTNode("core\(place)")
                core.set("cpu", cells: [hartHandle(index)])
                return core
            }
            return cluster
        }
        return map
    }

    /// `/pmu`: which counters can count which of the SBI's events. The event number is what goes into mhpmevent.
    /// Cycles can be counted by mcycle, instructions by minstret, both by counters 3 to 31.
    func pmu() -> FDTNode {
        let programmable: UInt32 = processor.extensions.contains(.zihpm) ? 0xffff_fff8 : 0
        var node = FDTNode("pmu")
        node.set("compatible", "riscv,pmu")
        node.set("riscv,event-to-mhpmcounters", cells: [1, 1, programmable | 1, 2, 2, programmable | 4])
        return node
    }
}
