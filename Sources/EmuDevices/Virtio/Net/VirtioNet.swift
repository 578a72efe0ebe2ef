import EmuBus

/// The virtio network device (virtio 1.2, 5.1): pairs of queues, a control queue, a `NetworkBackend` behind it.
///
/// Sending is in VirtioNet+Transmit.swift, the control queue in VirtioNet+Control.swift.
public final class VirtioNet: VirtioDevice, NetworkReceiver {
    public struct State: Codable, Equatable, Sendable {
        var mac: MACAddress
        var isLinkUp = true
        var filter = VirtioNetFilter()
        var steering = VirtioNetSteering()
        /// Negotiated offloads for received frames that the driver has switched off since.
        var suspendedOffloads: UInt64 = 0
    }

    public let stateName: String
    public let deviceID = VirtioDeviceID.network
    public let deviceFeatures: UInt64
    public let queueSizes: [UInt16]
    public weak var core: VirtioCore?
    var ownState: State
    let backend: any NetworkBackend
    private let initialMAC: MACAddress
    private let mtu: UInt16?
    let maximumPairs: Int
    /// A frame refused for want of buffers waits in the backend.
    private var backendWaits = false
    /// Longest frame taken from a guest: the largest IP packet with Ethernet and VLAN headers.
    static let frameLimit = 65535 + 18

    /// - Parameters:
    ///   - name: unique on the board ("virtio-net0").
    ///   - mtu: largest packet the network takes, if it is to be announced (QEMU's `host_mtu`).
    ///   - queuePairs: most pairs of queues a driver may use, 1 to `VirtioNetConfig.maximumPairs`.
    ///   - withheld: feature bits of `VirtioNetConfig.switches` that are not offered.
    public init(name: String, backend: any NetworkBackend, mac: MACAddress, mtu: UInt16? = nil, queuePairs: Int = 1, withheld: UInt64 = 0) {
        precondition((1...VirtioNetConfig.maximumPairs).contains(queuePairs))
        stateName = name
        self.backend = backend
        self.mtu = mtu
        maximumPairs = queuePairs
        initialMAC = mac
        ownState = State(mac: mac)
        queueSizes = Array(repeating: VirtioNetConfig.queueSize, count: 2 * queuePairs) + [VirtioNetConfig.controlQueueSize]
        deviceFeatures = VirtioNetConfig.features(hasMTU: mtu != nil, isMultiqueue: queuePairs > 1, withheld: withheld)
        backend.receiver = self
    }

    public var state: State {
        get { ownState }
        set {
            ownState = newValue
            if !ownState.steering.isPossible(maximum: maximumPairs) { ownState.steering = VirtioNetSteering() }
        }
    }

    public var configSpace: [UInt8] {
        VirtioNetConfig.bytes(mac: ownState.mac, isLinkUp: ownState.isLinkUp, pairs: maximumPairs, mtu: mtu)
    }

    /// Legacy drivers set the address here; modern ones through the control queue.
    public func writeConfig(offset: Int, bytes: [UInt8]) {
        guard let core, core.isLegacy, !core.hasFeature(VirtioNetConfig.Feature.controlMAC), offset + bytes.count <= 6 else {
            Log.write(.guestErrors, "\(stateName): write to read-only configuration space at \(offset)")
            return
        }
        var address = ownState.mac.bytes
        address.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        if let mac = MACAddress(bytes: address) { ownState.mac = mac }
    }

    public func accepts(features: UInt64) -> Bool {
        VirtioNetConfig.isConsistent(features)
    }

    /// Plugs the cable in or out; the driver is told.
    public func setLink(up: Bool) {
        guard ownState.isLinkUp != up else { return }
        ownState.isLinkUp = up
        core?.configChanged()
    }

    public func reset() {
        // The cable is not the guest's to reset.
        ownState = State(mac: initialMAC, isLinkUp: ownState.isLinkUp)
        offerRoom()
    }

    /// Behind the pairs a driver that knows only one sees (5.1.2).
    var controlQueue: Int { core?.hasFeature(VirtioNetConfig.Feature.multiqueue) ?? false ? 2 * maximumPairs : 2 }

    public func process(queue index: Int) {
        if index == controlQueue { return control() }
        if index > controlQueue { return }
        if index % 2 == 0 { offerRoom() } else { transmit(pair: index / 2) }
    }

    /// `num_buffers` exists in every header but that of a legacy driver without mergeable buffers (5.1.6.1).
    var headerSize: Int {
        guard let core else { return VirtioNetHeader.fullSize }
        return core.hasFeature(VirtioFeature.version1) || core.hasFeature(VirtioNetConfig.Feature.mergeableBuffers)
            ? VirtioNetHeader.fullSize : VirtioNetHeader.shortSize
    }

    // MARK: Reception

    private func offerRoom() {
        guard backendWaits else { return }
        backendWaits = false
        backend.receiverReady()
    }

    /// Longest frame a guest gets: one that knows the MTU gets nothing beyond it (5.1.4.1).
    private var lengthLimit: Int {
        guard let mtu, let core, core.hasFeature(VirtioNetConfig.Feature.mtu) else { return Self.frameLimit }
        return Int(mtu) + 18
    }

    /// nil when no queue is there to take it.
    private func receiveQueue(for frame: UnsafeRawBufferPointer) -> Int? {
        let steered = 2 * ownState.steering.pair(for: frame)
        return [steered, 0].first { core?.queues[$0].state.ready ?? false }
    }

    public func receive(_ frame: UnsafeRawBufferPointer) -> Bool {
        guard let core, core.isRunning, ownState.isLinkUp, frame.count <= lengthLimit, let index = receiveQueue(for: frame),
              ownState.filter.passes(frame, own: ownState.mac, filtersVLANs: core.hasFeature(VirtioNetConfig.Feature.controlVLAN)) else {
            return true
        }
        let isMergeable = core.hasFeature(VirtioNetConfig.Feature.mergeableBuffers)
        let needed = headerSize + frame.count
        var chains: [DescriptorChain] = []
        var room = 0
        while room < needed {
            guard let chain = core.take(index) else {
                for chain in chains.reversed() { core.putBack(index, chain) }
                // A queue that broke just now takes nothing any more.
                guard core.isRunning else { return true }
                backendWaits = true
                return false
            }
            guard chain.writable.count > (chains.isEmpty ? headerSize : 0) else {
                core.fail("receive buffer of \(chain.writable.count) bytes")
                return true
            }
            chains.append(chain)
            room += chain.writable.count
            if !isMergeable, room < needed {
                Log.write(.guestErrors, "\(stateName): frame of \(frame.count) bytes dropped, receive buffer has \(room)")
                core.putBack(index, chain)
                return true
            }
        }
        deliver(frame, chains, index, core)
        return true
    }

    private func deliver(_ frame: UnsafeRawBufferPointer, _ chains: [DescriptorChain], _ index: Int, _ core: VirtioCore) {
        let isVouchedFor = backend.vouchesForChecksums && core.hasFeature(VirtioNetConfig.Feature.guestChecksum)
            && ownState.suspendedOffloads & VirtioNetConfig.Feature.guestChecksum == 0
        let header = VirtioNetHeader.received(buffers: chains.count, size: headerSize, isVouchedFor: isVouchedFor)
        var used: [(chain: DescriptorChain, written: UInt32)] = []
        var sent = 0
        for (number, chain) in chains.enumerated() {
            let start = number == 0 ? chain.writable.copyIn(header) : 0
            let copied = chain.writable.copyIn(at: start, from: UnsafeRawBufferPointer(rebasing: frame[sent...]))
            sent += copied
            used.append((chain, UInt32(start + copied)))
        }
        core.giveBack(index, used)
        core.signal(index)
    }
}
