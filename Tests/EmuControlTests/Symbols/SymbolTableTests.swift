import EmuControl
import EmuMachine
import Testing

private func table(_ fixture: SymbolFixture = .riscvDWARF5, slide: UInt64 = 0) throws -> SymbolTable {
    let table = SymbolTable()
    table.add(try fixture.open(), slide: slide)
    return table
}

@Test func anAddressIsTheSymbolWhoseSizeCoversIt() throws {
    let table = try table()
    let fact = try table.resolve("fact")
    let match = try #require(table.lookup(fact + 4))
    #expect(match.symbol.name == "fact")
    #expect(match.symbol.kind == .function)
    #expect(match.offset == 4)
    #expect(match.description == "fact+0x4")
    #expect(table.lookup(fact + match.symbol.size - 1)?.symbol.name == "fact")
    #expect(table.lookup(fact + match.symbol.size)?.symbol.name != "fact")
    let sink = try #require(table.lookup(try table.resolve("sink") + 7))
    #expect(sink.symbol.kind == .object)
}

@Test func aLabelReachesToTheNextSymbolButNotBeyondItsSection() throws {
    let table = try table()
    let label = try table.resolve("label_leaf")
    #expect(table.lookup(label + 3)?.description == "label_leaf+0x3")
    #expect(table.lookup(label + 4)?.description == "after_label")
    // stack_top is where sink begins; beyond the end of .bss there is nothing.
    #expect(table.lookup(try table.resolve("sink"))?.symbol.name == "sink")
    #expect(table.lookup(0x9000_0000) == nil)
    #expect(table.lookup(0) == nil)
}

@Test func mappingSymbolsAndAssemblersLabelsAreNoSymbols() throws {
    let names = Set(try SymbolFixture.riscvDWARF5.open().symbols.map(\.name))
    #expect(names.contains("label_leaf"))
    #expect(!names.contains { $0.hasPrefix("$") || $0.hasPrefix(".L") })
}

@Test func aConstantHasAValueButNoPlace() throws {
    let table = try table()
    #expect(try table.resolve("constant") == 0x1234)
    #expect(table.lookup(0x1234) == nil)
}

@Test func aSlideMovesSymbolsAndLines() throws {
    let slide: UInt64 = 0xffff_ffff_4020_0000
    let table = try table(slide: slide)
    let linked = try #require(try SymbolFixture.riscvDWARF5.open().symbols(named: "middle").first).address
    let address = try table.resolve("middle")
    #expect(address == linked &+ slide)
    #expect(table.lookup(address + 2)?.description == "middle+0x2")
    #expect(table.lineEntry(at: address)?.location.file == "/fixtures/calls.c")
    #expect(table.lineEntry(at: address)?.range.lowerBound == address)
    #expect(table.lookup(linked) == nil)
}

@Test func ofSeveralFilesTheNearestSymbolIsMeant() throws {
    let table = try table()
    let fact = try table.resolve("fact")
    table.add(try SymbolFile(Array("\(String(fact + 8, radix: 16)) T patched\n".utf8), name: "list"))
    #expect(table.lookup(fact + 4)?.symbol.name == "fact")
    #expect(table.lookup(fact + 12)?.description == "patched+0x4")
    #expect(table.remove(named: "list"))
    #expect(table.lookup(fact + 12)?.symbol.name == "fact")
    #expect(!table.remove(named: "list"))
}

@Test func anUnknownNameGetsTheNearestOneSuggested() throws {
    let table = try table()
    #expect(throws: SymbolError("there is no symbol 'shape_aera'; did you mean 'shape_area'?")) { try table.resolve("shape_aera") }
    #expect(throws: SymbolError("there is no symbol 'x': no symbols are loaded")) { try SymbolTable().resolve("x") }
}

@Test func anAmbiguousNameIsRefusedUnlessOneIsGlobal() throws {
    let table = SymbolTable()
    table.add(try SymbolFile(Array("1000 t helper\n2000 t helper\n3000 t init\n4000 T init\n".utf8), name: "list"))
    #expect(throws: SymbolError("there are 2 symbols 'helper', at 0x1000, 0x2000; give the address")) { try table.resolve("helper") }
    #expect(try table.resolve("init") == 0x4000)
    #expect(table.places(named: "helper").map(\.address) == [0x1000, 0x2000])
}

@Test func namesAreCompletedInOrder() throws {
    let table = try table()
    #expect(table.completions(of: "le") == ["leaf", "leaf_of_shapes"])
    #expect(table.completions(of: "l", limit: 2) == ["label_leaf", "large"])
    #expect(table.completions(of: "geometry::tw") == ["geometry::twice", "geometry::twice(long)"])
    #expect(table.completions(of: "zz") == [])
}

@Test func mangledNamesAreShownAndFoundAsTheSourceHasThem() throws {
    let table = try table()
    let twice = try table.resolve("_ZN8geometry5twiceEl")
    #expect(try table.resolve("geometry::twice(long)") == twice)
    #expect(try table.resolve("geometry::twice") == twice)
    #expect(table.lookup(twice)?.description == "geometry::twice(long)")
    #expect(Demangler.demangle("_ZNK8geometry6SquareIlE4areaEv.part.0") == "geometry::Square<long>::area() const [.part.0]")
    #expect(Demangler.demangle("$s4main5valueSivg") == "main.value.getter : Swift.Int")
    #expect(Demangler.demangle("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE") == "core::fmt::Write::write_fmt")
    #expect(Demangler.demangle("_Zwrong") == "_Zwrong")
    #expect(Demangler.demangle("plain") == "plain")
}

@Test func kernelSymbolListsAreRead() throws {
    let list = """
        0000000000001234 A constant
        ffffffff80000000 T _start
        ffffffff80000010 t helper
        ffffffff80000020 0000000000000008 D counter
                         U undefined
        ffffffff02000000 t driver_init	[driver]
        """
    let table = SymbolTable()
    table.add(try SymbolFile(Array(list.utf8), name: "System.map"))
    #expect(table.lookup(0xffff_ffff_8000_0014)?.description == "helper+0x4")
    #expect(table.lookup(0xffff_ffff_8000_0027)?.description == "counter+0x7")
    #expect(table.lookup(0xffff_ffff_8000_0028) == nil)
    #expect(table.lookup(0xffff_ffff_0200_0000)?.description == "driver_init [driver]")
    #expect(try table.resolve("constant") == 0x1234)
    #expect(table.lookup(0x1234) == nil)
}

@Test(arguments: [
    ("", "it is neither an ELF file nor a list of symbols as nm(1) writes it (such as System.map)"),
    ("hello world and more\n", "it is neither an ELF file nor a list of symbols as nm(1) writes it (such as System.map)"),
    ("\u{7f}ELF", "it is not a 64-bit little-endian ELF file"),
    ("\u{7f}ELF\u{2}\u{1}", "it is truncated: its ELF header is not complete"),
])
func whatIsNoSymbolFileIsRefused(contents: String, reason: String) {
    #expect(throws: ImageError(reason)) { try SymbolFile(Array(contents.utf8), name: "file") }
}

@Test func missingFilesAndDirectoriesAreRefused() {
    #expect(throws: ImageError("No such file or directory")) { try SymbolFile.open("/nonexistent/vmlinux") }
    #expect(throws: ImageError("it is a directory")) { try SymbolFile.open("/") }
}
