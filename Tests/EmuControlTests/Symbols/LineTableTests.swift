import EmuControl
import Testing

@Test(arguments: [SymbolFixture.riscvDWARF5, .riscvDWARF4, .riscvFramePointer, .aarch64])
func everyAddressIsExplainedAsTheToolchainDoes(fixture: SymbolFixture) throws {
    let info = try #require(try fixture.open().debugInfo)
    let expectations = try fixture.expectations()
    #expect(expectations.count > 100)
    for expected in expectations {
        // What belongs to no function of the debugging information is found by symbol; see below.
        let scopes = info.scopes(at: expected.address)
        if !scopes.isEmpty {
            #expect(described(scopes) == expected.scopes, "\(hex(expected.address))")
        }
    }
}

@Test(arguments: [SymbolFixture.riscvDWARF5, .riscvDWARF4, .riscvFramePointer, .aarch64])
func symbolsNameWhatDebuggingInformationDoesNot(fixture: SymbolFixture) throws {
    let table = SymbolTable()
    table.add(try fixture.open())
    for expected in try fixture.expectations() { #expect(described(table.scopes(at: expected.address)) == expected.scopes) }
}

@Test func inlinedCallsAreAChain() throws {
    let info = try #require(try SymbolFixture.riscvDWARF5.open().debugInfo)
    let square = try #require(info.addresses(file: "inline.h", line: 5).first)
    let scopes = info.scopes(at: square.range.lowerBound)
    #expect(scopes.map(\.function) == ["square", "sum_of_squares", "middle"])
    #expect(scopes.map(\.isInlined) == [true, true, false])
    #expect(scopes.map { $0.location?.line } == [5, 9, 38])
}

@Test(arguments: SymbolFixture.Compression.allCases)
func compressedSectionsGiveTheSameAnswers(method: SymbolFixture.Compression) throws {
    let plain = try #require(try SymbolFixture.riscvDWARF5.open().debugInfo)
    let packed = try #require(try SymbolFile(try SymbolFixture.riscvDWARF5.compressed(method), name: "packed").debugInfo)
    for address in stride(from: UInt64(0x8000_0000), to: 0x8000_0200, by: 2) {
        #expect(packed.scopes(at: address) == plain.scopes(at: address))
        #expect(packed.line(at: address) == plain.line(at: address))
    }
    #expect(packed.line(at: 0x8000_0014) != nil)
}

@Test func sectionsTheLinkerCompressedAreRead() throws {
    let table = SymbolTable()
    table.add(try SymbolFixture.riscvCompressed.open())
    let middle = try table.resolve("middle")
    #expect(table.lineEntry(at: middle)?.location == SourceLocation(file: "/fixtures/calls.c", line: 37, column: 0))
    #expect(table.scopes(at: middle + 8).map(\.function) == ["square", "sum_of_squares", "middle"])
}

@Test func aLineIsFoundInEveryFunctionItWasInlinedInto() throws {
    let table = SymbolTable()
    table.add(try SymbolFixture.riscvFramePointer.open())
    // Twice into one function by two calls.
    let places = try table.places(file: "inline.h", line: 5)
    #expect(places.count == 1 || places.count == 2)
    for place in places {
        #expect(place.location == SourceLocation(file: "/fixtures/inline.h", line: 5, column: 14))
        #expect(table.scopes(at: place.range.lowerBound).first?.function == "square")
    }
}

@Test func aLineWithoutCodeMeansTheNextOneThatHasAny() throws {
    let table = SymbolTable()
    table.add(try SymbolFixture.riscvDWARF5.open())
    let leaf = try table.resolve("leaf")
    let found = try table.places(file: "calls.c", line: 7)
    #expect(found.map(\.location.line) == [14])
    #expect(found.map(\.range.lowerBound) == [leaf])
    #expect(try table.places(file: "fixtures/calls.c", line: 14) == found)
    #expect(try table.places(file: "/fixtures/calls.c", line: 14) == found)
}

@Test func errorsOfPlacesSayWhatThereIs() throws {
    let table = SymbolTable()
    #expect(throws: SymbolError("no line numbers are loaded; build the guest with -g and give its file with 'symbols'")) {
        try table.places(file: "calls.c", line: 1)
    }
    table.add(try SymbolFixture.riscvDWARF5.open())
    #expect(throws: SymbolError("there is no source file 'call.c'; did you mean 'calls.c'?")) { try table.places(file: "call.c", line: 1) }
    #expect(throws: SymbolError("'calls.c' has no code at or after line 500")) { try table.places(file: "calls.c", line: 500) }
    #expect(throws: SymbolError("there is no source file 'other/calls.c'; those of that name are /fixtures/calls.c")) {
        try table.places(file: "other/calls.c", line: 10)
    }
    #expect(table.sourceFiles(matching: "calls.c") == ["/fixtures/calls.c"])
}

@Test func theBodyOfAFunctionBeginsAfterItsFrameIsMade() throws {
    let table = SymbolTable()
    table.add(try SymbolFixture.riscvDWARF5.open())
    let large = try table.resolve("large")
    let body = table.bodyAddress(ofFunctionAt: large)
    #expect(body > large)
    #expect(table.lookup(body)?.symbol.name == "large")
    #expect(table.lineEntry(at: body)?.location.line ?? 0 > (table.lineEntry(at: large)?.location.line ?? 0))
    // A function without a frame begins with its body.
    #expect(table.bodyAddress(ofFunctionAt: 0x9000_0000) == 0x9000_0000)
}

@Test func unitsTellTheirNameAndDirectory() throws {
    let info = try #require(try SymbolFixture.riscvDWARF4.open().debugInfo)
    let unit = try #require(info.compileUnit(at: 0x8000_0000))
    #expect(unit == ("start.S", "/fixtures"))
}

private func hex(_ value: UInt64) -> String { String(value, radix: 16) }
