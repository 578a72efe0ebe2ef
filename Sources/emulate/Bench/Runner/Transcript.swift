/// What a benchmark program measured, as `benchmarks/platform/main.c` prints it.
package struct ProgramMeasurement: Equatable, Sendable {
    package var checksum: String
    /// The first iteration, cold, by the guest's clock.
    package var firstNanoseconds: Double
    package var iterations: UInt64
    /// All measured iterations by the guest's clock, and by the host's between the lines that frame them.
    package var nanoseconds: Double
    package var hostNanoseconds: Double
    /// Retired in the measured iterations by the counter the guest sees; 0 when it sees none.
    package var instructions: UInt64
    /// Operations of one iteration.
    package var operations: UInt64
    /// Iterations since the start, warm-up included.
    package var allIterations: UInt64
}

/// A reason instead of a number.
package struct BenchFailure: Error, Equatable, CustomStringConvertible, Sendable {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Reads what programs printed, possibly several in one run and between other lines of a console.
package enum Transcript {
    package static func parse(_ lines: [TimedLine]) -> [String: Result<ProgramMeasurement, BenchFailure>] {
        var results: [String: Result<ProgramMeasurement, BenchFailure>] = [:]
        var program: Program?
        for line in lines {
            // A kernel message may stand before it on the console's line.
            guard let mark = line.text.range(of: "@bench ") else { continue }
            let words = line.text[mark.upperBound...].split(separator: " ").map(String.init)
            switch words.first {
            case "start" where words.count == 2:
                if let program { results[program.name] = .failure(program.endedEarly) }
                program = Program(name: words[1])
            case "fail" where words.count >= 2:
                // The first reason tells most; whoever started the program may add its exit code.
                if case .failure? = results[words[1]] {} else {
                    results[words[1]] = .failure(BenchFailure(words.dropFirst(2).joined(separator: " ")))
                }
                program = nil
            case "end" where words.count == 2 && words[1] == program?.name:
                results[words[1]] = program?.result
                program = nil
            default: program?.take(words, at: line.arrival)
            }
        }
        if let program { results[program.name] = .failure(program.endedEarly) }
        return results
    }

    /// A program between its start and its end.
    private struct Program {
        let name: String
        private var firstChecksum: String?
        private var firstNanoseconds: Double?
        private var measureStart: UInt64?
        private var measurement: ProgramMeasurement?

        init(name: String) { self.name = name }

        var endedEarly: BenchFailure { BenchFailure("the guest ended early") }

        mutating func take(_ words: [String], at arrival: UInt64) {
            switch words.first {
            case "first" where words.count == 3:
                firstChecksum = words[1]
                firstNanoseconds = Double(words[2])
            case "measure": measureStart = arrival
            case "result" where words.count == 7:
                guard let firstNanoseconds, let measureStart, arrival >= measureStart, let iterations = UInt64(words[2]), iterations > 0,
                    let nanoseconds = Double(words[3]), let instructions = UInt64(words[4]), let operations = UInt64(words[5]),
                    let all = UInt64(words[6])
                else { return }
                measurement = ProgramMeasurement(
                    checksum: words[1], firstNanoseconds: firstNanoseconds, iterations: iterations, nanoseconds: nanoseconds,
                    hostNanoseconds: Double(arrival - measureStart), instructions: instructions, operations: operations, allIterations: all)
            default: break
            }
        }

        var result: Result<ProgramMeasurement, BenchFailure> {
            guard let measurement else { return .failure(BenchFailure("its output is damaged")) }
            if measurement.checksum != firstChecksum { return .failure(BenchFailure("the checksum changed between iterations")) }
            if measurement.nanoseconds <= 0 { return .failure(BenchFailure("its clock stands still")) }
            return .success(measurement)
        }
    }
}
