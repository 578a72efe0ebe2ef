import EmuBus
import EmuControl
import EmuMachine
import TestSupport
import Testing

/// A guest whose memory holds what a Linux kernel's would: image, page tables, symbols, type information, tasks, log, modules; and a
/// program that makes system calls.
final class FakeKernel {
    static let slide: UInt64 = 0x200_0000
    static let image: UInt64 = 0xffff_ffff_8000_0000 + slide
    /// Where all memory is mapped.
    private static let linear: UInt64 = 0xffff_ffd6_0000_0000
    private static let physicalImage: UInt64 = 0x8020_0000
    private static let root: UInt64 = 0x80c0_0000
    static let userRoot: UInt64 = 0x80c1_0000
    private static let userPage: UInt64 = 0x80d0_0000
    static let program: UInt64 = 0x1_0000
    static let space: UInt64 = 8 << 60 | root >> 12
    static let userSpace: UInt64 = 8 << 60 | userRoot >> 12

    let guest: DebugGuest
    let debugger: Debugger
    /// Addresses of everything placed, by name.
    private(set) var symbols: [String: UInt64] = [:]
    private var next = FakeKernel.image + 0x10_0000
    private var bytes = BTFBuilder()
    /// The part of physical memory that tests may damage.
    private(set) var damageable: Range<UInt64> = 0..<0

    init(order: KallsymsBuilder.Order = .present, hasTypes: Bool = true, hasSymbols: Bool = true, hasWideLevel: Bool = false) throws {
        guest = try DebugGuest([RVAssembly.jump(0)])
        try guest.begin()
        debugger = Debugger(guest.session)
        makePageTables()
        makeCode()
        makeData()
        if hasTypes {
            defineTypes(hasWideLevel)
            let types = bytes.bytes
            symbols["__start_BTF"] = place(types)
            symbols["__stop_BTF"] = symbols["__start_BTF"].map { $0 + UInt64(types.count) }
        }
        symbols["_end"] = Self.image + 0x3f_f000
        if hasSymbols {
            let letters: [String: String] = ["handle_exception": "T", "schedule": "t", "do_wait": "T", "_start": "T"]
            var list = symbols.filter { !$0.key.contains(" ") }.map { (name: $0.key, letter: letters[$0.key] ?? "D", address: $0.value) }.sorted { ($0.address, $0.name) < ($1.address, $1.name) }
            list.insert(("a_long_name_" + String(repeating: "x", count: 140), "t", Self.image + 8), at: 1)
            list.sort { $0.address < $1.address }
            _ = place(KallsymsBuilder.bytes(list, base: Self.image, order: order))
        }
        damageable = Self.physicalImage + 0x10_0000..<next - Self.image + Self.physicalImage
        enterKernel()
    }

    // MARK: The hart

    /// As in the kernel, with process 42 as the current task.
    func enterKernel() {
        guest["satp"] = Self.space
        guest["stvec"] = self["handle_exception"]
        guest["sscratch"] = 0
        guest["tp"] = self["task 42"]
        guest["pc"] = self["schedule"]
        guest["priv"] = 1
    }

    /// As in the program of process 42, about to make its first system call.
    func enterProgram() {
        guest["pmpaddr0"] = 1 << 54 - 1
        guest["pmpcfg0"] = 0x1f
        guest["medeleg"] = 1 << 8
        guest["satp"] = Self.userSpace | 7 << 44
        guest["sscratch"] = self["task 42"]
        guest["tp"] = 0x1234
        guest["a1"] = Self.program + 0x400
        guest["a2"] = 4
        guest["pc"] = Self.program
        guest["priv"] = 0
    }

    func run(_ lines: String...) throws -> String { try lines.map { try debugger.execute($0).text }.joined() }

    func failure(_ line: String) -> String {
        do throws(DebugError) {
            return "no failure: " + (try debugger.execute(line).text)
        } catch {
            return error.description
        }
    }

    // MARK: Memory

    subscript(_ name: String) -> UInt64 { symbols[name] ?? 0 }

    func write(_ address: UInt64, _ bytes: [UInt8]) {
        #expect(bytes.withUnsafeBytes { guest.machine.bus.writeMemory(address - Self.image + Self.physicalImage, from: $0) })
    }

    func write(_ address: UInt64, _ values: UInt64...) { write(address, values.flatMap { littleEndian($0) }) }

    private func writePhysical(_ address: UInt64, _ value: UInt64) { #expect(guest.machine.bus.storeMemory(address, value)) }

    /// Puts bytes at the next free place.
    func place(_ bytes: [UInt8]) -> UInt64 {
        defer { next += UInt64(bytes.count + 15) & ~7 }
        write(next, bytes)
        return next
    }

    func place(_ name: String, _ bytes: [UInt8]) { symbols[name] = place(bytes) }
    func place(_ name: String, _ values: UInt64...) { place(name, values.flatMap { littleEndian($0) }) }
    func text(_ text: String) -> UInt64 { place(Array(text.utf8) + [0]) }

    private func makePageTables() {
        func leaf(_ physical: UInt64, _ flags: UInt64) -> UInt64 { physical >> 2 | flags }
        let kernel = Self.root + 0x1000, linear = Self.root + 0x2000
        for root in [Self.root, Self.userRoot] {
            writePhysical(root + 8 * 510, leaf(kernel, 1))
            writePhysical(root + 8 * (Self.linear >> 30 & 511), leaf(linear, 1))
        }
        for page in 0..<2 { writePhysical(kernel + 8 * (Self.image >> 21 & 511) + 8 * UInt64(page), leaf(Self.physicalImage + UInt64(page) << 21, 0xef)) }
        for page in 0..<8 { writePhysical(linear + 8 * UInt64(page), leaf(0x8000_0000 + UInt64(page) << 21, 0xef)) }
        writePhysical(Self.userRoot, leaf(Self.userRoot + 0x1000, 1))
        writePhysical(Self.userRoot + 0x1000, leaf(Self.userRoot + 0x2000, 1))
        writePhysical(Self.userRoot + 0x2000 + 8 * 16, leaf(Self.userPage, 0xdf))
        // The kernel's name for its own table leads to it through the image: a page there that says the same.
        symbols["swapper_pg_dir"] = Self.image + 0x20_0000
        for entry in [510, Self.linear >> 30 & 511] {
            let table = entry == 510 ? kernel : linear
            writePhysical(Self.physicalImage + 0x20_0000 + 8 * entry, leaf(table, 1))
        }
    }

    private func makeCode() {
        symbols["_start"] = Self.image
        symbols["handle_exception"] = Self.image + 0x1000
        // The result is always -2; on behind the ecall.
        let handler: [UInt32] = [
            RVAssembly.addImmediate(10, 0, -2), RVAssembly.readCSR(5, 0x141), RVAssembly.addImmediate(5, 5, 4), RVAssembly.writeCSR(0x141, 5), RVAssembly.supervisorReturn,
        ]
        guest.place(handler, at: Self.physicalImage + 0x1000)
        let frame = [RVAssembly.addImmediate(2, 2, -16), RVAssembly.storeDouble(1, 2, 8)] + [UInt32](repeating: RVAssembly.nop, count: 14)
        symbols["__sched_text_start"] = Self.image + 0x1100
        symbols["schedule"] = Self.image + 0x1100
        symbols["__sched_text_end"] = Self.image + 0x1200
        symbols["do_wait"] = Self.image + 0x1200
        guest.place(frame, at: Self.physicalImage + 0x1100)
        guest.place(frame, at: Self.physicalImage + 0x1200)
        symbols["sys_ni"] = Self.image + 0x1300
        // openat, write with the same texts, and for ever.
        guest.place(
            [
                RVAssembly.addImmediate(17, 0, 56), RVAssembly.addImmediate(10, 0, -100), RVAssembly.environmentCall, RVAssembly.addImmediate(17, 0, 64),
                RVAssembly.environmentCall, RVAssembly.jump(-20),
            ], at: Self.userPage)
        for (index, byte) in "/etc/motd\0sh\0-c\0".utf8.enumerated() { #expect(guest.machine.bus.storeMemory(Self.userPage + 0x400 + UInt64(index), byte)) }
    }

    // MARK: Data

    private func makeData() {
        place("linux_banner", Array("Linux version 6.12.0-test\n\0".utf8) + [UInt8](repeating: 0, count: 64))
        place("saved_command_line", text("console=ttyS0 quiet"))
        func name(_ text: String) -> [UInt8] { Array(text.utf8) + [UInt8](repeating: 0, count: 65 - text.utf8.count) }
        place("init_uts_ns", ["Linux", "box", "6.12.0-test", "#1 SMP", "riscv64", "(none)"].flatMap(name))
        place("nr_cpu_ids", 1)
        place("__cpuid_to_hartid_map", 0)
        place("__per_cpu_offset", 0x40)
        place("runqueues", [UInt8](repeating: 0, count: 0x80))
        makeTasks()
        makeLog()
        makeModules()
        makeSystemCalls()
    }

    private func makeTasks() {
        place("cred", 0, 1000)
        place("mm", 0, Self.linear + (Self.userRoot - 0x8000_0000), Self.program + 0x40a, Self.program + 0x410)
        symbols["stack"] = place((0..<8).flatMap { littleEndian($0 == 1 ? self["do_wait"] + 16 : UInt64(0)) })
        for pid in [0, 1, 42, 43] {
            symbols["task \(pid)"] = place([UInt8](repeating: 0, count: 256))
            symbols["signals \(pid)"] = place([UInt8](repeating: 0, count: 32))
        }
        symbols["init_task"] = symbols["task 0"]
        let tasks: [(pid: UInt64, process: UInt64, state: UInt64, flags: UInt64, map: UInt64, name: String)] = [
            (0, 0, 0, 0x20_0000, 0, "swapper/0"), (1, 1, 1, 0x20_0000, 0, "kthreadd"), (42, 42, 0, 0, self["mm"], "sh\u{1b}[2J"), (43, 42, 2, 0, self["mm"], "worker"),
        ]
        for task in tasks {
            let address = self["task \(task.pid)"]
            write(address + 16, [task.state | task.flags << 32].flatMap { littleEndian($0) })
            write(address + 40, task.map, 0)
            write(address + 56, task.pid | task.process << 32, self["task \(task.pid == 43 ? 1 : 0)"])
            write(address + 88, self["cred"])
            write(address + 96, Array(task.name.utf8))
            let signals = self["signals \(task.process)"]
            write(address + 112, signals, self["schedule"] + 16, self["stack"])
            write(signals + 8, address + 72)
            write(address + 72, signals + 8)
        }
        // Processes 0, 1, 42 in a circle; 42 and 43 are threads of one.
        for (from, to) in [(0, 1), (1, 42), (42, 0)] { write(self["task \(from)"] + 24, self["task \(to)"] + 24) }
        write(self["signals 42"] + 8, self["task 42"] + 72)
        write(self["task 42"] + 72, self["task 43"] + 72)
        write(self["task 43"] + 72, self["signals 42"] + 8)
        write(self["runqueues"] + 0x40 + 16, self["task 42"])
    }

    /// Five descriptors' worth in a ring of eight, texts in a ring of 256 bytes.
    private func makeLog() {
        var descriptors = [UInt8](repeating: 0, count: 8 * 24), infos = [UInt8](repeating: 0, count: 8 * 88), texts = [UInt8](repeating: 0, count: 256)
        func add(_ id: UInt64, _ text: String, begin: UInt64, next: UInt64, state: UInt64 = 2) {
            let slot = Int(id & 7)
            descriptors.replaceSubrange(24 * slot..<24 * slot + 24, with: littleEndian(state << 62 | id) + littleEndian(begin) + littleEndian(next))
            infos.replaceSubrange(88 * slot..<88 * slot + 16, with: littleEndian(id) + littleEndian(id * 1_000_001_000))
            infos.replaceSubrange(88 * slot + 16..<88 * slot + 20, with: littleEndian(UInt16(text.utf8.count)) + [3, 6 << 5])
            guard begin & 1 == 0 else { return }
            let place = begin >> 8 == (next - 1) >> 8 ? Int(begin & 255) : 0
            texts.replaceSubrange(place..<place + 8 + text.utf8.count, with: littleEndian(id) + Array(text.utf8))
        }
        add(9, "first", begin: 0x190, next: 0x1a0)
        add(10, "a\u{1b}[31m\ttwo\nlines", begin: 0x1a0, next: 0x1c0)
        add(11, "", begin: 0x1c1, next: 0x1c1)
        add(12, "not complete", begin: 0x1c0, next: 0x1e0, state: 0)
        add(13, "at the end of the ring, so at its start", begin: 0x1e0, next: 0x230)
        place("descriptors", descriptors)
        place("infos", infos)
        place("texts", texts)
        place("ring", 3, self["descriptors"], self["infos"], 13, 9, 8, self["texts"])
        place("prb", self["ring"])
    }

    private func makeModules() {
        place("modules", 0, 0)
        let strings = place(Array("\0probe\0$x\0".utf8))
        let code = Self.image + 0x30_0000
        place("symtab", [UInt8](repeating: 0, count: 72))
        // Name, kind and section, address, size.
        write(self["symtab"] + 24, 1 | 2 << 32 | 1 << 48, code + 0x10, 0x20)
        write(self["symtab"] + 48, 7 | 1 << 48, code, 0)
        place("typetab", Array("?tt".utf8))
        place("kallsyms of a module", self["symtab"], 3, strings, self["typetab"])
        for (name, base, size) in [("dummy", code, UInt64(0x1000)), ("helper", code + 0x1000, UInt64(0x2000))] { makeModule(name, base, size) }
        write(self["modules"], self["module dummy"] + 8)
        write(self["module dummy"] + 8, self["module helper"] + 8)
        write(self["module helper"] + 8, self["modules"])
        place("use", 0, 0, 0, 0, self["module dummy"], self["module helper"])
        write(self["module helper"] + 200, self["use"])
        write(self["use"], self["module helper"] + 200)
    }

    private func makeModule(_ name: String, _ base: UInt64, _ size: UInt64) {
        place("module \(name)", [UInt8](repeating: 0, count: 256))
        let address = self["module \(name)"]
        write(address + 24, Array(name.utf8))
        write(address + 80, base, size / 2, base + 0x800, size / 2)
        write(address + 192, name == "dummy" ? self["kallsyms of a module"] : 0, address + 200)
        write(address + 216, name == "helper" ? 2 : 1)
    }

    private func makeSystemCalls() {
        let types = ["int", "const char *", "size_t"].map { text($0) }, names = ["dfd", "filename", "fd", "buf", "count"].map { text($0) }
        let none: UInt64 = 0
        let openTypes = place([types[0], types[1]].flatMap { littleEndian($0) }), openNames = place([names[0], names[1]].flatMap { littleEndian($0) })
        let open = place([text("sys_openat"), 56 | 2 << 32, openTypes, openNames].flatMap { littleEndian($0) })
        let writeTypes = place([types[0], types[1], types[2]].flatMap { littleEndian($0) })
        let writeNames = place([names[2], names[3], names[4]].flatMap { littleEndian($0) })
        let write = place([text("sys_write"), 64 | 3 << 32, writeTypes, writeNames].flatMap { littleEndian($0) })
        let table = place((0..<65).flatMap { littleEndian($0 == 56 ? open : $0 == 64 ? write : none) })
        place("syscalls_metadata", table)
    }

    // MARK: Types

    private func defineTypes(_ hasWideLevel: Bool) {
        let u8 = bytes.integer(1), u16 = bytes.integer(2), u32 = bytes.integer(4), u64 = bytes.integer(8), pointer = bytes.pointer()
        typealias Member = BTFBuilder.Member
        func array(_ element: UInt32, _ count: UInt32) -> UInt32 { bytes.array(element, count) }
        @discardableResult func define(_ name: String, _ size: UInt32, isUnion: Bool = false, _ members: [(String, UInt32, UInt32)]) -> UInt32 {
            bytes.structure(name, size, isUnion: isUnion, members.map { Member(name: $0.0, type: $0.1, offset: $0.2) })
        }
        let list = define("list_head", 16, [("next", pointer, 0), ("prev", pointer, 8)])
        let counter = define("", 8, [("counter", u64, 0)])
        let atomic = bytes.typedef("atomic_long_t", counter)
        let info = define("thread_info", 16, [("flags", u64, 0), ("cpu", u32, 8)])
        let thread = define("thread_struct", 112, [("ra", u64, 0), ("sp", u64, 8), ("s", array(u64, 12), 16)])
        let hidden = define("", 16, [("mm", pointer, 0), ("exit_state", u32, 8)])
        define("task_struct", 256, [
            ("thread_info", info, 0), ("__state", u32, 16), ("flags", u32, 20), ("tasks", list, 24), ("", hidden, 40), ("pid", u32, 56), ("tgid", u32, 60),
            ("real_parent", pointer, 64), ("thread_node", list, 72), ("cred", pointer, 88), ("comm", array(u8, 16), 96), ("signal", pointer, 112), ("thread", thread, 120),
        ])
        define("cred", 16, [("uid", define("kuid", 4, [("val", u32, 0)]), 8)])
        define("mm_struct", 32, [("pgd", pointer, 8), ("arg_start", u64, 16), ("arg_end", u64, 24)])
        define("signal_struct", 32, [("thread_head", list, 8)])
        define("rq", 32, [("", define("", 8, isUnion: true, [("donor", pointer, 0), ("curr", pointer, 0)]), 16)])
        let descriptors = define("prb_desc_ring", 40, [("count_bits", u32, 0), ("descs", pointer, 8), ("infos", pointer, 16), ("head_id", atomic, 24), ("tail_id", atomic, 32)])
        let data = define("prb_data_ring", 16, [("size_bits", u32, 0), ("data", pointer, 8)])
        define("printk_ringbuffer", 56, [("desc_ring", descriptors, 0), ("text_data_ring", data, 40)])
        define("prb_desc", 24, [("state_var", atomic, 0), ("text_blk_lpos", define("prb_data_blk_lpos", 16, [("begin", u64, 0), ("next", u64, 8)]), 8)])
        _ = bytes.structure("printk_info", 88, [
            Member(name: "seq", type: u64, offset: 0), Member(name: "ts_nsec", type: u64, offset: 8), Member(name: "text_len", type: u16, offset: 16),
            Member(name: "facility", type: u8, offset: 18), Member(name: "flags", type: u8, offset: 19 * 8, bits: 5),
            hasWideLevel ? Member(name: "level", type: u64, offset: 80) : Member(name: "level", type: u8, offset: 19 * 8 + 5, bits: 3),
        ])
        let part = define("module_memory", 16, [("base", pointer, 0), ("size", u32, 8)])
        define("module", 256, [
            ("state", u32, 0), ("list", list, 8), ("name", array(u8, 56), 24), ("mem", array(part, 7), 80), ("kallsyms", pointer, 192), ("source_list", list, 200),
            ("refcnt", define("atomic_t", 4, [("counter", u32, 0)]), 216),
        ])
        define("mod_kallsyms", 32, [("symtab", pointer, 0), ("num_symtab", u32, 8), ("strtab", pointer, 16), ("typetab", pointer, 24)])
        define("module_use", 48, [("source_list", list, 0), ("target_list", list, 16), ("source", pointer, 32), ("target", pointer, 40)])
        let uts = define("new_utsname", 390, ["sysname", "nodename", "release", "version", "machine", "domainname"].enumerated().map { ($1, array(u8, 65), UInt32(65 * $0)) })
        define("uts_namespace", 432, [("name", uts, 0)])
        define("syscall_metadata", 32, [("name", pointer, 0), ("syscall_nr", u32, 8), ("nb_args", u32, 12), ("types", pointer, 16), ("args", pointer, 24)])
    }
}
