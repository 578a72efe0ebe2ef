import CLibFDT

/// A node of a flattened device tree, as plain data. `FDT` turns trees into blobs and back through libfdt.
public struct FDTNode {
    public var name: String
    public var properties: [(name: String, value: [UInt8])] = []
    public var children: [FDTNode] = []

    public init(_ name: String) { self.name = name }

    /// Sets or replaces a property's raw bytes.
    public mutating func set(_ property: String, bytes: [UInt8]) {
        if let index = properties.firstIndex(where: { $0.name == property }) {
            properties[index].value = bytes
        } else {
            properties.append((property, bytes))
        }
    }

    /// A property without a value ("interrupt-controller").
    public mutating func set(_ property: String) { set(property, bytes: []) }

    /// NUL-terminated string list.
    public mutating func set(_ property: String, _ strings: String...) {
        set(property, bytes: strings.flatMap { Array($0.utf8) + [0] })
    }

    /// 32-bit big-endian cells.
    public mutating func set(_ property: String, cells: [UInt32]) {
        set(property, bytes: cells.flatMap { cell in (0..<4).map { UInt8(truncatingIfNeeded: cell >> (24 - 8 * $0)) } })
    }

    /// 64-bit big-endian values (two cells each), for `reg` with two address and two size cells.
    public mutating func set(_ property: String, pairs: [UInt64]) {
        set(property, cells: pairs.flatMap { [UInt32(truncatingIfNeeded: $0 >> 32), UInt32(truncatingIfNeeded: $0)] })
    }

    public subscript(_ property: String) -> [UInt8]? {
        properties.first { $0.name == property }?.value
    }

    /// The child called `name`, created when it is assigned to.
    public subscript(child name: String) -> FDTNode? {
        get { children.first { $0.name == name } }
        set {
            if let index = children.firstIndex(where: { $0.name == name }) {
                if let newValue { children[index] = newValue } else { children.remove(at: index) }
            } else if let newValue {
                children.append(newValue)
            }
        }
    }
}

/// Memory a device tree tells its reader to leave alone (the blob's memory reservation block).
public struct FDTReservation: Equatable, Sendable {
    public var address: UInt64
    /// Bytes.
    public var size: UInt64

    public init(address: UInt64, size: UInt64) {
        self.address = address
        self.size = size
    }
}

/// All that a blob holds.
public struct FDTTree {
    public var root: FDTNode
    public var reservations: [FDTReservation] = []
    /// Hardware id of the processor that starts the software.
    public var bootCPU: UInt32 = 0

    public init(root: FDTNode) { self.root = root }
}

/// A device tree blob that libfdt refused.
public struct FDTError: Error, CustomStringConvertible, Sendable {
    public let description: String
}

public enum FDT {
    /// Serialises a tree that reserves no memory and starts on hart 0.
    public static func blob(_ root: FDTNode) throws(FDTError) -> [UInt8] { try blob(FDTTree(root: root)) }

    /// Serialises the tree (Devicetree Specification, version 17 blob).
    public static func blob(_ tree: FDTTree) throws(FDTError) -> [UInt8] {
        var size = 64 << 10
        while size <= 64 << 20 {
            var buffer = [UInt8](repeating: 0, count: size)
            let result = buffer.withUnsafeMutableBytes { raw -> Int32 in
                guard let base = raw.baseAddress else { return -Int32(FDT_ERR_NOSPACE) }
                return write(tree, base, Int32(raw.count))
            }
            if result == -Int32(FDT_ERR_NOSPACE) {
                size *= 2
                continue
            }
            guard result >= 0 else { throw FDTError(description: "writing the device tree: \(reason(result))") }
            buffer.removeLast(buffer.count - Int(result))
            // boot_cpuid_phys is the big-endian word at offset 28.
            for index in 0..<4 { buffer[28 + index] = UInt8(truncatingIfNeeded: tree.bootCPU >> (24 - 8 * UInt32(index))) }
            return buffer
        }
        throw FDTError(description: "the device tree is larger than 64 MiB")
    }

    /// Nodes nested deeper than this are refused: trees are walked by recursion, and real ones have about six levels.
    public static let maximumDepth = 64

    /// Parses and fully checks a blob.
    public static func parse(_ blob: [UInt8]) throws(FDTError) -> FDTNode { try parseTree(blob).root }

    /// Parses and fully checks a blob, with what it holds beside its nodes.
    public static func parseTree(_ blob: [UInt8]) throws(FDTError) -> FDTTree {
        let outcome = blob.withUnsafeBytes { raw -> Result<FDTTree, FDTError> in
            guard let base = raw.baseAddress, raw.count >= 40 else {
                return .failure(FDTError(description: "not a device tree: only \(raw.count) bytes"))
            }
            let check = fdt_check_full(base, raw.count)
            guard check == 0 else { return .failure(FDTError(description: "not a valid device tree: \(reason(check))")) }
            guard isShallow(base) else {
                return .failure(FDTError(description: "not a usable device tree: nodes are nested deeper than \(maximumDepth) levels"))
            }
            var tree = FDTTree(root: read(base, 0))
            for index in 0..<max(0, fdt_num_mem_rsv(base)) {
                var reservation = FDTReservation(address: 0, size: 0)
                guard fdt_get_mem_rsv(base, index, &reservation.address, &reservation.size) == 0 else { break }
                tree.reservations.append(reservation)
            }
            // boot_cpuid_phys is the big-endian word at offset 28 (since version 2; libfdt refuses older ones).
            tree.bootCPU = UInt32(bigEndian: base.loadUnaligned(fromByteOffset: 28, as: UInt32.self))
            return .success(tree)
        }
        return try outcome.get()
    }

    private static func isShallow(_ blob: UnsafeRawPointer) -> Bool {
        var depth: Int32 = 0
        var node = fdt_next_node(blob, -1, &depth)
        while node >= 0 {
            if depth > maximumDepth { return false }
            node = fdt_next_node(blob, node, &depth)
        }
        return true
    }

    private static func reason(_ code: Int32) -> String { String(cString: fdt_strerror(code)) }

    private static func write(_ tree: FDTTree, _ buffer: UnsafeMutableRawPointer, _ size: Int32) -> Int32 {
        var code = fdt_create(buffer, size)
        for reservation in tree.reservations where code == 0 {
            code = fdt_add_reservemap_entry(buffer, reservation.address, reservation.size)
        }
        if code == 0 { code = fdt_finish_reservemap(buffer) }
        if code == 0 { code = write(node: tree.root, buffer) }
        if code == 0 { code = fdt_finish(buffer) }
        guard code == 0 else { return code }
        return Int32(bitPattern: UInt32(bigEndian: (buffer + 4).load(as: UInt32.self)))
    }

    private static func write(node: FDTNode, _ buffer: UnsafeMutableRawPointer) -> Int32 {
        var code = fdt_begin_node(buffer, node.name)
        for property in node.properties where code == 0 {
            code = fdt_property(buffer, property.name, property.value, Int32(property.value.count))
        }
        for child in node.children where code == 0 { code = write(node: child, buffer) }
        return code == 0 ? fdt_end_node(buffer) : code
    }

    // SAFETY: `fdt_check_full` accepted the blob, so every offset libfdt returns lies inside it.
    private static func read(_ blob: UnsafeRawPointer, _ offset: Int32) -> FDTNode {
        var node = FDTNode(fdt_get_name(blob, offset, nil).map { String(cString: $0) } ?? "")
        var property = fdt_first_property_offset(blob, offset)
        while property >= 0 {
            var name: UnsafePointer<CChar>?
            var length: Int32 = 0
            if let value = fdt_getprop_by_offset(blob, property, &name, &length), let name {
                node.properties.append((String(cString: name), Array(UnsafeRawBufferPointer(start: value, count: Int(length)))))
            }
            property = fdt_next_property_offset(blob, property)
        }
        var child = fdt_first_subnode(blob, offset)
        while child >= 0 {
            node.children.append(read(blob, child))
            child = fdt_next_subnode(blob, child)
        }
        return node
    }
}
