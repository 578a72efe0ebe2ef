import EmuMachine

/// The registers of harts in the form QEMU's monitor gives them, which scripts and fuzzers of kernels read.
///
/// Nothing in the guest changes by it. To be made between slices.
public enum RegisterListing {
    /// Control registers, in QEMU's order; those a hart does not have are left out.
    private static let controls = [
        "mhartid", "mstatus", "hstatus", "vsstatus", "mip", "mie", "mideleg", "hideleg", "medeleg", "hedeleg", "mtvec", "stvec", "vstvec", "mepc", "sepc", "vsepc", "mcause", "scause", "vscause", "mtval", "stval",
        "htval", "mtval2", "mscratch", "sscratch", "satp",
    ]
    private static let perLine = 4

    /// - Parameter hart: nil for all of them.
    /// - Throws: `DebugError` for a hart that is not there, or whose registers are not known.
    public static func text(_ machine: Machine, hart: Int?) throws(DebugError) -> String {
        let harts = try machine.debugHarts()
        guard let hart else { return harts.map(text).joined(separator: "\n") }
        guard harts.indices.contains(hart) else { throw DebugError("there is no hart \(hart); there are 0 to \(harts.count - 1)") }
        return text(harts[hart])
    }

    private static func text(_ hart: any DebugHart) -> String {
        var text = "\nCPU#\(hart.index)\n V      =   \((hart.register(named: "priv").map(hart.value) ?? 0) >> 2)\n pc       \(digits(hart.pc))\n"
        for name in controls {
            guard let register = hart.register(named: name) else { continue }
            text += " \(name.padded(8)) \(digits(hart.value(of: register)))\n"
        }
        for (group, letter) in [(RegisterDescription.Group.general, "x"), (.float, "f")] {
            let names = hart.registers.filter { $0.group == group && $0.name != "pc" }.map { register in
                "\(letter)\(register.number)/\(register.name)".padded(8) + " " + digits(hart.value(of: register))
            }
            for start in stride(from: 0, to: names.count, by: perLine) { text += " " + names[start..<min(start + perLine, names.count)].joined(separator: " ") + "\n" }
        }
        return text
    }

    private static func digits(_ value: UInt64) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}
