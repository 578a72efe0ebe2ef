/// The type information a Linux kernel carries about itself (Documentation/bpf/btf.rst): how large its structures are and where their
/// members lie.
///
/// The bytes may come from a guest's memory: every offset and count in them is checked, and damage makes answers missing.
final class BTF {
    /// Where a member of a structure is.
    struct Field: Equatable {
        /// In bytes from the structure's start.
        var offset: Int
        /// In bytes.
        var size: Int
        /// Of a bit field: its first bit counted from `offset`, and how many it has; 0 for whole members.
        var bit = 0
        var bits = 0
    }

    private enum Kind {
        static let integer: UInt32 = 1
        static let pointer: UInt32 = 2
        static let array: UInt32 = 3
        static let structure: UInt32 = 4
        static let union: UInt32 = 5
        static let enumeration: UInt32 = 6
        static let typedef: UInt32 = 8
        static let volatile: UInt32 = 9
        static let const: UInt32 = 10
        static let restrict: UInt32 = 11
        static let functionPrototype: UInt32 = 13
        static let variable: UInt32 = 14
        static let dataSection: UInt32 = 15
        static let float: UInt32 = 16
        static let declarationTag: UInt32 = 17
        static let typeTag: UInt32 = 18
        static let enumeration64: UInt32 = 19

        /// Bytes behind the common twelve of a type with `count` members; nil for kinds nobody knows.
        static func extra(_ kind: UInt32, _ count: Int) -> Int? {
            switch kind {
            case integer, variable, declarationTag: 4
            case array: 12
            case structure, union, dataSection, enumeration64: 12 * count
            case enumeration, functionPrototype: 8 * count
            case pointer, 7...12, float, typeTag: 0
            default: nil
            }
        }
    }

    private struct TypeRecord {
        let name: UInt32
        let kind: UInt32
        let count: Int
        /// Members carry their sizes in bits.
        let hasBitFields: Bool
        /// A size in bytes, or the type referred to.
        let sizeOrType: UInt32
        /// Offset of what follows the common part.
        let body: Int
    }

    static let magic: UInt16 = 0xeb9f
    /// Chains of modifiers and nested anonymous members are not longer in sane information.
    private static let depthLimit = 32
    /// A kernel has some hundred thousand types.
    private static let typeLimit = 1 << 20
    /// Members looked at for one answer.
    private static let memberLimit = 1 << 16

    private let types: SymbolBytes
    private let strings: SymbolBytes
    /// Offset of each type in `types` by its number, from 1.
    private var offsets: [UInt32] = [0]
    /// Structures and unions by name.
    private var structures: [String: UInt32] = [:]

    /// - Throws: when `bytes` do not begin with type information that can be read to its end.
    init(_ bytes: SymbolBytes) throws(DebugError) {
        guard bytes.load(0, as: UInt16.self) == Self.magic, bytes.load(2, as: UInt8.self) == 1 else { throw DebugError("no BTF type information is there") }
        guard let header: UInt32 = bytes.load(4), header >= 24, let typeOffset: UInt32 = bytes.load(8), let typeLength: UInt32 = bytes.load(12),
            let stringOffset: UInt32 = bytes.load(16), let stringLength: UInt32 = bytes.load(20),
            let types = bytes.slice(UInt64(header) + UInt64(typeOffset), UInt64(typeLength)),
            let strings = bytes.slice(UInt64(header) + UInt64(stringOffset), UInt64(stringLength)), types.count > 0, strings.load(0, as: UInt8.self) == 0
        else { throw DebugError("the header of the kernel's type information (BTF) is damaged") }
        self.types = types
        self.strings = strings
        try readTypes()
    }

    private func readTypes() throws(DebugError) {
        var position = 0
        while position < types.count {
            guard offsets.count < Self.typeLimit, let record = record(at: position), let extra = Kind.extra(record.kind, record.count), record.body + extra <= types.count else {
                throw DebugError("the kernel's type information (BTF) is damaged at type \(offsets.count)")
            }
            let isStructure = record.kind == Kind.structure || record.kind == Kind.union
            if isStructure, record.name != 0, let name = strings.string(UInt64(record.name)), structures[name] == nil {
                structures[name] = UInt32(offsets.count)
            }
            offsets.append(UInt32(position))
            position = record.body + extra
        }
    }

    private func record(at position: Int) -> TypeRecord? {
        guard let name: UInt32 = types.load(position), let info: UInt32 = types.load(position + 4), let size: UInt32 = types.load(position + 8) else {
            return nil
        }
        return TypeRecord(
            name: name, kind: info >> 24 & 0x1f, count: Int(info & 0xffff), hasBitFields: info >> 31 != 0, sizeOrType: size, body: position + 12)
    }

    private func record(_ type: UInt32) -> TypeRecord? {
        type > 0 && Int(type) < offsets.count ? record(at: Int(offsets[Int(type)])) : nil
    }

    /// How many types there are.
    var count: Int { offsets.count - 1 }

    // MARK: Questions

    /// Size of a structure in bytes; nil when there is none of that name.
    func size(of structure: String) -> Int? { structures[structure].flatMap { record($0) }.map { Int($0.sizeOrType) } }

    /// Where a member is: `path` is names separated by dots, each perhaps with an index (`mem[0].base`). Members of anonymous structures and
    /// unions are found as C finds them. Nil when there is no such member.
    func field(_ structure: String, _ path: String) -> Field? {
        guard var type = structures[structure] else { return nil }
        var result = Field(offset: 0, size: 0)
        var budget = Self.memberLimit
        for part in path.split(separator: ".") {
            var name = part
            var index: Int?
            if let bracket = part.firstIndex(of: "["), part.last == "]" {
                index = Int(part[part.index(after: bracket)...].dropLast())
                name = part[..<bracket]
            }
            guard let found = member(String(name), type, depth: 0, &budget) else { return nil }
            result.offset += found.field.offset
            (result.size, result.bit, result.bits) = (found.field.size, found.field.bit, found.field.bits)
            type = found.type
            if let index {
                guard let array = record(resolved(type)), array.kind == Kind.array, let element: UInt32 = types.load(array.body),
                    let count: UInt32 = types.load(array.body + 8), index >= 0, index < count, let size = size(element, depth: 0), size <= 1 << 20
                else { return nil }
                result.offset += index * size
                result.size = size
                type = element
            }
            type = resolved(type)
        }
        return result
    }

    /// The type behind names and qualifiers.
    private func resolved(_ type: UInt32) -> UInt32 {
        var type = type
        for _ in 0..<Self.depthLimit {
            guard let record = record(type), [Kind.typedef, Kind.volatile, Kind.const, Kind.restrict, Kind.typeTag].contains(record.kind) else { break }
            type = record.sizeOrType
        }
        return type
    }

    private func size(_ type: UInt32, depth: Int) -> Int? {
        guard depth < Self.depthLimit, let record = record(resolved(type)) else { return nil }
        switch record.kind {
        case Kind.pointer: return 8
        case Kind.integer, Kind.structure, Kind.union, Kind.enumeration, Kind.enumeration64, Kind.float: return Int(record.sizeOrType)
        case Kind.array:
            guard let element: UInt32 = types.load(record.body), let count: UInt32 = types.load(record.body + 8), let one = size(element, depth: depth + 1) else {
                return nil
            }
            let product = one.multipliedReportingOverflow(by: Int(count))
            return product.overflow ? nil : product.partialValue
        default: return nil
        }
    }

    private func member(_ name: String, _ type: UInt32, depth: Int, _ budget: inout Int) -> (field: Field, type: UInt32)? {
        guard depth < Self.depthLimit, let record = record(type), record.kind == Kind.structure || record.kind == Kind.union else { return nil }
        for index in 0..<record.count {
            budget -= 1
            guard budget > 0, let memberName: UInt32 = types.load(record.body + 12 * index), let memberType: UInt32 = types.load(record.body + 12 * index + 4),
                let place: UInt32 = types.load(record.body + 12 * index + 8)
            else { return nil }
            let bit = Int(record.hasBitFields ? place & 0xff_ffff : place)
            let bits = record.hasBitFields ? Int(place >> 24) : 0
            if memberName == 0 {
                guard var inner = member(name, resolved(memberType), depth: depth + 1, &budget) else { continue }
                inner.field.offset += bit / 8
                return inner
            }
            guard strings.string(UInt64(memberName)) == name else { continue }
            let size = bits == 0 ? size(memberType, depth: 0) ?? 0 : (bit % 8 + bits + 7) / 8
            return (Field(offset: bit / 8, size: size, bit: bits == 0 ? 0 : bit % 8, bits: bits), memberType)
        }
        return nil
    }
}
