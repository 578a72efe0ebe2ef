/// Where the members of a kernel's structures are, by the kernel's own type information.
final class LinuxTypes {
    private let btf: BTF
    private var known: [String: BTF.Field] = [:]
    /// A structure of a kernel is not larger; what says it is, is damaged.
    private static let greatestSize = 1 << 16

    init(_ btf: BTF) { self.btf = btf }

    /// How many types are described.
    var count: Int { btf.count }

    /// Size of a structure in bytes.
    func size(_ structure: String) throws(DebugError) -> Int {
        guard let size = btf.size(of: structure) else { throw DebugError("the kernel's type information (BTF) has no struct \(structure)") }
        guard (1...Self.greatestSize).contains(size) else { throw DebugError("the kernel's type information (BTF) gives struct \(structure) \(size) bytes") }
        return size
    }

    /// The member at `path` of a structure.
    func field(_ structure: String, _ path: String) throws(DebugError) -> BTF.Field {
        let key = "\(structure).\(path)"
        if let field = known[key] { return field }
        guard let field = btf.field(structure, path), field.offset < Self.greatestSize else {
            throw DebugError("the kernel's type information (BTF) has no \(structure).\(path)")
        }
        known[key] = field
        return field
    }

    /// True when a structure has a member.
    func has(_ structure: String, _ path: String) -> Bool { (try? field(structure, path)) != nil }

    /// Bytes from the start of a structure to a member.
    func offset(_ structure: String, _ path: String) throws(DebugError) -> UInt64 { UInt64(try field(structure, path).offset) }
}

/// A structure copied out of the kernel's memory.
struct LinuxObject {
    let address: UInt64
    let structure: String
    private let bytes: [UInt8]
    private let types: LinuxTypes

    init(_ structure: String, at address: UInt64, _ types: LinuxTypes, _ memory: LinuxMemory) throws(DebugError) {
        let size = try types.size(structure)
        guard let bytes = memory.bytes(address, size) else {
            throw DebugError("struct \(structure) at \(hexText(address)) cannot be read: nothing is mapped there")
        }
        self.address = address
        self.structure = structure
        self.bytes = bytes
        self.types = types
    }

    func has(_ path: String) -> Bool { types.has(structure, path) }

    /// Address of a member.
    func address(_ path: String) throws(DebugError) -> UInt64 { address &+ (try types.offset(structure, path)) }

    /// A member's bytes.
    func bytes(_ path: String) throws(DebugError) -> ArraySlice<UInt8> {
        let field = try types.field(structure, path)
        guard (0...bytes.count).contains(field.size), field.offset <= bytes.count - field.size else {
            throw DebugError("the kernel's type information (BTF) puts \(structure).\(path) outside of its structure")
        }
        return bytes[field.offset..<field.offset + field.size]
    }

    /// A member as a number without a sign; bit fields included.
    func number(_ path: String) throws(DebugError) -> UInt64 {
        let field = try types.field(structure, path)
        let value = try bytes(path).prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return field.bits == 0 ? value : value >> UInt64(field.bit) & (~0 >> UInt64(max(0, 64 - field.bits)))
    }

    /// A member of four bytes as a number with a sign.
    func signed(_ path: String) throws(DebugError) -> Int { Int(Int32(truncatingIfNeeded: try number(path))) }

    /// The text in an array of characters.
    func text(_ path: String) throws(DebugError) -> String { GuestText.line(try bytes(path).prefix { $0 != 0 }) }
}
