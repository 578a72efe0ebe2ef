/// What receives message-signalled interrupts for one privilege level of a hart, as the hart's own registers reach it
/// (RISC-V Advanced Interrupt Architecture, "Incoming MSI Controller (IMSIC)").
public protocol InterruptFile: AnyObject {
    /// The register that a selector from 0x70 to 0xFF means, 64 bits wide. Odd selectors above 0x80 are the caller's to refuse.
    func read(_ selector: UInt64) -> UInt64
    func write(_ selector: UInt64, _ value: UInt64)
    /// The lowest identity that is pending, enabled and below the threshold; 0 when there is none.
    var top: UInt64 { get }
    /// Clears the pending bit of `top`.
    func claim()
    /// One in the same state that drives nothing.
    func detachedCopy() -> any InterruptFile
}
