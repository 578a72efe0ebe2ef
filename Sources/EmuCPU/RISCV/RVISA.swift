import EmuBus

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

/// A `-cpu` value that cannot be built: what is wrong and what to do.
public struct RVConfigError: Error, Equatable, CustomStringConvertible {
    public let description: String
}

/// Reading `-cpu`.
extension RVConfig {
    /// Models of `-cpu`.
    private static let models: [(name: String, help: String)] = [
        ("rv64", "64-bit RISC-V with the extensions below that are not marked off; pages are marked accessed and dirty by hardware"),
        ("max", "every extension this version has"),
    ]

    /// Switches that stand for several extensions.
    private static let groups: [(name: String, members: [RVExtension], help: String)] = [
        ("b", [.zba, .zbb, .zbs], "bit manipulation: zba, zbb and zbs"),
        ("mmu", [.sv39, .sv48, .sv57], "page-based virtual memory: sv39, sv48 and sv57"),
    ]

    /// The processor of the model `max`.
    static let maximum: RVConfig = {
        var extensions = RVExtensionSet(RVExtension.allCases)
        // With both, hardware updating would start switched off.
        extensions.remove(.svade)
        return RVConfig(extensions: extensions)
    }()

    /// The processor of the default model, `rv64`.
    public static let standard: RVConfig = {
        var config = maximum
        // Boards with interrupt files bring Smaia and Ssaia along.
        for each in [RVExtension.v, .zvfh, .zvfhmin, .smaia, .ssaia] { config.extensions.remove(each) }
        return config
    }()

    /// Builds the processor a `-cpu` value describes: a model, then `name=on|off` for extensions, names in any case.
    ///
    /// An extension the value does not name follows those it needs; one that is asked for while something it needs is
    /// switched off is an error.
    public static func parse(_ cpuOption: String) throws(RVConfigError) -> RVConfig {
        let parts = cpuOption.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let model = parts.first ?? ""
        guard models.contains(where: { $0.name == model.lowercased() }) else {
            throw RVConfigError(description: unknown("model", model, models.map(\.name)))
        }
        var config = model.lowercased() == "max" ? maximum : standard
        var asked: [RVExtension: Bool] = [:]
        var length: String?
        for part in parts.dropFirst() {
            if part.lowercased().hasPrefix("vlen=") {
                length = String(part.dropFirst(5))
                continue
            }
            let (name, value) = try property(part)
            for each in try members(name) { asked[each] = value }
        }
        config.extensions = try resolve(config.extensions, asked)
        if let length { config.vectorLength = try vectorLength(length, config.extensions) }
        return config
    }

    private static func vectorLength(_ text: String, _ extensions: RVExtensionSet) throws(RVConfigError) -> Int {
        guard let bits = Int(text), [128, 256, 512, 1024].contains(bits) else {
            throw RVConfigError(description: "-cpu: vlen=\(text) is no length of vector registers this version has: use 128, 256, 512 or 1024 bits")
        }
        guard extensions.contains(.v) else {
            throw RVConfigError(description: "-cpu: vlen=\(text) needs the vector extension, which is off: add v=on or leave out vlen")
        }
        return bits
    }

    private static func property(_ text: String) throws(RVConfigError) -> (name: String, value: Bool) {
        guard let equals = text.firstIndex(of: "=") else {
            throw RVConfigError(description: "-cpu: '\(text)' needs a value: \(text.isEmpty ? "NAME" : text)=on or =off")
        }
        let name = String(text[..<equals])
        switch text[text.index(after: equals)...].lowercased() {
        case "on", "true", "yes": return (name, true)
        case "off", "false", "no": return (name, false)
        case let other: throw RVConfigError(description: "-cpu: \(name)=\(other) is neither on nor off")
        }
    }

    private static func members(_ name: String) throws(RVConfigError) -> [RVExtension] {
        let lower = name.lowercased()
        if let group = groups.first(where: { $0.name == lower }) { return group.members }
        if let found = RVExtension(name: lower) { return [found] }
        let names = RVExtension.allCases.map(\.name) + groups.map(\.name) + ["vlen"]
        throw RVConfigError(description: unknown("extension", name, names))
    }

    private static func unknown(_ kind: String, _ name: String, _ candidates: [String]) -> String {
        let hint = didYouMean(name, among: candidates)
        return "-cpu: there is no \(kind) '\(name)'" + (hint.isEmpty ? "; -cpu help lists them" : hint)
    }

    // MARK: Dependencies

    /// What each extension needs (unprivileged manual, "Extension naming", and the extensions' own chapters).
    static func needs(_ each: RVExtension, _ present: RVExtensionSet) -> [RVExtension] {
        switch each {
        case .a: [.zaamo, .zalrsc]
        case .c: present.contains(.d) ? [.zca, .zcd] : [.zca]
        case .d: [.f]
        case .zfa, .zfhmin: [.f]
        case .zfh: [.zfhmin]
        case .v: [.d]
        case .zvfh: [.zvfhmin, .zfhmin]
        case .zvfhmin: [.v]
        case .zabha, .zacas: [.zaamo]
        case .zawrs: [.zalrsc]
        case .zcb, .zcmop: [.zca]
        case .zcd: [.zca, .d]
        case .smstateen: [.ssstateen]
        case .smaia: [.ssaia]
        case .sscofpmf: [.zihpm]
        case .svade, .svadu, .svnapot, .svpbmt, .svinval, .sv48: [.sv39]
        case .sv57: [.sv48]
        default: []
        }
    }

    /// Applies what was asked for to a model's extensions and makes the result consistent.
    static func resolve(_ model: RVExtensionSet, _ asked: [RVExtension: Bool]) throws(RVConfigError) -> RVExtensionSet {
        for fixed in [RVExtension.i, .zicsr] where asked[fixed] == false {
            throw RVConfigError(description: "-cpu: \(fixed.name) cannot be switched off: a processor with privilege modes is built on it")
        }
        var result = model
        for (each, value) in asked {
            if value { result.insert(each) } else { result.remove(each) }
        }
        // Losing one extension can take others along, and c with d needs zcd: repeat until nothing changes.
        var changed = true
        while changed {
            changed = false
            for each in result.members {
                guard let missing = needs(each, result).first(where: { !result.contains($0) }) else { continue }
                if asked[each] == true {
                    throw RVConfigError(description: "-cpu: \(each.name) needs \(missing.name), which is off: leave out \(each.name)=on or switch \(missing.name) on")
                }
                result.remove(each)
                changed = true
            }
        }
        return try dropOrphans(result, asked)
    }

    /// Parts that nobody asked for by name go with the whole that was switched off: zaamo and zalrsc with a, zca and zcd with c.
    private static func dropOrphans(_ extensions: RVExtensionSet, _ asked: [RVExtension: Bool]) throws(RVConfigError) -> RVExtensionSet {
        var parts: [RVExtension: Bool] = [:]
        if asked[.a] == false { for part in [RVExtension.zaamo, .zalrsc] where asked[part] == nil && extensions.contains(part) { parts[part] = false } }
        if asked[.c] == false { for part in [RVExtension.zca, .zcd] where asked[part] == nil && extensions.contains(part) { parts[part] = false } }
        return parts.isEmpty ? extensions : try resolve(extensions, asked.merging(parts) { own, _ in own })
    }

    // MARK: Help

    /// What `-cpu help` prints.
    public static var helpText: String {
        func line(_ name: String, _ help: String) -> String { "  " + name + String(repeating: " ", count: max(1, 14 - name.count)) + help }
        let on = standard.extensions
        return (["Processor models (-cpu MODEL[,NAME=on|off...]):"]
            + models.map { line($0.name, $0.help) }
            + ["", "Extensions of rv64, all on unless marked:"]
            + RVExtension.allCases.map { line($0.name, $0.summary + (on.contains($0) ? "" : " (off)")) }
            + ["", "Groups:"]
            + groups.map { line($0.name, $0.help) }
            + ["", "Other properties:", line("vlen", "bits of a vector register: 128, 256, 512 or 1024 (256)")]).joined(separator: "\n") + "\n"
    }
}

extension RVExtension {
    /// What the extension brings, in a few words.
    var summary: String {
        switch self {
        case .i: "base integer instructions"
        case .m: "integer multiplication and division"
        case .a: "atomics: zaamo and zalrsc"
        case .f: "single-precision floating point"
        case .d: "double-precision floating point"
        case .c: "compressed instructions: zca, and zcd with d"
        case .v: "vectors; see vlen"
        case .zvfh: "half-precision vectors"
        case .zvfhmin: "half-precision vectors, conversions only"
        case .zicbom: "cache-block management"
        case .zicbop: "cache-block prefetch hints"
        case .zicboz: "cache-block zeroing"
        case .zicntr: "cycle, time and instret counters"
        case .zicond: "conditional zeroing"
        case .zicsr: "control and status registers"
        case .zifencei: "instruction-fetch fence"
        case .zihintntl: "non-temporal locality hints"
        case .zihintpause: "pause hint"
        case .zihpm: "hardware performance counters"
        case .zimop: "may-be-operations"
        case .zaamo: "atomic memory operations"
        case .zabha: "byte and halfword atomics"
        case .zacas: "compare and swap"
        case .zalrsc: "load-reserved and store-conditional"
        case .zawrs: "waiting on a reservation"
        case .zfa: "additional floating-point instructions"
        case .zfh: "half-precision floating point"
        case .zfhmin: "half-precision loads, stores and conversions"
        case .zca: "compressed instructions without floating point"
        case .zcb: "additional compressed instructions"
        case .zcd: "compressed double-precision loads and stores"
        case .zcmop: "compressed may-be-operations"
        case .zba: "address generation"
        case .zbb: "basic bit manipulation"
        case .zbc: "carry-less multiplication"
        case .zbs: "single-bit instructions"
        case .smaia: "advanced interrupt architecture, machine level; with aia=aplic-imsic always on"
        case .smstateen: "state enables, machine level"
        case .ssaia: "advanced interrupt architecture, supervisor level; with aia=aplic-imsic always on"
        case .sscofpmf: "counter overflow interrupts and mode filters"
        case .ssstateen: "state enables, supervisor level"
        case .sstc: "supervisor timer compare"
        case .svade: "page faults on clear accessed and dirty bits"
        case .svadu: "accessed and dirty bits set by hardware, under menvcfg.ADUE"
        case .svinval: "fine-grained translation fences"
        case .svnapot: "64 KiB pages"
        case .svpbmt: "page-based memory types"
        case .sv39: "three-level page tables"
        case .sv48: "four-level page tables"
        case .sv57: "five-level page tables"
        }
    }
}
