/// Type information as a kernel carries it (Documentation/bpf/btf.rst), made by hand.
struct BTFBuilder {
    private var types: [UInt8] = []
    private var strings: [UInt8] = [0]
    private(set) var count: UInt32 = 0

    struct Member {
        var name: String
        var type: UInt32
        var offset: UInt32
        /// Of a bit field; offset is in bits then.
        var bits: UInt32 = 0
    }

    private mutating func name(_ text: String) -> UInt32 {
        if text.isEmpty { return 0 }
        defer { strings += Array(text.utf8) + [0] }
        return UInt32(strings.count)
    }

    private mutating func add(_ name: String, _ info: UInt32, _ sizeOrType: UInt32, _ rest: [UInt32] = []) -> UInt32 {
        let name = self.name(name)
        for word in [name, info, sizeOrType] + rest { types += littleEndian(word) }
        count += 1
        return count
    }

    mutating func integer(_ size: UInt32) -> UInt32 { add("", 1 << 24, size, [size * 8]) }
    mutating func pointer() -> UInt32 { add("", 2 << 24, 0) }
    mutating func array(_ element: UInt32, _ number: UInt32) -> UInt32 { add("", 3 << 24, 0, [element, element, number]) }
    mutating func typedef(_ name: String, _ type: UInt32) -> UInt32 { add(name, 8 << 24, type) }
    mutating func structure(_ name: String, _ size: UInt32, isUnion: Bool = false, _ members: [Member]) -> UInt32 {
        let hasBits = members.contains { $0.bits > 0 }
        var words: [UInt32] = []
        for member in members {
            words += [self.name(member.name), member.type, hasBits ? member.bits << 24 | (member.bits > 0 ? member.offset : member.offset * 8) : member.offset * 8]
        }
        return add(name, (isUnion ? 5 : 4) << 24 | (hasBits ? 1 << 31 : 0) | UInt32(members.count), size, words)
    }

    var bytes: [UInt8] {
        let header: [UInt32] = [24, 0, UInt32(types.count), UInt32(types.count), UInt32(strings.count)]
        return [0x9f, 0xeb, 1, 0] + header.flatMap(littleEndian) + types + strings
    }
}

/// Symbol tables as scripts/kallsyms.c of the kernel writes them.
struct KallsymsBuilder {
    /// How the tables follow each other: since Linux 6.10, from 6.2 on, and before.
    enum Order: CaseIterable { case present, sorted, old }

    /// Number of a token that stands for several characters.
    private static let tokens: [(number: Int, text: String)] = [(0, "in"), (1, "it_"), (200, "task")]

    static func bytes(_ symbols: [(name: String, letter: String, address: UInt64)], base: UInt64, order: Order = .present) -> [UInt8] {
        var image: [UInt8] = []
        func align() { image += [UInt8](repeating: 0, count: (8 - image.count % 8) % 8) }
        func offsets() {
            for symbol in symbols { image += littleEndian(UInt32(symbol.address - base)) }
            align()
            image += littleEndian(base)
        }
        if order != .present { offsets() }
        image += littleEndian(UInt64(symbols.count))
        let start = image.count
        var markers: [UInt32] = []
        for (number, symbol) in symbols.enumerated() {
            if number % 256 == 0 { markers.append(UInt32(image.count - start)) }
            let name = compressed(symbol.letter + symbol.name)
            image += name.count < 128 ? [UInt8(name.count)] : [UInt8(name.count & 0x7f | 0x80), UInt8(name.count >> 7)]
            image += name
        }
        align()
        for marker in markers { image += littleEndian(marker) }
        align()
        if order == .sorted {
            for number in symbols.indices { image += [UInt8(number >> 16 & 0xff), UInt8(number >> 8 & 0xff), UInt8(number & 0xff | 1)] }
            align()
        }
        var index: [UInt16] = []
        let table = image.count
        for code in 0..<256 {
            index.append(UInt16(image.count - table))
            let text = tokens.first { $0.number == code }?.text ?? ((0x21...0x7e).contains(code) ? String(UnicodeScalar(UInt8(code))) : "")
            image += Array(text.utf8) + [0]
        }
        align()
        for offset in index { image += littleEndian(offset) }
        align()
        if order == .present { offsets() }
        return image
    }

    private static func compressed(_ name: String) -> [UInt8] {
        var rest = Substring(name)
        var result: [UInt8] = []
        while let first = rest.utf8.first {
            if let token = tokens.first(where: { rest.hasPrefix($0.text) }) {
                result.append(UInt8(token.number))
                rest.removeFirst(token.text.count)
            } else {
                result.append(first)
                rest.removeFirst()
            }
        }
        return result
    }
}

func littleEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
