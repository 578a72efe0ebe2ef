/// What must hold between results before they count.
package enum BenchChecks {
    /// Marks as failed what has another checksum than native or, without native, than any other: then nobody knows which is right.
    package static func checked(_ entries: [BenchEntry]) -> [BenchEntry] {
        let sums = Dictionary(grouping: entries.filter { $0.failure == nil }, by: \.benchmark)
        return entries.map { entry in
            guard entry.failure == nil, let mine = entry.checksum, let others = sums[entry.benchmark] else { return entry }
            if let native = others.first(where: { $0.environment == .host }) {
                if mine == native.checksum { return entry }
                return .failed(entry, "wrong checksum \(mine), native has \(native.checksum ?? "none")")
            }
            guard let other = others.first(where: { $0.checksum != mine }) else { return entry }
            return .failed(entry, "checksums disagree: \(mine), and \(other.checksum ?? "none") by \(other.engine) (\(other.environment.title))")
        }
    }

    /// A guest's clock may be off from the host's by this much, which covers when its lines arrive.
    static let mostClockDifference = 0.2
    /// Spread above which a run is called noisy.
    static let mostSpread = 0.1

    /// What a reader should know before trusting the figures.
    package static func warnings(_ entries: [BenchEntry], load: Double, cores: Int) -> [String] {
        var warnings: [String] = []
        let spreads = entries.compactMap { ($0.slowdown ?? $0.time).flatMap { $0.samples.count > 1 ? $0.spread : nil } }
        if let spread = Statistics.median(spreads), spread > mostSpread {
            warnings.append(
                "the machine is noisy: half of the figures spread by more than ±\(BenchFormat.percent(spread)); repeat when it is quieter, or with more --rounds")
        }
        if load > Double(cores) / 2 {
            warnings.append("other programs were running at the start: load \(BenchFormat.number(load)) on \(cores) cores")
        }
        let skewed = entries.filter { entry in
            guard let guest = entry.time?.median, let host = entry.hostTime?.median, host > 0 else { return false }
            return abs(guest / host - 1) > mostClockDifference
        }
        for engine in Set(skewed.map(\.engine)).sorted() {
            let names = skewed.filter { $0.engine == engine }.map(\.benchmark)
            warnings.append("the clock inside \(engine) disagrees with the host's by more than \(BenchFormat.percent(mostClockDifference)): \(names.joined(separator: ", "))")
        }
        return warnings
    }
}
