import EmuBus

/// The virtio network device (virtio 1.2, 5.1): one pair of queues, a control queue, a `NetworkBackend` behind it.
public final class VirtioNet: VirtioDevice, NetworkReceiver {
    public struct State: Codable, Equatable, Sendable {
        var mac: MACAddress
        var isLinkUp = true
        var filter = VirtioNetFilter()
    }

    public let stateName: String
    public let deviceID = VirtioDeviceID.network
    public let deviceFeatures: UInt64
    public let queueSizes = VirtioNetConfig.queueSizes
    public weak var core: VirtioCore?
    public var state: State
    private let backend: any NetworkBackend
    private let initialMAC: MACAddress
    private let mtu: UInt16?
    /// A frame refused for want of buffers waits in the backend.
    private var backendWaits = false
    /// Longest frame taken from a guest: the largest IP packet with Ethernet and VLAN headers.
    private static let frameLimit = 65535 + 18

    private enum ControlClass {
        static let rx: UInt8 = 0
        static let mac: UInt8 = 1
        static let vlan: UInt8 = 2
    }

    /// - Parameters:
    ///   - name: unique on the board ("virtio-net0").
    ///   - mtu: largest packet the network takes, if it is to be announced (QEMU's `host_mtu`).
    public init(name: String, backend: any NetworkBackend, mac: MACAddress, mtu: UInt16? = nil) {
        stateName = name
        self.backend = backend
        self.mtu = mtu
        initialMAC = mac
        state = State(mac: mac)
        deviceFeatures = VirtioNetConfig.features(hasMTU: mtu != nil)
        backend.receiver = self
    }

    public var configSpace: [UInt8] {
        VirtioNetConfig.bytes(mac: state.mac, isLinkUp: state.isLinkUp, mtu: mtu)
    }

    /// Legacy drivers set the address here; modern ones through the control queue.
    public func writeConfig(offset: Int, bytes: [UInt8]) {
        guard let core, core.isLegacy, !core.hasFeature(VirtioNetConfig.Feature.controlMAC), offset + bytes.count <= 6 else {
            Log.write(.guestErrors, "\(stateName): write to read-only configuration space at \(offset)")
            return
        }
        var address = state.mac.bytes
        address.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        if let mac = MACAddress(bytes: address) { state.mac = mac }
    }

    public func accepts(features: UInt64) -> Bool {
        features & VirtioNetConfig.Feature.needControlQueue == 0 || features & VirtioNetConfig.Feature.controlQueue != 0
    }

    /// Plugs the cable in or out; the driver is told.
    public func setLink(up: Bool) {
        guard state.isLinkUp != up else { return }
        state.isLinkUp = up
        core?.configChanged()
    }

    public func reset() {
        // The cable is not the guest's to reset.
        state = State(mac: initialMAC, isLinkUp: state.isLinkUp)
        offerRoom()
    }

    public func process(queue index: Int) {
        switch index {
        case VirtioNetConfig.Queue.receive: offerRoom()
        case VirtioNetConfig.Queue.transmit: transmit()
        default: control()
        }
    }

    /// `num_buffers` exists in every header but that of a legacy driver without mergeable buffers (5.1.6.1).
    private var headerSize: Int {
        guard let core else { return VirtioNetHeader.fullSize }
        return core.hasFeature(VirtioFeature.version1) || core.hasFeature(VirtioNetConfig.Feature.mergeableBuffers)
            ? VirtioNetHeader.fullSize : VirtioNetHeader.shortSize
    }

    // MARK: Transmission

    private func transmit() {
        core?.serve(VirtioNetConfig.Queue.transmit) { chain in
            guard let header = VirtioNetHeader(chain.readable), chain.readable.count >= headerSize else {
                core?.fail("transmitted frame without header")
                return nil
            }
            transmit(chain, header)
            return 0
        }
    }

    private func transmit(_ chain: DescriptorChain, _ header: VirtioNetHeader) {
        let length = chain.readable.count - headerSize
        guard length >= 14, length <= Self.frameLimit, header.segmentation == 0 else {
            Log.write(.guestErrors, "\(stateName): frame of \(length) bytes, segmentation type \(header.segmentation), dropped")
            return
        }
        guard state.isLinkUp else { return }
        var frame = chain.readable.bytes(at: headerSize, length)
        frame.withUnsafeMutableBytes { bytes in
            if header.flags & VirtioNetHeader.needsChecksum != 0, !header.completeChecksum(bytes) {
                Log.write(.guestErrors, "\(stateName): checksum at \(header.checksumStart)+\(header.checksumOffset) is outside the frame")
                return
            }
            backend.send(UnsafeRawBufferPointer(bytes))
        }
    }

    // MARK: Reception

    private func offerRoom() {
        guard backendWaits else { return }
        backendWaits = false
        backend.receiverReady()
    }

    public func receive(_ frame: UnsafeRawBufferPointer) -> Bool {
        guard let core, core.isRunning, core.queues[VirtioNetConfig.Queue.receive].state.ready, state.isLinkUp,
              frame.count <= Self.frameLimit,
              state.filter.passes(frame, own: state.mac, filtersVLANs: core.hasFeature(VirtioNetConfig.Feature.controlVLAN)) else {
            return true
        }
        let index = VirtioNetConfig.Queue.receive
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
        deliver(frame, chains, core)
        return true
    }

    private func deliver(_ frame: UnsafeRawBufferPointer, _ chains: [DescriptorChain], _ core: VirtioCore) {
        let header = VirtioNetHeader.received(buffers: chains.count, size: headerSize)
        var used: [(chain: DescriptorChain, written: UInt32)] = []
        var sent = 0
        for (number, chain) in chains.enumerated() {
            let start = number == 0 ? chain.writable.copyIn(header) : 0
            let copied = chain.writable.copyIn(at: start, from: UnsafeRawBufferPointer(rebasing: frame[sent...]))
            sent += copied
            used.append((chain, UInt32(start + copied)))
        }
        core.giveBack(VirtioNetConfig.Queue.receive, used)
        core.signal(VirtioNetConfig.Queue.receive)
    }

    // MARK: Control queue (5.1.6.5)

    private func control() {
        guard let core, core.hasFeature(VirtioNetConfig.Feature.controlQueue) else { return }
        core.serve(VirtioNetConfig.Queue.control) { chain in
            guard let group: UInt8 = chain.readable.load(at: 0), let command: UInt8 = chain.readable.load(at: 1),
                  chain.writable.count >= 1 else {
                core.fail("control command without class, command or place for the acknowledgement")
                return nil
            }
            let data = chain.readable.slice(2, chain.readable.count)
            chain.writable.store(at: 0, UInt8(perform(group, command, data, core) ? 0 : 1))
            return 1
        }
    }

    private func perform(_ group: UInt8, _ command: UInt8, _ data: GuestBuffer, _ core: VirtioCore) -> Bool {
        switch group {
        case ControlClass.rx where core.hasFeature(VirtioNetConfig.Feature.controlRx):
            return state.filter.setMode(command, data.load(at: 0), extra: core.hasFeature(VirtioNetConfig.Feature.controlRxExtra))
        case ControlClass.mac where command == 0 && core.hasFeature(VirtioNetConfig.Feature.controlRx):
            return state.filter.setTables(data)
        case ControlClass.mac where command == 1 && core.hasFeature(VirtioNetConfig.Feature.controlMAC):
            guard data.count == 6, let mac = MACAddress(bytes: data.bytes(6)) else { return false }
            state.mac = mac
            return true
        case ControlClass.vlan where core.hasFeature(VirtioNetConfig.Feature.controlVLAN):
            return state.filter.changeVLAN(command, data.load(at: 0))
        default:
            return false
        }
    }
}
