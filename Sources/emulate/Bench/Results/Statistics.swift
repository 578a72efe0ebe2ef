import Glibc

/// The few statistics that results need.
package enum Statistics {
    /// The middle value, or the mean of the two in the middle; nil of nothing.
    package static func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted(), middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// The mean of ratios; nil of nothing or when one is not positive.
    package static func geometricMean(_ values: [Double]) -> Double? {
        guard !values.isEmpty, values.allSatisfy({ $0 > 0 && $0.isFinite }) else { return nil }
        // Alone, a value stays exactly what it is.
        if values.count == 1 { return values[0] }
        return exp(values.reduce(0) { $0 + log($1) } / Double(values.count))
    }

    /// How far values lie from their median, relative to it: half the range of up to four values; of more, 1.48 times the median
    /// distance, which a few outliers do not move (for normally distributed values, the standard deviation).
    package static func spread(_ values: [Double]) -> Double {
        guard values.count > 1, let middle = median(values), middle > 0, let low = values.min(), let high = values.max() else { return 0 }
        if values.count < 5 { return (high - low) / 2 / middle }
        return 1.4826 * (median(values.map { abs($0 - middle) }) ?? 0) / middle
    }
}

/// Several measurements of one thing.
package struct BenchSummary: Codable, Equatable, Sendable {
    package let median: Double
    package let low: Double
    package let high: Double
    /// See `Statistics.spread`.
    package let spread: Double
    package let samples: [Double]

    /// Nil of nothing.
    package init?(_ samples: [Double]) {
        guard let median = Statistics.median(samples), let low = samples.min(), let high = samples.max() else { return nil }
        self.median = median
        self.low = low
        self.high = high
        self.spread = Statistics.spread(samples)
        self.samples = samples
    }
}
