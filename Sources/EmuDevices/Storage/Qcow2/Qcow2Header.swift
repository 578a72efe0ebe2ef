import EmuBus

/// Big-endian integers, as everything in qcow2 is.
extension [UInt8] {
    /// The caller keeps `offset` inside.
    func bigEndian<T: FixedWidthInteger & UnsignedInteger>(at offset: Int, as type: T.Type = T.self) -> T {
        self[offset..<offset + MemoryLayout<T>.size].reduce(0) { $0 << 8 | T($1) }
    }

    mutating func appendBigEndian(_ value: some FixedWidthInteger) { Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) } }
}

/// The header of a qcow2 image and its extensions (docs/interop/qcow2 of QEMU, "Header" and "Header extensions").
package struct Qcow2Header: Equatable, Sendable {
    package static let signature: [UInt8] = [0x51, 0x46, 0x49, 0xfb]

    /// Bits of `incompatible`: an image with others is refused.
    package enum Incompatible {
        package static let dirty: UInt64 = 1 << 0
        package static let corrupt: UInt64 = 1 << 1
        package static let externalData: UInt64 = 1 << 2
        package static let compressionType: UInt64 = 1 << 3
        package static let extendedL2: UInt64 = 1 << 4
        static let known = dirty | corrupt | compressionType | extendedL2
    }

    package enum Compatible {
        package static let lazyRefcounts: UInt64 = 1 << 0
    }

    package enum Compression: UInt8, Sendable {
        case zlib = 0, zstd = 1
        package var name: String { self == .zlib ? "zlib" : "zstd" }
    }

    /// Where fields lie that are rewritten in place.
    enum Offset {
        static let size: UInt64 = 24, l1Size: UInt64 = 36, refcountTable: UInt64 = 48, snapshotCount: UInt64 = 60
        static let incompatible: UInt64 = 72, autoclear: UInt64 = 88
    }

    /// Dirty bitmaps, which only their clusters matter of.
    package struct Bitmaps: Equatable, Sendable {
        package var count: UInt32
        package var directorySize: UInt64
        package var directoryOffset: UInt64
    }

    package var version: UInt32 = 3
    package var clusterBits = 16
    /// Bytes of the virtual disk.
    package var size: UInt64 = 0
    /// Entries of the active L1 table.
    package var l1Size = 0
    package var l1Offset: UInt64 = 0
    package var refcountTableOffset: UInt64 = 0
    package var refcountTableClusters = 0
    package var snapshotCount = 0
    package var snapshotsOffset: UInt64 = 0
    package var incompatible: UInt64 = 0
    package var compatible: UInt64 = 0
    package var autoclear: UInt64 = 0
    package var refcountOrder = 4
    package var compression = Compression.zlib
    package var backingFile: String?
    package var backingFormat: String?
    package var bitmaps: Bitmaps?

    package var clusterSize: UInt64 { 1 << UInt64(clusterBits) }
    package var hasExtendedL2: Bool { incompatible & Incompatible.extendedL2 != 0 }
    /// Bytes of an L2 entry.
    var l2EntrySize: UInt64 { hasExtendedL2 ? 16 : 8 }
    /// Guest bytes one L2 table covers.
    var l2Coverage: UInt64 { clusterSize / l2EntrySize * clusterSize }

    package init() {}

    // MARK: Limits

    static let clusterBitsRange = 9...21
    /// Largest L1 table, bytes.
    static let maxL1Bytes = 32 << 20
    /// Largest refcount table, bytes.
    static let maxRefcountTableBytes = 8 << 20
    static let maxSnapshots = 65536
    static let maxBackingName = 1023
    private static let fixedLength = 72, minLength3 = 104

    /// L1 entries a disk of `size` bytes needs.
    func l1Entries(for size: UInt64) -> UInt64 { size / l2Coverage + (size % l2Coverage == 0 ? 0 : 1) }

    // MARK: Reading

    /// - Throws: `DiskError` naming the file and what is wrong with its header.
    package init(_ file: any ImageFile) throws(DiskError) {
        let start: [UInt8]
        let length: UInt64
        do throws(HostError) {
            length = try file.length()
            start = try file.bytes(at: 0, Int(min(length, 1 << UInt64(Self.clusterBitsRange.upperBound))))
        } catch { throw DiskError("\(error)") }
        do throws(Problem) {
            try self.init(start, fileLength: length)
        } catch { throw DiskError("\(file.name): \(error.text)") }
    }

    struct Problem: Error { let text: String }

    /// - Parameter start: the file's first bytes, at least its first cluster if it has that much.
    init(_ start: [UInt8], fileLength: UInt64) throws(Problem) {
        guard start.count >= Self.fixedLength, start.starts(with: Self.signature) else { throw Problem(text: "it is not a qcow2 image") }
        version = start.bigEndian(at: 4)
        guard version == 2 || version == 3 else {
            throw Problem(text: "qcow2 version \(version) is not supported, only 2 and 3 are; convert it with the program that made it")
        }
        let bits: UInt32 = start.bigEndian(at: 20)
        guard Self.clusterBitsRange.contains(Int(bits)) else { throw Problem(text: "cluster size of 2^\(bits) bytes: only 2^9 to 2^21 are possible; the header is damaged") }
        clusterBits = Int(bits)
        guard start.bigEndian(at: 32, as: UInt32.self) == 0 else {
            throw Problem(text: "it is encrypted, which is not supported; decrypt it first with 'qemu-img convert'")
        }
        size = start.bigEndian(at: 24)
        l1Offset = start.bigEndian(at: 40)
        refcountTableOffset = start.bigEndian(at: 48)
        snapshotsOffset = start.bigEndian(at: 64)
        var headerLength = Self.fixedLength
        if version == 3 {
            guard start.count >= Self.minLength3 else { throw Problem(text: "the file ends inside the header") }
            incompatible = start.bigEndian(at: 72)
            compatible = start.bigEndian(at: 80)
            autoclear = start.bigEndian(at: 88)
            let order: UInt32 = start.bigEndian(at: 96), length: UInt32 = start.bigEndian(at: 100)
            guard length >= Self.minLength3, length % 8 == 0, UInt64(length) <= clusterSize, Int(length) <= start.count else {
                throw Problem(text: "header length \(length) is impossible; the header is damaged")
            }
            guard order <= 6 else { throw Problem(text: "reference counts of 2^\(order) bits: at most 64 are possible; the header is damaged") }
            headerLength = Int(length)
            refcountOrder = Int(order)
            if headerLength > 104 {
                guard let known = Compression(rawValue: start[104]) else { throw Problem(text: "compression type \(start[104]) is not supported, only zlib and zstd are") }
                compression = known
            }
        }
        let area = Array(start.prefix(Int(min(clusterSize, UInt64(start.count)))))
        let features = try readExtensions(area, from: headerLength)
        try refuseUnknown(features)
        guard (compression != .zlib) == (incompatible & Incompatible.compressionType != 0) else {
            throw Problem(text: "its compression type contradicts its feature bits; the header is damaged")
        }
        guard !hasExtendedL2 || clusterBits >= 14 else { throw Problem(text: "extended L2 entries need clusters of 16 KiB; the header is damaged") }
        try readTables(start, fileLength)
        try readBackingName(area)
    }

    /// The extensions known here; returns the feature name table.
    private mutating func readExtensions(_ area: [UInt8], from start: Int) throws(Problem) -> [UInt8] {
        var names: [UInt8] = []
        var position = start
        while position + 8 <= area.count {
            let kind: UInt32 = area.bigEndian(at: position), length: UInt32 = area.bigEndian(at: position + 4)
            if kind == 0 { return names }
            let data = position + 8
            guard Int(length) <= area.count - data else { throw Problem(text: "a header extension is longer than its cluster; the header is damaged") }
            let bytes = Array(area[data..<data + Int(length)])
            switch kind {
            case 0xe279_2aca: backingFormat = String(decoding: bytes, as: UTF8.self)
            case 0x6803_f857: names = bytes
            case 0x2385_2875 where bytes.count >= 24:
                bitmaps = Bitmaps(count: bytes.bigEndian(at: 0), directorySize: bytes.bigEndian(at: 8), directoryOffset: bytes.bigEndian(at: 16))
            default: break
            }
            position = data + (Int(length) + 7) / 8 * 8
        }
        return names
    }

    private func refuseUnknown(_ names: [UInt8]) throws(Problem) {
        let unknown = incompatible & ~Incompatible.known
        guard unknown != 0 else { return }
        let texts = (0..<64).filter { unknown >> UInt64($0) & 1 != 0 }.map { bit in
            for entry in stride(from: 0, to: names.count - 47, by: 48) where names[entry] == 0 && names[entry + 1] == UInt8(bit) {
                return String(decoding: names[entry + 2..<entry + 48].prefix { $0 != 0 }, as: UTF8.self)
            }
            return "incompatible feature \(bit)"
        }
        throw Problem(text: "it uses what is not supported: \(texts.joined(separator: ", ")); convert it first with 'qemu-img convert'")
    }

    private mutating func readTables(_ start: [UInt8], _ fileLength: UInt64) throws(Problem) {
        let l1Count: UInt32 = start.bigEndian(at: 36), tableClusters: UInt32 = start.bigEndian(at: 56), snapshots: UInt32 = start.bigEndian(at: 60)
        guard UInt64(l1Count) * 8 <= UInt64(Self.maxL1Bytes) else { throw Problem(text: "its L1 table is larger than 32 MiB; the header is damaged") }
        guard size <= 1 << 62, l1Entries(for: size) <= UInt64(l1Count) else {
            throw Problem(text: "its L1 table has \(l1Count) entries, too few for its size; the header is damaged")
        }
        guard l1Count == 0 || isTable(l1Offset, UInt64(l1Count) * 8, fileLength) else { throw Problem(text: "its L1 table is not inside the file; the header is damaged") }
        guard tableClusters > 0, UInt64(tableClusters) << UInt64(clusterBits) <= UInt64(max(Self.maxRefcountTableBytes, 1 << clusterBits)) else {
            throw Problem(text: "its refcount table is missing or larger than 8 MiB; the header is damaged")
        }
        guard isTable(refcountTableOffset, UInt64(tableClusters) << UInt64(clusterBits), fileLength) else {
            throw Problem(text: "its refcount table is not inside the file; the header is damaged")
        }
        guard snapshots <= UInt32(Self.maxSnapshots) else { throw Problem(text: "it has more than \(Self.maxSnapshots) snapshots; the header is damaged") }
        guard snapshots == 0 || isTable(snapshotsOffset, 40, fileLength) else { throw Problem(text: "its snapshot table is not inside the file; the header is damaged") }
        l1Size = Int(l1Count)
        refcountTableClusters = Int(tableClusters)
        snapshotCount = Int(snapshots)
    }

    /// True when a table of `bytes` at `offset` is aligned, behind the header, and begins inside the file.
    func isTable(_ offset: UInt64, _ bytes: UInt64, _ fileLength: UInt64) -> Bool {
        offset % clusterSize == 0 && offset >= clusterSize && offset < fileLength && bytes <= UInt64(Int64.max) - offset
    }

    private mutating func readBackingName(_ area: [UInt8]) throws(Problem) {
        let offset: UInt64 = area.bigEndian(at: 8), length: UInt32 = area.bigEndian(at: 16)
        guard offset != 0 else { return }
        guard length <= UInt32(Self.maxBackingName), offset <= UInt64(area.count), UInt64(length) <= UInt64(area.count) - offset else {
            throw Problem(text: "the name of its backing file is not inside the header cluster; the header is damaged")
        }
        guard length > 0 else { return }
        backingFile = String(decoding: area[Int(offset)..<Int(offset) + Int(length)], as: UTF8.self)
    }

    // MARK: Writing

    /// The header cluster's contents up to the end of the backing file's name.
    /// - Throws: when the names do not fit.
    func encoded() throws(Problem) -> [UInt8] {
        var extensions: [UInt8] = []
        func add(_ kind: UInt32, _ data: [UInt8]) {
            extensions.appendBigEndian(kind)
            extensions.appendBigEndian(UInt32(data.count))
            extensions += data + [UInt8](repeating: 0, count: (8 - data.count % 8) % 8)
        }
        if let backingFormat { add(0xe279_2aca, Array(backingFormat.utf8)) }
        if version == 3 { add(0x6803_f857, Self.featureNames) }
        add(0, [])
        let headerLength = version == 3 ? 112 : Self.fixedLength
        let name = Array((backingFile ?? "").utf8)
        guard name.count <= Self.maxBackingName, headerLength + extensions.count + name.count <= Int(clusterSize) else {
            throw Problem(text: "the name of the backing file is too long for its header")
        }
        var bytes = Self.signature
        bytes.appendBigEndian(version)
        bytes.appendBigEndian(UInt64(name.isEmpty ? 0 : headerLength + extensions.count))
        bytes.appendBigEndian(UInt32(name.count))
        bytes.appendBigEndian(UInt32(clusterBits))
        bytes.appendBigEndian(size)
        bytes.appendBigEndian(UInt32(0))
        bytes.appendBigEndian(UInt32(l1Size))
        bytes.appendBigEndian(l1Offset)
        bytes.appendBigEndian(refcountTableOffset)
        bytes.appendBigEndian(UInt32(refcountTableClusters))
        bytes.appendBigEndian(UInt32(snapshotCount))
        bytes.appendBigEndian(snapshotsOffset)
        if version == 3 {
            for field in [incompatible, compatible, autoclear] { bytes.appendBigEndian(field) }
            bytes.appendBigEndian(UInt32(refcountOrder))
            bytes.appendBigEndian(UInt32(headerLength))
            bytes += [compression.rawValue] + [UInt8](repeating: 0, count: 7)
        }
        return bytes + extensions + name
    }

    /// Names of the feature bits, for programs that do not know them: kind, bit, name.
    private static let featureNames: [UInt8] = {
        let names: [(UInt8, UInt8, String)] = [
            (0, 0, "dirty bit"), (0, 1, "corrupt bit"), (0, 2, "external data file"), (0, 3, "compression type"), (0, 4, "extended L2 entries"),
            (1, 0, "lazy refcounts"), (2, 0, "bitmaps"), (2, 1, "raw external data"),
        ]
        var bytes: [UInt8] = []
        for (kind, bit, name) in names {
            bytes += [kind, bit]
            bytes += Array(name.utf8)
            bytes += [UInt8](repeating: 0, count: 46 - name.utf8.count)
        }
        return bytes
    }()
}
