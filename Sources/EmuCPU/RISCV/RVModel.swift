import EmuBus

/// A `-cpu` value that cannot be built: what is wrong and what to do.
public struct RVConfigError: Error, Equatable, CustomStringConvertible {
    public let description: String
}

/// A named set of extensions.
struct RVModel {
    let name: String
    let help: String
    let extensions: RVExtensionSet

    init(_ name: String, _ help: String, _ extensions: [RVExtension]) {
        self.name = name
        self.help = help
        self.extensions = RVExtensionSet(extensions)
    }

    /// Everything but Svade, with which Svadu would start switched off, and what only M-mode software that knows it survives: interrupts or
    /// traps that start disabled.
    private static let maximum = RVExtension.allCases.filter { ![.svade, .smrnmi, .smdbltrp].contains($0) }
    /// What `rv64` lacks: vectors, the hypervisor, and what boards with interrupt files bring along.
    private static let optional: [RVExtension] = [.v, .smaia, .ssaia, .h] + RVConfig.hypervisorParts + RVExtension.allCases.filter { $0.name.hasPrefix("zv") }

    private static func named(_ text: String) -> [RVExtension] { text.split(separator: " ").compactMap { RVExtension(name: String($0)) } }

    /// Mandatory extensions (profiles, "RVA22U64 Profile", "RVA22S64 Profile").
    private static let rva22 = named(
        """
        i m a f d c zicsr zicntr zihpm ziccif ziccrse ziccamoa zicclsm za64rs zihintpause zba zbb zbs zic64b zicbom zicbop zicboz zfhmin zkt \
        zca zcd zaamo zalrsc zifencei svbare sv39 svade ssccptr sstvecd sstvala sscounterenw svpbmt svinval
        """)

    /// What "RVA23U64 Profile" and "RVA23S64 Profile" add to that. (Sha stands for the extensions whose names begin with `sh`.)
    private static let rva23 = rva22 + named(
        """
        v zvfhmin zvbb zvkt zihintntl zicond zimop zcmop zcb zfa zawrs supm svnapot sstc sscofpmf ssnpm ssu64xl ssstateen \
        h sha shcounterenw shvstvala shtvala shvstvecd shvsatpa shgatpa
        """)

    /// The expansion options of both, but Ssstrict, which is no extension; Sspm is smnpm here.
    static let expansion = named("zfh zbc zicfilp zicfiss zvfh zfbfmin zvfbfmin zvfbfwma sv48 sv57 zkr svadu sdtrig svvptc smnpm")

    /// What `-cpu` is without the option.
    static let standard = RVModel("rva23s64", "what the RVA23S64 profile makes mandatory and its expansion options; the default", rva23 + expansion)

    static let all = [
        standard,
        RVModel("rva22s64", "exactly what the RVA22S64 profile makes mandatory", rva22),
        RVModel(
            "rv64", "every extension that software need not know of to work, but vectors and the hypervisor; pages are marked accessed and dirty by hardware",
            maximum.filter { !optional.contains($0) }),
        RVModel("max", "every extension this version has but svade, smrnmi and smdbltrp", maximum),
    ]
}

/// Reading `-cpu`.
extension RVConfig {
    /// Switches that stand for several extensions.
    private static let groups: [(name: String, members: [RVExtension], help: String)] = [
        ("b", [.zba, .zbb, .zbs], "bit manipulation: zba, zbb and zbs"),
        ("zk", suiteNIST + [.zkr, .zkt], "scalar cryptography: zkn, zkr and zkt"),
        ("zkn", suiteNIST, "scalar cryptography by NIST: zbkb, zbkc, zbkx, zknd, zkne and zknh"),
        ("zks", [.zbkb, .zbkc, .zbkx, .zksed, .zksh], "scalar cryptography by ShangMi: zbkb, zbkc, zbkx, zksed and zksh"),
        ("zvkn", vectorNIST, "vector cryptography by NIST: zvkned, zvknhb, zvkb and zvkt"),
        ("zvknc", vectorNIST + [.zvbc], "zvkn with zvbc"),
        ("zvkng", vectorNIST + [.zvkg], "zvkn with zvkg"),
        ("zvks", vectorShangMi, "vector cryptography by ShangMi: zvksed, zvksh, zvkb and zvkt"),
        ("zvksc", vectorShangMi + [.zvbc], "zvks with zvbc"),
        ("zvksg", vectorShangMi + [.zvkg], "zvks with zvkg"),
        ("mmu", [.sv39, .sv48, .sv57], "page-based virtual memory: sv39, sv48 and sv57"),
        ("expansion", RVModel.expansion, "expansion options of RVA23: " + RVModel.expansion.map(\.name).joined(separator: ", ")),
    ]

    private static let suiteNIST: [RVExtension] = [.zbkb, .zbkc, .zbkx, .zknd, .zkne, .zknh]
    private static let vectorNIST: [RVExtension] = [.zvkned, .zvknhb, .zvkb, .zvkt]
    private static let vectorShangMi: [RVExtension] = [.zvksed, .zvksh, .zvkb, .zvkt]

    /// What comes with `h=on` unless it is switched off by name.
    fileprivate static let hypervisorParts: [RVExtension] = [
        .sha, .shcounterenw, .shgatpa, .shlcofideleg, .shtvala, .shvsatpa, .shvstvala, .shvstvecd,
    ]

    /// Extensions that exist for 32-bit processors only, and what does their work here.
    private static let only32Bit = ["zilsd": "ld and sd are in the base instructions", "zclsd": "c.ld and c.sd are in zca", "zcf": "c.ld and c.sd have its encodings"]

    /// The name of the model that a machine has unless told otherwise.
    public static let standardModel = RVModel.standard.name
    /// The processor of that model.
    public static let standard = RVConfig(extensions: RVModel.standard.extensions)

    /// Builds the processor a `-cpu` value describes: a model, then `name=on|off` for extensions, names in any case.
    ///
    /// An extension the value does not name follows those it needs; one that is asked for while something it needs is
    /// switched off is an error.
    public static func parse(_ cpuOption: String) throws(RVConfigError) -> RVConfig {
        let parts = cpuOption.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let model = parts.first ?? ""
        guard let found = RVModel.all.first(where: { $0.name == model.lowercased() }) else {
            throw RVConfigError(description: unknown("model", model, RVModel.all.map(\.name)))
        }
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
        var config = RVConfig(extensions: try resolve(found.extensions, asked))
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
        if let instead = only32Bit[lower] { throw RVConfigError(description: "-cpu: \(name) is for 32-bit processors; on this one \(instead)") }
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
        case .zfa, .zfbfmin, .zfhmin: [.f]
        case .zicfilp: [.zicsr]
        case .zicfiss: [.zicsr, .zimop, .zaamo]
        case .zfh: [.zfhmin]
        case .v: [.d]
        case .zvfh: [.zvfhmin, .zfhmin]
        case .zvbb, .zvbc, .zvfbfmin, .zvfhmin, .zvkb, .zvkg, .zvkned, .zvknha, .zvknhb, .zvksed, .zvksh, .zvkt: [.v]
        case .zvfbfwma: [.zvfbfmin, .zfbfmin]
        case .zabha, .zacas: [.zaamo]
        case .zawrs: [.zalrsc]
        case .zcb, .zcmop: [.zca]
        case .zcd: [.zca, .d]
        case .smstateen: [.ssstateen]
        case .smaia: [.ssaia]
        case .smcsrind: [.sscsrind]
        case .smctr: [.ssctr]
        case .supm: [.ssnpm]
        case .ziccamoc: [.zacas]
        case .ssctr: [.sscsrind]
        // Only in tandem.
        case .smcdeleg: [.ssccfg, .sscsrind]
        case .ssccfg: [.smcdeleg]
        case .smcntrpmf: [.zicntr]
        case .sscofpmf: [.zihpm]
        case .h: [.sv39]
        case .sha: [.h, .ssstateen, .shcounterenw, .shgatpa, .shtvala, .shvsatpa, .shvstvala, .shvstvecd]
        case .shlcofideleg: [.h, .sscofpmf]
        case .shcounterenw, .shgatpa, .shtvala, .shvsatpa, .shvstvala, .shvstvecd: [.h]
        case .svade, .svadu, .svnapot, .svpbmt, .svinval, .svrsw60t59b, .svvptc, .sv48: [.sv39]
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
        if asked[.h] == true { for part in hypervisorParts where asked[part] == nil { result.insert(part) } }
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
        func models(_ each: RVExtension) -> String {
            let names = RVModel.all.filter { $0.extensions.contains(each) }.map(\.name)
            return names.isEmpty ? " (none)" : names.count == RVModel.all.count ? "" : " (" + names.joined(separator: ", ") + ")"
        }
        return (["Processor models (-cpu MODEL[,NAME=on|off...]):"]
            + RVModel.all.map { line($0.name, $0.help) }
            + ["", "Extensions, and in brackets the models that have them if not all do:"]
            + RVExtension.allCases.map { line($0.name, $0.summary + models($0)) }
            + ["", "Groups:"]
            + groups.map { line($0.name, $0.help) }
            + ["", "Of 32-bit processors only:"]
            + only32Bit.sorted { $0.key < $1.key }.map { line($0.key, $0.value) }
            + ["", "Other properties:", line("vlen", "bits of a vector register: 128, 256, 512 or 1024 (256)")]).joined(separator: "\n") + "\n"
    }
}
