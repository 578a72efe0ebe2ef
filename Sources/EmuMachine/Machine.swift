import EmuBus
import EmuCPU
import EmuDevices
import Foundation

/// A whole emulated computer: a board, its memory and harts, one clock, and the loop that runs them.
///
/// Everything happens on the thread that calls `run`, except what `MachineStopper` carries in and, where several harts follow the host's
/// clock, the harts themselves (docs/smp.md).
public final class Machine {
    public let config: MachineConfig
    public let host: MachineHost
    let context: BoardContext
    let board: any Board
    public let bus: AddressSpace
    public let events: EventQueue
    package let caches: [TranslationCache]
    /// Whatever waits for descriptors; the command may add its own (a monitor).
    public let pollers: IOPollGroup
    public let harts: [any Hart]

    /// Stops guest time and harts while true; host descriptors are still served.
    public var isPaused = false
    /// Harts that get no turns: a debugger lets the others run alone.
    public var heldHarts: Set<Int> = []
    /// Resets since power-on.
    public private(set) var resets = 0
    let clock = RunClock()
    /// Held while harts run on threads, by whoever deals with anything that is not a hart.
    lazy var machineLock = MachineLock { [stopper = host.stopper] in stopper.wake() }
    /// Hart whose turn is next.
    var nextHart = 0
    /// Looks at harts at work every so many cycles; nil for nobody. Set between slices.
    package weak var sampler: (any HartSampler)?
    /// What runs harts side by side; nil where they take turns.
    let threads: HartThreads?
    /// Hart that ran last, to tell a hart when another ran in between.
    var lastHart: Int?

    /// Assembles the board, loads all images and leaves every hart at its reset vector.
    /// - Throws: `ConfigError` naming the option that cannot be satisfied, or what a device or backend threw.
    public convenience init(_ config: MachineConfig, host: MachineHost = MachineHost()) throws {
        try self.init(config, host: host) { context in
            switch context.config.board {
            case .virt: try VirtBoard(context)
            case .spike: try SpikeBoard(context)
            }
        }
    }

    /// Assembles a machine around a board made by the caller.
    package init(_ config: MachineConfig, host: MachineHost, makeBoard: (BoardContext) throws -> any Board) throws {
        self.config = config
        self.host = host
        context = BoardContext(config: config, host: host)
        bus = context.bus
        events = context.events
        pollers = context.pollers
        board = try makeBoard(context)
        harts = board.harts
        caches = context.caches
        threads = context.group.map { [harts] group in HartThreads(group, harts.compactMap { $0 as? any ParallelHart }) }
        for poller in host.pollers { pollers.add(poller) }
        if host.stopper.readEnd >= 0 { pollers.add(StopPoller(host.stopper)) }
        try board.loadImages(memoryIsClear: true)
    }

    deinit { threads?.end() }

    /// RAM in bytes.
    public var memorySize: UInt64 { board.memory.size }

    /// Devices the user can speak to. Only between slices.
    public var peripherals: MachinePeripherals { context.peripherals }

    // MARK: Reset and power

    /// Asks for a system reset, as the guest could; served by the run loop.
    public func requestReset() {
        context.request(.reset)
        host.stopper.wake()
    }

    /// Puts every device and hart into its power-on state and loads the images again. RAM keeps what they do not cover.
    /// Only between slices.
    package func performReset() throws {
        for device in board.devices { device.reset() }
        for hart in harts { hart.reset() }
        try board.loadImages(memoryIsClear: false)
        for cache in caches { cache.flushAll() }
        resets += 1
        nextHart = 0
        lastHart = nil
    }

    /// Brings every write the guest flushed to the host's files, and the names of translated code to theirs.
    public func close() throws {
        for cache in caches { cache.hostCode?.perfMap?.flush() }
        try board.flush()
    }

    /// Writes what the guest changed on `snapshot=on` disks to their images, as Ctrl-A s asks for. Only between slices.
    public func commitSnapshots() throws { try board.commitSnapshots() }

    /// Plugs a device into a root port, as `device_add` asks for. Only between slices.
    /// - Throws: `ConfigError`, or what a device threw.
    public func plug(_ device: DeviceConfig) throws { try board.plug(device) }

    /// Asks the guest to let go of the device with that id, which may take seconds and may not happen. Only between slices.
    public func unplug(_ id: String) throws(ConfigError) { try board.unplug(id) }

    // MARK: State

    /// Every device whose state belongs to a snapshot; harts and memory come on top.
    public var savedParts: [any Saveable] { board.saveableParts }

    /// A hash over RAM, all devices and all harts: equal for two runs that are in the same state.
    public func stateHash() throws -> UInt64 {
        var hash = StateHash()
        hash.add(UnsafeRawBufferPointer(start: board.memory.host, count: Int(board.memory.size)))
        for part in savedParts {
            hash.add(Array(part.stateName.utf8))
            hash.add(Array(try part.encodedState()))
        }
        for hart in harts { hash.add(try hart.encodedState()) }
        hash.add(withUnsafeBytes(of: (events.mode == .virtual ? events.now : 0).littleEndian) { Array($0) })
        return hash.value
    }

    // MARK: Device tree

    /// The device tree blob as the guest finds it.
    public func deviceTreeBlob() throws -> [UInt8] { try board.deviceTreeBlob() }

    /// Writes the device tree for `-machine dumpdtb=`.
    public func writeDeviceTree(to path: String) throws {
        let blob = try deviceTreeBlob()
        do {
            try Data(blob).write(to: URL(fileURLWithPath: path))
        } catch {
            throw ConfigError("-machine dumpdtb=\(path)", "the file cannot be written: \(error.localizedDescription)")
        }
    }
}

/// Wakes the run loop when a stop is requested from another thread or a signal handler.
private final class StopPoller: IOPoller {
    private let stopper: MachineStopper
    private var index = 0

    init(_ stopper: MachineStopper) { self.stopper = stopper }

    func fillPoll(_ set: PollSet) { index = set.add(stopper.readEnd, .readable) }
    func handlePoll(_ set: PollSet) { if !set.ready(index).isEmpty { stopper.drain() } }
}

/// A 64-bit hash for comparing states; not cryptographic.
struct StateHash {
    private(set) var value: UInt64 = 0x9E37_79B9_7F4A_7C15

    mutating func add(_ bytes: [UInt8]) { bytes.withUnsafeBytes { add($0) } }

    /// SAFETY: reads inside the buffer only.
    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var hash = value ^ UInt64(bytes.count)
        var offset = 0
        while offset &+ 8 <= bytes.count {
            hash = (hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0xFF51_AFD7_ED55_8CCD
            hash ^= hash >> 32
            offset &+= 8
        }
        while offset < bytes.count {
            hash = (hash ^ UInt64(bytes[offset])) &* 0x0000_0100_0000_01B3
            offset += 1
        }
        value = hash
    }
}
