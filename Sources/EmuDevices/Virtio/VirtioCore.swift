import EmuBus
import Foundation

/// The part of a virtio device that neither its type nor its transport decides: status, features, queues
/// (virtio 1.2, 2.1–2.4 and 3.1).
public final class VirtioCore {
    /// Bits of the device status field (2.1).
    public enum Status {
        public static let acknowledge: UInt8 = 1
        public static let driver: UInt8 = 2
        public static let driverOK: UInt8 = 4
        public static let featuresOK: UInt8 = 8
        public static let needsReset: UInt8 = 64
        public static let failed: UInt8 = 128
    }

    /// What a device tells its driver.
    public enum Notification {
        case usedBuffers(queue: Int)
        case configuration
    }

    public struct State: Codable, Equatable, Sendable {
        public var status: UInt8 = 0
        /// As the driver wrote them, all 64 bits.
        public var driverFeatures: UInt64 = 0
        public var configGeneration: UInt32 = 0
        /// The driver broke a rule that leaves the device unusable until it is reset.
        public var isBroken = false
        public var queues: [QueueState]
        /// Queues whose service was cut short and goes on at the next event.
        var unfinished: [Int] = []
    }

    public let device: any VirtioDevice
    public let memory: DMASpace
    /// True for an interface older than virtio 1.0: no FEATURES_OK, 32 feature bits.
    public private(set) var isLegacy: Bool
    private let legacyFeatures: UInt64
    private let modernFeatures: UInt64
    public let queues: [Virtqueue]
    private let notify: (Notification) -> Void
    private var rounds: ServiceRounds!
    private var status: UInt8 = 0
    private var driverFeatures: UInt64 = 0
    private var isBroken = false
    public private(set) var configGeneration: UInt32 = 0
    /// Requests given back to the driver since the machine was created.
    public private(set) var requestsServed: UInt64 = 0
    /// False while the transport keeps the device from memory. What the driver offers meanwhile is served afterwards.
    public private(set) var reachesMemory = true

    /// - Parameter notify: tells the transport to interrupt the driver.
    public init(device: any VirtioDevice, memory: DMASpace, events: EventQueue, isLegacy: Bool, options: VirtioOptions,
                notify: @escaping (Notification) -> Void) {
        self.device = device
        self.memory = memory
        self.isLegacy = isLegacy
        self.notify = notify
        var features = device.deviceFeatures
        if options.indirectDescriptors { features |= VirtioFeature.indirectDescriptors }
        if options.eventIndex { features |= VirtioFeature.eventIndex }
        legacyFeatures = (features | VirtioFeature.anyLayout) & 0xffff_ffff
        features |= VirtioFeature.version1 | VirtioFeature.ringReset
        if options.packed { features |= VirtioFeature.ringPacked }
        if options.accessPlatform { features |= VirtioFeature.accessPlatform }
        modernFeatures = features
        queues = device.queueSizes.map { Virtqueue(memory: memory, maximumSize: $0) }
        rounds = ServiceRounds("\(device.stateName) queues", events: events) { [unowned self] in process(queue: $0) }
        device.core = self
        negotiate()
    }

    // MARK: For transports

    /// The device status field as the driver reads it.
    public var deviceStatus: UInt8 { status }

    /// What the device offers through the interface in use.
    public var offeredFeatures: UInt64 { isLegacy ? legacyFeatures : modernFeatures }

    /// Features both sides agreed on.
    public var features: UInt64 { driverFeatures & offeredFeatures }

    public func hasFeature(_ bits: UInt64) -> Bool { features & bits == bits }

    /// A write to the device status field; zero resets (2.1, 3.1.1).
    public func writeStatus(_ value: UInt8) {
        if value == 0 {
            reset()
            return
        }
        var new = value | (status & Status.needsReset)
        if !isLegacy && value & Status.featuresOK != 0 && status & Status.featuresOK == 0 && !featuresAcceptable() {
            Log.write(.guestErrors, "\(name): features \(hex(driverFeatures)) refused, \(hex(offeredFeatures)) offered")
            new &= ~Status.featuresOK
        }
        let wasReady = status & Status.driverOK != 0
        status = new
        guard new & Status.driverOK != 0, !wasReady, new & Status.failed == 0 else { return }
        negotiate()
        device.driverReady()
        // What the driver offered before it was ready.
        rounds.serve(Array(queues.indices))
    }

    /// Writes 32 of the driver's feature bits; `half` 0 is the low word.
    public func writeDriverFeatures(half: UInt32, _ value: UInt32) {
        guard half < 2 else { return }
        guard status & Status.featuresOK == 0 || isLegacy else {
            Log.write(.guestErrors, "\(name): features written after FEATURES_OK")
            return
        }
        let shift = UInt64(half) * 32
        driverFeatures = driverFeatures & ~(0xffff_ffff << shift) | UInt64(value) << shift
        negotiate()
    }

    /// 32 of the bits the device offers through one of the interfaces; `half` 0 is the low word.
    public func deviceFeatures(half: UInt32, legacy: Bool) -> UInt32 {
        half < 2 ? UInt32(truncatingIfNeeded: (legacy ? legacyFeatures : modernFeatures) >> (UInt64(half) * 32)) : 0
    }

    /// 32 of the bits the driver has written; `half` 0 is the low word.
    public func driverFeatures(half: UInt32) -> UInt32 {
        half < 2 ? UInt32(truncatingIfNeeded: driverFeatures >> (UInt64(half) * 32)) : 0
    }

    /// Makes one of a transitional device's interfaces the one in use; false when a driver is at work through the other.
    public func selectInterface(legacy: Bool) -> Bool {
        if isLegacy != legacy, status == 0, !queues.contains(where: \.state.ready) {
            isLegacy = legacy
            driverFeatures = 0
            negotiate()
        }
        return isLegacy == legacy
    }

    /// Lets the device reach memory, or keeps it from it, once it has completed what it had begun.
    public func setReachesMemory(_ reaches: Bool) {
        guard reaches != reachesMemory else { return }
        if !reaches { quiesce() }
        reachesMemory = reaches
        rounds.serve(Array(queues.indices))
    }

    /// Makes a configured queue usable, or marks the device broken when the driver configured nonsense.
    public func enableQueue(_ index: Int) {
        guard queues.indices.contains(index), !queues[index].state.ready else { return }
        do { try queues[index].enable() } catch { fail("queue \(index): \(error)") }
    }

    /// Stops a queue and forgets where it was (2.6.1 for VIRTIO_F_RING_RESET).
    public func disableQueue(_ index: Int) {
        guard queues.indices.contains(index) else { return }
        device.quiesce(queue: index)
        queues[index].reset()
    }

    /// The driver's notification for queue `index`. Spurious ones are harmless.
    public func queueNotified(_ index: Int) {
        guard queues.indices.contains(index) else {
            Log.write(.guestErrors, "\(name): notification for queue \(index), which does not exist")
            return
        }
        rounds.serve([index])
    }

    /// Back to power-on, device included.
    public func reset() {
        for index in queues.indices { disableQueue(index) }
        status = 0
        driverFeatures = 0
        isBroken = false
        rounds.restart()
        negotiate()
        device.reset()
    }

    /// Completes every request the device has begun, so that the state is whole.
    public func quiesce() {
        for index in queues.indices { device.quiesce(queue: index) }
    }

    public var state: State {
        get {
            State(status: status, driverFeatures: driverFeatures, configGeneration: configGeneration, isBroken: isBroken,
                  queues: queues.map(\.state), unfinished: rounds.unfinished)
        }
        set {
            quiesce()
            status = newValue.status
            driverFeatures = newValue.driverFeatures
            configGeneration = newValue.configGeneration
            isBroken = newValue.isBroken
            negotiate()
            for (index, saved) in zip(queues.indices, newValue.queues) where !queues[index].restore(saved) {
                fail("queue \(index): its saved state is impossible")
            }
            rounds.restart(newValue.unfinished.filter(queues.indices.contains))
        }
    }

    private var name: String { device.stateName }

    private func featuresAcceptable() -> Bool {
        driverFeatures & ~offeredFeatures == 0 && device.accepts(features: driverFeatures)
            // A driver that does not know of translation would hand out addresses that mean something else (6.1).
            && (offeredFeatures & VirtioFeature.accessPlatform == 0 || driverFeatures & VirtioFeature.accessPlatform != 0)
            // A packed ring needs the modern interface; without this bit the driver claims to be a legacy one.
            && (driverFeatures & VirtioFeature.ringPacked == 0 || driverFeatures & VirtioFeature.version1 != 0)
    }

    private func negotiate() {
        memory.usesPhysicalAddresses = !hasFeature(VirtioFeature.accessPlatform)
        for queue in queues { queue.negotiate(features) }
    }

    // MARK: For devices

    /// True while requests may be taken and given back.
    ///
    /// Legacy drivers may use their queues before they set DRIVER_OK.
    public var isRunning: Bool {
        !isBroken && reachesMemory && status & Status.failed == 0 && status & (isLegacy ? Status.driver | Status.driverOK : Status.driverOK) != 0
    }

    /// The next request of a queue; nil when there is none or the device must not take any.
    public func take(_ index: Int) -> DescriptorChain? {
        guard isRunning else { return nil }
        do { return try queues[index].take() } catch {
            fail("queue \(index): \(error)")
            return nil
        }
    }

    /// Undoes the latest `take`.
    public func putBack(_ index: Int, _ chain: DescriptorChain) { queues[index].putBack(chain) }

    /// Gives requests back, all at once. `signal` tells the driver.
    public func giveBack(_ index: Int, _ used: [(chain: DescriptorChain, written: UInt32)]) {
        guard !isBroken else { return }
        requestsServed &+= UInt64(used.count)
        do { try queues[index].giveBack(used) } catch { fail("queue \(index): \(error)") }
    }

    /// Interrupts the driver if it asked to hear of what was given back.
    public func signal(_ index: Int) {
        guard isRunning else { return }
        do {
            if try queues[index].takeInterruptRequest() { notify(.usedBuffers(queue: index)) }
        } catch { fail("queue \(index): \(error)") }
    }

    /// Serves requests until the driver has offered all it has. `body` returns the number of bytes it wrote into the
    /// request, or nil when it gives the request back itself (by `giveBack` and `signal`).
    ///
    /// A device that writes into its own rings could go on for ever, and a ring of overlapping buffers can ask for more than
    /// the host moves in an hour. So service is cut after twice the ring's requests or when the round is over, and goes on in
    /// the next, which keeps the machine responsive whatever the guest does.
    /// - Parameter canGoOn: false while the device cannot take another request; it serves the queue again when it can.
    public func serve(_ index: Int, while canGoOn: () -> Bool = { true }, _ body: (DescriptorChain) -> UInt32?) {
        rounds.run {
            var budget = 2 * Int(queues[index].maximumSize)
            while canGoOn(), let chain = take(index) {
                if let written = body(chain) { giveBack(index, [(chain, written)]) }
                budget -= 1
                spend(chain.readable.count + chain.writable.count)
                if budget == 0 || rounds.isOver {
                    rounds.postpone(index)
                    break
                }
            }
        }
        signal(index)
    }

    /// Counts work a request makes beyond moving its buffers, in bytes moved in the same time, towards the end of its round.
    public func spend(_ bytes: Int) { rounds.spend(bytes) }

    /// The configuration space changed by itself: new generation, and an interrupt once the driver is ready.
    public func configChanged() {
        configGeneration &+= 1
        if status & Status.driverOK != 0 { notify(.configuration) }
    }

    /// Marks the device unusable until it is reset (2.1.2).
    public func fail(_ reason: String) {
        Log.write(.guestErrors, "\(name): \(reason); the device needs a reset")
        isBroken = true
        status |= Status.needsReset
        if status & Status.driverOK != 0 { notify(.configuration) }
    }

    private func process(queue index: Int) {
        if isRunning, queues[index].state.ready { device.process(queue: index) }
    }
}
