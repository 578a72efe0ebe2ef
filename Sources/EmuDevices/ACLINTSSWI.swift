import EmuBus

/// ACLINT supervisor software interrupts (RISC-V ACLINT specification 1.0, section 4): one SETSSIP register per hart.
///
/// Writing 1 raises an edge at the hart, which keeps SSIP pending until software clears it; the registers hold nothing.
public final class ACLINTSSWI: MMIODevice {
    public static let size: UInt64 = 0x4000
    public static let accessSizes: AccessSizes = .word
    private static let supervisorSoftware = 1

    public let name: String
    private let lines: [InterruptLine]

    /// - Parameter harts: the interrupt inputs of hart 0, 1, …; the number driven is `mip` bit 1 (SSIP).
    public init(name: String = "sswi", harts: [any InterruptSink]) {
        self.name = name
        lines = harts.map { InterruptLine($0, Self.supervisorSoftware) }
    }

    public func read(_ offset: UInt64, size: Int) -> UInt64 { 0 }

    public func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        let hart = Int(offset / 4)
        guard lines.indices.contains(hart) else {
            Log.write(.guestErrors, "\(name): write for hart \(hart), which does not exist")
            return
        }
        guard value & 1 != 0 else { return }
        lines[hart].set(true)
        lines[hart].set(false)
    }

    public func reset() {}

    /// `sswi@…`.
    /// - Parameter interruptControllers: phandle of each hart's `interrupt-controller`, hart 0 first.
    public func fdtNode(at base: UInt64, interruptControllers: [UInt32]) -> FDTNode {
        var node = FDTNode("sswi@" + String(base, radix: 16))
        node.set("#interrupt-cells", cells: [0])
        node.set("interrupt-controller")
        node.set("interrupts-extended", cells: interruptControllers.flatMap { [$0, UInt32(Self.supervisorSoftware)] })
        node.set("reg", pairs: [base, Self.size])
        node.set("compatible", "riscv,aclint-sswi")
        return node
    }
}
