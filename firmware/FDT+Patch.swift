/// Adding the firmware's memory to the device tree that the next stage gets.
extension FDT {
    /// Bytes the patch may need: nodes, properties, new names, and their alignment.
    private static let patchRoom = 512

    /// Returns the tree with the firmware's region under `/reserved-memory`, possibly at another address; nil if no place
    /// for the longer tree was found.
    func reserving(_ region: PhysicalRange) -> FDT? {
        guard let tree = withRoom(Self.patchRoom), let root = tree.root else { return nil }
        var patch = FDTPatch(tree: tree)
        if let existing = tree.child(root, named: "reserved-memory") {
            guard let end = tree.endToken(existing) else { return nil }
            patch.position = end
            patch.addRegion(region, addressCells: tree.cells(existing, "#address-cells", default: 2),
                sizeCells: tree.cells(existing, "#size-cells", default: 1))
        } else {
            guard let end = tree.endToken(root) else { return nil }
            patch.position = end
            // The cell counts of reserved-memory equal the root's.
            let addressCells = tree.cells(root, "#address-cells", default: 2)
            let sizeCells = tree.cells(root, "#size-cells", default: 1)
            patch.beginNode("reserved-memory")
            patch.addProperty("#address-cells", UInt64(addressCells), cells: 1)
            patch.addProperty("#size-cells", UInt64(sizeCells), cells: 1)
            patch.addProperty("ranges", 0, cells: 0)
            patch.addRegion(region, addressCells: addressCells, sizeCells: sizeCells)
            patch.endNode()
        }
        return tree
    }

    /// Takes a node out, by no-operation tokens.
    func remove(_ node: FDTNode) {
        guard let end = endToken(node) else { return }
        var position = node.offset
        while position <= end {
            setWord(position, Token.nop)
            position += 4
        }
    }

    /// The end of what the tree uses of its `totalSize`.
    var usedSize: Int {
        max(structOffset + structSize, stringsOffset + stringsSize)
    }

    /// This tree with at least `room` unused bytes at its end. If its own size has no such slack, it grows into the bytes
    /// behind it if these are zero and so look unused; else it is copied between the firmware and the next stage; and where
    /// that has no place either, it grows as long as nothing known is in the way.
    private func withRoom(_ room: Int) -> FDT? {
        let needed = usedSize + room
        if needed <= totalSize { return self }
        let growth = PhysicalRange(start: address &+ UInt64(totalSize), size: UInt64(needed - totalSize))
        let place = PhysicalRange(start: platform.pointee.firmwareRegion.end, size: UInt64(needed))
        let canGrow = platform.isFree(growth)
        let canMove = platform.isFree(place) && !place.overlaps(start: address, size: UInt64(totalSize))
        if canGrow, !canMove || isZero(growth) {
            totalSize = needed
            return self
        }
        guard canMove else { return nil }
        // SAFETY: the place is RAM that nothing known uses.
        let copy = UnsafeMutablePointer<UInt8>(bitPattern: UInt(place.start)).unsafelyUnwrapped
        copy.update(from: bytes, count: totalSize)
        let moved = FDT(address: place.start)
        moved?.totalSize = needed
        return moved
    }

    private func isZero(_ range: PhysicalRange) -> Bool {
        for index in 0..<Int(range.size) where bytes[totalSize + index] != 0 { return false }
        return true
    }

    /// Makes room for `count` bytes (a multiple of 8, so that every block keeps its alignment) at `position`.
    fileprivate func insert(_ count: Int, at position: Int) {
        let end = max(usedSize, position)
        (bytes + position + count).update(from: bytes + position, count: end - position)
        (bytes + position).update(repeating: 0, count: count)
        // A block that begins at the very place moves too, unless it is the one extended; callers pass its inside or end.
        if structOffset >= position { structOffset += count }
        if stringsOffset >= position { stringsOffset += count }
        if reserveOffset >= position { reserveOffset += count }
    }

    /// Offset of `name` in the strings block, added there if it is missing.
    fileprivate func nameOffset(_ name: StaticString) -> Int {
        let count = name.utf8CodeUnitCount
        var start = 0
        while start + count < stringsSize {
            var same = bytes[stringsOffset + start + count] == 0
            for index in 0..<count where same { same = bytes[stringsOffset + start + index] == name.utf8Start[index] }
            if same { return start }
            start += 1
        }
        let offset = stringsSize
        let space = (count + 1 + 7) & ~7
        insert(space, at: stringsOffset + stringsSize)
        for index in 0..<count { bytes[stringsOffset + offset + index] = name.utf8Start[index] }
        stringsSize += space
        return offset
    }
}

/// Writes tokens at a place in the structure block.
private struct FDTPatch {
    let tree: FDT
    var position = 0

    mutating func addRegion(_ region: PhysicalRange, addressCells: Int, sizeCells: Int) {
        beginNode("firmware@80000000")
        let reg = property("reg", cells: addressCells + sizeCells)
        put(region.start, cells: addressCells, at: reg)
        put(region.size, cells: sizeCells, at: reg + addressCells * 4)
        addProperty("no-map", 0, cells: 0)
        endNode()
    }

    mutating func beginNode(_ name: StaticString) {
        let start = open(4 + name.utf8CodeUnitCount + 1)
        tree.setWord(start, FDT.Token.beginNode)
        for index in 0..<name.utf8CodeUnitCount { tree.bytes[start + 4 + index] = name.utf8Start[index] }
    }

    mutating func endNode() {
        tree.setWord(open(4), FDT.Token.endNode)
    }

    mutating func addProperty(_ name: StaticString, _ value: UInt64, cells: Int) {
        put(value, cells: cells, at: property(name, cells: cells))
    }

    /// Returns the offset of the value.
    private mutating func property(_ name: StaticString, cells: Int) -> Int {
        let structOffset = tree.structOffset
        let nameOffset = tree.nameOffset(name)
        // A strings block that lies first pushes the structure on.
        position += tree.structOffset - structOffset
        let start = open(12 + cells * 4)
        tree.setWord(start, FDT.Token.property)
        tree.setWord(start + 4, UInt32(cells * 4))
        tree.setWord(start + 8, UInt32(nameOffset))
        return start + 12
    }

    /// Opens room for `size` bytes, filled up with no-operation tokens, and steps behind it.
    private mutating func open(_ size: Int) -> Int {
        let start = position
        let space = (size + 7) & ~7
        tree.insert(space, at: start)
        tree.structSize += space
        var filler = start + (size + 3) & ~3
        while filler < start + space {
            tree.setWord(filler, FDT.Token.nop)
            filler += 4
        }
        position = start + space
        return start
    }

    private func put(_ value: UInt64, cells: Int, at offset: Int) {
        for index in 0..<cells {
            let shift = UInt64(cells - 1 - index) * 32
            tree.setWord(offset + index * 4, shift < 64 ? UInt32(truncatingIfNeeded: value >> shift) : 0)
        }
    }
}
