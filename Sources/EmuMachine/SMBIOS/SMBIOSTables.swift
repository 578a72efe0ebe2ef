import EmuBus

/// One `-smbios type=N,…`: fields of a structure, in QEMU's names; the last value of a field counts.
public struct SMBIOSFields: Equatable, Sendable {
    public var type: UInt8
    public var properties: [DeviceConfig.Property]

    public init(type: UInt8, properties: [DeviceConfig.Property]) {
        self.type = type
        self.properties = properties
    }

    /// Structures whose fields can be set, and those fields.
    public static let fields: [UInt8: [String]] = [
        0: ["vendor", "version", "date", "release"],
        1: ["manufacturer", "product", "version", "serial", "uuid", "sku", "family"],
        2: ["manufacturer", "product", "version", "serial", "asset", "location"],
        3: ["manufacturer", "version", "serial", "asset", "sku"],
        4: ["sock_pfx", "manufacturer", "version", "serial", "asset", "part", "max-speed", "current-speed"],
        11: ["value"],
        17: ["loc_pfx", "bank", "manufacturer", "serial", "asset", "part", "speed"],
    ]
}

/// The machine's SMBIOS tables (DMTF DSP0134, version 3.7, 64-bit entry point), which firmware finds in fw_cfg.
struct SMBIOSTables {
    enum File {
        static let entryPoint = "etc/smbios/smbios-anchor", tables = "etc/smbios/smbios-tables"
    }

    /// As firmware finds them.
    var files: [(name: String, bytes: [UInt8])] { [(File.entryPoint, Self.entryPoint(size: bytes.count)), (File.tables, bytes.bytes)] }

    /// What the structures tell of.
    struct Machine {
        var harts: Int
        var memory: UInt64
        var memoryBase: UInt64
        var product: String
        /// Code of the processor's family (7.5.2).
        var processorFamily: UInt16
    }

    private let fields: [SMBIOSFields]
    private var bytes = LittleEndianBytes()

    /// - Parameters:
    ///   - fields: what `-smbios type=` sets.
    ///   - given: structures as `-smbios file=` gives them, which replace those of their type; checked by `structure(in:)`.
    ///   - uuid: of the system, in the order of its text.
    init(_ machine: Machine, fields: [SMBIOSFields], given: [[UInt8]], uuid: [UInt8]?) {
        self.fields = fields
        let replaced = Set(given.map { $0.first ?? 0 })
        for structure in given { bytes.add(structure) }
        let made: [(UInt8, (inout SMBIOSTables) -> Void)] = [
            (0, { $0.addFirmware() }), (1, { $0.addSystem(machine, uuid) }), (2, { $0.addBaseboard() }), (3, { $0.addChassis() }),
            (4, { $0.addProcessor(machine) }), (11, { $0.addStrings() }), (16, { $0.addMemory(machine) }),
        ]
        for (type, add) in made where !replaced.contains(type) { add(&self) }
        add(32, [UInt8](repeating: 0, count: 7))
        add(127, [])
    }

    /// The whole of a file with one structure: header, formatted area and strings, closed by two zeros; nil when it is none.
    static func structure(in file: [UInt8]) -> [UInt8]? {
        guard file.count >= 6, file[1] >= 4, Int(file[1]) <= file.count - 2, file.suffix(2) == [0, 0] else { return nil }
        let strings = file[Int(file[1])...].dropLast(2)
        // The end of the strings comes once.
        for index in strings.indices.dropLast() where strings[index] == 0 && strings[index + 1] == 0 { return nil }
        return file
    }

    private static func entryPoint(size: Int) -> [UInt8] {
        var entry = LittleEndianBytes()
        entry.add("_SM3_", width: 5)
        entry.add([0, 24, 3, 7, 0, 1, 0])
        entry.add(UInt32(size))
        // The firmware moves the tables and says where they are.
        entry.add(UInt64(0))
        var bytes = entry.bytes
        bytes[5] = LittleEndianBytes.checksum(bytes)
        return bytes
    }

    // MARK: Structures

    private func value(_ type: UInt8, _ name: String) -> String? {
        fields.filter { $0.type == type }.flatMap(\.properties).last { $0.name == name }?.value
    }

    /// Collects a structure's strings; each is referred to by its number.
    private struct Strings {
        private(set) var all: [String] = []

        mutating func number(_ text: String?) -> UInt8 {
            guard let text, !text.isEmpty, all.count < 255 else { return 0 }
            all.append(text)
            return UInt8(all.count)
        }
    }

    private static func handle(_ type: UInt8) -> UInt16 { UInt16(type) << 8 }

    /// - Parameter body: what follows the header of four bytes.
    private mutating func add(_ type: UInt8, _ body: [UInt8], _ strings: Strings = Strings()) {
        bytes.add([type, UInt8(4 + body.count)])
        bytes.add(Self.handle(type))
        bytes.add(body)
        for text in strings.all { bytes.add(Array(text.utf8.filter { $0 != 0 }) + [0]) }
        bytes.add(strings.all.isEmpty ? [0, 0] : [0])
    }

    private mutating func addFirmware() {
        var strings = Strings(), body = LittleEndianBytes()
        let release = value(0, "release").map { $0.split(separator: ".").map { UInt8($0) ?? 0 } } ?? [0, 0]
        body.add([strings.number(value(0, "vendor") ?? Self.vendor), strings.number(value(0, "version") ?? "1.0")])
        body.add(UInt16(0))
        body.add([strings.number(value(0, "date") ?? "01/01/2026"), 0])
        let characteristicsUnknown: UInt64 = 1 << 3
        body.add(characteristicsUnknown)
        let isUEFI: UInt8 = 1 << 3, isVirtualMachine: UInt8 = 1 << 4
        body.add([0, isUEFI | isVirtualMachine, release.first ?? 0, release.dropFirst().first ?? 0, 0xff, 0xff, 0, 0])
        add(0, body.bytes, strings)
    }

    private static let vendor = "emulate"

    private mutating func addSystem(_ machine: Machine, _ uuid: [UInt8]?) {
        var strings = Strings(), body = LittleEndianBytes()
        body.add([
            strings.number(value(1, "manufacturer") ?? Self.vendor), strings.number(value(1, "product") ?? machine.product),
            strings.number(value(1, "version") ?? "1.0"), strings.number(value(1, "serial")),
        ])
        let text = uuid ?? Array(repeating: 0, count: 16)
        // The first three fields are little-endian (7.2.1).
        let identifier: [UInt8] = text[0..<4].reversed() + text[4..<6].reversed() + text[6..<8].reversed() + text[8...]
        body.add(identifier)
        let powerSwitch: UInt8 = 6
        body.add([powerSwitch, strings.number(value(1, "sku")), strings.number(value(1, "family"))])
        add(1, body.bytes, strings)
    }

    /// Only when some of it was asked for: the board has none to tell of.
    private mutating func addBaseboard() {
        guard fields.contains(where: { $0.type == 2 }) else { return }
        var strings = Strings(), body = LittleEndianBytes()
        body.add(["manufacturer", "product", "version", "serial", "asset"].map { strings.number(value(2, $0)) })
        let hostsOthers: UInt8 = 1, motherboard: UInt8 = 10
        body.add([hostsOthers, strings.number(value(2, "location"))])
        body.add(Self.handle(3))
        body.add([motherboard, 0])
        add(2, body.bytes, strings)
    }

    private mutating func addChassis() {
        var strings = Strings(), body = LittleEndianBytes()
        let other: UInt8 = 1, safe: UInt8 = 3, unknown: UInt8 = 2
        body.add([
            strings.number(value(3, "manufacturer") ?? Self.vendor), other, strings.number(value(3, "version")), strings.number(value(3, "serial")),
            strings.number(value(3, "asset")), safe, safe, safe, unknown, 0, 0, 0, 0, 0, 0, 0, 0, strings.number(value(3, "sku")),
        ])
        add(3, body.bytes, strings)
    }

    private mutating func addProcessor(_ machine: Machine) {
        var strings = Strings(), body = LittleEndianBytes()
        let central: UInt8 = 3, seeFamily2: UInt8 = 0xfe, populatedAndEnabled: UInt8 = 0x41, other: UInt8 = 1, is64Bit: UInt16 = 1 << 2
        func speed(_ name: String) -> UInt16 { value(4, name).flatMap { UInt16($0) } ?? 0 }
        body.add([strings.number((value(4, "sock_pfx") ?? "CPU") + " 0"), central, seeFamily2, strings.number(value(4, "manufacturer") ?? Self.vendor)])
        body.addZeros(8)
        body.add([strings.number(value(4, "version") ?? machine.product), 0, 0, 0])
        body.add(speed("max-speed"))
        body.add(speed("current-speed"))
        body.add([populatedAndEnabled, other, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
        body.add(["serial", "asset", "part"].map { strings.number(value(4, $0)) })
        let short = UInt8(clamping: machine.harts), long = UInt16(clamping: machine.harts)
        body.add([short, short, short])
        body.add(is64Bit)
        body.add(machine.processorFamily)
        for _ in 0..<3 { body.add(long) }
        add(4, body.bytes, strings)
    }

    private mutating func addStrings() {
        var strings = Strings()
        for each in fields where each.type == 11 { for property in each.properties where property.name == "value" { _ = strings.number(property.value) } }
        if !strings.all.isEmpty { add(11, [UInt8(strings.all.count)], strings) }
    }

    /// One array with one module, and where it is: structures 16, 17 and 19.
    private mutating func addMemory(_ machine: Machine) {
        var array = LittleEndianBytes()
        let other: UInt8 = 1, systemMemory: UInt8 = 3, noCorrection: UInt8 = 3, noError: UInt16 = 0xfffe
        array.add([other, systemMemory, noCorrection])
        array.add(UInt32(0x8000_0000))
        array.add(noError)
        array.add(UInt16(1))
        array.add(machine.memory)
        add(16, array.bytes)

        var strings = Strings(), module = LittleEndianBytes()
        let unknownWidth: UInt16 = 0xffff, dimm: UInt8 = 9, ram: UInt8 = 7, otherDetail: UInt16 = 2
        let mebibytes = (machine.memory + 0xf_ffff) >> 20, speed = value(17, "speed").flatMap { UInt16($0) } ?? 0
        module.add(Self.handle(16))
        for field in [noError, unknownWidth, unknownWidth, UInt16(mebibytes < 0x7fff ? mebibytes : 0x7fff)] { module.add(field) }
        module.add([dimm, 0, strings.number((value(17, "loc_pfx") ?? "DIMM") + " 0"), strings.number(value(17, "bank")), ram])
        module.add(otherDetail)
        module.add(speed)
        module.add(strings.number(value(17, "manufacturer") ?? Self.vendor))
        for name in ["serial", "asset", "part"] { module.add(strings.number(value(17, name))) }
        module.add(UInt8(0))
        module.add(UInt32(clamping: mebibytes < 0x7fff ? 0 : mebibytes))
        for _ in 0..<4 { module.add(UInt16(0)) }
        add(17, module.bytes, strings)

        var place = LittleEndianBytes()
        place.add(UInt64.max)
        place.add(Self.handle(16))
        place.add(UInt8(1))
        place.add(machine.memoryBase)
        place.add(machine.memoryBase + (machine.memory - 1))
        add(19, place.bytes)
    }
}
