import EmuBus

/// `e_machine` of an ELF file: the processor it is for.
public struct ELFMachine: Equatable, Sendable {
    public let value: UInt16

    public init(_ value: UInt16) { self.value = value }

    public static let riscv = ELFMachine(243)

    private static let names: [UInt16: String] = [
        2: "SPARC", 3: "x86 (i386)", 4: "Motorola 68000", 8: "MIPS", 15: "PA-RISC", 18: "SPARC", 20: "PowerPC", 21: "PowerPC64",
        22: "S/390", 40: "Arm (32-bit)", 42: "SuperH", 43: "SPARC V9", 50: "IA-64", 62: "x86-64", 92: "OpenRISC", 93: "ARC",
        94: "Xtensa", 183: "AArch64", 189: "MicroBlaze", 243: "RISC-V", 247: "eBPF", 258: "LoongArch",
    ]

    /// The processor's usual name.
    public var name: String { Self.names[value] ?? "machine type \(value)" }
}

/// A 64-bit little-endian ELF program to be loaded (System V ABI, "Object Files" and "Program Loading").
///
/// Every offset and size in the file is checked; nothing it says can make a reader leave the file or an address wrap.
public struct ELFFile {
    /// A loadable segment with at least one byte of memory.
    public struct Segment: Equatable, Sendable {
        public let fileOffset: UInt64
        public let fileSize: UInt64
        public let physicalAddress: UInt64
        public let virtualAddress: UInt64
        /// Bytes in memory, at least `fileSize`; the rest is zero.
        public let memorySize: UInt64

        /// First address after the segment.
        public var end: UInt64 { physicalAddress + memorySize }
    }

    private enum Kind {
        static let relocatable: UInt16 = 1, executable: UInt16 = 2, shared: UInt16 = 3, core: UInt16 = 4
    }

    private enum Size {
        static let header = 64, programHeader = 56, sectionHeader = 64, symbol = 24
    }

    private static let loadable: UInt32 = 1
    private static let symbolTable: UInt32 = 2
    /// Larger symbol and string tables are not searched.
    private static let tableLimit: UInt64 = 256 << 20

    public let entry: UInt64
    /// True for a program linked to run at any address (ET_DYN).
    public let isPositionIndependent: Bool
    /// In order of physical address, none overlapping another. Never empty.
    public let segments: [Segment]
    private let source: any ByteSource
    private let sectionOffset: UInt64
    private let sectionCount: Int

    /// Lowest physical address that is loaded.
    public var lowestAddress: UInt64 { segments.first?.physicalAddress ?? 0 }
    /// First physical address after the last segment.
    public var endAddress: UInt64 { segments.last?.end ?? 0 }

    public static func isELF(_ start: [UInt8]) -> Bool { start.starts(with: [0x7f, 0x45, 0x4c, 0x46]) }

    /// Parses and checks headers; segment contents are read by `load`.
    /// - Parameter machine: the processor of the board; a file for another one is refused.
    public init(_ source: any ByteSource, machine: ELFMachine) throws(ImageError) {
        self.source = source
        guard Self.isELF(try source.prefix(4)) else { throw ImageError("it is not an ELF file") }
        guard source.count >= UInt64(Size.header) else { throw ImageError("it is truncated: an ELF header has \(Size.header) bytes") }
        let header = try source.bytes(at: 0, Size.header)
        try Self.checkIdentity(header, machine)
        entry = header.integer(24)
        isPositionIndependent = header.integer(16) as UInt16 == Kind.shared
        sectionOffset = header.integer(40)
        sectionCount = header.integer(58) as UInt16 == UInt16(Size.sectionHeader) ? Int(header.integer(60) as UInt16) : 0
        segments = try Self.readSegments(source, header)
    }

    private static func checkIdentity(_ header: [UInt8], _ expected: ELFMachine) throws(ImageError) {
        guard header[4] == 2 else {
            throw ImageError(
                header[4] == 1
                    ? "it is a 32-bit ELF file; this machine runs 64-bit programs" : "its ELF class \(header[4]) is unknown")
        }
        guard header[5] == 1 else {
            throw ImageError(
                header[5] == 2
                    ? "it is a big-endian ELF file; this machine is little-endian" : "its ELF byte order \(header[5]) is unknown")
        }
        let machine = ELFMachine(header.integer(18))
        guard machine == expected else {
            throw ImageError("it is a program for \(machine.name); this machine runs \(expected.name) programs")
        }
        switch header.integer(16) as UInt16 {
        case Kind.executable, Kind.shared: break
        case Kind.relocatable: throw ImageError("it is an object file; link it into an executable first")
        case Kind.core: throw ImageError("it is a core dump, not an executable")
        case let kind: throw ImageError("it is not an executable (ELF type \(kind))")
        }
    }

    private static func readSegments(_ source: any ByteSource, _ header: [UInt8]) throws(ImageError) -> [Segment] {
        let offset: UInt64 = header.integer(32)
        let count = Int(header.integer(56) as UInt16)
        guard count > 0 else { throw ImageError("it has no program headers: nothing to load") }
        guard header.integer(54) as UInt16 == UInt16(Size.programHeader) else {
            throw ImageError("its program headers have \(header.integer(54) as UInt16) bytes each instead of \(Size.programHeader)")
        }
        guard count < 0xffff else { throw ImageError("it has more than 65534 program headers") }
        let table = try source.bytes(at: offset, count * Size.programHeader)
        var segments: [Segment] = []
        for index in 0..<count {
            let base = index * Size.programHeader
            guard table.integer(base) as UInt32 == loadable else { continue }
            let segment = Segment(
                fileOffset: table.integer(base + 8), fileSize: table.integer(base + 32), physicalAddress: table.integer(base + 24),
                virtualAddress: table.integer(base + 16), memorySize: table.integer(base + 40))
            try check(segment, index, source.count)
            if segment.memorySize > 0 { segments.append(segment) }
        }
        guard !segments.isEmpty else { throw ImageError("it has no loadable segment") }
        segments.sort { $0.physicalAddress < $1.physicalAddress }
        for (lower, upper) in zip(segments, segments.dropFirst()) where lower.end > upper.physicalAddress {
            throw ImageError(
                "its segments at \(hex(lower.physicalAddress)) (\(hex(lower.memorySize)) bytes) and \(hex(upper.physicalAddress)) overlap")
        }
        return segments
    }

    private static func check(_ segment: Segment, _ index: Int, _ fileSize: UInt64) throws(ImageError) {
        guard segment.fileSize <= segment.memorySize else {
            throw ImageError("segment \(index) has more bytes in the file (\(segment.fileSize)) than in memory (\(segment.memorySize))")
        }
        guard segment.fileOffset <= fileSize, segment.fileSize <= fileSize - segment.fileOffset else {
            throw ImageError("it is truncated: segment \(index) reaches beyond the end of the file")
        }
        guard !segment.physicalAddress.addingReportingOverflow(segment.memorySize).overflow else {
            throw ImageError("segment \(index) (\(hex(segment.memorySize)) bytes at \(hex(segment.physicalAddress))) reaches beyond the address space")
        }
    }

    /// Copies a segment's bytes from the file; `buffer` has `fileSize` bytes.
    public func load(_ segment: Segment, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) {
        try source.read(at: segment.fileOffset, into: buffer)
    }

    /// Values of the symbols in `names`; a stripped file has none.
    public func symbols(_ names: Set<String>) throws(ImageError) -> [String: UInt64] {
        var found: [String: UInt64] = [:]
        guard sectionCount > 0 else { return found }
        let sections = try source.bytes(at: sectionOffset, sectionCount * Size.sectionHeader)
        // A file has at most one symbol table (System V ABI, "Sections"): more of them would only cost time.
        let first = (0..<sectionCount).first { sections.integer($0 * Size.sectionHeader + 4) as UInt32 == Self.symbolTable }
        if let first {
            let base = first * Size.sectionHeader
            let link = Int(truncatingIfNeeded: sections.integer(base + 40) as UInt32)
            guard link < sectionCount else { throw ImageError("its symbol table refers to section \(link), which does not exist") }
            let table = try section(sections, base)
            let strings = try section(sections, link * Size.sectionHeader)
            for symbol in stride(from: 0, to: table.count - Size.symbol + 1, by: Size.symbol) {
                let start = Int(truncatingIfNeeded: table.integer(symbol) as UInt32)
                guard start > 0, start < strings.count else { continue }
                // Symbol tables are long: compare lengths and bytes, make no strings of names nobody asked for.
                for name in names where strings.holds(name.utf8, at: start) { found[name] = table.integer(symbol + 8) }
            }
        }
        return found
    }

    private func section(_ headers: [UInt8], _ base: Int) throws(ImageError) -> [UInt8] {
        let size: UInt64 = headers.integer(base + 32)
        guard size <= Self.tableLimit else { throw ImageError("its symbol table has \(size >> 20) MiB") }
        return try source.bytes(at: headers.integer(base + 24), Int(size))
    }
}

extension [UInt8] {
    /// Little-endian integer at `offset`, which the caller has checked.
    func integer<T: FixedWidthInteger & UnsignedInteger>(_ offset: Int) -> T {
        withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
    }

    /// True when the NUL-terminated string at `start` is `text`.
    fileprivate func holds(_ text: String.UTF8View, at start: Int) -> Bool {
        let end = start + text.count
        return end < count && self[end] == 0 && self[start..<end].elementsEqual(text)
    }
}
