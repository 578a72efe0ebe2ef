import EmuIR
import Testing

@Suite struct FusionTests {
    // MARK: - Extensions

    @Test(arguments: [
        ("shr", 32, "zext32 x5"), ("shr", 48, "zext16 x5"), ("shr", 56, "zext8 x5"),
        ("sar", 32, "sext32 x5"), ("sar", 48, "sext16 x5"), ("sar", 56, "sext8 x5"),
    ])
    func shiftsThereAndBackExtend(shift: String, amount: Int, extending: String) throws {
        #expect(
            try lines(after: .fusion, "x6 = shl x5, \(amount)", "x7 = \(shift) x6, \(amount)") == ["x6 = shl x5, \(amount)", "x7 = \(extending)"])
        #expect(try lines(after: .fusion, "x5 = shl x5, \(amount)", "x5 = \(shift) x5, \(amount)") == ["x5 = \(extending)"])
    }

    @Test func shiftsThereAndPartlyBackExtendAndScale() throws {
        #expect(try lines(after: .fusion, "x5 = shl x5, 32", "x5 = shr x5, 30") == ["x5 = shladduw x5, 0, 2"])
        #expect(try lines(after: .fusion, "x5 = shl x5, 32", "x5 = shr x5, 28") == ["x5 = shl x5, 32", "x5 = shr x5, 28"])
        #expect(try lines(after: .fusion, "x5 = shl x5, 32", "x5 = sar x5, 30") == ["x5 = shl x5, 32", "x5 = sar x5, 30"])
        #expect(try lines(after: .fusion, "x5 = shl x5, 40", "x5 = shr x5, 40") == ["x5 = shl x5, 40", "x5 = shr x5, 40"])
    }

    @Test func aFirstShiftThatHasBeenSeenStays() throws {
        for seeing in ["x6 = mov x5", "x6 = load.64 [x7 + 0]", "store.64 [x7 + 0] = 1", "interpret"] {
            let before = ["x5 = shl x5, 32", seeing, "x5 = shr x5, 32"]
            #expect(try lines(after: .fusion, before[0], before[1], before[2]) == before)
        }
    }

    @Test func aFirstShiftWhoseOperandWasOverwrittenStays() throws {
        let before = ["x6 = shl x5, 32", "x5 = mov 1", "x6 = shr x6, 32"]
        #expect(try lines(after: .fusion, before[0], before[1], before[2]) == before)
    }

    @Test func aFirstShiftOfItselfThatIsNeededStays() throws {
        let before = ["x5 = shl x5, 32", "x6 = shr x5, 32"]
        #expect(try lines(after: .fusion, before[0], before[1]) == before)
    }

    @Test(arguments: [
        ("load.s32 [x5 + 0]", "sext32"), ("load.s16 [x5 + 0]", "sext32"), ("load.u16 [x5 + 0]", "sext32"), ("load.u8 [x5 + 0]", "sext16"),
        ("addw x5, x7", "sext32"), ("mulw x5, x7", "sext32"), ("setltu x5, x7", "sext8"), ("and x5, 127", "sext8"), ("shr x5, 33", "sext32"),
        ("load.u8 [x5 + 0]", "zext8"), ("load.u16 [x5 + 0]", "zext16"), ("load.u32 [x5 + 0]", "zext32"), ("and x5, 255", "zext8"),
        ("popcnt x5", "zext8"), ("shr x5, 32", "zext32"), ("zext16 x5", "zext32"),
    ])
    func extendingWhatIsExtendedIsAMove(value: String, extending: String) throws {
        #expect(try lines(after: .fusion, "x6 = " + value, "x6 = \(extending) x6") == ["x6 = " + value, "x6 = mov x6"])
    }

    @Test(arguments: [
        ("load.u32 [x5 + 0]", "sext32"), ("load.s8 [x5 + 0]", "zext32"), ("load.u8 [x5 + 0]", "sext8"), ("and x5, -1", "zext32"),
        ("and x5, 128", "sext8"), ("and x5, 256", "zext8"), ("shr x5, 32", "sext32"), ("shr x5, 64", "zext32"), ("add x5, x7", "sext32"),
        ("addw x5, x7", "zext32"),
    ])
    func extendingWhatIsNotExtendedStays(value: String, extending: String) throws {
        let before = ["x6 = " + value, "x6 = \(extending) x6"]
        #expect(try lines(after: .fusion, before[0], before[1]) == before)
    }

    // MARK: - Additions

    @Test func aShiftedOperandIsAddedAtOnce() throws {
        #expect(try lines(after: .fusion, "x5 = shl x6, 3", "x5 = add x5, x7") == ["x5 = shl x6, 3", "x5 = shladd x6, x7, 3"])
        #expect(try lines(after: .fusion, "x5 = shl x6, 1", "x5 = add x7, x5") == ["x5 = shl x6, 1", "x5 = shladd x6, x7, 1"])
        #expect(try lines(after: .fusion, "x5 = shl x5, 2", "x5 = add x5, 16") == ["x5 = shladd x5, 16, 2"])
        #expect(try lines(after: .fusion, "t0 = shl x6, 2", "x5 = add t0, x7") == ["t0 = shl x6, 2", "x5 = shladd x6, x7, 2"])
        #expect(
            try lines(after: .fusion, "x5 = shl x6, 2", "x7 = add x5, x7", "x5 = mov 0") == ["x5 = shl x6, 2", "x7 = shladd x6, x7, 2", "x5 = mov 0"])
    }

    @Test func aShiftThatIsNeededBesidesStays() throws {
        for after in ["x8 = mov x5", "x8 = load.64 [x7 + 0]", "x8 = mov 1"] {
            let before = ["x5 = shl x6, 2", "x7 = add x5, x7", after]
            #expect(try lines(after: .fusion, before[0], before[1], before[2]) == before)
        }
    }

    @Test func otherShiftsStay() throws {
        for before in [["x5 = shl x6, 4", "x5 = add x5, x7"], ["x5 = shl x6, x8", "x5 = add x5, x7"], ["x5 = shl x6, 1", "x5 = add x5, x5"]] {
            #expect(try lines(after: .fusion, before[0], before[1]) == before)
        }
    }

    @Test func anExtendedOperandIsAddedAtOnce() throws {
        #expect(try lines(after: .fusion, "x5 = zext32 x5", "x5 = add x5, x7") == ["x5 = shladduw x5, x7, 0"])
        #expect(try lines(after: .fusion, "x5 = shladduw x6, 0, 2", "x5 = add x7, x5") == ["x5 = shladduw x6, 0, 2", "x5 = shladduw x6, x7, 2"])
        #expect(try lines(after: .fusion, "x5 = zext32 x6", "x5 = shladd x5, x7, 3") == ["x5 = zext32 x6", "x5 = shladduw x6, x7, 3"])
        #expect(
            try lines(after: .fusion, "x5 = shl x6, 32", "x5 = shr x5, 29", "x5 = add x5, x7")
                == ["x5 = shl x6, 32", "x5 = shladduw x6, 0, 3", "x5 = shladduw x6, x7, 3"])
    }

    // MARK: - Rotations

    @Test(arguments: ["or", "xor", "add"])
    func shiftsBothWaysRotate(join: String) throws {
        #expect(
            try lines(after: .fusion, "x5 = shlw x6, 7", "x7 = shrw x6, 25", "x5 = \(join) x5, x7")
                == ["x5 = shlw x6, 7", "x7 = shrw x6, 25", "x5 = rotlw x6, 7"])
        #expect(
            try lines(after: .fusion, "x5 = shr x6, 3", "x6 = shl x6, 61", "x6 = \(join) x5, x6") == ["x5 = shr x6, 3", "x6 = rotl x6, 61"])
    }

    @Test(arguments: [
        ["x5 = shlw x6, 7", "x7 = shrw x6, 24", "x5 = or x5, x7"], ["x5 = shl x6, 7", "x7 = shrw x6, 25", "x5 = or x5, x7"],
        ["x5 = shlw x6, 7", "x7 = shrw x8, 25", "x5 = or x5, x7"], ["x5 = shlw x6, 7", "x7 = sarw x6, 25", "x5 = or x5, x7"],
        ["x6 = shlw x6, 7", "x7 = shrw x6, 25", "x6 = or x6, x7"], ["x5 = shl x6, 0", "x7 = shr x6, 64", "x5 = xor x5, x7"],
    ])
    func otherShiftsBothWaysStay(before: [String]) throws {
        #expect(try lines(after: .fusion, before[0], before[1], before[2]) == before)
    }

    @Test func shiftsOfDifferentValuesOfARegisterStay() throws {
        let before = ["x5 = shlw x6, 7", "x6 = load.64 [x8 + 0]", "x7 = shrw x6, 25", "x5 = or x5, x7"]
        #expect(try lines(after: .fusion, before[0], before[1], before[2], before[3]) == before)
        let interpreted = ["x5 = shlw x6, 7", "interpret", "x7 = shrw x6, 25", "x5 = or x5, x7"]
        #expect(try lines(after: .fusion, interpreted[0], interpreted[1], interpreted[2], interpreted[3]) == interpreted)
    }

    // MARK: - Comparisons

    @Test func comparingADifferenceComparesTheOperands() throws {
        #expect(try lines(after: .fusion, "x5 = xor x6, x7", "x5 = seteq x5, 0") == ["x5 = xor x6, x7", "x5 = seteq x6, x7"])
        #expect(try lines(after: .fusion, "x5 = xor x5, 8", "x5 = setne x5, 0") == ["x5 = setne x5, 8"])
        #expect(try lines(after: .fusion, "x5 = sub x6, x5", "x5 = setne x5, 0") == ["x5 = setne x6, x5"])
        #expect(try lines(after: .fusion, "x5 = seteq x6, x7", "x5 = seteq x5, 0") == ["x5 = seteq x6, x7", "x5 = setne x6, x7"])
        #expect(try lines(after: .fusion, "x5 = setlt x6, x7", "x5 = setne x5, 0") == ["x5 = setlt x6, x7", "x5 = mov x5"])
        #expect(try lines(after: .fusion, "x5 = subw x6, x7", "x5 = seteq x5, 0") == ["x5 = subw x6, x7", "x5 = seteq x5, 0"])
    }

    @Test(arguments: [
        ("setlt x6, x7", "ne", "lt x6, x7"), ("setlt x6, x7", "eq", "ge x6, x7"), ("setltu x6, 9", "ne", "ltu x6, 9"),
        ("setltu 9, x6", "eq", "geu 9, x6"), ("seteq x6, x7", "ne", "eq x6, x7"), ("seteq x6, x7", "eq", "ne x6, x7"),
        ("setne x6, x7", "ne", "ne x6, x7"), ("setne x6, x7", "eq", "eq x6, x7"), ("xor x6, x7", "eq", "eq x6, x7"), ("sub x6, x7", "ne", "ne x6, x7"),
    ])
    func branchesCompareThemselves(compared: String, relation: String, after: String) throws {
        #expect(
            try lines(after: .fusion, "x5 = " + compared, "branch.\(relation) x5, 0 -> 0x10, 0x20")
                == ["x5 = " + compared, "branch.\(after) -> 0x10, 0x20"])
    }

    @Test func aBranchLooksThroughSeveralComparisons() throws {
        #expect(
            try lines(after: .fusion, "x8 = setltu x6, x7", "x5 = setne x8, 0", "branch.eq x5, 0 -> 0x10, 0x20").last
                == "branch.geu x6, x7 -> 0x10, 0x20")
    }

    @Test(arguments: [
        ["x6 = setlt x6, x7", "branch.ne x6, 0 -> 0x10, 0x20"], ["x5 = setlt x6, x7", "branch.lt x5, 0 -> 0x10, 0x20"],
        ["x5 = setlt x6, x7", "branch.ne x5, 1 -> 0x10, 0x20"], ["x5 = mov 0x123456789", "branch.ne x5, 0 -> 0x10, 0x20"], ["x5 = addw x6, x7", "branch.ne x5, 0 -> 0x10, 0x20"],
    ])
    func otherBranchesStay(before: [String]) throws {
        #expect(try lines(after: .fusion, before[0], before[1]) == before)
    }

    @Test func aBranchOnWhatWasComparedBeforeItChangedStays() throws {
        let before = ["x5 = setlt x6, x7", "x7 = add x7, 1", "branch.ne x5, 0 -> 0x10, 0x20"]
        #expect(try lines(after: .fusion, before[0], before[1], before[2]) == before)
    }
}
