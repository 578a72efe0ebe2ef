/// A flattened device tree (Devicetree Specification 0.4, chapter 5), read in place. Every offset is checked, so that a
/// damaged tree yields missing nodes and properties rather than accesses outside it.
struct FDT {
    /// Physical address of the header, 8-byte aligned.
    let address: UInt64

    private enum Header {
        static let magic = 0
        static let totalSize = 4
        static let structOffset = 8
        static let stringsOffset = 12
        static let reserveOffset = 16
        static let version = 20
        static let lastCompatibleVersion = 24
        static let bootHart = 28
        static let stringsSize = 32
        static let structSize = 36
        static let bytes = 40
    }

    enum Token {
        static let beginNode: UInt32 = 1
        static let endNode: UInt32 = 2
        static let property: UInt32 = 3
        static let nop: UInt32 = 4
        static let end: UInt32 = 9
    }

    private static let largestSize = 16 << 20

    /// Nil if there is no device tree of a known version at `address`.
    init?(address: UInt64) {
        self.address = address
        guard address != 0, address & 7 == 0, word(Header.magic) == 0xd00d_feed,
            word(Header.version) >= 17, word(Header.lastCompatibleVersion) <= 17,
            totalSize >= Header.bytes, totalSize <= Self.largestSize,
            structOffset & 3 == 0, structOffset + structSize <= totalSize,
            stringsOffset + stringsSize <= totalSize, reserveOffset <= totalSize
        else { return nil }
    }

    // MARK: Header

    var totalSize: Int {
        get { Int(word(Header.totalSize)) }
        nonmutating set { setWord(Header.totalSize, UInt32(truncatingIfNeeded: newValue)) }
    }
    var structOffset: Int {
        get { Int(word(Header.structOffset)) }
        nonmutating set { setWord(Header.structOffset, UInt32(truncatingIfNeeded: newValue)) }
    }
    var structSize: Int {
        get { Int(word(Header.structSize)) }
        nonmutating set { setWord(Header.structSize, UInt32(truncatingIfNeeded: newValue)) }
    }
    var stringsOffset: Int {
        get { Int(word(Header.stringsOffset)) }
        nonmutating set { setWord(Header.stringsOffset, UInt32(truncatingIfNeeded: newValue)) }
    }
    var stringsSize: Int {
        get { Int(word(Header.stringsSize)) }
        nonmutating set { setWord(Header.stringsSize, UInt32(truncatingIfNeeded: newValue)) }
    }
    var reserveOffset: Int {
        get { Int(word(Header.reserveOffset)) }
        nonmutating set { setWord(Header.reserveOffset, UInt32(truncatingIfNeeded: newValue)) }
    }
    func setBootHart(_ id: UInt64) { setWord(Header.bootHart, UInt32(truncatingIfNeeded: id)) }

    // MARK: Raw access

    // SAFETY: the tree lies in RAM at `address`; callers stay below `totalSize`, which init bounds.
    var bytes: UnsafeMutablePointer<UInt8> { UnsafeMutablePointer(bitPattern: UInt(address)).unsafelyUnwrapped }

    /// Big-endian word at a multiple of four.
    func word(_ offset: Int) -> UInt32 {
        UnsafeMutableRawPointer(bytes).load(fromByteOffset: offset, as: UInt32.self).byteSwapped
    }

    func setWord(_ offset: Int, _ value: UInt32) {
        UnsafeMutableRawPointer(bytes).storeBytes(of: value.byteSwapped, toByteOffset: offset, as: UInt32.self)
    }

    private var structEnd: Int { structOffset + structSize }

    /// Offset just past the NUL that ends the string at `offset`, rounded up to a word.
    private func afterName(_ offset: Int) -> Int {
        var end = offset
        while end < structEnd, bytes[end] != 0 { end += 1 }
        return (end + 4) & ~3
    }

    private func matches(_ offset: Int, limit: Int, _ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard offset >= 0, offset + count < limit, bytes[offset + count] == 0 else { return false }
        return hasPrefix(offset, text)
    }

    private func hasPrefix(_ offset: Int, _ text: StaticString) -> Bool {
        for index in 0..<text.utf8CodeUnitCount where bytes[offset + index] != text.utf8Start[index] { return false }
        return true
    }

    // MARK: Walking

    /// The token at `offset` and the offset after it; nil at the end of the structure or where it is damaged.
    private func token(at offset: Int) -> (kind: UInt32, next: Int)? {
        guard offset >= structOffset, offset + 4 <= structEnd else { return nil }
        let kind = word(offset)
        switch kind {
        case Token.beginNode:
            return (kind, afterName(offset + 4))
        case Token.property:
            guard offset + 12 <= structEnd else { return nil }
            let next = (offset + 12 + Int(word(offset + 4)) + 3) & ~3
            return next <= structEnd ? (kind, next) : nil
        case Token.endNode, Token.nop:
            return (kind, offset + 4)
        default:
            return nil
        }
    }

    var root: FDTNode? { nextNode(from: structOffset) }

    /// The first node that begins at or after `offset`, at any depth.
    private func nextNode(from offset: Int) -> FDTNode? {
        var position = offset
        while let (kind, next) = token(at: position) {
            if kind == Token.beginNode { return FDTNode(offset: position) }
            position = next
        }
        return nil
    }

    /// The node that begins next after `node` does: its first child, or else what follows it.
    func nextNode(after node: FDTNode) -> FDTNode? {
        guard let (_, next) = token(at: node.offset) else { return nil }
        return nextNode(from: next)
    }

    func firstChild(_ node: FDTNode) -> FDTNode? {
        guard let (_, next) = token(at: node.offset) else { return nil }
        return sibling(from: next)
    }

    func nextSibling(_ node: FDTNode) -> FDTNode? {
        guard let end = endToken(node) else { return nil }
        return sibling(from: end + 4)
    }

    private func sibling(from offset: Int) -> FDTNode? {
        var position = offset
        while let (kind, next) = token(at: position) {
            if kind == Token.beginNode { return FDTNode(offset: position) }
            if kind == Token.endNode { return nil }
            position = next
        }
        return nil
    }

    /// Offset of the end-node token that closes `node`.
    func endToken(_ node: FDTNode) -> Int? {
        var depth = 0
        var position = node.offset
        while let (kind, next) = token(at: position) {
            if kind == Token.beginNode { depth += 1 }
            if kind == Token.endNode {
                depth -= 1
                if depth == 0 { return position }
            }
            position = next
        }
        return nil
    }

    func parent(_ node: FDTNode) -> FDTNode? {
        // Found by walking from the root, as children do not refer to their parents.
        guard var candidate = root, candidate != node else { return nil }
        while true {
            var child = firstChild(candidate)
            while let current = child {
                if current == node { return candidate }
                guard let end = endToken(current) else { return nil }
                if node.offset < end { break }
                child = nextSibling(current)
            }
            guard let inside = child else { return nil }
            candidate = inside
        }
    }

    // MARK: Properties

    func property(_ node: FDTNode, _ name: StaticString) -> FDTProperty? {
        guard var (_, position) = token(at: node.offset) else { return nil }
        while let (kind, next) = token(at: position), kind == Token.property || kind == Token.nop {
            if kind == Token.property {
                let nameOffset = stringsOffset + Int(word(position + 8))
                if matches(nameOffset, limit: stringsOffset + stringsSize, name) {
                    return FDTProperty(tree: self, offset: position + 12, size: Int(word(position + 4)))
                }
            }
            position = next
        }
        return nil
    }

    func number(_ node: FDTNode, _ name: StaticString) -> UInt64? {
        guard let property = property(node, name) else { return nil }
        return property.number(cell: 0, cells: property.size == 8 ? 2 : 1)
    }

    func isCompatible(_ node: FDTNode, _ model: StaticString) -> Bool {
        property(node, "compatible")?.lists(model) ?? false
    }

    /// Usable: `status` is absent or "okay".
    func isEnabled(_ node: FDTNode) -> Bool {
        guard let status = property(node, "status") else { return true }
        return status.lists("okay") || status.lists("ok")
    }

    /// The next enabled node after `node` (from the start if nil) that is compatible with `model`.
    func nextCompatible(after node: FDTNode?, _ model: StaticString) -> FDTNode? {
        var candidate = node.map { nextNode(after: $0) } ?? root
        while let current = candidate {
            if isCompatible(current, model), isEnabled(current) { return current }
            candidate = nextNode(after: current)
        }
        return nil
    }

    func node(phandle: UInt64) -> FDTNode? {
        var candidate = root
        while let current = candidate {
            if number(current, "phandle") == phandle { return current }
            candidate = nextNode(after: current)
        }
        return nil
    }

    /// The child whose name up to the unit address is `name`.
    func child(_ node: FDTNode, named name: StaticString) -> FDTNode? {
        var candidate = firstChild(node)
        while let current = candidate {
            let start = current.offset + 4
            let count = name.utf8CodeUnitCount
            if start + count < structEnd, hasPrefix(start, name), bytes[start + count] == 0 || bytes[start + count] == 0x40 {
                return current
            }
            candidate = nextSibling(current)
        }
        return nil
    }

    /// The node at the path in `property` from byte `from`; a leading alias is replaced, and an option after ":" ignored.
    func node(path property: FDTProperty, allowAlias: Bool = true) -> FDTNode? {
        let end = property.offset + property.textLength
        guard end > property.offset, var current = root else { return nil }
        var position = property.offset
        if bytes[position] != 0x2f {
            guard allowAlias, let aliases = child(current, named: "aliases"),
                let target = self.property(aliases, nameAt: position, until: end)
            else { return nil }
            return node(path: target, allowAlias: false)
        }
        while position < end {
            position += 1
            var componentEnd = position
            while componentEnd < end, bytes[componentEnd] != 0x2f { componentEnd += 1 }
            if componentEnd > position {
                guard let next = child(current, nameAt: position, until: componentEnd) else { return nil }
                current = next
            }
            position = componentEnd
        }
        return current
    }

    private func child(_ node: FDTNode, nameAt start: Int, until end: Int) -> FDTNode? {
        var candidate = firstChild(node)
        while let current = candidate {
            let name = current.offset + 4
            if equals(name, start, until: end), bytes[name + end - start] == 0 || bytes[name + end - start] == 0x40 {
                return current
            }
            candidate = nextSibling(current)
        }
        return nil
    }

    private func property(_ node: FDTNode, nameAt start: Int, until end: Int) -> FDTProperty? {
        guard var (_, position) = token(at: node.offset) else { return nil }
        while let (kind, next) = token(at: position), kind == Token.property || kind == Token.nop {
            if kind == Token.property {
                let name = stringsOffset + Int(word(position + 8))
                if equals(name, start, until: end), bytes[name + end - start] == 0 {
                    return FDTProperty(tree: self, offset: position + 12, size: Int(word(position + 4)))
                }
            }
            position = next
        }
        return nil
    }

    /// Whether the bytes at `offset` equal those in `start..<end`; at least one more byte follows them in the tree.
    private func equals(_ offset: Int, _ start: Int, until end: Int) -> Bool {
        guard offset + (end - start) < totalSize else { return false }
        for index in 0..<(end - start) where bytes[offset + index] != bytes[start + index] { return false }
        return true
    }

    // MARK: Addresses

    /// Entry `index` of the node's `reg`, translated to a physical address by the `ranges` of the buses above it.
    func registers(_ node: FDTNode, _ index: Int = 0) -> PhysicalRange? {
        guard let bus = parent(node), let reg = property(node, "reg") else { return nil }
        let addressCells = cells(bus, "#address-cells", default: 2)
        let sizeCells = cells(bus, "#size-cells", default: 1)
        let entry = index * (addressCells + sizeCells)
        guard let start = reg.number(cell: entry, cells: addressCells),
            let size = reg.number(cell: entry + addressCells, cells: sizeCells),
            let address = translate(start, from: bus)
        else { return nil }
        return PhysicalRange(start: address, size: size)
    }

    func cells(_ node: FDTNode, _ name: StaticString, default absent: Int) -> Int {
        Int(min(number(node, name) ?? UInt64(absent), 4))
    }

    private func translate(_ start: UInt64, from bus: FDTNode) -> UInt64? {
        var address = start
        var current = bus
        while let above = parent(current) {
            guard let ranges = property(current, "ranges") else { return nil }
            if ranges.size > 0 {
                guard let mapped = map(address, ranges, current, above) else { return nil }
                address = mapped
            }
            current = above
        }
        return address
    }

    private func map(_ address: UInt64, _ ranges: FDTProperty, _ bus: FDTNode, _ above: FDTNode) -> UInt64? {
        let childCells = cells(bus, "#address-cells", default: 2)
        let parentCells = cells(above, "#address-cells", default: 2)
        let sizeCells = cells(bus, "#size-cells", default: 1)
        var entry = 0
        while let child = ranges.number(cell: entry, cells: childCells),
            let target = ranges.number(cell: entry + childCells, cells: parentCells),
            let size = ranges.number(cell: entry + childCells + parentCells, cells: sizeCells)
        {
            if address >= child, address &- child < size { return target &+ (address &- child) }
            entry += childCells + parentCells + sizeCells
        }
        return nil
    }
}

/// A node, by the offset of its begin token.
struct FDTNode: Equatable {
    let offset: Int
}

/// A property's value.
struct FDTProperty {
    let tree: FDT
    let offset: Int
    let size: Int

    /// 32-bit cell `index`.
    func cell(_ index: Int) -> UInt32? {
        index * 4 + 4 <= size ? tree.word(offset + index * 4) : nil
    }

    /// The number in `cells` cells from cell `index` (the low 64 bits of a longer one); 0 for no cells.
    func number(cell index: Int, cells: Int) -> UInt64? {
        guard (index + cells) * 4 <= size else { return nil }
        var value: UInt64 = 0
        for position in 0..<cells { value = value << 32 | UInt64(tree.word(offset + (index + position) * 4)) }
        return value
    }

    /// Whether `text` is one of the NUL-separated strings.
    func lists(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        var start = 0
        while start < size {
            var end = start
            while end < size, tree.bytes[offset + end] != 0 { end += 1 }
            if end - start == count, contains(text, at: start) { return true }
            start = end + 1
        }
        return false
    }

    /// Whether `text` occurs as a whole word between underscores (the form of extension names in `riscv,isa`).
    func listsWord(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard count <= size else { return false }
        for start in 0...(size - count) where contains(text, at: start) {
            let startsWord = start > 0 && tree.bytes[offset + start - 1] == 0x5f
            let endsWord = start + count == size || tree.bytes[offset + start + count] == 0x5f
                || tree.bytes[offset + start + count] == 0
            if startsWord && endsWord { return true }
        }
        return false
    }

    private func contains(_ text: StaticString, at start: Int) -> Bool {
        for index in 0..<text.utf8CodeUnitCount where tree.bytes[offset + start + index] != text.utf8Start[index] {
            return false
        }
        return true
    }

    /// Bytes before the first NUL or ":".
    var textLength: Int {
        var length = 0
        while length < size, tree.bytes[offset + length] != 0, tree.bytes[offset + length] != 0x3a { length += 1 }
        return length
    }
}
