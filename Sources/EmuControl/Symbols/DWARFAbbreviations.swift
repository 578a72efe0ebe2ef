/// Codes of DWARF 5 (section 7.5) that are looked at, with the older GNU ones that stand for the same.
enum DWARFTag {
    static let compileUnit: UInt16 = 0x11, structure: UInt16 = 0x13, union: UInt16 = 0x17, enumeration: UInt16 = 0x04, array: UInt16 = 0x01
    static let subroutineType: UInt16 = 0x15, inlined: UInt16 = 0x1d, subprogram: UInt16 = 0x2e

    /// Types whose members are no code.
    static func holdsNoCode(_ tag: UInt16) -> Bool {
        tag == structure || tag == union || tag == enumeration || tag == array || tag == subroutineType
    }
}

enum DWARFAttribute {
    static let sibling: UInt16 = 0x01, name: UInt16 = 0x03, lineTable: UInt16 = 0x10, lowPC: UInt16 = 0x11, highPC: UInt16 = 0x12
    static let language: UInt16 = 0x13, directory: UInt16 = 0x1b, producer: UInt16 = 0x25, origin: UInt16 = 0x31, declLine: UInt16 = 0x3b
    static let declFile: UInt16 = 0x3a, specification: UInt16 = 0x47, entryPC: UInt16 = 0x52, ranges: UInt16 = 0x55
    static let callColumn: UInt16 = 0x57, callFile: UInt16 = 0x58, callLine: UInt16 = 0x59, linkageName: UInt16 = 0x6e
    static let stringOffsetsBase: UInt16 = 0x72, addressBase: UInt16 = 0x73, rangeListsBase: UInt16 = 0x74
    static let mipsLinkageName: UInt16 = 0x2007, gnuAddressBase: UInt16 = 0x2133
}

enum DWARFForm {
    static let address: UInt16 = 0x01, block2: UInt16 = 0x03, block4: UInt16 = 0x04, data2: UInt16 = 0x05, data4: UInt16 = 0x06
    static let data8: UInt16 = 0x07, string: UInt16 = 0x08, block: UInt16 = 0x09, block1: UInt16 = 0x0a, data1: UInt16 = 0x0b
    static let flag: UInt16 = 0x0c, sdata: UInt16 = 0x0d, strp: UInt16 = 0x0e, udata: UInt16 = 0x0f, referenceAddress: UInt16 = 0x10
    static let reference1: UInt16 = 0x11, reference2: UInt16 = 0x12, reference4: UInt16 = 0x13, reference8: UInt16 = 0x14
    static let referenceUdata: UInt16 = 0x15, indirect: UInt16 = 0x16, sectionOffset: UInt16 = 0x17, expression: UInt16 = 0x18
    static let flagPresent: UInt16 = 0x19, strx: UInt16 = 0x1a, addrx: UInt16 = 0x1b, supplementReference4: UInt16 = 0x1c
    static let supplementString: UInt16 = 0x1d, data16: UInt16 = 0x1e, lineStrp: UInt16 = 0x1f, signature: UInt16 = 0x20
    static let implicitConstant: UInt16 = 0x21, locationListx: UInt16 = 0x22, rangeListx: UInt16 = 0x23
    static let supplementReference8: UInt16 = 0x24, strx1: UInt16 = 0x25, strx2: UInt16 = 0x26, strx3: UInt16 = 0x27, strx4: UInt16 = 0x28
    static let addrx1: UInt16 = 0x29, addrx2: UInt16 = 0x2a, addrx3: UInt16 = 0x2b, addrx4: UInt16 = 0x2c
    static let gnuAddressIndex: UInt16 = 0x1f01, gnuStringIndex: UInt16 = 0x1f02, gnuReferenceAlternate: UInt16 = 0x1f20
    static let gnuStringAlternate: UInt16 = 0x1f21
}

/// What a unit's entries are made of: widths that forms depend on.
struct DWARFEncoding {
    var version: UInt16
    /// 4, or 8 in the 64-bit format.
    var offsetSize: Int
    var addressSize: Int

    /// The usual one, for which sizes are computed once per abbreviation.
    static let usual = DWARFEncoding(version: 5, offsetSize: 4, addressSize: 8)
    var isUsual: Bool { version >= 3 && offsetSize == 4 && addressSize == 8 }
}

/// An attribute's value as it is encoded; `DWARFUnit` gives it a meaning.
struct DWARFValue {
    var form: UInt16
    /// The number; for text and blocks in place the offset where they begin.
    var raw: UInt64

    /// Bytes of a value whose form has a fixed size, or nil.
    static func size(_ form: UInt16, _ encoding: DWARFEncoding) -> Int? {
        switch form {
        case DWARFForm.flagPresent, DWARFForm.implicitConstant: 0
        case DWARFForm.data1, DWARFForm.flag, DWARFForm.reference1, DWARFForm.strx1, DWARFForm.addrx1: 1
        case DWARFForm.data2, DWARFForm.reference2, DWARFForm.strx2, DWARFForm.addrx2: 2
        case DWARFForm.strx3, DWARFForm.addrx3: 3
        case DWARFForm.data4, DWARFForm.reference4, DWARFForm.strx4, DWARFForm.addrx4, DWARFForm.supplementReference4: 4
        case DWARFForm.data8, DWARFForm.reference8, DWARFForm.signature, DWARFForm.supplementReference8: 8
        case DWARFForm.data16: 16
        case DWARFForm.address: encoding.addressSize
        case DWARFForm.strp, DWARFForm.sectionOffset, DWARFForm.lineStrp, DWARFForm.supplementString, DWARFForm.gnuReferenceAlternate,
            DWARFForm.gnuStringAlternate:
            encoding.offsetSize
        case DWARFForm.referenceAddress: encoding.version == 2 ? encoding.addressSize : encoding.offsetSize
        default: nil
        }
    }

    /// Reads a value; an unknown form fails the cursor, because what follows cannot be found.
    static func read(_ form: UInt16, constant: Int64 = 0, _ encoding: DWARFEncoding, _ cursor: inout SymbolCursor) -> DWARFValue {
        switch form {
        case DWARFForm.implicitConstant: return DWARFValue(form: form, raw: UInt64(bitPattern: constant))
        case DWARFForm.flagPresent: return DWARFValue(form: form, raw: 1)
        case DWARFForm.data16:
            let start = UInt64(cursor.position)
            cursor.skip(16)
            return DWARFValue(form: form, raw: start)
        case DWARFForm.string: return DWARFValue(form: form, raw: UInt64(cursor.stringStart()))
        case DWARFForm.sdata: return DWARFValue(form: form, raw: UInt64(bitPattern: cursor.sleb()))
        case DWARFForm.udata, DWARFForm.referenceUdata, DWARFForm.strx, DWARFForm.addrx, DWARFForm.locationListx, DWARFForm.rangeListx,
            DWARFForm.gnuAddressIndex, DWARFForm.gnuStringIndex:
            return DWARFValue(form: form, raw: cursor.uleb())
        case DWARFForm.block1: return block(form, UInt64(cursor.u8()), &cursor)
        case DWARFForm.block2: return block(form, UInt64(cursor.u16()), &cursor)
        case DWARFForm.block4: return block(form, UInt64(cursor.u32()), &cursor)
        case DWARFForm.block, DWARFForm.expression: return block(form, cursor.uleb(), &cursor)
        case DWARFForm.indirect:
            let actual = cursor.uleb()
            // An indirect form names another one, neither itself nor one whose value lies in the abbreviation.
            guard actual != UInt64(DWARFForm.indirect), actual != UInt64(DWARFForm.implicitConstant), let form = UInt16(exactly: actual) else {
                cursor.fail()
                return DWARFValue(form: 0, raw: 0)
            }
            return read(form, encoding, &cursor)
        default:
            guard let size = size(form, encoding) else {
                cursor.fail()
                return DWARFValue(form: 0, raw: 0)
            }
            return DWARFValue(form: form, raw: cursor.unsigned(bytes: size))
        }
    }

    private static func block(_ form: UInt16, _ length: UInt64, _ cursor: inout SymbolCursor) -> DWARFValue {
        let start = UInt64(cursor.position)
        cursor.skip(length)
        return DWARFValue(form: form, raw: start)
    }
}

/// One table of `.debug_abbrev` (DWARF 5, section 7.5.3), read as far as codes were asked for.
final class DWARFAbbreviations {
    struct Specification {
        let name: UInt16
        let form: UInt16
        let constant: Int64
    }

    struct Declaration {
        let tag: UInt16
        let hasChildren: Bool
        /// Range of `specifications`.
        let first: Int
        let end: Int
        /// Bytes of an entry in the usual encoding; -1 when they vary.
        let size: Int
    }

    private(set) var specifications: [Specification] = []
    private var dense: [Declaration] = []
    private var sparse: [UInt64: Declaration] = [:]
    private var cursor: SymbolCursor
    /// No declaration needs more; more would only cost time.
    private static let limit = 1024

    init(_ section: SymbolBytes, _ offset: UInt64) { cursor = SymbolCursor(section, offset) }

    @inline(__always)
    func declaration(_ code: UInt64) -> Declaration? {
        if code != 0, code <= UInt64(dense.count) { return dense[Int(code) - 1] }
        return declarationSlow(code)
    }

    @inline(never)
    private func declarationSlow(_ code: UInt64) -> Declaration? {
        if let known = sparse[code] { return known }
        while !cursor.atEnd {
            let next = cursor.uleb()
            guard next != 0, let declaration = readDeclaration() else {
                cursor.fail()
                return nil
            }
            if next == UInt64(dense.count) + 1 { dense.append(declaration) } else if sparse[next] == nil { sparse[next] = declaration }
            if next == code { return declaration }
        }
        return nil
    }

    private func readDeclaration() -> Declaration? {
        let tag = cursor.uleb()
        let hasChildren = cursor.u8() != 0
        let first = specifications.count
        var size = 0
        while true {
            let name = cursor.uleb()
            let form = cursor.uleb()
            let constant = form == UInt64(DWARFForm.implicitConstant) ? cursor.sleb() : 0
            guard !cursor.failed, specifications.count - first < Self.limit else { return nil }
            if name == 0, form == 0 { break }
            guard let form = UInt16(exactly: form) else { return nil }
            let width = DWARFValue.size(form, .usual)
            size = if let width, size >= 0 { size + width } else { -1 }
            specifications.append(Specification(name: UInt16(clamping: name), form: form, constant: constant))
        }
        return Declaration(
            tag: UInt16(clamping: tag), hasChildren: hasChildren, first: first, end: specifications.count, size: size)
    }
}
