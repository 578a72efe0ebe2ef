import EmuBus

/// Makes ELF files field by field, right or wrong, for loader tests.
struct ELFBuilder {
    struct Segment {
        var type: UInt32 = 1
        var address: UInt64
        var contents: [UInt8] = []
        /// Overrides of what the contents imply.
        var memorySize: UInt64?
        var fileSize: UInt64?
        var fileOffset: UInt64?
    }

    var elfClass: UInt8 = 2
    var byteOrder: UInt8 = 1
    var machine: UInt16 = 243
    var type: UInt16 = 2
    var entry: UInt64 = 0x8000_0000
    var segments: [Segment] = []
    var symbols: [(name: String, value: UInt64)] = []
    var programHeaderSize: UInt16 = 56

    /// A program of one segment.
    static func program(at address: UInt64, _ contents: [UInt8], memorySize: UInt64? = nil) -> ELFBuilder {
        var builder = ELFBuilder()
        builder.entry = address
        builder.segments = [Segment(address: address, contents: contents, memorySize: memorySize)]
        return builder
    }

    /// A bare-metal program of RISC-V instruction words.
    static func program(at address: UInt64, code: [UInt32]) -> ELFBuilder {
        program(at: address, code.flatMap { Self.bytes($0) })
    }

    static func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

    var bytes: [UInt8] {
        let headerEnd = 64 + segments.count * 56
        var body: [UInt8] = []
        var headers: [UInt8] = []
        for segment in segments {
            let offset = segment.fileOffset ?? UInt64(headerEnd + body.count)
            let fileSize = segment.fileSize ?? UInt64(segment.contents.count)
            headers += Self.bytes(segment.type) + Self.bytes(UInt32(7)) + Self.bytes(offset)
            headers += Self.bytes(segment.address) + Self.bytes(segment.address) + Self.bytes(fileSize)
            headers += Self.bytes(segment.memorySize ?? fileSize) + Self.bytes(UInt64(4096))
            body += segment.contents
        }
        let sections = sectionTable(from: UInt64(headerEnd + body.count))
        return header(sectionOffset: sections.offset, sectionCount: sections.count) + headers + body + sections.bytes
    }

    private func header(sectionOffset: UInt64, sectionCount: UInt16) -> [UInt8] {
        var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, elfClass, byteOrder, 1] + [UInt8](repeating: 0, count: 9)
        bytes += Self.bytes(type) + Self.bytes(machine) + Self.bytes(UInt32(1)) + Self.bytes(entry)
        bytes += Self.bytes(UInt64(64)) + Self.bytes(sectionOffset) + Self.bytes(UInt32(0))
        bytes += Self.bytes(UInt16(64)) + Self.bytes(programHeaderSize) + Self.bytes(UInt16(segments.count))
        return bytes + Self.bytes(UInt16(64)) + Self.bytes(sectionCount) + Self.bytes(UInt16(0))
    }

    /// String table, symbol table and the headers of both, when there are symbols.
    private func sectionTable(from start: UInt64) -> (bytes: [UInt8], offset: UInt64, count: UInt16) {
        guard !symbols.isEmpty else { return ([], 0, 0) }
        var strings: [UInt8] = [0]
        var table = [UInt8](repeating: 0, count: 24)
        for symbol in symbols {
            table += Self.bytes(UInt32(strings.count)) + [0x11, 0] + Self.bytes(UInt16(1)) + Self.bytes(symbol.value) + Self.bytes(UInt64(8))
            strings += Array(symbol.name.utf8) + [0]
        }
        func section(_ type: UInt32, _ offset: UInt64, _ size: Int, link: UInt32) -> [UInt8] {
            Self.bytes(UInt32(0)) + Self.bytes(type) + Self.bytes(UInt64(0)) + Self.bytes(UInt64(0)) + Self.bytes(offset)
                + Self.bytes(UInt64(size)) + Self.bytes(link) + Self.bytes(UInt32(0)) + Self.bytes(UInt64(1)) + Self.bytes(UInt64(24))
        }
        let tableStart = start + UInt64(strings.count)
        let headers = section(0, 0, 0, link: 0) + section(3, start, strings.count, link: 0) + section(2, tableStart, table.count, link: 1)
        return (strings + table + headers, tableStart + UInt64(table.count), 3)
    }
}
