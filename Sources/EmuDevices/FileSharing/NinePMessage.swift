import Glibc

/// Message types of 9P2000.L; a reply's is its request's plus one.
enum NinePType: UInt8 {
    /// Only a reply: the error number of whatever was asked.
    case error = 6
    case statfs = 8
    case lopen = 12
    case lcreate = 14
    case symlink = 16
    case mknod = 18
    case rename = 20
    case readlink = 22
    case getattr = 24
    case setattr = 26
    case xattrwalk = 30
    case xattrcreate = 32
    case readdir = 40
    case fsync = 50
    case lock = 52
    case getlock = 54
    case link = 70
    case mkdir = 72
    case renameat = 74
    case unlinkat = 76
    case version = 100
    case auth = 102
    case attach = 104
    case flush = 108
    case walk = 110
    case read = 116
    case write = 118
    case clunk = 120
    case remove = 122
}

/// Reads the fields of a request one by one; a request that ends too early is EPROTO.
struct NinePReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    mutating func take(_ count: Int) throws(FolderError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.endIndex - position else { throw FolderError(EPROTO) }
        defer { position += count }
        return bytes[position..<position + count]
    }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(FolderError) -> T {
        var value: T = 0
        for (place, byte) in try take(MemoryLayout<T>.size).enumerated() { value |= T(truncatingIfNeeded: byte) << T(8 * place) }
        return value
    }

    /// A file name or another text: 16 bits of length, then bytes.
    mutating func text() throws(FolderError) -> String {
        let bytes = try take(Int(integer(UInt16.self)))
        // The host's names are bytes; what is not UTF-8 could not be given back as it is.
        guard let text = String(validating: bytes, as: UTF8.self) else { throw FolderError(EILSEQ) }
        return text
    }
}

/// Puts a reply together.
struct NinePWriter {
    private(set) var bytes: [UInt8] = []

    mutating func put<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func put(_ text: String) {
        put(UInt16(truncatingIfNeeded: text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func put(_ data: some Collection<UInt8>) { bytes.append(contentsOf: data) }

    mutating func put(_ identity: NinePIdentity) {
        put(identity.kind)
        put(identity.version)
        put(identity.path)
    }
}

/// A "qid": which file something is, and which version of its contents.
struct NinePIdentity {
    static let size = 13
    var kind: UInt8
    var version: UInt32
    var path: UInt64

    /// - Parameters:
    ///   - mode: the file's type, as in `st_mode`.
    ///   - version: 0 where it is not known.
    init(mode: mode_t, version: UInt32, path: UInt64) {
        kind = switch mode & S_IFMT {
        case S_IFDIR: 0x80
        case S_IFLNK: 0x02
        default: 0
        }
        self.version = version
        self.path = path
    }
}
