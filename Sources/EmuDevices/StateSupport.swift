extension Array {
    /// The array cut or filled up to `count` elements. A restored state may come from a damaged or foreign file,
    /// and a device must be able to index its arrays without looking.
    func fitted(to count: Int, filler: Element) -> [Element] {
        self.count >= count ? Array(prefix(count)) : self + Array(repeating: filler, count: count - self.count)
    }
}
