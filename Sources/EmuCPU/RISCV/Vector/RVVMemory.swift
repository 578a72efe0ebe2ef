extension RVTable {
    /// V: loads and stores.
    static let vectorMemory: [RVInstruction] = {
        /// Field width, by the bits of an element.
        let widths = [8: "000", 16: "101", 32: "110", 64: "111"]
        func row(_ name: String, fields: Int, mode: String, mask: String, second: String, width: Int, isStore: Bool, _ last: [RVOperand], _ op: RVOp) -> RVInstruction {
            RVInstruction(
                name, "\(binary(fields - 1, 3)) 0 \(mode) \(mask) \(second) sssss \(widths[width] ?? "000") \(isStore ? "eeeee 0100111" : "ddddd 0000111")", .all(.v),
                RVFormat(isStore ? .vectorStore : .vector, [isStore ? .vs3 : .vd, .address] + last), op)
        }
        var rows = [
            row("vlm.v", fields: 1, mode: "00", mask: "1", second: "01011", width: 8, isStore: false, [], .vlm),
            row("vsm.v", fields: 1, mode: "00", mask: "1", second: "01011", width: 8, isStore: true, [], .vsm),
        ]
        for fields in 1...8 {
            let segment = fields == 1 ? "" : "seg\(fields)"
            for width in [8, 16, 32, 64] {
                func add(_ load: String, _ mode: String, _ second: String, _ last: [RVOperand], _ op: RVOp, isStore: Bool) {
                    rows.append(row(load, fields: fields, mode: mode, mask: "m", second: second, width: width, isStore: isStore, last + [.vectorMask], op))
                }
                add("vl\(segment)e\(width).v", "00", "00000", [], .vle, isStore: false)
                add("vs\(segment)e\(width).v", "00", "00000", [], .vse, isStore: true)
                add("vl\(segment)e\(width)ff.v", "00", "10000", [], .vleff, isStore: false)
                add("vls\(segment)e\(width).v", "10", "ttttt", [.rs2], .vlse, isStore: false)
                add("vss\(segment)e\(width).v", "10", "ttttt", [.rs2], .vsse, isStore: true)
                for (order, mode) in [("u", "01"), ("o", "11")] {
                    add("vl\(order)x\(segment)ei\(width).v", mode, "ttttt", [.vs2], .vlxei, isStore: false)
                    add("vs\(order)x\(segment)ei\(width).v", mode, "ttttt", [.vs2], .vsxei, isStore: true)
                }
                if fields.nonzeroBitCount == 1 {
                    rows.append(row("vl\(fields)re\(width).v", fields: fields, mode: "00", mask: "1", second: "01000", width: width, isStore: false, [], .vlr))
                }
            }
            if fields.nonzeroBitCount == 1 {
                rows.append(row("vs\(fields)r.v", fields: fields, mode: "00", mask: "1", second: "01000", width: 8, isStore: true, [], .vsr))
            }
        }
        return rows
    }()
}

/// "Vector Loads and Stores". What traps in the middle leaves the element's number in vstart and is continued there.
extension RVProcessor {
    /// A vector access, taken apart.
    private struct Access {
        /// First register of the data.
        let register: UInt8
        /// Bytes of an element in memory and in the registers.
        let bytes: Int
        /// Fields of a segment, and how many registers each takes.
        let fields: Int
        let registersPerField: Int
        let isStore: Bool
    }

    func executeVectorMemory(_ op: RVOp, _ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        let r = ip.pointee
        let isStore = op == .vse || op == .vsse || op == .vsxei || op == .vsm || op == .vsr
        let register = isStore ? r.rs3 : r.rd
        let fields = Int(r.raw >> 29) + 1
        // Field width: 0, 5, 6 and 7 mean 8, 16, 32 and 64 bits.
        let width = Int(r.vectorForm == 0 ? 0 : r.vectorForm - 4)
        if op == .vlr || op == .vsr {
            let count = fields * vlenb >> width
            guard Int(register) & (fields - 1) == 0, h.pointee.vstart < count else { return illegal(r) }
            return move(Access(register: register, bytes: 1 << width, fields: 1, registersPerField: fields, isStore: isStore), from: Int(h.pointee.vstart), count, ip)
        }
        guard let c = vectorContext(r) else { return illegal(r) }
        if op == .vlm || op == .vsm {
            return move(Access(register: register, bytes: 1, fields: 1, registersPerField: 1, isStore: isStore), from: c.start, (c.vl + 7) >> 3, ip)
        }
        let isIndexed = op == .vlxei || op == .vsxei
        let data = isIndexed ? c.group(register) : c.group(register, width: width)
        guard data.isLegal, data.count * fields <= 8, data.register + data.count * fields <= 32 else { return illegal(r) }
        if c.isMasked && register == 0 { return illegal(r) }
        let access = Access(register: register, bytes: 1 << data.width, fields: fields, registersPerField: data.count, isStore: isStore)
        if isIndexed {
            let index = c.group(r.rs2, width: width)
            guard index.isLegal, !c.isMasked || index.mayBeRead(with: .mask), index.isIndexAllowed(data, fields: fields, isStore: isStore) else { return illegal(r) }
            switch width {
            case 0: return transfer(access, c, ip, indexed(r, UInt8.self))
            case 1: return transfer(access, c, ip, indexed(r, UInt16.self))
            case 2: return transfer(access, c, ip, indexed(r, UInt32.self))
            default: return transfer(access, c, ip, indexed(r, UInt64.self))
            }
        }
        let base = x[Int(r.rs1)]
        if op == .vlse || op == .vsse {
            let stride = x[Int(r.rs2)]
            return transfer(access, c, ip) { base &+ UInt64(truncatingIfNeeded: $0) &* stride }
        }
        if !c.isMasked && fields == 1 && op != .vleff { return move(access, from: c.start, c.vl, ip) }
        let size = UInt64(fields * access.bytes)
        return transfer(access, c, ip, isFaultOnlyFirst: op == .vleff) { base &+ UInt64(truncatingIfNeeded: $0) &* size }
    }

    private func indexed<Index: FixedWidthInteger>(_ r: DecodedOp, _ type: Index.Type) -> (Int) -> UInt64 {
        let (base, indices) = (x[Int(r.rs1)], elements(r.rs2, as: Index.self))
        return { base &+ UInt64(truncatingIfNeeded: indices[$0]) }
    }

    /// Ends an access that trapped at an element, or at the first part of it.
    private func stopVector(at index: Int) -> Bool {
        h.pointee.vstart = UInt64(index)
        h.pointee.mstatus |= RVStatus.vs
        return false
    }

    // MARK: Element by element

    /// Moves the active elements, the fields of each one after the other.
    private func transfer(
        _ access: Access, _ c: VectorContext, _ ip: UnsafeMutablePointer<DecodedOp>, isFaultOnlyFirst: Bool = false, _ address: (Int) -> UInt64
    ) -> Bool {
        let fieldBytes = access.registersPerField * vlenb
        let registers = v + Int(access.register) * vlenb
        var index = c.start
        while index < c.vl {
            if !c.isMasked || maskBit(0, index) {
                // A load may overwrite its indices.
                let start = address(index)
                for field in 0..<access.fields {
                    let element = registers + (field &* fieldBytes &+ index &* access.bytes)
                    if moveElement(access, element, start &+ UInt64(truncatingIfNeeded: field &* access.bytes), ip) { continue }
                    guard isFaultOnlyFirst, index > 0 else { return stopVector(at: index) }
                    h.pointee.vl = UInt64(index)
                    return finishVector()
                }
            }
            index &+= 1
        }
        return finishVector()
    }

    /// Loads or stores one element; false when it trapped.
    @inline(__always)
    private func moveElement(_ access: Access, _ element: UnsafeMutableRawPointer, _ address: UInt64, _ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        switch access.bytes {
        case 1: moveElement(access, element.assumingMemoryBound(to: UInt8.self), address, ip)
        case 2: moveElement(access, element.assumingMemoryBound(to: UInt16.self), address, ip)
        case 4: moveElement(access, element.assumingMemoryBound(to: UInt32.self), address, ip)
        default: moveElement(access, element.assumingMemoryBound(to: UInt64.self), address, ip)
        }
    }

    @inline(__always)
    private func moveElement<Element: FixedWidthInteger>(
        _ access: Access, _ element: UnsafeMutablePointer<Element>, _ address: UInt64, _ ip: UnsafeMutablePointer<DecodedOp>
    ) -> Bool {
        let size = UInt64(MemoryLayout<Element>.size)
        if access.isStore {
            if let host = directStore(address, size) {
                host.storeBytes(of: element.pointee, as: Element.self)
                return true
            }
            return storeSlow(address, size, UInt64(truncatingIfNeeded: element.pointee), ip)
        }
        if let host = directLoad(address, size) {
            element.pointee = host.loadUnaligned(as: Element.self)
        } else if let value = loadSlow(address, size, ip) {
            element.pointee = Element(truncatingIfNeeded: value)
        } else {
            return false
        }
        return true
    }

    @inline(__always)
    private func directLoad(_ address: UInt64, _ size: UInt64) -> UnsafeMutableRawPointer? {
        let loads = h.pointee.dataView
        return Self.direct(loads.pointee.loads.entries, loads.pointee.loads.mask, address, size)
    }

    @inline(__always)
    private func directStore(_ address: UInt64, _ size: UInt64) -> UnsafeMutableRawPointer? {
        let stores = h.pointee.dataView
        return Self.direct(stores.pointee.stores.entries, stores.pointee.stores.mask, address, size)
    }

    // MARK: In one piece

    /// Stores elements where other harts may store meanwhile: each aligned one at once, and nothing twice, which a copy of memory does not promise.
    private static func store(_ count: Int, from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, width: Int) {
        func store<Piece: FixedWidthInteger & UnsignedInteger>(at offset: Int, _ type: Piece.Type) where Piece: AtomicCell {
            Piece.store(source.loadUnaligned(fromByteOffset: offset, as: Piece.self), to: target + offset)
        }
        var offset = 0
        while offset < count {
            let left = count - offset
            let place = UInt(bitPattern: target + offset)
            if place & 7 == 0, left >= 8 {
                store(at: offset, UInt64.self)
                offset += 8
            } else if width == 4, place & 3 == 0, left >= 4 {
                store(at: offset, UInt32.self)
                offset += 4
            } else if width >= 2, place & 1 == 0, left >= 2 {
                store(at: offset, UInt16.self)
                offset += 2
            } else {
                store(at: offset, UInt8.self)
                offset += 1
            }
        }
    }

    /// Moves elements `start` up to `count`, which lie one after the other in memory and in the registers: by pages where the TLB
    /// serves them directly.
    private func move(_ access: Access, from start: Int, _ count: Int, _ ip: UnsafeMutablePointer<DecodedOp>) -> Bool {
        let base = x[Int(ip.pointee.rs1)]
        let registers = v + Int(access.register) * vlenb
        var index = start
        while index < count {
            let address = base &+ UInt64(truncatingIfNeeded: index &* access.bytes)
            let inPage = Int(4096 - address & 0xfff) / access.bytes
            let piece = min(count - index, inPage)
            if piece > 0, let host = access.isStore ? directStore(address, 1) : directLoad(address, 1) {
                let element = registers + index * access.bytes
                if access.isStore {
                    if h.pointee.isShared {
                        Self.store(piece * access.bytes, from: element, to: host, width: access.bytes)
                    } else {
                        host.copyMemory(from: element, byteCount: piece * access.bytes)
                    }
                } else {
                    element.copyMemory(from: host, byteCount: piece * access.bytes)
                }
                index += piece
            } else {
                guard moveElement(access, registers + index * access.bytes, address, ip) else { return stopVector(at: index) }
                index += 1
            }
        }
        return finishVector()
    }
}
