import EmuBus

/// The SCSI host (virtio 1.2, 5.6): carries commands to `SCSIUnit`s.
public final class VirtioSCSI: VirtioDevice {
    public struct State: Codable, Equatable, Sendable {
        /// Bytes of sense data and of command blocks in every request, as the driver chose them.
        var senseSize: UInt32 = 96
        var commandSize: UInt32 = 32
        /// In the order of addresses.
        var units: [SCSIUnit.State] = []
    }

    /// Where a unit is.
    public struct Address: Hashable, Comparable, Sendable {
        public let target: UInt8
        /// 0 to 16383.
        public let unit: UInt16

        public init(target: UInt8, unit: UInt16) {
            self.target = target
            self.unit = unit
        }

        public static func < (first: Address, second: Address) -> Bool { (first.target, first.unit) < (second.target, second.unit) }
    }

    private enum Queue {
        static let control = 0, event = 1, firstRequest = 2
    }

    /// Answers of the host, not of a unit (5.6.6.1, 5.6.6.2).
    private enum Response {
        static let ok: UInt8 = 0, overrun: UInt8 = 1, badTarget: UInt8 = 3, failure: UInt8 = 9
        static let rejected: UInt8 = 11, incorrectUnit: UInt8 = 12
    }

    private enum ConfigOffset {
        static let senseSize = 20, commandSize = 24, end = 28
    }

    private enum Manage {
        static let task: UInt32 = 0, query: UInt32 = 1, subscribe: UInt32 = 2
        static let clearACA: UInt32 = 2, nexusReset: UInt32 = 4, unitReset: UInt32 = 5, last: UInt32 = 7
    }

    public static let unitRange = 0...16383
    private static let queueSize: UInt16 = 256
    /// What a driver may set the two sizes to.
    private static let senseSizes: ClosedRange<UInt32> = 0...4096, commandSizes: ClosedRange<UInt32> = 6...260
    /// Before the command block, and before the sense data.
    private static let requestHeader = 19, responseHeader = 12

    public let stateName: String
    public let deviceID = VirtioDeviceID.scsi
    public let deviceFeatures: UInt64 = 0
    public let queueSizes: [UInt16]
    public weak var core: VirtioCore?
    private var senseSize = State().senseSize
    private var commandSize = State().commandSize
    private let units: [Address: SCSIUnit]
    private let addresses: [Address]
    /// The queue requests are being taken from: its completions then need not signal, the end of the round does.
    private var servedQueue: Int?

    /// - Parameters:
    ///   - name: unique on the board ("virtio-scsi0").
    ///   - queues: of requests, at least 1.
    public init(name: String, units: [Address: SCSIUnit], queues: Int = 1) {
        stateName = name
        self.units = units
        addresses = units.keys.sorted()
        queueSizes = Array(repeating: Self.queueSize, count: Queue.firstRequest + max(1, queues))
        for unit in units.values { unit.spend = { [unowned self] in core?.spend($0) } }
    }

    public var state: State {
        get { State(senseSize: senseSize, commandSize: commandSize, units: addresses.compactMap { units[$0]?.state }) }
        set {
            senseSize = Self.senseSizes.contains(newValue.senseSize) ? newValue.senseSize : State().senseSize
            commandSize = Self.commandSizes.contains(newValue.commandSize) ? newValue.commandSize : State().commandSize
            for (address, saved) in zip(addresses, newValue.units) { units[address]?.state = saved }
        }
    }

    public var configSpace: [UInt8] {
        var space = ConfigWriter()
        let segments = UInt32(Self.queueSize) - 2
        for word in [UInt32(queueSizes.count - Queue.firstRequest), segments, 0xffff, 128, 16, senseSize, commandSize] { space.put(word) }
        space.put(UInt16(0))
        // Units neither come nor go, so that drivers need not look behind the last.
        space.put(UInt16(addresses.last?.target ?? 0))
        space.put(UInt32(addresses.map(\.unit).max() ?? 0))
        return space.bytes
    }

    public func writeConfig(offset: Int, bytes: [UInt8]) {
        // Legacy drivers write single bytes.
        var space = configSpace
        var sizes: (sense: UInt32, command: UInt32)?
        if offset >= ConfigOffset.senseSize, offset + bytes.count <= ConfigOffset.end {
            space.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            func word(_ offset: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(space[offset + $1]) << UInt32(8 * $1) } }
            sizes = (word(ConfigOffset.senseSize), word(ConfigOffset.commandSize))
        }
        guard let sizes, Self.senseSizes.contains(sizes.sense), Self.commandSizes.contains(sizes.command) else {
            Log.write(.guestErrors, "\(stateName): write of \(bytes) to the configuration space at \(offset)")
            return
        }
        senseSize = sizes.sense
        commandSize = sizes.command
    }

    public func quiesce(queue index: Int) {
        for address in addresses { units[address]?.disk.drain() }
    }

    public func reset() {
        senseSize = State().senseSize
        commandSize = State().commandSize
        for address in addresses { units[address]?.reset() }
    }

    public func process(queue index: Int) {
        switch index {
        case Queue.control:
            core?.serve(index) { chain in manage(chain) }
        // Nothing happens that a driver is to be told of unasked: its buffers stay with it.
        case Queue.event: break
        default:
            servedQueue = index
            core?.serve(index) { chain in
                start(chain, index)
                return nil
            }
            servedQueue = nil
        }
    }

    // MARK: Addresses

    private enum Destination {
        case unit(SCSIUnit), missingUnit, missingTarget
        /// The well-known one that lists the others.
        case list
    }

    private func destination(_ bytes: [UInt8]) -> (Destination, target: UInt8) {
        if bytes[0] == 0xc1, bytes[1] == 0x01 { return (.list, 0) }
        let target = bytes[1]
        guard bytes[0] == 1, bytes[2] & 0x80 == 0, addresses.contains(where: { $0.target == target }) else { return (.missingTarget, target) }
        let number = UInt16(bytes[2] & 0x3f) << 8 | UInt16(bytes[3])
        return (units[Address(target: target, unit: number)].map { .unit($0) } ?? .missingUnit, target)
    }

    // MARK: Requests

    private func start(_ chain: DescriptorChain, _ queue: Int) {
        let request = chain.readable, header = Self.requestHeader + Int(commandSize), answer = Self.responseHeader + Int(senseSize)
        guard request.count >= header, chain.writable.count >= answer else {
            core?.fail("request of \(request.count) bytes with room for \(chain.writable.count)")
            return
        }
        let dataOut = request.slice(header, request.count), dataIn = chain.writable.slice(answer, chain.writable.count)
        func finish(_ response: UInt8) { complete(chain, queue, response, .good(), dataOut.count + dataIn.count, 0) }
        // Both at once need a feature that is not offered.
        if dataOut.count > 0, dataIn.count > 0 { return finish(Response.failure) }
        let command = SCSICommand(bytes: request.bytes(at: Self.requestHeader, Int(commandSize)))
        let task = SCSITask(command: Self.trimmed(command), dataOut: dataOut, dataIn: dataIn) { [self] outcome in
            let isRead = dataIn.count > 0
            complete(
                chain, queue, outcome.isOverrun ? Response.overrun : Response.ok, outcome, dataOut.count + dataIn.count - outcome.transferred,
                isRead ? outcome.transferred : 0)
        }
        switch destination(request.bytes(8)) {
        case (.missingTarget, _): finish(Response.badTarget)
        case (.list, _): listUnits(task, nil)
        case (_, let target) where command.operation == 0xa0: listUnits(task, target)
        case (.missingUnit, _): answerForNobody(task)
        case (.unit(let unit), _): unit.perform(task)
        }
    }

    /// The command without the bytes its operation code does not have (SPC-5, 4.2.5.1).
    private static func trimmed(_ command: SCSICommand) -> SCSICommand {
        let lengths = [6, 10, 10, 0, 16, 12, 0, 0]
        let length = lengths[Int(command.operation >> 5)]
        return length == 0 ? command : SCSICommand(bytes: Array(command.bytes.prefix(length)))
    }

    private func listUnits(_ task: SCSITask, _ target: UInt8?) {
        guard task.command.operation == 0xa0 else { return answerForNobody(task) }
        var entries: [UInt8] = []
        for address in addresses where address.target == target {
            entries += [address.unit < 256 ? 0 : 0x40 | UInt8(address.unit >> 8), UInt8(address.unit & 0xff), 0, 0, 0, 0, 0, 0]
        }
        task.answer(bigEndian(UInt64(entries.count), 4) + [0, 0, 0, 0] + entries, limit: task.command.number(6, 4))
    }

    /// What an address without a unit says (SPC-5, 6.6.2 and 5.9).
    private func answerForNobody(_ task: SCSITask) {
        switch task.command.operation {
        case 0x12: task.answer([0x7f, 0, 5, 2, 31] + [UInt8](repeating: 0, count: 31), limit: task.command.number(3, 2))
        case 0x03: task.answer(SCSISense.noSuchUnit.bytes, limit: task.command.number(4, 1))
        default: task.complete(.failed(.noSuchUnit))
        }
    }

    private func complete(_ chain: DescriptorChain, _ queue: Int, _ response: UInt8, _ outcome: SCSIOutcome, _ residual: Int, _ read: Int) {
        let sense = (outcome.sense?.bytes ?? []).prefix(Int(senseSize))
        var header = ConfigWriter()
        header.put(UInt32(sense.count))
        header.put(UInt32(clamping: residual))
        header.put(UInt16(0))
        header.put(outcome.status)
        header.put(response)
        chain.writable.copyIn(header.bytes + sense)
        // Bytes count up to the first hole, which is behind short sense data.
        let written = read > 0 || sense.count == Int(senseSize) ? Self.responseHeader + Int(senseSize) + read : Self.responseHeader + sense.count
        core?.giveBack(queue, [(chain, UInt32(clamping: written))])
        if servedQueue != queue { core?.signal(queue) }
    }

    // MARK: Task management (5.6.6.2)

    private func manage(_ chain: DescriptorChain) -> UInt32? {
        guard let type: UInt32 = chain.readable.load(at: 0), chain.writable.count >= 1 else {
            core?.fail("control request of \(chain.readable.count) bytes")
            return nil
        }
        if type == Manage.query || type == Manage.subscribe {
            // No events are reported.
            guard chain.writable.count >= 5 else {
                core?.fail("control request with room for \(chain.writable.count) bytes")
                return nil
            }
            chain.writable.copyIn([0, 0, 0, 0, Response.ok])
            return 5
        }
        guard type == Manage.task, let subtype: UInt32 = chain.readable.load(at: 4), chain.readable.count >= 24 else {
            chain.writable.store(at: 0, Response.failure)
            return 1
        }
        chain.writable.store(at: 0, manage(subtype, chain.readable.bytes(at: 8, 8)))
        return 1
    }

    private func manage(_ subtype: UInt32, _ address: [UInt8]) -> UInt8 {
        let (destination, target) = destination(address)
        if case .missingTarget = destination { return Response.badTarget }
        guard subtype <= Manage.last, subtype != Manage.clearACA else { return Response.rejected }
        if subtype == Manage.nexusReset {
            for address in addresses where address.target == target { settle(units[address], isReset: true) }
            return Response.ok
        }
        guard case .unit(let unit) = destination else { return Response.incorrectUnit }
        // What was to be aborted has been completed then, and what was asked for is not there any more.
        settle(unit, isReset: subtype == Manage.unitReset)
        return Response.ok
    }

    private func settle(_ unit: SCSIUnit?, isReset: Bool) {
        unit?.disk.drain()
        if isReset { unit?.state.attention = .powerOn }
    }
}
