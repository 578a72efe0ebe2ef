/// A Linux kernel that runs in the guest, seen from outside: nothing is changed in it, and nothing it says is trusted.
///
/// Names come from the table the kernel keeps for itself (`Kallsyms`), structures from its type information (`BTF`); a file the user loaded
/// stands in for either. Only to be used while the guest is stopped, or in the middle of an event.
final class LinuxGuest {
    /// What the kernel's own symbols are called among the symbol files.
    static let symbolsName = "[kernel]"

    let session: DebugSession
    /// All symbols, for what the kernel's own table lacks.
    let table: SymbolTable
    /// The kernel's own symbols; nil where it has none.
    let symbols: SymbolFile?
    let types: LinuxTypes
    private(set) var memory: LinuxMemory
    /// Where the kernel's image is.
    let image: Range<UInt64>
    /// The beginning of its banner, by which it is known again.
    private var banner: [UInt8]

    /// How far an image reaches to either side of the trap handler.
    private static let imageLimit: UInt64 = 64 << 20
    /// Places that look like the beginning of type information.
    private static let typeCandidateLimit = 16
    private static let page: UInt64 = 4096

    /// Looks for a kernel.
    /// - Parameter table: the symbols the user loaded.
    /// - Throws: why no kernel can be looked into.
    init(_ session: DebugSession, _ table: SymbolTable) throws(DebugError) {
        guard let (hart, hint) = Self.hint(session) else {
            throw DebugError("no Linux kernel runs here yet: no hart has page tables with a kernel's trap handler in force; let it start first")
        }
        self.session = session
        self.table = table
        image = Self.image(around: hint.address, hart, hint.space)
        guard let contents = try? session.readMemory(image.lowerBound, image.count, .space(hint.space)) else {
            throw DebugError("the memory around the trap handler at \(hexText(hint.address)) cannot be read")
        }
        let bytes = HeapBytes(contents).view
        if let found = Kallsyms(bytes, inside: hint.address) {
            // `_end` itself is a symbol, and the last one.
            symbols = SymbolFile(found.symbols, name: Self.symbolsName, end: found.last &+ 1)
        } else {
            symbols = nil
        }
        guard symbols != nil || table.address(of: "init_task") != nil else {
            throw DebugError(
                "the kernel at \(hexText(image.lowerBound)) is no Linux that can be looked into: it has no symbol table (CONFIG_KALLSYMS) of a known "
                    + "form; 'symbols FILE auto' with its vmlinux or System.map helps")
        }
        types = LinuxTypes(try Self.typeInformation(bytes, image.lowerBound, symbols, table))
        memory = Self.memory(session, hart, hint, Self.address("swapper_pg_dir", symbols, table))
        banner = []
        banner = readBanner() ?? []
    }

    /// By the kernel's own page table, wherever this hart's leads later; while the kernel starts there is only the hart's.
    private static func memory(
        _ session: DebugSession, _ hart: any LinuxHart, _ hint: (address: UInt64, space: UInt64), _ root: UInt64?
    ) -> LinuxMemory {
        if let root, let physical = hart.physical(root, space: hint.space) {
            let space = hart.space(rootTable: physical, like: hint.space)
            if hart.physical(hint.address, space: space) == hart.physical(hint.address, space: hint.space) {
                return LinuxMemory(session: session, hart: hart, kernelSpace: space)
            }
        }
        return LinuxMemory(session: session, hart: hart, kernelSpace: hint.space)
    }

    private func readBanner() -> [UInt8]? { address("linux_banner").flatMap { memory.bytes($0, 64) } }

    /// To be called before each use: looks where the kernel's page table is now.
    /// - Returns: false when another kernel runs, or none.
    func refresh() -> Bool {
        guard let (hart, hint) = Self.hint(session), image.contains(hint.address) else { return false }
        memory = Self.memory(session, hart, hint, address("swapper_pg_dir"))
        return banner.isEmpty || readBanner() == banner
    }

    /// The selected hart's way into a kernel, or another hart's.
    private static func hint(_ session: DebugSession) -> (any LinuxHart, (address: UInt64, space: UInt64))? {
        for hart in [session.hart] + session.harts {
            if let hart = hart as? any LinuxHart, let hint = hart.kernelHint, hart.physical(hint.address, space: hint.space) != nil { return (hart, hint) }
        }
        return nil
    }

    /// The range around an address that is mapped without a gap onto consecutive physical memory: a kernel's image is.
    private static func image(around address: UInt64, _ hart: any LinuxHart, _ space: UInt64) -> Range<UInt64> {
        let middle = address & ~(page - 1)
        let distance = (hart.physical(middle, space: space) ?? 0) &- middle
        func belongs(_ page: UInt64) -> Bool { hart.isKernelAddress(page) && hart.physical(page, space: space).map { $0 &- page } == distance }
        var start = middle, end = middle &+ page
        while middle &- start < imageLimit, belongs(start &- page) { start = start &- page }
        while end &- middle < imageLimit, end != 0, belongs(end) { end = end &+ page }
        // The last page of all cannot be part of a range that ends behind it.
        return end > start ? start..<end : start..<middle
    }

    /// The kernel's BTF: by its symbols, by its magic number, or from a file the user loaded.
    private static func typeInformation(_ image: SymbolBytes, _ base: UInt64, _ symbols: SymbolFile?, _ table: SymbolTable) throws(DebugError) -> BTF {
        if let start = address("__start_BTF", symbols, table), let stop = address("__stop_BTF", symbols, table), start >= base, start < stop,
            let bytes = image.slice(start &- base, stop &- start)
        { return try BTF(bytes) }
        let magic = BTF.magic
        var candidates = 0
        for offset in stride(from: 0, to: UInt64(image.count), by: 4) where image.load(Int(offset), as: UInt16.self) == magic {
            candidates += 1
            guard candidates <= typeCandidateLimit else { break }
            if let rest = image.slice(offset, UInt64(image.count) - offset), let btf = try? BTF(rest), btf.size(of: "task_struct") != nil { return btf }
        }
        for module in table.modules {
            if let bytes = module.file.elf?.contents(".BTF"), bytes.count > 0 { return try BTF(bytes) }
        }
        throw DebugError(
            "this kernel does not say how its structures are laid out: it was built without CONFIG_DEBUG_INFO_BTF; load a vmlinux with a .BTF section by 'symbols FILE auto'")
    }

    // MARK: Names

    private static func address(_ name: String, _ symbols: SymbolFile?, _ table: SymbolTable) -> UInt64? {
        symbols?.symbols(named: name).first?.address ?? table.address(of: name)
    }

    /// Address of a kernel's variable or function.
    func address(_ name: String) -> UInt64? { Self.address(name, symbols, table) }

    /// The same where nothing can be done without.
    func required(_ name: String) throws(DebugError) -> UInt64 {
        guard let address = address(name) else { throw DebugError("the kernel has no symbol '\(name)'") }
        return address
    }

    /// How far the kernel is from where it was linked.
    var slide: UInt64 { (address("_start") ?? image.lowerBound) &- memory.hart.kernelLinkAddress }

    // MARK: Memory

    /// A number of the kernel's.
    func number(_ address: UInt64, _ size: Int = 8) throws(DebugError) -> UInt64 {
        guard let value = memory.read(address, size: size) else { throw DebugError("the kernel's memory at \(hexText(address)) cannot be read: nothing is mapped there") }
        return value
    }

    /// A structure of the kernel's.
    func object(_ structure: String, at address: UInt64) throws(DebugError) -> LinuxObject { try LinuxObject(structure, at: address, types, memory) }

    /// What a walk along one of the kernel's lists found, and why it ended early if it did.
    struct Walk<Element> {
        var elements: [Element] = []
        var problem: String?
    }

    /// The structures on a list, by their addresses: `member` is the list head in them, `head` the one that stands outside of all.
    func list(_ head: UInt64, _ structure: String, _ member: String, limit: Int) throws(DebugError) -> Walk<UInt64> {
        let offset = try types.offset(structure, member)
        var walk = Walk<UInt64>()
        var seen: Set<UInt64> = [head]
        var entry = try number(head)
        while entry != head {
            guard walk.elements.count < limit else {
                walk.problem = "the list of struct \(structure) has more than \(limit) entries; the rest is left out"
                break
            }
            guard seen.insert(entry).inserted else {
                walk.problem = "the list of struct \(structure) is damaged: it runs in a circle at \(hexText(entry))"
                break
            }
            guard let next = memory.read(entry, size: 8) else {
                walk.problem = "the list of struct \(structure) is damaged: it leads to \(hexText(entry)), where nothing is mapped"
                break
            }
            walk.elements.append(entry &- offset)
            entry = next
        }
        return walk
    }

    /// What the kernel says of itself: `uname`.
    var names: (release: String, version: String, machine: String, host: String)? {
        guard let address = address("init_uts_ns"), let object = try? object("uts_namespace", at: address) else { return nil }
        func text(_ name: String) -> String { (try? object.text("name.\(name)")) ?? "" }
        return (text("release"), text("version"), text("machine"), text("nodename"))
    }

    /// The command line the kernel was started with.
    var commandLine: String? {
        guard let address = address("saved_command_line"), let pointer = memory.read(address, size: 8), let text = memory.text(pointer, limit: 4096) else { return nil }
        return GuestText.line(text)
    }
}
