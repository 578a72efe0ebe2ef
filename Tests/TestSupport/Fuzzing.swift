import Foundation

/// Runs targets on cases made from seeds, so that what breaks one breaks it again.
///
/// Tests run a few cases of each. With EMULATE_FUZZ_SECONDS each target runs that long, on cases nobody has run before; with EMULATE_FUZZ_CASE=N
/// it runs case N alone. Before each case its target and number go to the file EMULATE_FUZZ_LOG names, where they stay if the process dies.
public enum Fuzzing {
    /// - Parameters:
    ///   - target: name for the log.
    ///   - cases: how many a test runs.
    ///   - body: one case, which uses nothing random but what it is given.
    public static func run(_ target: String, cases: Int, _ body: (inout SplitMix) throws -> Void) rethrows {
        let environment = ProcessInfo.processInfo.environment
        let log = environment["EMULATE_FUZZ_LOG"].flatMap { open($0, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644) }
        defer { if let log { close(log) } }
        func runCase(_ number: UInt64) throws {
            if let log { _ = "\(target) \(number)\n".withCString { write(log, $0, strlen($0)) } }
            var random = SplitMix(seed: number)
            try body(&random)
        }
        if let number = environment["EMULATE_FUZZ_CASE"].flatMap({ UInt64($0) }) { return try runCase(number) }
        guard let seconds = environment["EMULATE_FUZZ_SECONDS"].flatMap({ Double($0) }) else {
            for number in 0..<UInt64(cases) { try runCase(number) }
            return
        }
        let end = Date(timeIntervalSinceNow: seconds)
        var fresh = SplitMix(seed: UInt64(end.timeIntervalSince1970 * 1000))
        while Date() < end { try runCase(fresh.next()) }
    }
}

extension SplitMix {
    /// 0..<`limit`, which is at least 1.
    public mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    public mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }

    public mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }

    /// A number that is likely to be at some limit.
    public mutating func extreme() -> UInt64 {
        let value = pick([0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0xfff, 0x1000, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 63, .max, next()] as [UInt64])
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
