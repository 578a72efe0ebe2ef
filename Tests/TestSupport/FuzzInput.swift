/// Somebody who decides what a case does: a generator of random numbers, or the bytes of a fuzzer's input.
public protocol Choosing {
    mutating func next() -> UInt64
    /// 0..<`limit`, which is at least 1.
    mutating func below(_ limit: Int) -> Int
}

extension SplitMix: Choosing {
    public mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
}

/// Bytes that say what a case does. Each choice takes as few as it needs, so that a fuzzer's small changes are small changes of the case.
///
/// Those of a file come to an end, where everything is zero; those made from a seed do not, and what was used of them is a file that does the same again.
public struct FuzzInput: Choosing {
    private var given: [UInt8]
    private var position = 0
    private var generator: SplitMix?

    public init(_ bytes: [UInt8]) { given = bytes }

    public init(seed: UInt64) {
        given = []
        generator = SplitMix(seed: seed)
    }

    /// There are bytes to choose by. What repeats itself ends where they do.
    public var hasMore: Bool { position < given.count || generator != nil }

    /// What has decided so far.
    public var used: ArraySlice<UInt8> { given[..<position] }

    private mutating func byte() -> UInt8 {
        if position == given.count {
            guard let number = generator?.next() else { return 0 }
            withUnsafeBytes(of: number.littleEndian) { given.append(contentsOf: $0) }
        }
        defer { position += 1 }
        return given[position]
    }

    /// The next `count` bytes as a little-endian number.
    private mutating func number(_ count: Int) -> UInt64 { (0..<count).reduce(0) { $0 | UInt64(byte()) << UInt64(8 * $1) } }

    public mutating func next() -> UInt64 { number(8) }

    public mutating func below(_ limit: Int) -> Int {
        let bits = Int.bitWidth - (limit - 1).leadingZeroBitCount
        return Int(number((bits + 7) / 8) % UInt64(limit))
    }

    public mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in byte() } }
}

extension Choosing {
    public mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }

    public mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }

    /// A number that is likely to be at some limit.
    public mutating func extreme() -> UInt64 {
        let limits: [UInt64] = [0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0xfff, 0x1000, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 63, .max]
        let choice = below(limits.count + 1)
        let value = choice == limits.count ? next() : limits[choice]
        return below(4) == 0 ? value &+ UInt64(bitPattern: Int64(below(5) - 2)) : value
    }

    /// `bytes` with some changed, cut, repeated or exchanged for numbers at limits.
    public mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
        var result = bytes
        for _ in 0...below(6) where !result.isEmpty {
            let place = below(result.count)
            switch below(8) {
            case 0: result.removeLast(below(result.count))
            case 1: result.insert(contentsOf: result[place..<min(result.count, place + 1 + below(32))], at: place)
            case 2: result.removeSubrange(place..<min(result.count, place + 1 + below(16)))
            case 3, 4:
                let value = extreme(), isBig = below(2) == 0
                for index in 0..<pick([1, 2, 4, 8]) where place + index < result.count {
                    result[place + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (isBig ? 7 - index : index)))
                }
            case 5: result[place] ^= 1 << UInt8(below(8))
            default: result[place] = pick([0, 0x7f, 0x80, 0xff, UInt8(truncatingIfNeeded: next())])
            }
        }
        return result
    }
}
