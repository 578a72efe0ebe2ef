import EmuBus

/// An interrupt sink that remembers the level of every input and how often it rose.
public final class InterruptRecorder: InterruptSink {
    private var levels: [Int: Bool] = [:]
    public private(set) var rises: [Int: Int] = [:]

    public init() {}

    public func setInterrupt(_ number: Int, level: Bool) {
        if level, levels[number] != true { rises[number, default: 0] += 1 }
        levels[number] = level
    }

    /// The inputs that are high now.
    public var high: Set<Int> { Set(levels.filter(\.value).keys) }

    /// Level of input `number`; an input nobody drove is low.
    public subscript(_ number: Int) -> Bool { levels[number] ?? false }
}
