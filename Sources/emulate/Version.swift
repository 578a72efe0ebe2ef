/// What this program says it is.
package enum Version {
    package static let number = "0.1.0"
    /// The QEMU release whose options and machine this program keeps to.
    static let compatible = "7.2.0"

    /// The text of `-version`. Tools that drive QEMU look for "QEMU emulator version X.Y.Z".
    package static let text = """
        emulate version \(number)
        QEMU emulator version \(compatible) (compatible command line)

        """
}
