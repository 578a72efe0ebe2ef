import Foundation
import Testing
import emulate

/// What programs print becomes a figure only when all of it is there and right.
@Suite struct BenchTranscriptTests {
    private static let good = [
        "@bench start sieve", "@bench first 0000000000008444 18500000", "@bench measure",
        "@bench result 0000000000008444 14 207193600 108933972 1 18", "@bench end sieve",
    ]

    /// Lines that arrive a second apart.
    private func parse(_ lines: [String]) -> [String: Result<ProgramMeasurement, BenchFailure>] {
        Transcript.parse(lines.enumerated().map { TimedLine(text: $1, arrival: UInt64($0) * 1_000_000_000) })
    }

    private func failure(_ lines: [String], of name: String = "sieve") -> String? {
        if case .failure(let failure)? = parse(lines)[name] { failure.description } else { nil }
    }

    @Test func aCompleteReportIsAMeasurement() throws {
        let measurement = try #require(try parse(Self.good)["sieve"]?.get())
        #expect(measurement.checksum == "0000000000008444")
        #expect(measurement.firstNanoseconds == 18_500_000)
        #expect((measurement.iterations, measurement.allIterations, measurement.operations) == (14, 18, 1))
        #expect(measurement.nanoseconds == 207_193_600)
        #expect(measurement.instructions == 108_933_972)
        // From the line before measuring to the result.
        #expect(measurement.hostNanoseconds == 1e9)
    }

    @Test func otherLinesOfAConsoleDoNotMatter() throws {
        let noisy = ["OpenSBI v1.6"] + Self.good.flatMap { ["[    1.2] kernel says something", "[    1.3] half a line \($0)"] }
        var measurement = try #require(try parse(noisy)["sieve"]?.get())
        measurement.hostNanoseconds = 1e9
        #expect(try measurement == parse(Self.good)["sieve"]?.get())
    }

    @Test func severalProgramsInOneRunAreToldApart() {
        let other = Self.good.map { $0.replacingOccurrences(of: "sieve", with: "fib") }
        #expect(Set(parse(Self.good + other).keys) == ["sieve", "fib"])
    }

    @Test(arguments: 1..<4) func aGuestThatEndsEarlyHasFailed(lines: Int) {
        #expect(failure(Array(Self.good.prefix(lines))) == "the guest ended early")
    }

    @Test func aResultWithoutItsEndIsNoResult() {
        #expect(failure(Array(Self.good.dropLast())) == "the guest ended early")
        #expect(failure(Array(Self.good.dropLast()) + ["@bench start fib"]) == "the guest ended early")
    }

    @Test func aProgramSaysWhyItFailed() {
        #expect(failure(["@bench start sieve", "@bench fail sieve unexpected trap: cause 5"]) == "unexpected trap: cause 5")
        #expect(failure(["@bench fail sieve needs a disk", "@bench fail sieve exit code 1"]) == "needs a disk")
    }

    @Test func aChangingChecksumIsAFailure() {
        var lines = Self.good
        lines[1] = "@bench first 0000000000000001 18500000"
        #expect(failure(lines) == "the checksum changed between iterations")
    }

    @Test(arguments: ["@bench result 0000000000008444 0 207193600 1 1 18", "@bench result 0000000000008444 14 x 1 1 18", "@bench result 0000000000008444 14"])
    func aDamagedResultIsAFailure(line: String) {
        var lines = Self.good
        lines[3] = line
        #expect(failure(lines) == "its output is damaged")
    }

    @Test func aClockThatStandsStillIsAFailure() {
        var lines = Self.good
        lines[3] = "@bench result 0000000000008444 14 0 1 1 18"
        #expect(failure(lines) == "its clock stands still")
    }
}
