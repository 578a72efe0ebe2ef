import EmuBus
import EmuCPU
import TestSupport
import Testing

/// vtype, vl, the vector CSRs, mstatus.VS, saved state.
struct VectorStateTests {
    private static func vsetvli(_ rd: UInt32, _ rs1: UInt32, _ type: UInt32) -> UInt32 { type << 20 | rs1 << 15 | 7 << 12 | rd << 7 | 0x57 }
    private static func vsetivli(_ rd: UInt32, _ count: UInt32, _ type: UInt32) -> UInt32 { 3 << 30 | type << 20 | count << 15 | 7 << 12 | rd << 7 | 0x57 }
    private static func vsetvl(_ rd: UInt32, _ rs1: UInt32, _ rs2: UInt32) -> UInt32 { 1 << 31 | rs2 << 20 | rs1 << 15 | 7 << 12 | rd << 7 | 0x57 }
    private static let illegal: UInt64 = 1 << 63

    @Test(arguments: [128, 256, 512, 1024]) func supportedTypesAreThoseTheManualAsksFor(vlen: Int) throws {
        let vectors = try VectorMachine(vlen: vlen)
        #expect(vectors[.vtype] == Self.illegal && vectors[.vl] == 0 && vectors[.vlenb] == UInt64(vlen / 8))
        for type in 0..<0x400 as Range<UInt64> {
            vectors.cpu.x[5] = .max
            vectors.cpu.x[6] = type
            #expect(vectors.execute(Self.vsetvl(7, 5, 6)) == nil)
            let (sew, code) = (8 << Int(type >> 3 & 7), Int(type & 7))
            let lmul = code < 4 ? Double(1 << code) : 1 / Double(1 << (8 - code))
            let isSupported = type < 256 && sew <= 64 && code != 4 && Double(sew) <= min(lmul, 1) * 64
            #expect(vectors[.vtype] == (isSupported ? type : Self.illegal), "\(type)")
            #expect(vectors[.vl] == (isSupported ? UInt64(Double(vlen) * lmul) / UInt64(sew) : 0) && vectors.cpu.x[7] == vectors[.vl])
        }
        for bit in 8..<64 as Range<UInt64> {
            vectors.cpu.x[6] = 1 << bit
            #expect(vectors.execute(Self.vsetvl(7, 5, 6)) == nil && vectors[.vtype] == Self.illegal, "bit \(bit)")
        }
    }

    @Test func lengthFollowsTheRegistersNamed() throws {
        let vectors = try VectorMachine(vlen: 256)
        func set(_ bits: UInt32, _ type: UInt64, _ vl: UInt64, _ why: String) {
            vectors[.vstart] = 3
            #expect(vectors.execute(bits) == nil && vectors[.vtype] == type && vectors[.vl] == vl && vectors[.vstart] == 0, "\(why): \(vectors[.vtype]), \(vectors[.vl])")
        }
        vectors.cpu.x[5] = 20
        set(Self.vsetvli(7, 5, 0x10), 0x10, 8, "VLMAX of e32,m1")
        #expect(vectors.cpu.x[7] == 8)
        vectors.cpu.x[5] = 5
        set(Self.vsetvli(0, 5, 0x10), 0x10, 5, "what was asked for")
        set(Self.vsetvli(0, 0, 0x19), 0x19, 5, "x0, x0 keeps vl where SEW/LMUL stays: e64,m2")
        set(Self.vsetvli(0, 0, 0x18), Self.illegal, 0, "and is illegal where it changes")
        set(Self.vsetvli(0, 0, 0x18), Self.illegal, 0, "or where there was no type")
        set(Self.vsetvli(7, 0, 0xd3), 0xd3, 64, "rs1 = x0 asks for VLMAX: e32,m8,ta,ma")
        #expect(vectors.cpu.x[7] == 64)
        set(Self.vsetivli(7, 31, 0xc0), 0xc0, 31, "an immediate")
        set(Self.vsetivli(7, 0, 0xc0), 0xc0, 0, "zero")
        vectors.cpu.x[5] = .max
        set(Self.vsetvli(7, 5, 0), 0, 32, "the greatest number")
    }

    @Test func withVSOffVectorsAreIllegal() throws {
        let vectors = try VectorMachine(vlen: 128)
        vectors.configure(vtype: 0, vl: 16)
        let csrs: [RVCSR] = [.vstart, .vxsat, .vxrm, .vcsr, .vl, .vtype, .vlenb]
        func read(_ csr: RVCSR) -> UInt32 { RVAssembly.readCSR(7, UInt32(csr.rawValue)) }
        for (status, isOn) in [(0x6000, false), (0x6200, true), (0x6400, true), (0x6600, true)] as [(UInt64, Bool)] {
            for row in RVInstruction.vectors {
                vectors[.mstatus] = status
                vectors.cpu.x[8] = FuzzMap.data
                // On registers that suit any group; those that need other operands to be legal are not counted when on.
                let bits = row.match | ~row.mask & (8 << 7 | 8 << 15 | 16 << 20 | 1 << 25)
                let cause = vectors.execute(bits)
                if !isOn { #expect(cause == 2, "\(row.name) executes with VS off") }
                if isOn && cause == nil { #expect(vectors[.mstatus] >> 9 & 3 == 3, "\(row.name) leaves VS as it was") }
            }
            vectors.configureIfOn(isOn)
            for csr in csrs {
                vectors[.mstatus] = status
                #expect((vectors.execute(read(csr)) == nil) == isOn, "\(csr)")
                #expect(vectors[.mstatus] & 0x600 == status & 0x600, "reading \(csr) changes VS")
            }
        }
        for csr in csrs where !csr.isReadOnly {
            vectors[.mstatus] = 0x6200
            #expect(vectors.execute(RVAssembly.writeCSR(UInt32(csr.rawValue), 0)) == nil)
            #expect(vectors[.mstatus] >> 9 & 3 == 3 && vectors[.mstatus] >> 63 == 1 && vectors[.sstatus] >> 9 & 3 == 3 && vectors[.sstatus] >> 63 == 1)
        }
        vectors[.vcsr] = 5
        #expect(vectors[.vxrm] == 2 && vectors[.vxsat] == 1)
        vectors[.vxrm] = 3
        vectors[.vxsat] = 0
        #expect(vectors[.vcsr] == 6)
    }

    @Test func withoutATypeOnlyConfigurationAndWholeRegisterAccessesExecute() throws {
        let vectors = try VectorMachine(vlen: 128)
        for row in RVInstruction.vectors {
            vectors.cpu.x[6] = .max
            #expect(vectors.execute(Self.vsetvl(0, 6, 6)) == nil && vectors[.vtype] == Self.illegal)
            vectors.cpu.x[8] = FuzzMap.data
            let cause = vectors.execute(row.match | ~row.mask & (8 << 7 | 8 << 15 | 16 << 20 | 1 << 25))
            let isFree = row.name.hasPrefix("vset") || [.vlr, .vsr].contains(row.op)
            #expect((cause == nil) == isFree, "\(row.name)")
        }
    }

    @Test func positionsBehindTheGroupAreIllegal() throws {
        let vectors = try VectorMachine(vlen: 128)
        vectors.configure(vtype: .vtype(32, -1), vl: 2)
        for (vstart, isLegal) in [(1, true), (2, false), (127, false)] as [(UInt64, Bool)] {
            vectors[.vstart] = vstart
            // vadd.vv v1, v2, v3
            #expect((vectors.execute(0x0221_80d7) == nil) == isLegal)
            #expect(vectors[.vstart] == (isLegal ? 0 : vstart))
        }
        vectors[.vstart] = .max
        #expect(vectors[.vstart] == 127)
    }

    @Test func floatingPointNeedsItsOwnStateAndARoundingMode() throws {
        let vectors = try VectorMachine(vlen: 128)
        let floats = RVInstruction.vectors.filter { $0.name.hasPrefix("vf") && $0.name != "vfirst.m" || $0.name.hasPrefix("vmf") }
        #expect(floats.count > 100)
        for row in floats {
            let bits = row.match | ~row.mask & (8 << 7 | 16 << 15 | 24 << 20 | 1 << 25)
            // Operations on BF16 are there for elements of 16 bits only.
            vectors.configure(vtype: .vtype(row.name.contains("bf16") ? 16 : 32, 0), vl: 2)
            for (status, frm, isLegal) in [(0x6600, 0, true), (0x0600, 0, false), (0x6600, 5, false), (0x6600, 7, false)] as [(UInt64, UInt64, Bool)] {
                vectors[.mstatus] = 0x6600
                vectors[.frm] = frm
                vectors[.mstatus] = status
                #expect((vectors.execute(bits) == nil) == isLegal, "\(row.name) with mstatus \(hex(status)), frm \(frm)")
            }
        }
    }

    @Test func halfPrecisionNeedsItsExtensions() throws {
        // vfadd.vv, vfwcvt.f.f.v, vfncvt.f.f.w and vfncvt.rod.f.f.w on v8, v16 and v24.
        func legal(_ more: String) throws -> [Bool] {
            let vectors = try VectorMachine(vlen: 128, more: more)
            vectors.configure(vtype: .vtype(16, 0), vl: 2)
            return [0x0388_1457, 0x4b86_1457, 0x4b8a_1457, 0x4b8a_9457].map { vectors.execute($0) == nil }
        }
        #expect(try legal("") == [true, true, true, true])
        #expect(try legal(",zvfh=off") == [false, true, true, false])
        #expect(try legal(",zvfh=off,zvfhmin=off") == [false, false, false, false])
    }

    @Test func savedStateIsMadeLegal() throws {
        let vectors = try VectorMachine(vlen: 128)
        vectors.configure(vtype: .vtype(8, 0), vl: 16)
        vectors.registers = (0..<512).map { UInt8(truncatingIfNeeded: $0 * 3) }
        let saved = vectors.cpu.encodedState()
        vectors.registers = [UInt8](repeating: 0, count: 512)
        try vectors.cpu.restoreState(saved)
        #expect(vectors[.vl] == 16 && vectors.registers == (0..<512).map { UInt8(truncatingIfNeeded: $0 * 3) })
        // A greater vl than the registers have room for, from another machine or an enemy.
        let large = try VectorMachine(vlen: 1024)
        large.configure(vtype: .vtype(8, 3), vl: 1024)
        large[.vstart] = 1023
        try vectors.cpu.restoreState(large.cpu.encodedState())
        #expect(vectors[.vl] == 128 && vectors[.vstart] == 127)
        let plain = try FuzzMachine(.interpreter)
        try plain.cpu.restoreState(large.cpu.encodedState())
        #expect(plain.cpu.encodedState() != large.cpu.encodedState())
    }
}

extension VectorMachine {
    /// Sets a type again after instructions that may have made it illegal.
    func configureIfOn(_ isOn: Bool) { if isOn { configure(vtype: 0, vl: 16) } }
}
