/// Turns instruction bits into `DecodedOp`s for one set of extensions.
package struct RVDecoder: Sendable {
    package init(extensions: RVExtensionSet) {}

    /// - Parameter bits: 32 bits at the instruction's address; only the low 16 count when bits 1:0 are not 11.
    package func decode(_ bits: UInt32) -> DecodedOp { DecodedOp(.illegal, raw: bits) }
}
