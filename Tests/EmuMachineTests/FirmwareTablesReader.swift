import EmuBus
import EmuMachine
import Foundation
import Testing

/// What firmware finds in a machine's fw_cfg, read through its registers.
struct FirmwareConfigurationReader {
    let machine: Machine
    private static let base: UInt64 = 0x1010_0000

    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    func item(_ key: UInt16, _ count: Int) -> [UInt8] {
        _ = machine.bus.writeDevice(Self.base + 8, UInt64(key.byteSwapped), size: 2)
        return (0..<count).map { _ in UInt8(machine.bus.readDevice(Self.base, size: 1) ?? 0) }
    }

    private var directory: [(name: String, key: UInt16, size: Int)] {
        let count = Int(Self.big(item(0x19, 4)[...]))
        let bytes = item(0x19, 4 + 64 * count)
        return (0..<count).map { index in
            let entry = bytes[(4 + 64 * index)...].prefix(64)
            let name = entry.dropFirst(8).prefix { $0 != 0 }
            return (String(decoding: name, as: UTF8.self), UInt16(Self.big(entry.dropFirst(4).prefix(2))), Int(Self.big(entry.prefix(4))))
        }
    }

    private static func big(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    var names: [String] { directory.map(\.name) }

    func file(_ name: String) throws -> [UInt8] {
        guard let entry = directory.first(where: { $0.name == name }) else { throw Missing(description: "no file \(name)") }
        return item(entry.key, entry.size)
    }
}

/// ACPI tables as an operating system finds them after firmware has carried out the loader's script: memory, and where the root pointer is.
struct InstalledACPITables {
    private(set) var memory: [UInt64: [UInt8]] = [:]
    let rootPointer: UInt64

    struct Wrong: Error, CustomStringConvertible {
        let description: String
    }

    /// Follows the script the way EDK2's QemuLoader.h lays it out, each file at an address of its own.
    init(_ configuration: FirmwareConfigurationReader) throws {
        let script = try configuration.file("etc/table-loader")
        guard script.count % 128 == 0 else { throw Wrong(description: "the script has \(script.count) bytes") }
        var places: [String: UInt64] = [:]
        var next: UInt64 = 0x9000_0040
        for start in stride(from: 0, to: script.count, by: 128) {
            let command = Array(script[start..<start + 128])
            func name(_ offset: Int) -> String { String(decoding: command[offset..<offset + 56].prefix { $0 != 0 }, as: UTF8.self) }
            func word(_ offset: Int) -> UInt64 { Self.little(command[offset..<offset + 4]) }
            func place(_ name: String) throws -> UInt64 {
                guard let place = places[name] else { throw Wrong(description: "\(name) is used before it is allocated") }
                return place
            }
            switch word(0) {
            case 1:
                let alignment = word(60)
                next = (next + alignment - 1) / alignment * alignment
                places[name(4)] = next
                memory[next] = try configuration.file(name(4))
                next += UInt64(memory[next]?.count ?? 0) + 0x100
            case 2:
                let file = try place(name(4)), target = try place(name(60)), offset = Int(word(116)), size = Int(command[120])
                guard var bytes = memory[file], offset + size <= bytes.count else { throw Wrong(description: "a pointer outside \(name(4))") }
                let value = Self.little(bytes[offset..<offset + size])
                guard value < UInt64(memory[target]?.count ?? 0) else { throw Wrong(description: "a pointer to \(value) in \(name(60))") }
                for index in 0..<size { bytes[offset + index] = UInt8(truncatingIfNeeded: (value + target) >> (8 * UInt64(index))) }
                memory[file] = bytes
            case 3:
                let file = try place(name(4)), offset = Int(word(60)), first = Int(word(64)), length = Int(word(68))
                guard var bytes = memory[file], offset < bytes.count, first + length <= bytes.count else { throw Wrong(description: "a checksum outside \(name(4))") }
                bytes[offset] = 0 &- bytes[first..<first + length].reduce(0, &+)
                memory[file] = bytes
            default: throw Wrong(description: "command \(word(0))")
            }
        }
        guard let place = places["etc/acpi/rsdp"] else { throw Wrong(description: "no root pointer") }
        rootPointer = place
    }

    static func little(_ bytes: some Collection<UInt8>) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }

    func bytes(_ address: UInt64, _ count: Int) throws -> [UInt8] {
        for (start, contents) in memory where address >= start && address - start + UInt64(count) <= UInt64(contents.count) {
            return Array(contents[Int(address - start)..<Int(address - start) + count])
        }
        throw Wrong(description: "nothing is at \(hex(address))")
    }

    /// The table at `address`, its length and checksum verified.
    func table(_ address: UInt64) throws -> [UInt8] {
        let length = Int(Self.little(try bytes(address + 4, 4)))
        let table = try bytes(address, length)
        guard length >= 36, table.reduce(0, &+) == 0 else { throw Wrong(description: "the sum of the table at \(hex(address)) is wrong") }
        return table
    }

    /// All tables by signature, reached from the root pointer as an operating system does.
    func tables() throws -> [String: [UInt8]] {
        let pointer = try bytes(rootPointer, 36)
        guard pointer.starts(with: Array("RSD PTR ".utf8)), pointer[15] == 2, pointer.prefix(20).reduce(0, &+) == 0, pointer.reduce(0, &+) == 0 else {
            throw Wrong(description: "the root pointer is wrong")
        }
        let root = try table(Self.little(pointer[24..<32]))
        var found = ["XSDT": root]
        for offset in stride(from: 36, to: root.count, by: 8) {
            let each = try table(Self.little(root[offset..<offset + 8]))
            found[String(decoding: each[0..<4], as: UTF8.self)] = each
        }
        if let fixed = found["FACP"] { found["DSDT"] = try table(Self.little(fixed[140..<148])) }
        return found
    }

    /// The structures in `bytes`, each with its type and length in front in one byte each (MADT, PPTT) or two (RHCT).
    static func structures(_ bytes: ArraySlice<UInt8>, wide: Bool = false) throws -> [(type: UInt64, bytes: [UInt8])] {
        var rest = bytes
        var result: [(type: UInt64, bytes: [UInt8])] = []
        let size = wide ? 2 : 1
        while !rest.isEmpty {
            guard rest.count >= 2 * size else { throw Wrong(description: "a structure is cut off") }
            let type = little(rest.prefix(size)), length = Int(little(rest.dropFirst(size).prefix(size)))
            guard length >= 2 * size, length <= rest.count else { throw Wrong(description: "a structure of \(length) bytes") }
            result.append((type, Array(rest.prefix(length))))
            rest = rest.dropFirst(length)
        }
        return result
    }
}
