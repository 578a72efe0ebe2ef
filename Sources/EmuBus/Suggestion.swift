/// "; did you mean X?" for the candidate nearest to what was typed, or nothing when none is near.
public func didYouMean(_ typed: String, among candidates: [String], shown: (String) -> String = { "'\($0)'" }) -> String {
    nearest(to: typed, among: candidates).map { "; did you mean \(shown($0))?" } ?? ""
}

/// The candidate with the smallest edit distance, if it is small enough to be what was meant; the first of equals.
/// Case only counts between equals.
public func nearest(to typed: String, among candidates: [String]) -> String? {
    let lower = typed.lowercased()
    var best: (name: String, distance: Int)?
    for candidate in candidates {
        var distance = editDistance(lower, candidate.lowercased())
        // A name begun right but not ended is likelier than its letters suggest: virtio-blk for virtio-blk-device.
        if typed.count >= 3, candidate.lowercased().hasPrefix(lower) { distance = min(distance, 1) }
        if distance < best?.distance ?? .max || (distance == best?.distance && candidate == typed) { best = (candidate, distance) }
    }
    guard let best, best.distance <= max(1, min(typed.count, best.name.count) / 2) else { return nil }
    return best.name
}

/// Insertions, deletions, replacements and swaps of neighbours needed to turn `a` into `b` (optimal string alignment).
package func editDistance(_ a: String, _ b: String) -> Int {
    let a = Array(a), b = Array(b)
    var beforePrevious: [Int] = []
    var previous = Array(0...b.count)
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var cost = min(previous[j + 1] + 1, row[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforePrevious[j - 1] + 1) }
            row.append(cost)
        }
        beforePrevious = previous
        previous = row
    }
    return previous[b.count]
}
