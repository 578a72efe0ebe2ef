import Testing
import emulate

@Suite struct BenchStatisticsTests {
    @Test func theMedianIsTheMiddleOrTheMeanOfTheMiddleTwo() {
        #expect(Statistics.median([]) == nil)
        #expect(Statistics.median([3]) == 3)
        #expect(Statistics.median([9, 1, 5]) == 5)
        #expect(Statistics.median([4, 1, 9, 2]) == 3)
    }

    @Test func theGeometricMeanIsOfRatios() throws {
        #expect(Statistics.geometricMean([]) == nil)
        #expect(Statistics.geometricMean([2, 0]) == nil)
        #expect(Statistics.geometricMean([2, -1]) == nil)
        #expect(Statistics.geometricMean([1, .infinity]) == nil)
        let mean = try #require(Statistics.geometricMean([2, 8]))
        #expect(abs(mean - 4) < 1e-12)
    }

    @Test func theSpreadOfFewValuesIsHalfTheirRange() {
        #expect(Statistics.spread([]) == 0)
        #expect(Statistics.spread([7]) == 0)
        #expect(Statistics.spread([9, 10, 13]) == 0.2)
    }

    @Test func oneOutlierAmongManyDoesNotMoveTheSpread() {
        let calm = Statistics.spread([98, 99, 100, 101, 102])
        let disturbed = Statistics.spread([98, 99, 100, 101, 900])
        #expect(calm == disturbed)
        #expect(abs(calm - 0.014826) < 1e-9)
    }

    @Test func aSummaryKeepsItsSamples() throws {
        #expect(BenchSummary([]) == nil)
        let summary = try #require(BenchSummary([3, 1, 2]))
        #expect((summary.median, summary.low, summary.high) == (2, 1, 3))
        #expect(summary.samples == [3, 1, 2])
    }
}
