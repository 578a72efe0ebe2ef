import EmuMachine
import Testing

@Suite struct ELFFileTests {
    private func parse(_ bytes: [UInt8]) throws(ImageError) -> ELFFile { try ELFFile(MemorySource(bytes), machine: .riscv) }

    private func problem(_ bytes: [UInt8]) -> String {
        do throws(ImageError) {
            _ = try parse(bytes)
            return "accepted"
        } catch {
            return error.description
        }
    }

    private func problem(_ change: (inout ELFBuilder) -> Void) -> String {
        var builder = ELFBuilder.program(at: 0x8000_0000, [1, 2, 3, 4])
        change(&builder)
        return problem(builder.bytes)
    }

    @Test func segmentsAreSortedByPhysicalAddress() throws {
        var builder = ELFBuilder()
        builder.entry = 0x8000_1004
        builder.segments = [
            .init(address: 0x8000_1000, contents: [5, 6], memorySize: 0x100), .init(address: 0x8000_0000, contents: [1]),
            .init(type: 4, address: 0, contents: [9]), .init(address: 0x8000_0800),
        ]
        let elf = try parse(builder.bytes)
        #expect(elf.segments.map(\.physicalAddress) == [0x8000_0000, 0x8000_1000])
        #expect(elf.lowestAddress == 0x8000_0000)
        #expect(elf.endAddress == 0x8000_1100)
        #expect(elf.entry == 0x8000_1004)
        #expect(!elf.isPositionIndependent)
        var contents: [UInt8] = [0, 0]
        try contents.withUnsafeMutableBytes { try elf.load(elf.segments[1], into: $0) }
        #expect(contents == [5, 6])
    }

    @Test func symbolsAreFoundByName() throws {
        var builder = ELFBuilder.program(at: 0x8000_0000, [1])
        builder.symbols = [("tohost_end", 1), ("tohost", 0x8000_1000), ("fromhost", 0x8000_1040), ("xtohost", 2)]
        let elf = try parse(builder.bytes)
        #expect(try elf.symbols(["tohost", "fromhost", "absent"]) == ["tohost": 0x8000_1000, "fromhost": 0x8000_1040])
        #expect(try parse(ELFBuilder.program(at: 0, [1]).bytes).symbols(["tohost"]).isEmpty)
    }

    @Test func damagedSymbolTablesAreErrors() throws {
        var builder = ELFBuilder.program(at: 0x8000_0000, [1])
        builder.symbols = [("tohost", 1)]
        var bytes = builder.bytes
        let headers = bytes.count - 3 * 64
        // The symbol table's offset, size and link in turn.
        for (offset, value) in [(128 + 31, UInt8(0xff)), (128 + 39, 0x7f), (128 + 40, 9)] {
            let old = bytes[headers + offset]
            bytes[headers + offset] = value
            let elf = try parse(bytes)
            #expect(throws: ImageError.self) { try elf.symbols(["tohost"]) }
            bytes[headers + offset] = old
        }
    }

    @Test func everyTruncationIsRefused() {
        let bytes = ELFBuilder.program(at: 0x8000_0000, [1, 2, 3, 4]).bytes
        for length in 0..<bytes.count { #expect(problem(Array(bytes[..<length])) != "accepted", "\(length) bytes") }
        #expect(problem(bytes) == "accepted")
    }

    @Test func otherFilesAreNotELF() {
        #expect(problem([]) == "it is not an ELF file")
        #expect(problem([UInt8](repeating: 0x4d, count: 200)) == "it is not an ELF file")
        #expect(problem(Array(ELFBuilder().bytes[..<40])).hasPrefix("it is truncated"))
    }

    @Test func otherWordSizesAndByteOrdersAreNamed() {
        #expect(problem { $0.elfClass = 1 }.contains("32-bit"))
        #expect(problem { $0.elfClass = 7 }.contains("class 7"))
        #expect(problem { $0.byteOrder = 2 }.contains("big-endian"))
        #expect(problem { $0.byteOrder = 0 }.contains("byte order 0"))
    }

    @Test(arguments: [(UInt16(62), "x86-64"), (183, "AArch64"), (8, "MIPS"), (4711, "machine type 4711")])
    func otherMachinesAreNamed(value: UInt16, name: String) {
        #expect(problem { $0.machine = value } == "it is a program for \(name); this machine runs RISC-V programs")
    }

    @Test func onlyExecutablesAreTaken() {
        #expect(problem { $0.type = 1 }.contains("object file"))
        #expect(problem { $0.type = 4 }.contains("core dump"))
        #expect(problem { $0.type = 0 }.contains("not an executable"))
        #expect(problem { $0.type = 3 } == "accepted")
    }

    @Test func programHeadersMustMakeSense() {
        #expect(problem { $0.segments = [] }.contains("no program headers"))
        #expect(problem { $0.segments[0].type = 6 }.contains("no loadable segment"))
        #expect(problem { $0.programHeaderSize = 32 }.contains("32 bytes each"))
    }

    @Test func segmentsMustFitTheFileAndTheAddressSpace() {
        #expect(problem { $0.segments[0].fileSize = 5 }.contains("truncated"))
        #expect(problem { $0.segments[0].fileOffset = .max - 1 }.contains("truncated"))
        #expect(problem { $0.segments[0].memorySize = 3 }.contains("more bytes in the file"))
        #expect(problem { $0.segments[0].memorySize = .max }.contains("beyond the address space"))
        #expect(problem { $0.segments[0].fileSize = .max }.contains("more bytes") || problem { $0.segments[0].fileSize = .max }.contains("truncated"))
    }

    @Test func overlappingSegmentsAreRefused() {
        let text = problem { $0.segments.append(.init(address: 0x8000_0003, contents: [1])) }
        #expect(text.contains("0x80000000") && text.contains("0x80000003") && text.contains("overlap"))
        #expect(problem { $0.segments.append(.init(address: 0x8000_0004, contents: [1])) } == "accepted")
    }

    @Test func arbitraryBytesNeverCrash() {
        var state: UInt64 = 1
        let valid = ELFBuilder.program(at: 0x8000_0000, [1, 2, 3, 4]).bytes
        for _ in 0..<20_000 {
            var bytes = valid
            for _ in 0..<3 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes[4 + Int(state >> 33) % (bytes.count - 4)] = UInt8(truncatingIfNeeded: state >> 25)
            }
            if let elf = try? parse(bytes) { _ = try? elf.symbols(["tohost"]) }
        }
    }
}
