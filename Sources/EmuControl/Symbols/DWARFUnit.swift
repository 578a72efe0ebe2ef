import EmuMachine

/// The sections of one file that debugging information is spread over, decompressed when first used.
final class DWARFSections {
    let elf: SymbolELF
    private(set) lazy var info = elf.contents(".debug_info")
    private(set) lazy var abbreviations = elf.contents(".debug_abbrev")
    private(set) lazy var line = elf.contents(".debug_line")
    private(set) lazy var lineStrings = elf.contents(".debug_line_str")
    private(set) lazy var strings = elf.contents(".debug_str")
    private(set) lazy var stringOffsets = elf.contents(".debug_str_offsets")
    private(set) lazy var addresses = elf.contents(".debug_addr")
    private(set) lazy var ranges = elf.contents(".debug_ranges")
    private(set) lazy var rangeLists = elf.contents(".debug_rnglists")
    private(set) lazy var addressRanges = elf.contents(".debug_aranges")
    private var tables: [UInt64: DWARFAbbreviations] = [:]

    init(_ elf: SymbolELF) { self.elf = elf }

    /// The abbreviation table at `offset`; units may share one.
    func abbreviations(at offset: UInt64) -> DWARFAbbreviations {
        if let known = tables[offset] { return known }
        let table = DWARFAbbreviations(abbreviations, offset)
        tables[offset] = table
        return table
    }

    /// True when code may lie at `address`: linkers leave the ranges of discarded functions in place, at 0 or other addresses
    /// that are in no section.
    func isCode(_ address: UInt64) -> Bool {
        elf.allocated.isEmpty || elf.section(at: address).map { $0.flags & SymbolELF.Section.executable != 0 } ?? false
    }
}

/// A header of `.debug_info` (DWARF 5, section 7.5.1) and the attributes of the unit's first entry.
final class DWARFUnit {
    let sections: DWARFSections
    /// Of the header in the section.
    let offset: UInt64
    /// First byte after the unit.
    let end: UInt64
    let encoding: DWARFEncoding
    let abbreviations: DWARFAbbreviations
    /// Offset of the first entry.
    let firstEntry: UInt64
    /// False for units of types, which have no code.
    let mayHaveCode: Bool

    // Of the first entry.
    private(set) var lineTable: UInt64?
    private(set) var language: UInt64 = 0
    private(set) var lowPC: UInt64 = 0
    private var nameValue: DWARFValue?
    private var directoryValue: DWARFValue?
    private var lowPCValue: DWARFValue?
    private var highPCValue: DWARFValue?
    private var rangesValue: DWARFValue?
    private var stringOffsetsBase: UInt64
    private var addressBase: UInt64
    private var rangeListsBase: UInt64

    private(set) lazy var name = nameValue.flatMap(string) ?? ""
    /// The compiler's working directory; relative paths are relative to it.
    private(set) lazy var directory = directoryValue.flatMap(string) ?? ""

    /// Reads the header at the cursor and moves past the unit; nil when it is damaged or of an unknown version.
    init?(_ sections: DWARFSections, _ cursor: inout SymbolCursor) {
        self.sections = sections
        offset = UInt64(cursor.position)
        var encoding = DWARFEncoding.usual
        guard let length = cursor.unitLength(&encoding) else { return nil }
        let bodyStart = cursor.position
        end = UInt64(bodyStart) + length
        var header = SymbolCursor(cursor.bytes, UInt64(bodyStart), end)
        cursor.skip(length)
        encoding.version = header.u16()
        var kind: UInt8 = 1
        let table: UInt64
        switch encoding.version {
        case 2...4:
            table = header.unsigned(bytes: encoding.offsetSize)
            encoding.addressSize = Int(header.u8())
        case 5:
            kind = header.u8()
            encoding.addressSize = Int(header.u8())
            table = header.unsigned(bytes: encoding.offsetSize)
            // Skeleton and split units have an identifier, type units a signature and an offset.
            if kind == 4 || kind == 5 { header.skip(8) }
            if kind == 2 || kind == 6 { header.skip(8 + UInt64(encoding.offsetSize)) }
        default: return nil
        }
        guard !header.failed, encoding.addressSize == 4 || encoding.addressSize == 8 else { return nil }
        self.encoding = encoding
        firstEntry = UInt64(header.position)
        abbreviations = sections.abbreviations(at: table)
        mayHaveCode = kind != 2 && kind != 6
        // Where the contributions begin when the attribute is missing: after a header of their own.
        stringOffsetsBase = encoding.version >= 5 ? UInt64(encoding.offsetSize) * 2 : 0
        addressBase = encoding.version >= 5 ? UInt64(encoding.offsetSize) * 2 : 0
        rangeListsBase = encoding.offsetSize == 4 ? 12 : 20
        if mayHaveCode { readFirstEntry(header) }
    }

    private func readFirstEntry(_ start: SymbolCursor) {
        var cursor = start
        guard let declaration = abbreviations.declaration(cursor.uleb()) else { return }
        for index in declaration.first..<declaration.end {
            let specification = abbreviations.specifications[index]
            let value = DWARFValue.read(specification.form, constant: specification.constant, encoding, &cursor)
            guard !cursor.failed else { break }
            switch specification.name {
            case DWARFAttribute.name: nameValue = value
            case DWARFAttribute.directory: directoryValue = value
            case DWARFAttribute.lineTable: lineTable = value.raw
            case DWARFAttribute.language: language = value.raw
            case DWARFAttribute.lowPC: lowPCValue = value
            case DWARFAttribute.highPC: highPCValue = value
            case DWARFAttribute.ranges: rangesValue = value
            case DWARFAttribute.stringOffsetsBase: stringOffsetsBase = value.raw
            case DWARFAttribute.addressBase, DWARFAttribute.gnuAddressBase: addressBase = value.raw
            case DWARFAttribute.rangeListsBase: rangeListsBase = value.raw
            default: break
            }
        }
        lowPC = lowPCValue.flatMap(address) ?? 0
    }

    /// The unit's code, as its first entry says.
    func codeRanges() -> [DWARFRange] {
        var result: [DWARFRange] = []
        appendRanges(low: lowPCValue, high: highPCValue, ranges: rangesValue, limit: 1 << 16, to: &result)
        return result
    }

    /// A cursor over the unit's entries.
    func entries(from start: UInt64? = nil) -> SymbolCursor { SymbolCursor(sections.info, start ?? firstEntry, end) }

    // MARK: Values

    func string(_ value: DWARFValue) -> String? {
        switch value.form {
        case DWARFForm.string: return sections.info.string(value.raw)
        case DWARFForm.strp: return sections.strings.string(value.raw)
        case DWARFForm.lineStrp: return sections.lineStrings.string(value.raw)
        default: return stringOffset(value).flatMap(sections.strings.string)
        }
    }

    /// Offset in `.debug_str` of text given by its number.
    func stringOffset(_ value: DWARFValue) -> UInt64? {
        switch value.form {
        case DWARFForm.strx, DWARFForm.strx1, DWARFForm.strx2, DWARFForm.strx3, DWARFForm.strx4, DWARFForm.gnuStringIndex:
            indexed(sections.stringOffsets, stringOffsetsBase, value.raw, encoding.offsetSize)
        default: nil
        }
    }

    func address(_ value: DWARFValue) -> UInt64? {
        switch value.form {
        case DWARFForm.address: return value.raw
        case DWARFForm.addrx, DWARFForm.addrx1, DWARFForm.addrx2, DWARFForm.addrx3, DWARFForm.addrx4, DWARFForm.gnuAddressIndex:
            return address(index: value.raw)
        default: return nil
        }
    }

    func address(index: UInt64) -> UInt64? { indexed(sections.addresses, addressBase, index, encoding.addressSize) }

    private func indexed(_ section: SymbolBytes, _ base: UInt64, _ index: UInt64, _ size: Int) -> UInt64? {
        let scaled = index.multipliedReportingOverflow(by: UInt64(size))
        let offset = base.addingReportingOverflow(scaled.partialValue)
        guard !scaled.overflow, !offset.overflow else { return nil }
        var cursor = SymbolCursor(section, offset.partialValue)
        let value = cursor.unsigned(bytes: size)
        return cursor.failed ? nil : value
    }

    /// The entry a reference means, as an offset in `.debug_info`.
    func reference(_ value: DWARFValue) -> UInt64? {
        switch value.form {
        case DWARFForm.reference1, DWARFForm.reference2, DWARFForm.reference4, DWARFForm.reference8, DWARFForm.referenceUdata:
            let target = offset.addingReportingOverflow(value.raw)
            return target.overflow ? nil : target.partialValue
        case DWARFForm.referenceAddress: return value.raw
        default: return nil
        }
    }

    // MARK: Ranges

    /// Appends the ranges an entry's attributes describe, without those of discarded code.
    func appendRanges(low: DWARFValue?, high: DWARFValue?, ranges: DWARFValue?, limit: Int, to result: inout [DWARFRange]) {
        if let ranges {
            let offset: UInt64?
            if ranges.form == DWARFForm.rangeListx {
                offset = indexed(sections.rangeLists, rangeListsBase, ranges.raw, encoding.offsetSize).map { $0 &+ rangeListsBase }
            } else {
                offset = ranges.raw
            }
            guard let offset else { return }
            if encoding.version >= 5 { readRangeList(offset, limit, &result) } else { readRanges(offset, limit, &result) }
        } else if let low, let high, let start = address(low) {
            let end = address(high) ?? start &+ high.raw
            append(start, end, &result)
        }
    }

    private func append(_ start: UInt64, _ end: UInt64, _ result: inout [DWARFRange]) {
        if start < end, sections.isCode(start) { result.append(DWARFRange(start: start, end: end)) }
    }

    /// DWARF 4, section 2.17.3: pairs relative to a base, ended by zeroes.
    private func readRanges(_ offset: UInt64, _ limit: Int, _ result: inout [DWARFRange]) {
        var cursor = SymbolCursor(sections.ranges, offset)
        var base = lowPC
        let selector: UInt64 = encoding.addressSize == 4 ? 0xffff_ffff : .max
        let stop = result.count + limit
        while !cursor.atEnd, result.count < stop {
            let start = cursor.unsigned(bytes: encoding.addressSize)
            let end = cursor.unsigned(bytes: encoding.addressSize)
            if cursor.failed || (start == 0 && end == 0) { return }
            if start == selector { base = end } else { append(base &+ start, base &+ end, &result) }
        }
    }

    /// DWARF 5, section 7.25: range list entries.
    private func readRangeList(_ offset: UInt64, _ limit: Int, _ result: inout [DWARFRange]) {
        var cursor = SymbolCursor(sections.rangeLists, offset)
        var base = lowPC
        let stop = result.count + limit
        while !cursor.atEnd, result.count < stop {
            switch cursor.u8() {
            case 1: base = address(index: cursor.uleb()) ?? 0
            case 2:
                let start = address(index: cursor.uleb()) ?? 0
                let end = address(index: cursor.uleb()) ?? 0
                append(start, end, &result)
            case 3:
                let start = address(index: cursor.uleb()) ?? 0
                append(start, start &+ cursor.uleb(), &result)
            case 4:
                let start = cursor.uleb()
                append(base &+ start, base &+ cursor.uleb(), &result)
            case 5: base = cursor.unsigned(bytes: encoding.addressSize)
            case 6:
                let start = cursor.unsigned(bytes: encoding.addressSize)
                append(start, cursor.unsigned(bytes: encoding.addressSize), &result)
            case 7:
                let start = cursor.unsigned(bytes: encoding.addressSize)
                append(start, start &+ cursor.uleb(), &result)
            default: return
            }
        }
    }
}

/// Addresses from `start` up to, not including, `end`.
struct DWARFRange {
    let start: UInt64
    let end: UInt64

    func contains(_ address: UInt64) -> Bool { address >= start && address < end }
}

extension SymbolCursor {
    /// The initial length of a unit, in the 32-bit or 64-bit format; nil at the end or when the unit is not all there.
    mutating func unitLength(_ encoding: inout DWARFEncoding) -> UInt64? {
        var length = UInt64(u32())
        encoding.offsetSize = 4
        if length == 0xffff_ffff {
            length = u64()
            encoding.offsetSize = 8
        } else if length >= 0xffff_fff0 {
            fail()
        }
        guard !failed, length <= UInt64(remaining) else {
            fail()
            return nil
        }
        return length
    }
}
