/// Where a kernel that moves itself (position independent, perhaps to a random address) is, compared with where it was linked.
public enum KernelSlide {
    /// Kernels keep their pages' alignment: they move by multiples of a large page.
    public static let alignment: UInt64 = 2 << 20

    /// Distance to be added to a kernel file's addresses, or nil when the kernel is not found in memory.
    ///
    /// The kernel is recognised by its banner, the text `linux_banner`, or else by its code. Candidates are first those that put one of
    /// the `hints` into the kernel: the trap vector and the program counter are good ones. If none fits, the addresses above the
    /// one it was linked at are searched.
    /// - Parameter memory: the guest's memory at the addresses where the kernel runs (virtual, once it has page tables).
    /// - Parameter span: how far above the linked address to search.
    public static func find(
        _ file: SymbolFile, memory: any FrameMemory, hints: [UInt64] = [], alignment: UInt64 = alignment, span: UInt64 = 2 << 30
    ) -> UInt64? {
        guard let elf = file.elf, alignment > 0, let lowest = elf.allocated.first?.address, let last = elf.allocated.last else { return nil }
        let probes = probes(file, elf)
        guard !probes.isEmpty else { return nil }
        let size = last.address &+ last.size &- lowest
        var tried: Set<UInt64> = []
        func fits(_ slide: UInt64) -> Bool { tried.insert(slide).inserted && matches(probes, slide, memory) }
        if fits(0) { return 0 }
        // A hint lies inside the kernel: only so many slides put it there. They may also be negative.
        for hint in hints {
            let highest = (hint &- lowest) / alignment
            for step in 0...min(size / alignment, 4096) where fits((highest &- step) &* alignment) { return (highest &- step) &* alignment }
        }
        for slide in stride(from: alignment, to: max(span, alignment), by: UInt64.Stride(clamping: alignment)) where fits(slide) { return slide }
        return nil
    }

    /// Bytes that must be at a linked address.
    private struct Probe {
        let address: UInt64
        let bytes: [UInt8]
    }

    /// The banner alone is proof. Code is patched while a kernel starts, so of that there are several pieces.
    private static func probes(_ file: SymbolFile, _ elf: SymbolELF) -> [Probe] {
        if let banner = file.symbols(named: "linux_banner").first, let text = file.contents(at: banner.address, 64), text.count == 64,
            text.contains(where: { $0 != 0 })
        { return [Probe(address: banner.address, bytes: text)] }
        var result: [Probe] = []
        for section in elf.allocated where section.flags & SymbolELF.Section.executable != 0 && section.type != SymbolELF.Section.noBits {
            for piece in 0..<16 {
                let offset = section.size / 16 &* UInt64(piece)
                guard let bytes = file.contents(at: section.address &+ offset, 32), bytes.count == 32, bytes.contains(where: { $0 != 0 }) else { continue }
                result.append(Probe(address: section.address &+ offset, bytes: bytes))
            }
            if result.count >= 16 { break }
        }
        return result
    }

    private static func matches(_ probes: [Probe], _ slide: UInt64, _ memory: any FrameMemory) -> Bool {
        // Most candidates are refused by their first bytes.
        var wrong = 0
        for probe in probes {
            let address = probe.address &+ slide
            guard let first = memory.bytes(address, 8), first.elementsEqual(probe.bytes.prefix(8)),
                let all = memory.bytes(address, probe.bytes.count), all == probe.bytes
            else {
                wrong += 1
                if wrong > probes.count / 4 { return false }
                continue
            }
        }
        return true
    }
}
