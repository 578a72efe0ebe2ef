import EmuMachine

/// The sections of a 64-bit little-endian ELF file of any kind (System V ABI, "Sections"), as a debugger needs them.
///
/// `ELFFile` is about loading and refuses what cannot run; this is about looking and takes what it finds.
final class SymbolELF {
    struct Section {
        let name: String
        let type: UInt32
        let flags: UInt64
        let address: UInt64
        let offset: UInt64
        let size: UInt64
        let link: Int

        static let symbolTable: UInt32 = 2, noBits: UInt32 = 8, dynamicSymbols: UInt32 = 11
        static let allocated: UInt64 = 2, executable: UInt64 = 4, threadLocal: UInt64 = 0x400, compressed: UInt64 = 0x800

        var isAllocated: Bool { flags & Self.allocated != 0 && flags & Self.threadLocal == 0 }

        func contains(_ address: UInt64) -> Bool { address >= self.address && address &- self.address < size }
    }

    /// A loadable segment: where bytes of the file are linked to be.
    struct Segment {
        let address: UInt64
        let physicalAddress: UInt64
        let memorySize: UInt64
        let offset: UInt64
        let fileSize: UInt64
    }

    let bytes: SymbolBytes
    let machine: ELFMachine
    let entry: UInt64
    let sections: [Section]
    let segments: [Segment]
    /// Sections in memory, by address, none empty.
    let allocated: [Section]
    private var decompressed: [String: SymbolBytes] = [:]

    static func isELF(_ bytes: SymbolBytes) -> Bool { bytes.load(0, as: UInt32.self) == 0x464c_457f }

    init(_ bytes: SymbolBytes) throws(ImageError) {
        self.bytes = bytes
        guard Self.isELF(bytes) else { throw ImageError("it is not an ELF file") }
        guard bytes.load(4, as: UInt8.self) == 2, bytes.load(5, as: UInt8.self) == 1 else {
            throw ImageError("it is not a 64-bit little-endian ELF file")
        }
        var header = SymbolCursor(bytes, 16)
        let type = header.u16()
        machine = ELFMachine(header.u16())
        header.skip(4)
        entry = header.u64()
        let programOffset = header.u64()
        let sectionOffset = header.u64()
        header.skip(6)
        let programSize = header.u16()
        let programCount = Int(header.u16())
        let sectionSize = header.u16()
        let sectionCount = UInt64(header.u16())
        let nameSection = Int(header.u16())
        guard !header.failed else { throw ImageError("it is truncated: its ELF header is not complete") }
        guard type != 1 else { throw ImageError("it is an object file, whose symbols have no addresses yet; give the linked program") }
        if sectionOffset == 0 {
            sections = []
        } else {
            guard sectionSize == 64 else { throw ImageError("its section headers have \(sectionSize) bytes each instead of 64") }
            sections = try Self.readSections(bytes, sectionOffset, sectionCount, nameSection)
        }
        segments = programSize == 56 ? Self.readSegments(bytes, programOffset, programCount) : []
        allocated = sections.filter { $0.isAllocated && $0.size > 0 && !$0.address.addingReportingOverflow($0.size).overflow }
            .sorted { $0.address < $1.address }
    }

    private static func readSections(
        _ bytes: SymbolBytes, _ offset: UInt64, _ count: UInt64, _ nameIndex: Int
    ) throws(ImageError) -> [Section] {
        var count = count
        var nameIndex = nameIndex
        // More than 65279 sections: the first header, otherwise empty, has the true numbers.
        if count == 0 || nameIndex == 0xffff {
            var first = SymbolCursor(bytes, offset)
            first.skip(32)
            let size = first.u64()
            let link = first.u32()
            if count == 0 { count = size }
            if nameIndex == 0xffff { nameIndex = Int(link) }
        }
        guard count <= UInt64(bytes.count) / 64, let table = bytes.slice(offset, count * 64) else {
            throw ImageError("it is truncated: its \(count) section headers reach beyond the end of the file")
        }
        var names = SymbolBytes.empty
        let nameHeader = nameIndex.multipliedReportingOverflow(by: 64).partialValue
        if let start: UInt64 = table.load(nameHeader + 24), let size: UInt64 = table.load(nameHeader + 32) {
            names = bytes.slice(start, size) ?? .empty
        }
        var result: [Section] = []
        result.reserveCapacity(Int(count))
        var cursor = SymbolCursor(table)
        while !cursor.atEnd {
            let name = cursor.u32()
            let type = cursor.u32()
            let flags = cursor.u64()
            let address = cursor.u64()
            let fileOffset = cursor.u64()
            let size = cursor.u64()
            let link = cursor.u32()
            cursor.skip(20)
            result.append(
                Section(
                    name: names.string(UInt64(name)) ?? "", type: type, flags: flags, address: address, offset: fileOffset, size: size,
                    link: Int(link)))
        }
        return result
    }

    private static func readSegments(_ bytes: SymbolBytes, _ offset: UInt64, _ count: Int) -> [Segment] {
        var result: [Segment] = []
        var cursor = SymbolCursor(bytes, offset)
        for _ in 0..<count where !cursor.atEnd {
            let type = cursor.u32()
            cursor.skip(4)
            let fileOffset = cursor.u64()
            let address = cursor.u64()
            let physical = cursor.u64()
            let fileSize = cursor.u64()
            let memorySize = cursor.u64()
            cursor.skip(8)
            guard type == 1, !cursor.failed else { continue }
            result.append(
                Segment(address: address, physicalAddress: physical, memorySize: memorySize, offset: fileOffset, fileSize: fileSize))
        }
        return result
    }

    /// The bytes of a section as they are in the file; empty when it has none or they are not there.
    func rawContents(_ section: Section) -> SymbolBytes {
        section.type == Section.noBits ? .empty : bytes.slice(section.offset, section.size) ?? .empty
    }

    /// The contents of the section called `name`, decompressed where needed; empty when there is none or it is damaged.
    func contents(_ name: String) -> SymbolBytes {
        if let known = decompressed[name] { return known }
        var result = SymbolBytes.empty
        if let section = sections.first(where: { $0.name == name }) {
            let raw = rawContents(section)
            result = section.flags & Section.compressed != 0 ? Self.decompress(raw) ?? .empty : raw
        } else if name.hasPrefix(".debug_"), let section = sections.first(where: { $0.name == ".z" + name.dropFirst() }) {
            // The older convention: renamed section, "ZLIB", size as a big-endian integer.
            let raw = rawContents(section)
            if raw.load(0, as: UInt32.self) == 0x4249_4c5a, let size: UInt64 = raw.load(4), let data = raw.slice(12, UInt64(raw.count - 12)) {
                result = HeapBytes.decompress(data, to: size.byteSwapped, .zlib) ?? .empty
            }
        }
        decompressed[name] = result
        return result
    }

    /// The contents of an SHF_COMPRESSED section.
    private static func decompress(_ raw: SymbolBytes) -> SymbolBytes? {
        var header = SymbolCursor(raw)
        let type = header.u32()
        header.skip(4)
        let size = header.u64()
        header.skip(8)
        let data = header.slice(UInt64(header.remaining))
        guard !header.failed else { return nil }
        switch type {
        case 1: return HeapBytes.decompress(data, to: size, .zlib)
        case 2: return HeapBytes.decompress(data, to: size, .zstandard)
        default: return nil
        }
    }

    /// The section in memory that holds `address`.
    func section(at address: UInt64) -> Section? {
        var low = 0
        var high = allocated.count
        while low < high {
            let middle = (low + high) / 2
            if allocated[middle].address <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0, allocated[low - 1].contains(address) else { return nil }
        return allocated[low - 1]
    }

    /// Up to `length` initial bytes at the linked `address`, as far as one segment or section of the file has them.
    func memory(at address: UInt64, _ length: Int) -> SymbolBytes? {
        if let section = section(at: address), section.type != Section.noBits {
            let offset = address - section.address
            return rawContents(section).slice(offset, min(UInt64(max(length, 0)), section.size - offset))
        }
        for segment in segments where address >= segment.address && address - segment.address < segment.fileSize {
            let offset = address - segment.address
            let start = segment.offset.addingReportingOverflow(offset)
            guard !start.overflow else { return nil }
            return bytes.slice(start.partialValue, min(UInt64(max(length, 0)), segment.fileSize - offset))
        }
        return nil
    }
}
