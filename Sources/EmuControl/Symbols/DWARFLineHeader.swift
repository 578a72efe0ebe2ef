/// The header of a line number program (DWARF 5, section 6.2.4): its encoding, directories and files.
final class DWARFLineHeader {
    private struct File {
        /// Where the name is: a section's text at an offset.
        let name: Text
        let directory: UInt64
    }

    private struct Text {
        let bytes: SymbolBytes
        let offset: UInt64

        var string: String { bytes.string(offset) ?? "" }
    }

    let version: UInt16
    /// The program itself.
    let program: SymbolCursor
    let instructionLength: UInt64
    let operationsPerInstruction: UInt64
    let defaultIsStatement: Bool
    let lineBase: Int8
    let lineRange: UInt8
    let opcodeBase: UInt8
    let operandCounts: [UInt8]
    private var directories: [Text] = []
    private var files: [File] = []
    private let compileDirectory: String
    private var paths: [Int: String] = [:]

    private static let usualOperands: [UInt8] = [0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1]

    /// - Parameter unit: the unit that refers to the program at `offset`.
    init?(_ unit: DWARFUnit, _ offset: UInt64) {
        let sections = unit.sections
        compileDirectory = unit.directory
        var outer = SymbolCursor(sections.line, offset)
        var encoding = unit.encoding
        guard let length = outer.unitLength(&encoding) else { return nil }
        let end = UInt64(outer.position) + length
        var cursor = SymbolCursor(sections.line, UInt64(outer.position), end)
        version = cursor.u16()
        guard (2...5).contains(version) else { return nil }
        encoding.version = version
        if version >= 5 {
            encoding.addressSize = Int(cursor.u8())
            cursor.skip(1)
        }
        let headerLength = cursor.unsigned(bytes: encoding.offsetSize)
        let start = UInt64(cursor.position).addingReportingOverflow(headerLength)
        guard !cursor.failed, !start.overflow, start.partialValue <= end else { return nil }
        program = SymbolCursor(sections.line, start.partialValue, end)
        instructionLength = UInt64(cursor.u8())
        operationsPerInstruction = version >= 4 ? UInt64(cursor.u8()) : 1
        defaultIsStatement = cursor.u8() != 0
        lineBase = Int8(bitPattern: cursor.u8())
        lineRange = cursor.u8()
        opcodeBase = cursor.u8()
        guard lineRange != 0, operationsPerInstruction != 0, opcodeBase != 0 else { return nil }
        var counts: [UInt8] = []
        for _ in 1..<max(opcodeBase, 1) { counts.append(cursor.u8()) }
        operandCounts = counts
        guard !cursor.failed else { return nil }
        var names = SymbolCursor(sections.line, UInt64(cursor.position), start.partialValue)
        if version >= 5 {
            directories = Self.readEntries(&names, encoding, unit).map(\.name)
            files = Self.readEntries(&names, encoding, unit)
        } else {
            // Directory 0 is the unit's; files count from 1.
            directories = []
            while !names.atEnd {
                let name = UInt64(names.stringStart())
                if names.failed || UInt64(names.position) == name + 1 { break }
                directories.append(Text(bytes: sections.line, offset: name))
            }
            while !names.atEnd, defineFile(&names) {}
        }
    }

    func hasUsualOperands(_ opcode: UInt8) -> Bool {
        let index = Int(opcode) - 1
        return index < Self.usualOperands.count && operandCounts[index] == Self.usualOperands[index]
    }

    /// Reads an entry of the file table of versions 2 to 4; false at its end.
    @discardableResult
    func defineFile(_ cursor: inout SymbolCursor) -> Bool {
        let name = UInt64(cursor.stringStart())
        guard !cursor.failed, UInt64(cursor.position) != name + 1 else { return false }
        let directory = cursor.uleb()
        _ = cursor.uleb()
        _ = cursor.uleb()
        files.append(File(name: Text(bytes: cursor.bytes, offset: name), directory: directory))
        return true
    }

    /// Directory or file entries of version 5, which describe their own format.
    private static func readEntries(_ cursor: inout SymbolCursor, _ encoding: DWARFEncoding, _ unit: DWARFUnit) -> [File] {
        var format: [(content: UInt64, form: UInt16)] = []
        for _ in 0..<cursor.u8() { format.append((cursor.uleb(), UInt16(clamping: cursor.uleb()))) }
        let count = cursor.uleb()
        var result: [File] = []
        // Forms without a size in the table would make a hostile count cost time.
        guard format.contains(where: { DWARFValue.size($0.form, encoding) != 0 }) else { return [] }
        for _ in 0..<count {
            var name = Text(bytes: .empty, offset: 0)
            var directory: UInt64 = 0
            for (content, form) in format {
                let value = DWARFValue.read(form, encoding, &cursor)
                guard !cursor.failed else { return result }
                switch content {
                case 1: name = text(value, unit, encoding)
                case 2: directory = value.raw
                default: break
                }
            }
            result.append(File(name: name, directory: directory))
        }
        return result
    }

    private static func text(_ value: DWARFValue, _ unit: DWARFUnit, _ encoding: DWARFEncoding) -> Text {
        let sections = unit.sections
        switch value.form {
        case DWARFForm.string: return Text(bytes: sections.line, offset: value.raw)
        case DWARFForm.lineStrp: return Text(bytes: sections.lineStrings, offset: value.raw)
        case DWARFForm.strp: return Text(bytes: sections.strings, offset: value.raw)
        default: return unit.stringOffset(value).map { Text(bytes: sections.strings, offset: $0) } ?? Text(bytes: .empty, offset: 0)
        }
    }

    /// Numbers of the files: from 0 in version 5, from 1 before.
    var fileNumbers: Range<Int> { version >= 5 ? 0..<files.count : 1..<files.count + 1 }

    private func file(_ number: Int) -> File? {
        let index = version >= 5 ? number : number - 1
        return files.indices.contains(index) ? files[index] : nil
    }

    /// The last component of a file's name.
    func baseName(_ number: Int) -> String? {
        guard let name = file(number)?.name.string else { return nil }
        return name.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(name[name.utf8.index(after: $0)...]) } ?? name
    }

    /// A file's whole path, with the directories that lead to it, as the compiler knew it.
    func path(_ number: Int) -> String? {
        if let known = paths[number] { return known }
        guard let file = file(number) else { return nil }
        var path = file.name.string
        if !path.hasPrefix("/") {
            path = SourcePath.join(directory(file.directory), path)
            // In version 5 the directories begin with the compiler's own, which may be relative, too.
            if !path.hasPrefix("/"), version < 5 || directories.isEmpty { path = SourcePath.join(compileDirectory, path) }
        }
        path = SourcePath.normalised(path)
        paths[number] = path
        return path
    }

    private func directory(_ number: UInt64) -> String {
        if version < 5 {
            guard number > 0, number <= UInt64(directories.count) else { return "" }
            return directories[Int(number) - 1].string
        }
        guard number < UInt64(directories.count) else { return "" }
        let name = directories[Int(number)].string
        // The first is the compiler's working directory; the others may be relative to it.
        return number == 0 || name.hasPrefix("/") ? name : SourcePath.join(directories[0].string, name)
    }
}

/// Paths as text: nothing here looks at the host's files.
enum SourcePath {
    static func join(_ directory: String, _ name: String) -> String {
        if directory.isEmpty || name.hasPrefix("/") { return name }
        return directory.hasSuffix("/") ? directory + name : directory + "/" + name
    }

    /// Without "." and with ".." resolved.
    static func normalised(_ path: String) -> String {
        guard path.contains("/.") || path.contains("//") || path.hasPrefix("./") else { return path }
        var parts: [Substring] = []
        for part in path.split(separator: "/") {
            if part == "." { continue }
            if part == "..", let last = parts.last, last != ".." { parts.removeLast() } else { parts.append(part) }
        }
        return (path.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
    }

    /// True when `path` is `wanted` or ends with it as whole components.
    static func matches(_ path: String, _ wanted: String) -> Bool {
        path == wanted || (path.hasSuffix(wanted) && path.dropLast(wanted.count).hasSuffix("/"))
    }

    static func baseName(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
}
