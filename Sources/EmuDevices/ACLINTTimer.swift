import EmuBus

/// The MTIMER part of an `ACLINT` on its own: `mtimecmp` first, `mtime` in the last eight bytes.
public final class ACLINTTimer: MMIODevice {
    public static let size: UInt64 = 0x8000
    /// Where it lies in the whole.
    private static let start: UInt64 = 0x4000
    private static let time: UInt64 = size - 8

    public let name = "mtimer"
    private let whole: ACLINT

    public init(_ whole: ACLINT) { self.whole = whole }

    public func read(_ offset: UInt64, size: Int) -> UInt64 { whole.read(offset + Self.start, size: size) }
    public func write(_ offset: UInt64, _ value: UInt64, size: Int) { whole.write(offset + Self.start, value, size: size) }
    public func peek(_ offset: UInt64, size: Int) -> UInt64? { whole.peek(offset + Self.start, size: size) }
    public func reset() { whole.reset() }

    /// `mtimer@…`.
    /// - Parameter interruptControllers: phandle of each hart's `interrupt-controller`, hart 0 first.
    public func fdtNode(at base: UInt64, interruptControllers: [UInt32]) -> FDTNode {
        var node = FDTNode("mtimer@" + String(base, radix: 16))
        node.set("interrupts-extended", cells: interruptControllers.flatMap { [$0, 7] })
        node.set("reg", pairs: [base + Self.time, Self.size - Self.time, base, Self.time])
        node.set("compatible", "riscv,aclint-mtimer")
        return node
    }
}
