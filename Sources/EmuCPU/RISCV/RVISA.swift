/// What a processor tells software about itself.
extension RVConfig {
    /// misa: 64-bit, and a letter for each single-letter extension, B for Zba+Zbb+Zbs, S and U for the privilege modes
    /// (privileged manual, "Machine ISA (misa) Register"). All bits are fixed.
    public var misa: UInt64 {
        var value: UInt64 = 2 << 62
        func set(_ letter: Unicode.Scalar) { value |= 1 << UInt64(letter.value - ("a" as Unicode.Scalar).value) }
        for each in extensions.members {
            if let letter = each.name.unicodeScalars.first, each.name.unicodeScalars.count == 1 { set(letter) }
        }
        if [.zba, .zbb, .zbs].allSatisfy(extensions.contains) { set("b") }
        set("s")
        set("u")
        return value
    }

    /// Names for the device tree's `riscv,isa-extensions`, in canonical order, with what V stands for: its parts and the length of its
    /// registers. Page-table depths are told by `mmu-type` instead.
    public var isaExtensions: [String] {
        let names = extensions.members.filter { $0 != .sv39 && $0 != .sv48 && $0 != .sv57 }.map(\.name)
        guard extensions.contains(.v) else { return names }
        let parts = ["zve32f", "zve32x", "zve64d", "zve64f", "zve64x"]
        // By number, not by letters.
        let lengths = [32, 64, 128, 256, 512, 1024].filter { $0 <= vectorLength }.map { "zvl\($0)b" }
        let before = names.prefix { $0 < "zv" && !$0.hasPrefix("s") || $0.count == 1 }
        let vector = names.filter { $0.hasPrefix("zv") }
        return before + (vector + parts).sorted() + lengths + names.dropFirst(before.count + vector.count)
    }

    /// The device tree's `riscv,isa`: "rv64imafdc_zicbom_…", without the privilege modes.
    public var isaString: String {
        let names = isaExtensions
        return (["rv64" + names.filter { $0.count == 1 }.joined()] + names.filter { $0.count > 1 }).joined(separator: "_")
    }

    /// The device tree's `mmu-type`: the deepest page tables satp can select.
    public var mmuType: String {
        for (mode, name) in [(RVExtension.sv57, "sv57"), (.sv48, "sv48"), (.sv39, "sv39")] where extensions.contains(mode) {
            return "riscv,\(name)"
        }
        return "riscv,none"
    }
}
