import Foundation
import Testing
import emulate

@Suite struct BenchCompareTests {
    private func verdict(_ old: [BenchEntry], _ new: [BenchEntry], processor: String = "Test CPU") -> BenchComparison.Verdict? {
        BenchComparison(old: BenchSample.results(old), new: BenchSample.results(new, processor: processor)).rows.first?.verdict
    }

    private func sieve(_ slowdown: [Double]) -> [BenchEntry] { [BenchSample.entry("sieve", "interp", slowdown.map { $0 * 1e6 }, slowdown: slowdown)] }

    @Test func aChangeBeyondNoiseIsARegressionOrAnImprovement() {
        #expect(verdict(sieve([10, 10, 10]), sieve([11, 11, 11])) == .regression)
        #expect(verdict(sieve([11, 11, 11]), sieve([10, 10, 10])) == .improvement)
        #expect(verdict(sieve([10, 10, 10]), sieve([10.4, 10.4, 10.4])) == .same)
    }

    @Test func noisySamplesHideSmallChanges() {
        #expect(verdict(sieve([9, 10, 11]), sieve([10, 11, 12])) == .same)
        #expect(verdict(sieve([9, 10, 11]), sieve([19, 20, 21])) == .regression)
    }

    @Test func whatBreaksIsNoNumberAndCounts() {
        let broken = sieve([10]).map { BenchEntry.failed($0, "wrong checksum") }
        #expect(verdict(sieve([10]), broken) == .broken)
        #expect(verdict(broken, sieve([10])) == .repaired)
        #expect(verdict(broken, broken) == .incomparable)
        #expect(BenchComparison(old: BenchSample.results(sieve([10])), new: BenchSample.results(broken)).hasRegressions)
        #expect(!BenchComparison(old: BenchSample.results(broken), new: BenchSample.results(sieve([10]))).hasRegressions)
    }

    @Test func onlySlowdownsAreComparedBetweenMachines() {
        let call = [BenchSample.entry("uecall", "interp", [1e5], environment: .supervisor)]
        let slower = [BenchSample.entry("uecall", "interp", [2e5], environment: .supervisor)]
        #expect(verdict(call, slower) == .regression)
        #expect(verdict(call, slower, processor: "Another CPU") == .incomparable)
        #expect(verdict(sieve([10]), sieve([20]), processor: "Another CPU") == .regression)
    }

    @Test func anotherProgramIsNotCompared() {
        #expect(verdict([BenchSample.entry("sieve", "interp", [1], slowdown: [1])], [BenchSample.entry("sieve", "interp", [9], slowdown: [9], checksum: "2")]) == .incomparable)
    }

    @Test func nativeIsTheMeasureAndNotCompared() {
        let native = [BenchSample.entry("sieve", "native", [1e6], environment: .host)]
        #expect(BenchComparison(old: BenchSample.results(native), new: BenchSample.results(native)).rows.isEmpty)
    }

    @Test func whatIsInOneRunOnlyIsSaid() {
        let comparison = BenchComparison(old: BenchSample.results(sieve([10])), new: BenchSample.results([BenchSample.entry("fib", "interp", [1], slowdown: [1])]))
        #expect(comparison.rows.map(\.note) == ["only in the new run", "only in the old run"])
        #expect(!comparison.hasRegressions)
    }

    // MARK: Thresholds

    private func outcome(_ most: Double, against: String = "native", benchmark: String? = "sieve", group: BenchGroup? = nil, _ results: BenchResults = BenchSample.mixed)
        -> BenchThresholds.Outcome?
    {
        let limit = BenchThresholds.Limit(engine: "interp", against: against, benchmark: benchmark, group: group, environment: .machine, most: most)
        return BenchThresholds(limits: [limit]).check(results).first?.outcome
    }

    @Test func aThresholdIsKeptOrExceeded() {
        #expect(outcome(20) == .kept(20))
        #expect(outcome(19.9) == .exceeded(20))
        #expect(outcome(5, against: "qemu") == .kept(5))
        #expect(outcome(11, benchmark: nil, group: .integer) == .kept(Statistics.geometricMean([20, 5])!))
    }

    @Test func aThresholdWhoseMeasurementFailedIsNoPass() {
        guard case .failed? = outcome(100, against: "qemu", benchmark: "fib") else {
            Issue.record("the failed comparator was not noticed")
            return
        }
        #expect(!BenchThresholds.passes(BenchThresholds(limits: [.init(engine: "interp", against: "qemu", benchmark: "fib", group: nil, environment: .machine, most: 9)]).check(BenchSample.mixed)))
    }

    @Test func anEngineThatWasNotRunIsUncheckedAndSaidSo() {
        guard case .unchecked(let reason)? = outcome(1, against: "rvvm") else {
            Issue.record("an absent engine was checked")
            return
        }
        #expect(reason == "rvvm was not run")
    }

    @Test func theProjectsThresholdsAreReadable() throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../benchmarks/thresholds.json").path
        let thresholds = try BenchThresholds(path: path)
        for limit in thresholds.limits {
            #expect(BenchEngine.builtIn.contains { $0.name == limit.engine } && BenchEngine.builtIn.contains { $0.name == limit.against })
            #expect(limit.benchmark == nil || BenchCatalogue.find(limit.benchmark!) != nil, "\(limit.title)")
        }
    }
}
