import EmuBus

/// The virtio block device (virtio 1.2, 5.2): a disk kept by a `BlockBackend`.
public final class VirtioBlock: VirtioDevice {
    public struct State: Codable, Equatable, Sendable {
        /// The cache mode the driver chose; nil until it does.
        var writeback: Bool?
    }

    public let stateName: String
    public let deviceID = VirtioDeviceID.block
    public let deviceFeatures: UInt64
    public let queueSizes: [UInt16]
    public weak var core: VirtioCore?
    public var state = State()
    /// Told of every operation the host failed, after the guest got its I/O error. A full disk ends up here.
    public var hostErrorHandler: ((HostError) -> Void)?
    private let disk: any BlockBackend
    private let serial: [UInt8]
    /// The queue requests are being taken from: its completions then need not signal, the end of the round does.
    private var servedQueue: Int?

    /// - Parameters:
    ///   - name: unique on the board ("virtio-blk0").
    ///   - serial: what the guest sees as the disk's serial number; at most 20 bytes of it.
    ///   - queues: request queues, at least 1; a driver with several harts uses one for each.
    public init(name: String, disk: any BlockBackend, serial: String = "", queues: Int = 1) {
        stateName = name
        self.disk = disk
        self.serial = Array(serial.utf8).fitted(to: VirtioBlockRequest.serialSize, filler: 0)
        queueSizes = Array(repeating: VirtioBlockConfig.queueSize, count: max(1, queues))
        deviceFeatures = VirtioBlockConfig.features(isReadOnly: disk.isReadOnly, queues: queues)
    }

    public var configSpace: [UInt8] {
        VirtioBlockConfig.bytes(sectors: disk.size / 512, writeback: writeback, queues: queueSizes.count)
    }

    public func writeConfig(offset: Int, bytes: [UInt8]) {
        guard offset == VirtioBlockConfig.writebackOffset, let value = bytes.first, value <= 1 else {
            Log.write(.guestErrors, "\(stateName): write to read-only configuration space at \(offset)")
            return
        }
        state.writeback = value == 1
    }

    /// 5.2.5.2: a driver that can switch the mode but not flush starts with writes that are stable.
    private var writeback: Bool {
        if let chosen = state.writeback { return chosen }
        guard let core, !core.isLegacy, core.hasFeature(VirtioBlockConfig.Feature.configWCE) else { return true }
        return core.hasFeature(VirtioBlockConfig.Feature.flush)
    }

    /// True when a write must be on stable storage before it completes (5.2.6.2).
    private var isWritethrough: Bool {
        guard let core else { return true }
        if core.hasFeature(VirtioBlockConfig.Feature.configWCE) { return !writeback }
        return !core.hasFeature(VirtioBlockConfig.Feature.flush)
    }

    public func process(queue index: Int) {
        servedQueue = index
        core?.serve(index) { chain in
            start(chain, index)
            return nil
        }
        servedQueue = nil
    }

    private func start(_ chain: DescriptorChain, _ queue: Int) {
        guard let request = VirtioBlockRequest(chain, disk: disk, offersRanges: !disk.isReadOnly) else {
            core?.fail("block request without header or status")
            return
        }
        switch request.action {
        case .refuse(let status):
            complete(request, status, queue)
        case .identify(let target):
            target.copyIn(serial)
            complete(request, .ok, queue)
        case .disk(let operation, let filled):
            core?.spend(Self.cost(operation))
            disk.submit(operation) { [self] error in
                filled?.didWrite()
                if error == nil, isWritethrough, Self.changesDisk(operation) {
                    disk.submit(.flush) { [self] error in finish(request, error, queue) }
                } else {
                    finish(request, error, queue)
                }
            }
        }
    }

    /// Time an operation may take beyond that of its buffers, in bytes; see `VirtioCore.spend`.
    private static func cost(_ operation: BlockOperation) -> Int {
        switch operation {
        case .read, .write: 0
        case .flush, .discard: 1 << 20
        case .writeZeroes(_, let length, _): Int(clamping: length)
        }
    }

    private static func changesDisk(_ operation: BlockOperation) -> Bool {
        switch operation {
        case .write, .writeZeroes, .discard: true
        case .read, .flush: false
        }
    }

    private func finish(_ request: VirtioBlockRequest, _ error: HostError?, _ queue: Int) {
        complete(request, error == nil ? .ok : .ioError, queue)
        if let error { hostErrorHandler?(error) }
    }

    private func complete(_ request: VirtioBlockRequest, _ status: VirtioBlockRequest.Status, _ queue: Int) {
        core?.giveBack(queue, [(request.chain, request.finish(status))])
        if servedQueue != queue { core?.signal(queue) }
    }

    public func quiesce(queue index: Int) { disk.drain() }

    public func reset() { state = State() }
}
