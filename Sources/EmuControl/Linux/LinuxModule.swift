/// A module that a Linux guest has loaded.
struct LinuxModule {
    let name: String
    /// Where its code is.
    let base: UInt64
    /// Of all its parts that stay.
    let size: UInt64
    /// How many uses keep it from being unloaded.
    let uses: Int
    let state: String
    let version: String
    /// Modules that use it.
    let users: [String]
    /// Of its `struct module`.
    let address: UInt64
}

extension LinuxGuest {
    private static let moduleLimit = 4096

    /// The modules loaded, the latest first.
    func modules() throws(DebugError) -> Walk<LinuxModule> {
        let found = try list(try required("modules"), "module", "list", limit: Self.moduleLimit)
        var result = Walk<LinuxModule>(problem: found.problem)
        for address in found.elements {
            do throws(DebugError) { result.elements.append(try module(at: address)) } catch { result.problem = error.description }
        }
        return result
    }

    private func module(at address: UInt64) throws(DebugError) -> LinuxModule {
        let object = try object("module", at: address)
        let (base, size) = try Self.extent(object)
        let states = ["live", "coming", "going", "unformed"]
        let version = try object.has("version") ? object.number("version") : 0
        return LinuxModule(
            name: try object.text("name"), base: base, size: size,
            // One is the kernel's own.
            uses: object.has("refcnt") ? try object.signed("refcnt") - 1 : 0,
            state: states[Int(try object.number("state") & 3)],
            version: version == 0 ? "" : memory.text(version, limit: 64).map { GuestText.line($0) } ?? "",
            users: (try? users(of: object)) ?? [], address: address)
    }

    /// Several ranges of memory since Linux 6.4, two before.
    private static func extent(_ object: LinuxObject) throws(DebugError) -> (UInt64, UInt64) {
        if object.has("core_layout.base") { return (try object.number("core_layout.base"), try object.number("core_layout.size")) }
        // The last three (MOD_INIT_…) are freed after loading.
        let sizes = try (0..<4).map { index throws(DebugError) in try object.number("mem[\(index)].size") }
        return (try object.number("mem[0].base"), sizes.reduce(0, &+))
    }

    private func users(of module: LinuxObject) throws(DebugError) -> [String] {
        let uses = try list(try module.address("source_list"), "module_use", "source_list", limit: 256)
        return uses.elements.compactMap { use in
            guard let source = try? object("module_use", at: use).number("source"), source != 0 else { return nil }
            return try? object("module", at: source).text("name")
        }
    }

    // MARK: Symbols

    /// The names a module has brought along, as a file of its own.
    /// - Parameter limit: most there may be.
    func symbols(of module: LinuxModule, limit: Int) -> SymbolFile? {
        guard let table = try? object("module", at: module.address).number("kallsyms"), table != 0, let object = try? object("mod_kallsyms", at: table),
            let entries = try? object.number("symtab"), let count = try? object.number("num_symtab"), let names = try? object.number("strtab"),
            let letters = try? object.number("typetab"), count <= UInt64(max(0, limit)), let symbols = memory.bytes(entries, 24 * Int(count)),
            let types = memory.bytes(letters, Int(count))
        else { return nil }
        let bytes = HeapBytes(symbols).view
        var list = SymbolList()
        for (index, letter) in types.enumerated() {
            // An ELF symbol: name, kind, section, address, size. Those of section 0 are other modules'.
            guard let name: UInt32 = bytes.load(24 * index), let section: UInt16 = bytes.load(24 * index + 6), section != 0,
                let address: UInt64 = bytes.load(24 * index + 8), let size: UInt64 = bytes.load(24 * index + 16), address != 0,
                let text = memory.text(names &+ UInt64(name), limit: 512), !text.isEmpty, text.allSatisfy({ (0x21...0x7e).contains($0) }),
                // Mapping symbols and assembler's labels.
                text[0] != UInt8(ascii: "$"), text[0] != UInt8(ascii: ".")
            else { continue }
            list.add(address, size: size, letter: letter, name: text)
        }
        return SymbolFile(list, name: "[\(module.name)]", end: module.base &+ module.size)
    }
}
