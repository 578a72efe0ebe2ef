import Glibc

/// The symbol table that a Linux kernel keeps for its own messages (CONFIG_KALLSYMS), found in its image and decoded.
///
/// scripts/kallsyms.c of the kernel's source writes it: names as sequences of tokens (`kallsyms_names`, counted by `kallsyms_num_syms`), the tokens'
/// texts (`kallsyms_token_table`, `kallsyms_token_index`), every 256th name's offset (`kallsyms_markers`), and addresses as offsets (`kallsyms_offsets`)
/// from `kallsyms_relative_base`. Their order has changed over time, so each is recognised by what it holds. The image may come from a guest's
/// memory: every offset and count is checked.
struct Kallsyms {
    let symbols: SymbolList
    /// Address of the first symbol, and of the last one.
    let first: UInt64
    let last: UInt64

    /// Compressed names are at most this far before their tokens.
    private static let searchLimit = 64 << 20
    private static let countLimit = 4 << 20
    /// KSYM_NAME_LEN of the kernel, the type letter and some room.
    private static let nameLimit = 1024
    /// Places looked at, and names walked over, before memory that only resembles the tables is given up.
    private static let candidateLimit = 256
    private static let walkLimit = 1 << 26

    /// Finds the tables in a kernel's image.
    /// - Parameter inside: an address that must lie between the first and the last symbol.
    init?(_ image: SymbolBytes, inside: UInt64) {
        var position = 0
        var budget = Self.walkLimit
        for _ in 0..<Self.candidateLimit {
            guard let digits = Self.find(Self.digits, image, from: position) else { return nil }
            position = digits + 1
            guard let tokens = Tokens(image, digits: digits), let names = Names(image, tokens, &budget),
                let addresses = Self.addresses(image, tokens, names, inside), let list = Self.decode(image, tokens, names, addresses)
            else { continue }
            symbols = list
            (first, last) = (addresses[0], addresses[addresses.count - 1])
            return
        }
        return nil
    }

    // MARK: Tokens

    /// Characters that occur in names are tokens of their own, at their codes; so the digits stand in a row.
    private static let digits: [UInt8] = (UInt8(ascii: "0")...UInt8(ascii: "9")).flatMap { [$0, 0] }

    private static func find(_ pattern: [UInt8], _ image: SymbolBytes, from start: Int) -> Int? {
        image.withBytes { bytes -> Int? in
            guard let base = bytes.baseAddress, let first = pattern.first else { return nil }
            var position = start
            // SAFETY: both functions read within the lengths given: what is left of the image from `position` on.
            while position <= bytes.count - pattern.count, let found = memchr(base + position, Int32(first), bytes.count - pattern.count + 1 - position) {
                if memcmp(found, pattern, pattern.count) == 0 { return UnsafeRawPointer(found) - base }
                position = UnsafeRawPointer(found) - base + 1
            }
            return nil
        }
    }

    private static func aligned(_ offset: Int) -> Int { (offset + 7) & ~7 }

    private struct Tokens {
        let start: Int
        /// Behind `kallsyms_token_index`.
        let end: Int
        let texts: [[UInt8]]

        /// - Parameter digits: offset of the token "0", which is number 48.
        init?(_ image: SymbolBytes, digits: Int) {
            // Back to the end of token 0, then to where it may begin.
            var position = digits
            for _ in 0..<47 {
                guard let before = Self.start(image, ofTextEndingAt: position - 1) else { return nil }
                position = before
            }
            let end = position - 1
            var start = end & ~7
            while start >= 0, end - start <= 128 {
                if let found = Self.texts(image, from: start) {
                    self.start = start
                    (texts, self.end) = found
                    return
                }
                start -= 8
            }
            return nil
        }

        /// Where the text begins whose NUL is at `end`.
        private static func start(_ image: SymbolBytes, ofTextEndingAt end: Int) -> Int? {
            for position in stride(from: end - 1, through: max(0, end - 128), by: -1) where image.load(position, as: UInt8.self) == 0 { return position + 1 }
            return nil
        }

        /// 256 texts that the index behind them confirms.
        private static func texts(_ image: SymbolBytes, from start: Int) -> ([[UInt8]], Int)? {
            var texts: [[UInt8]] = []
            var offsets: [Int] = []
            var position = start
            for _ in 0..<256 {
                guard let end = image.terminator(from: position), end - position <= 128, let text = image.slice(UInt64(position), UInt64(end - position)) else {
                    return nil
                }
                offsets.append(position - start)
                texts.append(text.array)
                position = end + 1
            }
            let index = aligned(position)
            for (number, offset) in offsets.enumerated() {
                guard let stated: UInt16 = image.load(index + 2 * number), Int(stated) == offset else { return nil }
            }
            return (texts, index + 512)
        }
    }

    // MARK: Names

    private struct Names {
        /// Offset of the first name; the number of names stands 8 bytes before.
        let start: Int
        let count: Int

        /// The names lie before the tokens; only the right place has a count before it and the matching markers behind it.
        init?(_ image: SymbolBytes, _ tokens: Tokens, _ budget: inout Int) {
            let lowest = max(8, tokens.start - searchLimit)
            for start in stride(from: tokens.start & ~7, through: lowest, by: -8) {
                guard let number: UInt64 = image.load(start - 8), number > 0, number <= UInt64(countLimit), Int(number) <= tokens.start - start,
                    Self.fits(image, start, Int(number), tokens, &budget)
                else { continue }
                self.start = start
                count = Int(number)
                return
            }
            return nil
        }

        private static func fits(_ image: SymbolBytes, _ start: Int, _ count: Int, _ tokens: Tokens, _ budget: inout Int) -> Bool {
            var position = start
            var marks: [Int] = []
            for number in 0..<count {
                if number % 256 == 0 { marks.append(position - start) }
                budget -= 1
                guard budget > 0 else { return false }
                guard let length = length(image, &position), length > 0 else { return false }
                position += length
                guard position <= tokens.start else { return false }
            }
            let markers = aligned(position)
            for (number, mark) in marks.enumerated() {
                guard let stated: UInt32 = image.load(markers + 4 * number), Int(stated) == mark else { return false }
            }
            // Three bytes for each name, in the order of the names, may follow (kallsyms_seqs_of_names).
            let end = aligned(markers + 4 * marks.count)
            return end == tokens.start || aligned(end + 3 * count) == tokens.start
        }

        /// Number of tokens of the name at `position`, which moves behind it: one byte, or two for long names.
        static func length(_ image: SymbolBytes, _ position: inout Int) -> Int? {
            guard let low: UInt8 = image.load(position) else { return nil }
            position += 1
            guard low & 0x80 != 0 else { return Int(low) }
            guard let high: UInt8 = image.load(position) else { return nil }
            position += 1
            return Int(high) << 7 | Int(low & 0x7f)
        }
    }

    // MARK: Addresses

    /// Behind the tokens, or in older kernels before the names.
    private static func addresses(_ image: SymbolBytes, _ tokens: Tokens, _ names: Names, _ inside: UInt64) -> [UInt64]? {
        let behind = aligned(tokens.end)
        let before = names.start - 16
        return addresses(image, offsets: behind, base: aligned(behind + 4 * names.count), names.count, inside)
            ?? addresses(image, offsets: before - aligned(4 * names.count), base: before, names.count, inside)
    }

    private static func addresses(_ image: SymbolBytes, offsets: Int, base: Int, _ count: Int, _ inside: UInt64) -> [UInt64]? {
        guard offsets >= 0, let base: UInt64 = image.load(base) else { return nil }
        var result: [UInt64] = []
        result.reserveCapacity(count)
        var previous: UInt32 = 0
        for number in 0..<count {
            guard let offset: UInt32 = image.load(offsets + 4 * number), offset >= previous else { return nil }
            previous = offset
            result.append(base &+ UInt64(offset))
        }
        guard let first = result.first, let last = result.last, first <= inside, inside <= last else { return nil }
        return result
    }

    // MARK: Decoding

    private static func decode(_ image: SymbolBytes, _ tokens: Tokens, _ names: Names, _ addresses: [UInt64]) -> SymbolList? {
        var list = SymbolList()
        var position = names.start
        var name: [UInt8] = []
        for address in addresses {
            guard let length = Names.length(image, &position) else { return nil }
            name.removeAll(keepingCapacity: true)
            for offset in 0..<length {
                guard let token: UInt8 = image.load(position + offset) else { return nil }
                name += tokens.texts[Int(token)]
            }
            position += length
            // Anything but printable characters is not a name of a program's.
            guard name.count <= nameLimit, name.count > 1, name.allSatisfy({ (0x21...0x7e).contains($0) }) else { return nil }
            list.add(address, letter: name[0], name: name.dropFirst())
        }
        return list
    }
}
