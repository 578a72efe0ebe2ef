import EmuControl
import Foundation
import Testing

/// A fixture's code and constants as they are in memory, moved by `slide`.
private func memory(_ file: SymbolFile, slide: UInt64) throws -> TestMemory {
    let start: UInt64 = 0x8000_0000
    var contents = [UInt8](repeating: 0, count: 0x2000)
    var position = 0
    while position < contents.count {
        guard let bytes = file.contents(at: start + UInt64(position), 1), let byte = bytes.first else {
            position += 1
            continue
        }
        contents[position] = byte
        position += 1
    }
    return TestMemory(start: start &+ slide, contents: contents)
}

@Test(arguments: [0, 0x20_0000, 0x1fe0_0000, 0xffff_ffff_0000_0000, 0xffff_ffff_ffe0_0000] as [UInt64])
func aKernelIsFoundByItsBanner(slide: UInt64) throws {
    let file = try SymbolFixture.riscvDWARF5.open()
    let memory = try memory(file, slide: slide)
    let hint = 0x8000_0100 &+ slide
    #expect(KernelSlide.find(file, memory: memory, hints: [hint]) == slide)
}

@Test func withoutHintsTheAddressesAboveAreSearched() throws {
    let file = try SymbolFixture.riscvDWARF5.open()
    #expect(KernelSlide.find(file, memory: try memory(file, slide: 0x3fe0_0000)) == 0x3fe0_0000)
    #expect(KernelSlide.find(file, memory: try memory(file, slide: 0x3fe0_1000)) == nil)
    #expect(KernelSlide.find(file, memory: try memory(file, slide: 0xc020_0000)) == nil)
}

@Test func aKernelWithoutABannerIsFoundByItsCodeEvenWhereSomeIsPatched() throws {
    let file = try SymbolFixture.riscvRules.open()
    var memory = try memory(file, slide: 0x40_0000)
    #expect(KernelSlide.find(file, memory: memory) == 0x40_0000)
    for index in memory.contents.indices { memory.contents[index] ^= 0x55 }
    #expect(KernelSlide.find(file, memory: memory) == nil)
}

@Test func anotherKernelsMemoryIsNotTaken() throws {
    let file = try SymbolFixture.riscvDWARF5.open()
    var memory = try memory(file, slide: 0x20_0000)
    let banner = try #require(file.symbols(named: "linux_banner").first).address
    memory.contents[Int(banner - 0x8000_0000) + 20] ^= 1
    #expect(KernelSlide.find(file, memory: memory, hints: [0x8020_0100]) == nil)
}

@Test func sourceFilesAreFoundWhereTheyAreHere() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fixtures/source").standardizedFileURL.path
    let sources = SourceFiles()
    #expect(sources.file("/fixtures/calls.c") == nil)
    sources.substitute("/fixtures", folder)
    let calls = try #require(sources.file("/fixtures/calls.c"))
    #expect(calls.path == folder + "/calls.c")
    let info = try #require(try SymbolFixture.riscvDWARF5.open().debugInfo)
    let fact = try #require(try SymbolFixture.riscvDWARF5.open().symbols(named: "fact").first)
    let line = try #require(info.line(at: fact.address)).location.line
    #expect(calls.lines[line - 1].hasPrefix("__attribute__((noinline)) long fact(long n) {"))
    // By searching a directory, whatever the path before the name.
    let other = SourceFiles()
    other.search(folder)
    #expect(other.file("/somewhere/else/calls.c")?.path == folder + "/calls.c")
    #expect(other.file("/somewhere/else/none.c") == nil)
    // What is below another name is not meant.
    let wrong = SourceFiles()
    wrong.substitute("/fix", folder)
    #expect(wrong.file("/fixtures/calls.c") == nil)
}

@Test func linesAreListedAroundOne() {
    let file = SourceFile(path: "a.c", text: Array("1\n2\r\n3\n4\n5\n".utf8))
    #expect(file.lines == ["1", "2", "3", "4", "5"])
    #expect(file.around(3, count: 3).map(\.number) == [2, 3, 4])
    #expect(file.around(1, count: 3).map(\.number) == [1, 2, 3])
    #expect(file.around(5, count: 3).map(\.text) == ["3", "4", "5"])
    #expect(file.around(100, count: 10).count == 5)
    #expect(file.lines(from: 4, count: 9).map(\.number) == [4, 5])
    #expect(file.lines(from: 6, count: 1) == [])
    #expect(SourceFile(path: "empty", text: []).around(1) == [])
}
