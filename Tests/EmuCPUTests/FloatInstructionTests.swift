import EmuBus
import EmuCPU
import Testing

/// One hart whose floating-point instructions are executed one by one, without fetching them.
private final class FloatHart {
    static let clean: UInt64 = 2 << 13
    static let dirty: UInt64 = 3 << 13

    let processor: RVProcessor

    init() {
        let bus = AddressSpace()
        processor = RVProcessor(
            index: 0, config: .standard, bus: bus, cache: TranslationCache(bus: bus), events: EventQueue(mode: .virtual), readTime: { 0 })
        processor.writeCSR(.frm, 0)
        status = Self.clean
        flags = []
    }

    /// mstatus.FS, in place.
    var status: UInt64 {
        get { processor.readCSR(.mstatus) & 3 << 13 }
        set { processor.writeCSR(.mstatus, processor.readCSR(.mstatus) & ~(3 << 13) | newValue) }
    }

    /// fflags; setting them leaves FS as it was.
    var flags: FloatFlags {
        get { FloatFlags(rawValue: UInt8(processor.readCSR(.fflags))) }
        set {
            let old = status
            processor.writeCSR(.fflags, UInt64(newValue.rawValue))
            status = old
        }
    }

    var dynamicRounding: UInt64 {
        get { processor.readCSR(.frm) }
        set {
            let old = status
            processor.writeCSR(.frm, newValue)
            status = old
        }
    }

    /// Executes `name rd=3, rs1=1, rs2=2, rs3=4` with the given rm where the instruction has one.
    /// - Returns: false if it trapped.
    func execute(_ row: RVInstruction, rounding: UInt32 = 0, destination: UInt32 = 3) -> Bool {
        let fields = destination << 7 | rounding << 12 | 1 << 15 | 2 << 20 | 4 << 27
        let r = processor.decoder.decode(row.match | fields & ~row.mask)
        #expect(r.rv == row.op, "\(row.name) decodes to something else")
        return processor.executeFloat(r.rv, r)
    }

    func execute(_ name: String, rounding: UInt32 = 0, destination: UInt32 = 3) -> Bool {
        execute(RVTable.all.first { $0.name == name }!, rounding: rounding, destination: destination)
    }
}

/// Floating-point operations that are neither loads nor stores, and their rows.
private let floatOperations = RVOp.allCases.filter { op in
    RVOp.flw.rawValue <= op.rawValue && op.rawValue <= RVOp.fcvtmod_w_d.rawValue && ![.flw, .fsw, .fld, .fsd, .flh, .fsh].contains(op)
}
private let floatRows = RVTable.all.filter { floatOperations.contains($0.op) }

@Suite struct FloatInstructionTests {
    private static let suffixes: [(String, FloatFormat)] = [("s", .single), ("d", .double), ("h", .half)]

    /// A number as a register holds it in the format.
    private func register(_ value: Double, _ format: FloatFormat) -> UInt64 {
        func run<F: SoftFormat>(_: F.Type) -> UInt64 {
            var flags = FloatFlags()
            return F.boxed(format == .double ? value.bitPattern : Binary64.convert(value.bitPattern, to: F.self, .rne, &flags))
        }
        return run(format.type)
    }

    @Test func everyRowIsExecuted() {
        #expect(floatRows.map(\.op.rawValue).sorted() == floatOperations.map(\.rawValue))
        let hart = FloatHart()
        for row in floatRows { #expect(hart.execute(row), "\(row.name)") }
    }

    @Test func everyRowTrapsAndChangesNothingWhileFSIsOff() {
        let hart = FloatHart()
        hart.processor.f[3] = 42
        hart.processor.x[3] = 43
        hart.status = 0
        for row in floatRows { #expect(!hart.execute(row), "\(row.name)") }
        #expect(hart.processor.f[3] == 42 && hart.processor.x[3] == 43 && hart.status == 0 && hart.flags == [])
    }

    @Test func reservedRoundingModesTrapWhereThereIsAnRMField() {
        let hart = FloatHart()
        for row in floatRows where row.pattern.contains("m") {
            for mode: UInt32 in 0...6 { #expect(hart.execute(row, rounding: mode) == (mode < 5), "\(row.name) rm \(mode)") }
            for mode: UInt64 in 0...7 {
                hart.dynamicRounding = mode
                #expect(hart.execute(row, rounding: 7) == (mode < 5), "\(row.name) frm \(mode)")
                #expect(hart.execute(row, rounding: 1))
            }
        }
        // Without an rm field frm is not looked at.
        for row in floatRows where !row.pattern.contains("m") { #expect(hart.execute(row), "\(row.name)") }
    }

    @Test(arguments: 0..<5)
    func staticAndDynamicRoundingModesReachTheOperation(_ mode: Int) {
        let hart = FloatHart()
        let expected = FloatFormat.single.reference.divide(0xbf80_0000, 0x4040_0000)[mode].bits
        hart.processor.f[1] = register(-1, .single)
        hart.processor.f[2] = register(3, .single)
        #expect(hart.execute("fdiv.s", rounding: UInt32(mode)))
        #expect(hart.processor.f[3] == Binary32.boxed(expected))
        hart.processor.f[3] = 0
        hart.dynamicRounding = UInt64(mode)
        #expect(hart.execute("fdiv.s", rounding: 7))
        #expect(hart.processor.f[3] == Binary32.boxed(expected))
    }

    @Test func everyArithmeticRowComputesWhatItsNameSays() {
        // rs1 = 6, rs2 = −1.5, rs3 = 0.25; exact in every format.
        let results: [(String, Double)] = [
            ("fmadd", -8.75), ("fmsub", -9.25), ("fnmsub", 9.25), ("fnmadd", 8.75), ("fadd", 4.5), ("fsub", 7.5), ("fmul", -9), ("fdiv", -4),
            ("fsgnj", -6), ("fsgnjn", 6), ("fsgnjx", -6), ("fmin", -1.5), ("fmax", 6), ("fminm", -1.5), ("fmaxm", 6), ("fround", 6), ("froundnx", 6),
        ]
        for (suffix, format) in Self.suffixes {
            for (name, result) in results {
                let hart = FloatHart()
                hart.processor.f[1] = register(6, format)
                hart.processor.f[2] = register(-1.5, format)
                hart.processor.f[4] = register(0.25, format)
                #expect(hart.execute("\(name).\(suffix)"))
                #expect(hart.processor.f[3] == register(result, format), "\(name).\(suffix)")
                #expect(hart.flags == [] && hart.status == FloatHart.dirty)
            }
            let hart = FloatHart()
            hart.processor.f[1] = register(2.25, format)
            #expect(hart.execute("fsqrt.\(suffix)") && hart.processor.f[3] == register(1.5, format))
            #expect(hart.execute("fround.\(suffix)", rounding: 3) && hart.processor.f[3] == register(3, format) && hart.flags == [])
            #expect(hart.execute("froundnx.\(suffix)", rounding: 2) && hart.processor.f[3] == register(2, format) && hart.flags == .inexact)
            // fli: the field rs1 is 1, the smallest normal number.
            #expect(hart.execute("fli.\(suffix)"))
            let smallest = (1 as UInt64) << UInt64(format.reference.fractionBits)
            #expect(hart.processor.f[3] == smallest | ~((format.reference.signBit << 1) &- 1))
        }
    }

    @Test func comparisonsAndClassificationWriteIntegersAndOnlyFlagsDirtyTheState() {
        for (suffix, format) in Self.suffixes {
            let hart = FloatHart()
            hart.processor.f[1] = register(-1, format)
            hart.processor.f[2] = register(2, format)
            for (name, result): (String, UInt64) in [("feq", 0), ("flt", 1), ("fle", 1), ("fltq", 1), ("fleq", 1), ("fclass", 2)] {
                hart.processor.x[3] = 99
                #expect(hart.execute("\(name).\(suffix)") && hart.processor.x[3] == result, "\(name).\(suffix)")
            }
            #expect(hart.status == FloatHart.clean)
            hart.processor.f[2] = register(.nan, format)
            for name in ["feq", "fltq", "fleq"] { #expect(hart.execute("\(name).\(suffix)") && hart.flags == []) }
            #expect(hart.status == FloatHart.clean)
            #expect(hart.execute("flt.\(suffix)") && hart.processor.x[3] == 0 && hart.flags == .invalid)
            #expect(hart.status == FloatHart.dirty)
            // The same flag again changes nothing.
            hart.status = FloatHart.clean
            #expect(hart.execute("fle.\(suffix)") && hart.status == FloatHart.clean)
        }
    }

    @Test func conversionsToIntegersSignExtend32BitResults() {
        for (suffix, format) in Self.suffixes {
            let hart = FloatHart()
            hart.processor.f[1] = register(-7, format)
            for (name, result): (String, Int64) in [("w", -7), ("l", -7), ("wu", 0), ("lu", 0)] {
                #expect(hart.execute("fcvt.\(name).\(suffix)") && hart.processor.x[3] == UInt64(bitPattern: result), "fcvt.\(name).\(suffix)")
            }
            hart.processor.f[1] = register(.infinity, format)
            for (name, result): (String, UInt64) in [("w", 0x7fff_ffff), ("wu", .max), ("l", .max >> 1), ("lu", .max)] {
                hart.flags = []
                #expect(hart.execute("fcvt.\(name).\(suffix)") && hart.processor.x[3] == result, "fcvt.\(name).\(suffix)")
                #expect(hart.flags == .invalid)
            }
        }
        let hart = FloatHart()
        hart.processor.f[1] = (3e9).bitPattern
        #expect(hart.execute("fcvt.wu.d") && hart.processor.x[3] == UInt64(bitPattern: Int64(Int32(bitPattern: 3_000_000_000))))
        #expect(hart.execute("fcvt.lu.d") && hart.processor.x[3] == 3_000_000_000)
        #expect(hart.execute("fcvtmod.w.d") && hart.processor.x[3] == UInt64(bitPattern: Int64(Int32(bitPattern: 3_000_000_000))))
        #expect(hart.flags == .invalid)
    }

    @Test func conversionsFromIntegersReadTheWidthTheyName() {
        for (suffix, format) in Self.suffixes {
            let hart = FloatHart()
            // −2 as 32 bits; the upper half must not count for w and wu.
            hart.processor.x[1] = 0x1234_5678_ffff_fffe
            #expect(hart.execute("fcvt.\(suffix).w") && hart.processor.f[3] == register(-2, format))
            #expect(hart.execute("fcvt.\(suffix).wu", rounding: 1) && hart.processor.f[3] == converted(4_294_967_294, format))
            hart.processor.x[1] = ~4
            #expect(hart.execute("fcvt.\(suffix).l") && hart.processor.f[3] == register(-5, format))
            #expect(hart.execute("fcvt.\(suffix).lu", rounding: 1) && hart.processor.f[3] == converted(.max - 4, format))
            hart.processor.x[1] = 0
            hart.flags = []
            #expect(hart.execute("fcvt.\(suffix).w") && hart.processor.f[3] == register(0, format) && hart.flags == [])
        }
    }

    /// An integer rounded towards zero, as a register holds it.
    private func converted(_ value: UInt64, _ format: FloatFormat) -> UInt64 {
        let bits = format.reference.fromInteger(magnitude: value, negative: false)[Int(RoundingMode.rtz.rawValue)].bits
        return bits | ~((format.reference.signBit << 1) &- 1)
    }

    @Test func conversionsBetweenFormatsTakeOneAndGiveTheOther() {
        for (target, targetFormat) in Self.suffixes {
            for (source, sourceFormat) in Self.suffixes where source != target {
                let hart = FloatHart()
                hart.processor.f[1] = register(-0.375, sourceFormat)
                #expect(hart.execute("fcvt.\(target).\(source)") && hart.processor.f[3] == register(-0.375, targetFormat))
                #expect(hart.flags == [])
            }
        }
        let hart = FloatHart()
        hart.processor.f[1] = (1e10).bitPattern
        #expect(hart.execute("fcvt.h.d") && hart.processor.f[3] == 0xffff_ffff_ffff_7c00 && hart.flags == [.overflow, .inexact])
    }

    @Test func movesCopyBitsAndIgnoreBoxing() {
        let hart = FloatHart()
        hart.processor.f[1] = 0x0123_4567_89ab_8def
        #expect(hart.execute("fmv.x.d") && hart.processor.x[3] == 0x0123_4567_89ab_8def)
        #expect(hart.execute("fmv.x.w") && hart.processor.x[3] == 0xffff_ffff_89ab_8def)
        #expect(hart.execute("fmv.x.h") && hart.processor.x[3] == 0xffff_ffff_ffff_8def)
        #expect(hart.status == FloatHart.clean)
        // Signalling NaNs pass unchanged.
        hart.processor.x[1] = 0x7ff0_0001_7f80_7c01
        #expect(hart.execute("fmv.d.x") && hart.processor.f[3] == 0x7ff0_0001_7f80_7c01)
        #expect(hart.execute("fmv.w.x") && hart.processor.f[3] == 0xffff_ffff_7f80_7c01)
        #expect(hart.execute("fmv.h.x") && hart.processor.f[3] == 0xffff_ffff_ffff_7c01)
        #expect(hart.status == FloatHart.dirty && hart.flags == [])
    }

    @Test func operandsThatAreNotBoxedAreCanonicalNaNs() {
        let hart = FloatHart()
        // A double in rs1: every single and half operation sees a quiet NaN, which no operation but a signalling comparison flags.
        hart.processor.f[1] = (1.0).bitPattern
        hart.processor.f[2] = register(2, .single)
        #expect(hart.execute("fadd.s") && hart.processor.f[3] == 0xffff_ffff_7fc0_0000 && hart.flags == [])
        #expect(hart.execute("fsgnj.s") && hart.processor.f[3] == 0xffff_ffff_7fc0_0000)
        #expect(hart.execute("fmin.s") && hart.processor.f[3] == register(2, .single))
        #expect(hart.execute("fclass.s") && hart.processor.x[3] == 1 << 9)
        #expect(hart.execute("fcvt.d.s") && hart.processor.f[3] == 0x7ff8 << 48)
        hart.processor.f[2] = register(2, .half)
        #expect(hart.execute("fmul.h") && hart.processor.f[3] == 0xffff_ffff_ffff_7e00 && hart.flags == [])
        // A half is no single, but a boxed half is boxed for a single too: a NaN with a payload.
        hart.processor.f[1] = register(1, .half)
        hart.processor.f[2] = 0
        #expect(hart.execute("fsgnj.s") && hart.processor.f[3] == 0xffff_ffff_7fff_3c00)
        #expect(hart.execute("fsgnj.d") && hart.processor.f[3] == 0x7fff_ffff_ffff_3c00)
    }

    @Test func flagsAccumulate() {
        let hart = FloatHart()
        hart.processor.f[1] = (1.0).bitPattern
        hart.processor.f[2] = 0
        #expect(hart.execute("fdiv.d") && hart.flags == .divideByZero)
        hart.processor.f[2] = (3.0).bitPattern
        #expect(hart.execute("fdiv.d") && hart.flags == [.divideByZero, .inexact])
        hart.processor.f[1] = (-1.0).bitPattern
        #expect(hart.execute("fsqrt.d") && hart.flags == [.divideByZero, .inexact, .invalid])
    }

    @Test func integerResultsForX0AreDropped() {
        let hart = FloatHart()
        hart.processor.f[1] = (5.0).bitPattern
        #expect(hart.execute("fcvt.l.d", destination: 0) && hart.processor.x[0] == 0)
        #expect(hart.execute("fmv.x.d", destination: 0) && hart.processor.x[0] == 0)
        #expect(hart.execute("fclass.d", destination: 0) && hart.processor.x[0] == 0)
    }
}
