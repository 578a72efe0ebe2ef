import EmuBus
import EmuCPU
import EmuDevices

/// What a board is assembled from: the parts every machine has, whatever its architecture.
package final class BoardContext {
    package let config: MachineConfig
    package let host: MachineHost
    package let bus = AddressSpace()
    package let events: EventQueue
    /// One for all harts, or one for each that runs on a thread of its own.
    package private(set) var caches: [TranslationCache]
    /// The harts on threads of their own; nil where harts take turns. A board that has such harts sets it.
    package var group: HartGroup?
    package let pollers = IOPollGroup()
    let peripherals = MachinePeripherals()
    /// What the guest asked of the machine as a whole and the run loop has not served yet.
    var powerRequest: PowerRequest?
    /// The hart that runs now.
    var runningHart: (any Hart)?

    init(config: MachineConfig, host: MachineHost) {
        self.config = config
        self.host = host
        events = EventQueue(mode: config.clock)
        caches = [TranslationCache(bus: bus)]
        events.deadlineMoved = { [unowned self] in
            runningHart?.requestExit()
            if let lock = bus.lock { lock.wakeMachine(before: events.nextHostDeadline) }
        }
    }

    deinit { bus.unmapAll() }

    package var wantsThreads: Bool { config.wantsThreads }

    /// Gives each hart a cache of its own. Before anything is decoded.
    /// - Parameter capacity: bytes of decoded instructions in each.
    package func makeCaches(_ count: Int, capacity: Int) { caches = (0..<count).map { _ in TranslationCache(bus: bus, capacity: capacity) } }

    /// Takes a guest's power request; the first one of a slice counts. Ends the slice in hand.
    package func request(_ request: PowerRequest) {
        if powerRequest == nil { powerRequest = request }
        runningHart?.requestExit()
        if let lock = bus.lock {
            group?.freeze()
            lock.wakeMachine()
        }
    }
}

/// A machine model: which harts and devices there are, where, and how software is started on them.
///
/// Boards are the only part of this module that knows an architecture.
package protocol Board: AnyObject {
    var harts: [any Hart] { get }
    /// Everything with registers, for reset.
    var devices: [any MMIODevice] { get }
    /// Everything whose state belongs to a snapshot, harts excepted.
    var saveableParts: [any Saveable] { get }
    var memory: GuestRAM { get }

    /// Loads the images and the device tree into freshly reset memory and says where harts start.
    /// - Parameter memoryIsClear: true at power-on, when RAM still reads as zero everywhere.
    func loadImages(memoryIsClear: Bool) throws
    /// The device tree as the guest gets it.
    func deviceTreeBlob() throws -> [UInt8]
    /// Called between slices, for devices the guest talks to through memory alone.
    func poll()
    /// There are such devices.
    var isPolled: Bool { get }
    /// Brings everything the guest wrote to disks to the host.
    func flush() throws
    /// Writes what the guest changed on `snapshot=on` disks to their images.
    func commitSnapshots() throws
    /// Plugs a device in while the guest runs.
    func plug(_ device: DeviceConfig) throws
    /// Asks the guest to let the device with that id go.
    func unplug(_ id: String) throws(ConfigError)
}

extension Board {
    package func plug(_ device: DeviceConfig) throws {
        throw ConfigError("device_add \(device.driver)", "the board has no place for devices that come while the guest runs")
    }

    package func unplug(_ id: String) throws(ConfigError) { throw ConfigError("device_del \(id)", "the board has no such device") }
}

extension Board {
    package var isPolled: Bool { false }
}
