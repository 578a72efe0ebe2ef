import EmuBus

/// The traditional memory balloon (virtio 1.2, 5.5): the guest gives memory back to the host when asked to, and reports what it has free.
///
/// A page in the balloon and a reported one become holes in the file behind guest memory; a guest that uses them again finds zeros.
public final class VirtioBalloon: VirtioDevice {
    public struct State: Codable, Equatable, Sendable {
        /// Pages the balloon is to hold, and those the driver says it holds.
        var wantedPages: UInt32 = 0
        var actualPages: UInt32 = 0
        /// What the driver fills free pages with.
        var poison: UInt32 = 0
        /// What the driver said of its memory last, by tag.
        var statistics = [UInt64?](repeating: nil, count: VirtioBalloonStatistic.allCases.count)
        /// Guest time of the next question for statistics.
        var nextQuestion = UInt64.max
    }

    public struct Options: Sendable {
        /// The driver takes memory out of the balloon when it runs out of other (`deflate-on-oom`).
        public var deflatesWhenOutOfMemory = false
        /// The driver reports memory it does not use (`free-page-reporting`).
        public var reportsFreePages = false
        /// Nanoseconds between two questions for statistics; 0: only on request.
        public var statisticsInterval: UInt64 = 0

        public init() {}
    }

    enum Feature {
        static let statistics: UInt64 = 1 << 1
        static let deflateWhenOutOfMemory: UInt64 = 1 << 2
        static let pagePoison: UInt64 = 1 << 4
        static let pageReporting: UInt64 = 1 << 5
    }

    private enum Queue {
        static let inflate = 0, deflate = 1, statistics = 2
        /// 4 by the specification; Linux before 6.11 counts only queues that are in use, which makes it 3, where there is no queue for hints.
        static let reporting = 3...4
    }

    private enum ConfigOffset {
        static let actual = 4, poison = 12, end = 16
    }

    /// The unit of everything, whatever pages the guest has (5.5.6).
    private static let pageSize: UInt64 = 4096
    /// Page numbers taken from one request; a driver sends 256.
    private static let requestLimit = 1 << 16
    /// Time giving a page back takes, in bytes moved; see `VirtioCore.spend`.
    private static let pageCost = 16 << 10

    public let stateName: String
    public let deviceID = VirtioDeviceID.balloon
    public let deviceFeatures: UInt64
    public let queueSizes: [UInt16]
    public weak var core: VirtioCore?
    private var ownState = State()
    private let memorySize: UInt64
    private let statisticsInterval: UInt64
    private let events: EventQueue
    private var timer: EventTimer!

    /// - Parameters:
    ///   - name: unique on the board ("virtio-balloon0").
    ///   - memorySize: of the guest, bytes.
    public init(name: String, memorySize: UInt64, events: EventQueue, options: Options = Options()) {
        stateName = name
        self.memorySize = memorySize
        self.events = events
        statisticsInterval = options.statisticsInterval
        var features = Feature.statistics
        if options.deflatesWhenOutOfMemory { features |= Feature.deflateWhenOutOfMemory }
        if options.reportsFreePages { features |= Feature.pageReporting | Feature.pagePoison }
        deviceFeatures = features
        queueSizes = Array(repeating: 128, count: options.reportsFreePages ? 5 : 3)
        timer = events.makeTimer("\(name) statistics") { [unowned self] in
            requestStatistics()
            scheduleStatistics()
        }
    }

    public var state: State {
        get { ownState }
        set {
            ownState = newValue
            if ownState.statistics.count != VirtioBalloonStatistic.allCases.count { ownState.statistics = State().statistics }
            timer.schedule(at: ownState.nextQuestion)
            if ownState.nextQuestion == .max { timer.cancel() }
        }
    }

    // MARK: For the host

    /// Memory the guest has left, bytes.
    public var actualMemory: UInt64 { memorySize - min(memorySize, UInt64(ownState.actualPages) * Self.pageSize) }

    /// Asks the driver to leave the guest `size` bytes, which takes its time; less than none and more than all are neither possible.
    public func setTarget(_ size: UInt64) {
        let pages = UInt32(clamping: (memorySize - min(size, memorySize)) / Self.pageSize)
        guard pages != ownState.wantedPages else { return }
        ownState.wantedPages = pages
        core?.configChanged()
    }

    /// What the driver said of its memory last, in the order of the specification.
    public var statistics: [(name: String, value: UInt64)] {
        VirtioBalloonStatistic.allCases.compactMap { statistic in ownState.statistics[Int(statistic.rawValue)].map { (statistic.name, $0) } }
    }

    /// Asks the driver for new statistics, if it has any to give.
    public func requestStatistics() {
        guard let core, core.isRunning, core.hasFeature(Feature.statistics), let chain = core.take(Queue.statistics) else { return }
        // Using the buffer of the last ones is the question (5.5.6.3).
        core.giveBack(Queue.statistics, [(chain, 0)])
        core.signal(Queue.statistics)
        readStatistics()
    }

    private func scheduleStatistics() {
        guard statisticsInterval > 0 else { return }
        ownState.nextQuestion = events.now &+ statisticsInterval
        timer.schedule(at: ownState.nextQuestion)
    }

    // MARK: VirtioDevice

    public var configSpace: [UInt8] {
        var space = ConfigWriter()
        space.put(ownState.wantedPages)
        space.put(ownState.actualPages)
        space.put(UInt32(0))
        space.put(ownState.poison)
        return space.bytes
    }

    public func writeConfig(offset: Int, bytes: [UInt8]) {
        // Legacy drivers may write single bytes.
        var space = configSpace
        guard offset + bytes.count <= ConfigOffset.end,
              (ConfigOffset.actual..<ConfigOffset.actual + 4).contains(offset) || (ConfigOffset.poison..<ConfigOffset.end).contains(offset) else {
            Log.write(.guestErrors, "\(stateName): write to read-only configuration space at \(offset)")
            return
        }
        space.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        func word(_ offset: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(space[offset + $1]) << UInt32(8 * $1) } }
        ownState.actualPages = word(ConfigOffset.actual)
        ownState.poison = word(ConfigOffset.poison)
    }

    public func driverReady() { scheduleStatistics() }

    public func reset() {
        // A new driver begins with an empty balloon; what the host wants of it stays.
        ownState = State(wantedPages: ownState.wantedPages)
        timer.cancel()
    }

    public func process(queue index: Int) {
        guard let core else { return }
        switch index {
        case Queue.inflate:
            core.serve(index) { chain in
                inflate(chain.readable, core)
                return 0
            }
        // Memory comes back from the host as it is touched.
        case Queue.deflate: core.serve(index) { _ in 0 }
        case Queue.statistics: readStatistics()
        case Queue.reporting:
            core.serve(index) { chain in
                takeReport(chain.writable, core)
                return 0
            }
        default: break
        }
    }

    // MARK: Requests

    private func inflate(_ list: GuestBuffer, _ core: VirtioCore) {
        let bytes = list.bytes(4 * Self.requestLimit)
        core.spend(bytes.count / 4 * Self.pageCost)
        bytes.withUnsafeBytes { numbers in
            // Runs of pages take one call of the host.
            var run: Range<UInt64> = 0..<0
            for index in 0..<numbers.count / 4 {
                let page = UInt64(UInt32(littleEndian: numbers.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)))
                if page == run.upperBound, !run.isEmpty {
                    run = run.lowerBound..<page + 1
                } else if page + 1 == run.lowerBound, !run.isEmpty {
                    run = page..<run.upperBound
                } else {
                    discard(run, core)
                    run = page..<page + 1
                }
            }
            discard(run, core)
        }
    }

    private func discard(_ pages: Range<UInt64>, _ core: VirtioCore) {
        guard !pages.isEmpty else { return }
        core.memory.bus.discard(pages.lowerBound * Self.pageSize, UInt64(pages.count) * Self.pageSize)
    }

    private func takeReport(_ memory: GuestBuffer, _ core: VirtioCore) {
        // A hole reads as zeros, which must be what the driver relies on, if it relies on anything (5.5.6.7).
        guard core.hasFeature(Feature.pageReporting), !core.hasFeature(Feature.pagePoison) || ownState.poison == 0 else { return }
        memory.discard()
    }

    /// Reads the statistics the driver has offered. Their buffer stays in the ring, where the next question finds it.
    private func readStatistics() {
        guard let core, let chain = core.take(Queue.statistics) else { return }
        core.putBack(Queue.statistics, chain)
        var statistics = State().statistics
        for offset in stride(from: 0, to: min(chain.readable.count, VirtioBalloonStatistic.bufferLimit), by: VirtioBalloonStatistic.size) {
            guard let tag: UInt16 = chain.readable.load(at: offset), let value: UInt64 = chain.readable.load(at: offset + 2) else { break }
            if let statistic = VirtioBalloonStatistic(rawValue: tag) { statistics[Int(statistic.rawValue)] = value }
        }
        ownState.statistics = statistics
    }
}

/// One of the things a driver may tell of its memory (virtio 1.2, 5.5.6.4); sizes are bytes.
enum VirtioBalloonStatistic: UInt16, CaseIterable {
    case swapIn, swapOut, majorFaults, minorFaults, free, total, available, caches, hugePages, hugePageFailures

    /// Of one in a buffer: tag and value.
    static let size = 10
    /// Bytes looked at in a buffer, for tags that come later.
    static let bufferLimit = 64 * size

    /// QEMU's words.
    var name: String {
        switch self {
        case .swapIn: "stat-swap-in"
        case .swapOut: "stat-swap-out"
        case .majorFaults: "stat-major-faults"
        case .minorFaults: "stat-minor-faults"
        case .free: "stat-free-memory"
        case .total: "stat-total-memory"
        case .available: "stat-available-memory"
        case .caches: "stat-disk-caches"
        case .hugePages: "stat-htlb-pgalloc"
        case .hugePageFailures: "stat-htlb-pgfail"
        }
    }
}
