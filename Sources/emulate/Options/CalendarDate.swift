/// Reads the dates of `-rtc base=`.
package enum CalendarDate {
    /// Seconds from 1970-01-01T00:00:00Z to `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SS`, both in UTC; nil when it is no such date.
    package static func seconds(_ text: String) -> UInt64? {
        let halves = text.split(separator: "T", maxSplits: 1, omittingEmptySubsequences: false)
        guard let date = fields(halves[0], "-", widths: [4, 2, 2]), let days = days(date[0], date[1], date[2]) else { return nil }
        guard halves.count == 2 else { return days * 86400 }
        guard let time = fields(halves[1], ":", widths: [2, 2, 2]), time[0] < 24, time[1] < 60, time[2] < 60 else { return nil }
        return days * 86400 + time[0] * 3600 + time[1] * 60 + time[2]
    }

    private static func fields(_ text: Substring, _ separator: Character, widths: [Int]) -> [UInt64]? {
        let parts = text.split(separator: separator, omittingEmptySubsequences: false)
        guard parts.count == widths.count, zip(parts, widths).allSatisfy({ $0.count == $1 && $0.allSatisfy(\.isASCII) }) else { return nil }
        let numbers = parts.compactMap { $0.first == "+" ? nil : UInt64($0) }
        return numbers.count == parts.count ? numbers : nil
    }

    private static func days(_ year: UInt64, _ month: UInt64, _ day: UInt64) -> UInt64? {
        guard year >= 1970, (1...12).contains(month), day >= 1 else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths: [UInt64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard day <= lengths[Int(month) - 1] else { return nil }
        let before = year - 1
        let leapDays = before / 4 - before / 100 + before / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400)
        return (year - 1970) * 365 + leapDays + lengths[..<(Int(month) - 1)].reduce(0, +) + day - 1
    }
}
