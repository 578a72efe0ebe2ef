import EmuBus
import EmuCPU
import TestSupport
import Testing

/// Every vector load and store: which bytes of memory and of the registers it moves.
struct VectorMemoryTests {
    private static let rows = RVInstruction.vectors.filter { [0x07, 0x27].contains($0.match & 0x7f) }

    /// What the name says: fields, the bits of an element or index, and the kind of address.
    private struct Access {
        enum Kind { case unit, strided, indexed, mask, whole }
        let kind: Kind
        let isStore: Bool
        let fields: Int
        let width: Int
        let isFaultOnlyFirst: Bool

        init(_ name: String) throws {
            let match = try #require(name.wholeMatch(of: /v(l|s)(u|o)?(s|x)?(?:seg(\d))?(?:e(i)?(\d+)(ff)?|m|(\d)r(?:e(\d+))?)\.v/))
            isStore = match.1 == "s"
            isFaultOnlyFirst = match.7 != nil
            if let count = match.8 {
                (kind, fields, width) = (.whole, Int(count) ?? 1, match.9.flatMap { Int($0) } ?? 8)
            } else if let bits = match.6.flatMap({ Int($0) }) {
                (kind, fields, width) = (match.5 != nil ? .indexed : match.3 == "s" ? .strided : .unit, match.4.flatMap { Int($0) } ?? 1, bits)
            } else {
                (kind, fields, width) = (.mask, 1, 8)
            }
        }
    }

    @Test(arguments: [128, 512]) func accessesMoveTheBytesTheManualSays(vlen: Int) throws {
        let vectors = try VectorMachine(vlen: vlen)
        var random = SplitMix(seed: UInt64(vlen))
        #expect(Self.rows.count == 4 * 8 * 9 + 2 + 16 + 4)
        var tested: [String] = []
        for row in Self.rows {
            let access = try Access(row.name)
            var (done, failures) = (0, 0)
            for attempt in 0..<2000 where done < 16 || attempt < 30 {
                let free = UInt32(truncatingIfNeeded: random.next())
                // The base in x8, the stride in x9.
                var bits = row.match | free & ~row.mask & ~(31 << 15) | 8 << 15
                if access.kind == .strided { bits = bits & ~(31 << 20) | 9 << 20 }
                if attempt % 4 != 0 { bits = row.match | bits & ~(row.mask | 7 << 7 | (access.kind == .indexed ? 3 << 20 : 0)) }
                let (isLegal, message) = try compare(row, access, bits, vectors, &random)
                done += isLegal ? 1 : 0
                if let message {
                    failures += 1
                    Issue.record("\(row.name) \(String(bits, radix: 16)) vlen \(vlen): \(message)")
                    break
                }
            }
            #expect(failures > 0 || done >= 8, "\(row.name) was hardly ever legal: \(done)")
            if failures == 0 { tested.append(row.name) }
        }
        CoverageLog.write("tested-vector-memory-\(vlen)", tested)
    }

    private func compare(
        _ row: RVInstruction, _ access: Access, _ bits: UInt32, _ vectors: VectorMachine, _ random: inout SplitMix
    ) throws -> (Bool, String?) {
        var reference = VectorReference(vlenb: vectors.vlenb, registers: [])
        let log = random.below(7) - 3
        reference.sew = 8 << random.below(4)
        if reference.sew > 64 >> max(0, -log) { reference.sew = 64 >> -log }
        reference.lmul = log >= 0 ? Double(1 << log) : 1 / Double(1 << -log)
        // Strides must not leave the data.
        reference.vl = random.below((access.kind == .strided ? min(reference.vlmax, 64) : reference.vlmax) + 1)
        reference.vstart = random.below(4) == 0 ? random.below(reference.vlmax) : 0
        reference.registers = (0..<32 * vectors.vlenb).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let (data, index) = (Int(bits >> 7 & 31), Int(bits >> 20 & 31))
        let isMasked = bits >> 25 & 1 == 0

        // The first half of the data pages belongs to the accesses, whatever the indices are.
        let memory = FuzzMap.data + 0x1000
        let base = memory + UInt64(random.below(2) == 0 ? 8 * random.below(64) : 0xff0 + random.below(32))
        let stride = Int64([0, 8, 24, -16, 3, -1][random.below(6)])
        if access.kind == .indexed {
            for element in 0..<32 * vectors.vlenb * 8 / access.width { reference.set(0, element, access.width, random.next() & (access.width == 8 ? 0xff : 0x3ff)) }
        }
        var expected = [UInt8](repeating: 0, count: FuzzMap.dataPages << 12)
        for byte in expected.indices { expected[byte] = UInt8(truncatingIfNeeded: byte &* 29 ^ byte >> 8) }
        let host = vectors.machine.ram.host + Int(FuzzMap.data - FuzzMap.ram)
        expected.withUnsafeBytes { host.copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: $0.count) }

        vectors.configure(vtype: .vtype(reference.sew, log), vl: UInt64(reference.vl))
        vectors.registers = reference.registers
        vectors.cpu.x[8] = base
        vectors.cpu.x[9] = UInt64(bitPattern: stride)
        vectors[.vstart] = UInt64(reference.vstart)

        // What the manual says.
        let old = reference
        let width = access.kind == .indexed ? reference.sew : access.width
        let group = access.kind == .indexed ? reference.operand(data) : reference.operand(data, times: Double(access.width) / Double(reference.sew))
        var isLegal = true
        var (count, perField) = (reference.vl, max(1, Int(group.emul)))
        switch access.kind {
        case .mask: count = (reference.vl + 7) / 8
        case .whole:
            count = access.fields * reference.vlenb * 8 / access.width
            isLegal = data % access.fields == 0 && reference.vstart < count
        default:
            isLegal = group.isLegal && perField * access.fields <= 8 && data + perField * access.fields <= 32
            let all = Set(data..<data + perField * access.fields)
            if isMasked && all.contains(0) { isLegal = false }
            if access.kind == .indexed {
                let indices = reference.operand(index, times: Double(access.width) / Double(reference.sew))
                isLegal = isLegal && indices.isLegal && reference.areReadable([indices] + (access.isStore ? [group] : []), masked: isMasked)
                if access.isStore {
                    isLegal = isLegal && (indices.width == group.width || indices.all.isDisjoint(with: all))
                } else {
                    isLegal = isLegal && (access.fields == 1 ? reference.isLegal(group, [indices], masked: isMasked) : indices.all.isDisjoint(with: all))
                }
            }
        }
        if access.kind == .whole || access.kind == .mask { perField = 0 }
        if isLegal {
            for element in reference.vstart..<max(reference.vstart, count) {
                if access.kind != .whole && access.kind != .mask && isMasked && !old.mask(0, element) { continue }
                for field in 0..<(access.kind == .whole ? 1 : access.fields) {
                    let start: Int64 = switch access.kind {
                    case .strided: Int64(element) * stride
                    case .indexed: Int64(old.bits(index, element, access.width))
                    default: Int64(element * width / 8 * (access.kind == .whole ? 1 : access.fields))
                    }
                    let place = Int(Int64(base - FuzzMap.data) + start) + field * width / 8
                    for byte in 0..<width / 8 {
                        let register = (data + field * perField) * reference.vlenb + element * width / 8 + byte
                        if access.isStore { expected[place + byte] = old.registers[register] } else { reference.registers[register] = expected[place + byte] }
                    }
                }
            }
        }
        let cause = vectors.execute(bits)
        if isLegal != (cause == nil) {
            return (isLegal, "is \(isLegal ? "legal" : "reserved"), cause \(cause ?? 0); sew \(old.sew) lmul \(old.lmul) vl \(old.vl) vstart \(old.vstart)")
        }
        if !isLegal { return (false, cause == 2 ? nil : "raises \(cause ?? 0)") }
        if let at = zip(vectors.registers, reference.registers).enumerated().first(where: { $1.0 != $1.1 })?.offset {
            return (true, "v\(at / old.vlenb) byte \(at % old.vlenb): \(vectors.registers[at]), not \(reference.registers[at]); sew \(old.sew) lmul \(old.lmul) vl \(old.vl)")
        }
        let found = UnsafeRawBufferPointer(start: host, count: expected.count)
        if let at = zip(found, expected).enumerated().first(where: { $1.0 != $1.1 })?.offset { return (true, "memory \(at): \(found[at]), not \(expected[at])") }
        return (true, vectors[.vstart] == 0 && vectors[.vl] == UInt64(old.vl) ? nil : "vstart or vl changed")
    }

    // MARK: Faults

    private static let fault: UInt64 = 0x2000_0000

    /// Half of what an access reaches is missing: it stops there, and goes on there when that is mended.
    @Test(arguments: [
        ("vle32.v", 32), ("vse32.v", 32), ("vlse16.v", 16), ("vsse16.v", 16), ("vluxei32.v", 32), ("vsoxei32.v", 32), ("vlseg2e16.v", 16), ("vsseg4e8.v", 8),
        ("vl2re32.v", 32), ("vs2r.v", 8),
    ]) func accessesStopAtTheElementThatFaultsAndGoOnThere(name: String, sew: Int) throws {
        let vectors = try VectorMachine(vlen: 256)
        let row = try #require(RVTable.all.first { $0.name == name })
        let access = try Access(name)
        // The last bytes of RAM.
        let end = FuzzMap.ram + FuzzMap.ramSize
        let isWhole = access.kind == .whole
        let step = access.kind == .strided ? 4 : access.kind == .indexed ? 4 : access.fields * sew / 8
        let bytes = isWhole ? access.width / 8 : step
        let present = 5
        vectors.configure(vtype: .vtype(sew, 1), vl: 12)
        var registers = vectors.registers
        for byte in registers.indices { registers[byte] = UInt8(truncatingIfNeeded: byte &* 7) }
        // Indices 0, 4, 8 … in v8.
        for index in 0..<12 where access.kind == .indexed { for byte in 0..<4 { registers[8 * 32 + 4 * index + byte] = byte == 0 ? UInt8(4 * index) : 0 } }
        vectors.registers = registers
        vectors.cpu.x[8] = end - UInt64(present * bytes)
        vectors.cpu.x[9] = 4
        let bits = row.match | 4 << 7 | 8 << 15 | (row.mask & 31 << 20 != 0 ? 0 : access.kind == .strided ? 9 << 20 : 8 << 20) | 1 << 25
        #expect(vectors.execute(bits) == (access.isStore ? 7 : 5))
        #expect(vectors[.mtval] >= end && vectors[.mtval] < end + UInt64(bytes))
        #expect(vectors[.vstart] == UInt64(present) && vectors[.vl] == 12)
        let partly = vectors.registers
        // Where all of it is present, only the rest is moved.
        let memory = FuzzMap.data
        for offset in stride(from: UInt64(0), to: 256, by: 8) { vectors.machine.store(memory + offset, 0x1111_1111_1111_1111) }
        vectors.cpu.x[8] = memory
        #expect(vectors.execute(bits) == nil)
        #expect(vectors[.vstart] == 0)
        if access.isStore {
            let first = vectors.machine.bus.loadMemory(memory + UInt64((present - 1) * bytes), as: UInt8.self)
            #expect(first == 0x11, "an element that was done is stored again")
            let next = try #require(vectors.machine.bus.loadMemory(memory + UInt64(present * bytes), as: UInt8.self))
            #expect(next == registers[4 * 32 + present * (isWhole ? 1 : sew / 8)])
        } else {
            let size = isWhole ? access.width / 8 : sew / 8
            #expect(vectors.registers[4 * 32..<4 * 32 + present * size] == partly[4 * 32..<4 * 32 + present * size])
            #expect(vectors.registers[4 * 32 + present * size] == 0x11)
        }
    }

    @Test func faultOnlyFirstLoadsShortenVL() throws {
        let vectors = try VectorMachine(vlen: 256)
        let row = try #require(RVTable.all.first { $0.name == "vle16ff.v" })
        let bits = row.match | 1 << 25 | 8 << 15 | 4 << 7
        vectors.configure(vtype: .vtype(16, 0), vl: 12)
        vectors.cpu.x[8] = FuzzMap.ram + FuzzMap.ramSize - 10
        #expect(vectors.execute(bits) == nil && vectors[.vl] == 5 && vectors[.vstart] == 0)
        vectors.configure(vtype: .vtype(16, 0), vl: 12)
        vectors.cpu.x[8] = FuzzMap.ram + FuzzMap.ramSize
        #expect(vectors.execute(bits) == 5 && vectors[.vl] == 12 && vectors[.vstart] == 0, "the first element traps")
        vectors.cpu.x[8] = FuzzMap.data
        #expect(vectors.execute(bits) == nil && vectors[.vl] == 12)
    }
}
