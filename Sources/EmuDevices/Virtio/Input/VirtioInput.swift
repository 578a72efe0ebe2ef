import EmuBus

/// The input device (virtio 1.2, 5.8): a keyboard, mouse or tablet whose events come from the user.
public final class VirtioInput: VirtioDevice {
    public struct State: Codable, Equatable, Sendable {
        /// What the driver looks at in the configuration space.
        var select: UInt8 = 0
        var subselect: UInt8 = 0
        /// Events that wait for buffers of the guest, whole updates.
        var waiting: [InputEvent] = []
        /// Keys that `type` pressed, and the guest time at which they are released.
        var held: [UInt16] = []
        var releaseTime = UInt64.max
        /// Where a tablet points to, and which buttons of a pointing device are down.
        var position: [Int] = [0, 0]
        var buttons = 0
        /// Lamps of the keyboard that are lit, a bit for each.
        var lamps: UInt32 = 0
    }

    private enum Queue {
        static let events = 0, status = 1
    }

    private enum Select {
        static let name: UInt8 = 0x01, ids: UInt8 = 0x03, events: UInt8 = 0x11, axis: UInt8 = 0x12
    }

    /// Fields before the answer in the configuration space, and the answer's room.
    private static let headerSize = 8, answerSize = 128
    private static let eventSize = 8
    /// Events kept for a guest that does not read them; further updates are dropped whole.
    private static let waitingLimit = 1024

    public let stateName: String
    public let deviceID = VirtioDeviceID.input
    public let deviceFeatures: UInt64 = 0
    public let queueSizes: [UInt16] = [64, 64]
    public let hasLegacyInterface = false
    public weak var core: VirtioCore?
    public let kind: InputKind
    private var ownState = State()
    private let events: EventQueue
    private var releaseTimer: EventTimer!

    /// - Parameter name: unique on the board ("virtio-keyboard0").
    public init(name: String, kind: InputKind, events: EventQueue) {
        stateName = name
        self.kind = kind
        self.events = events
        releaseTimer = events.makeTimer("\(name) keys") { [unowned self] in releaseKeys() }
    }

    public var state: State {
        get { ownState }
        set {
            ownState = newValue
            if ownState.position.count != 2 { ownState.position = [0, 0] }
            if ownState.releaseTime == .max { releaseTimer.cancel() } else { releaseTimer.schedule(at: ownState.releaseTime) }
        }
    }

    // MARK: For the user

    /// Presses keys in order and releases them in the other after `duration` nanoseconds; whatever is still held is released first.
    /// - Parameter keys: Linux's key codes.
    public func type(_ keys: [UInt16], for duration: UInt64) {
        releaseKeys()
        for key in keys { send([InputEvent(InputEvent.key, key, 1)]) }
        ownState.held = keys
        ownState.releaseTime = events.now &+ duration
        releaseTimer.schedule(at: ownState.releaseTime)
    }

    private func releaseKeys() {
        for key in ownState.held.reversed() { send([InputEvent(InputEvent.key, key, 0)]) }
        ownState.held = []
        ownState.releaseTime = .max
        releaseTimer.cancel()
    }

    /// Moves a pointing device: a mouse by so many steps, a tablet by so many of the `InputKind.tabletRange` units of each axis.
    /// - Parameter wheel: notches, positive away from the user.
    public func move(x: Int, y: Int, wheel: Int = 0) {
        var update: [InputEvent] = []
        for (axis, distance) in [x, y].enumerated() where distance != 0 {
            if kind == .tablet {
                let (target, isTooFar) = ownState.position[axis].addingReportingOverflow(distance)
                ownState.position[axis] = isTooFar ? (distance < 0 ? 0 : InputKind.tabletRange.upperBound) : min(max(target, 0), InputKind.tabletRange.upperBound)
                update.append(InputEvent(InputEvent.absolute, UInt16(axis), Int32(ownState.position[axis])))
            } else {
                update.append(InputEvent(InputEvent.relative, UInt16(axis), Int32(clamping: distance)))
            }
        }
        if wheel != 0 { update.append(InputEvent(InputEvent.relative, InputKind.wheel, Int32(clamping: wheel))) }
        send(update)
    }

    /// - Parameter buttons: those that are down, a bit for each of `InputKind.buttons`.
    public func press(buttons: Int) {
        let changed = buttons ^ ownState.buttons
        ownState.buttons = buttons
        send(InputKind.buttons.enumerated().filter { changed >> $0.offset & 1 != 0 }
            .map { InputEvent(InputEvent.key, $0.element, Int32(buttons >> $0.offset & 1)) })
    }

    /// Lamps of the keyboard that the guest has lit: bits for Num Lock, Caps Lock, Scroll Lock.
    public var lamps: UInt32 { ownState.lamps }

    /// Queues events as one update.
    private func send(_ update: [InputEvent]) {
        guard !update.isEmpty, let core, core.isRunning else { return }
        guard ownState.waiting.count + update.count < Self.waitingLimit else {
            Log.write(.guestErrors, "\(stateName): events dropped, the guest takes none")
            return
        }
        ownState.waiting += update + [.end]
        deliver()
    }

    private func deliver() {
        guard let core else { return }
        while let event = ownState.waiting.first, let chain = core.take(Queue.events) {
            guard chain.writable.count >= Self.eventSize else {
                core.fail("event buffer of \(chain.writable.count) bytes")
                return
            }
            chain.writable.copyIn(event.bytes)
            ownState.waiting.removeFirst()
            core.giveBack(Queue.events, [(chain, UInt32(Self.eventSize))])
        }
        core.signal(Queue.events)
    }

    // MARK: VirtioDevice

    public var configSpace: [UInt8] {
        let answer = answer
        var space = ConfigWriter()
        space.put(ownState.select)
        space.put(ownState.subselect)
        space.put(UInt8(answer.count))
        for byte in [UInt8](repeating: 0, count: 5) + answer { space.put(byte) }
        return space.bytes + [UInt8](repeating: 0, count: Self.answerSize - answer.count)
    }

    /// What the driver asks for; empty where there is nothing.
    private var answer: [UInt8] {
        var answer = ConfigWriter()
        switch ownState.select {
        case Select.name where ownState.subselect == 0: return Array(kind.title.utf8)
        case Select.ids where ownState.subselect == 0:
            for number in [InputKind.virtualBus, InputKind.vendor, kind.product, InputKind.version] { answer.put(number) }
        case Select.events: return Self.bitmap(kind.codes(ofType: UInt16(ownState.subselect)))
        case Select.axis where kind == .tablet && ownState.subselect <= 1:
            for number in [InputKind.tabletRange.lowerBound, InputKind.tabletRange.upperBound, 0, 0, 0] { answer.put(UInt32(number)) }
        default: break
        }
        return answer.bytes
    }

    private static func bitmap(_ codes: [UInt16]) -> [UInt8] {
        guard let highest = codes.max() else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(highest) / 8 + 1)
        for code in codes { bytes[Int(code) / 8] |= 1 << UInt8(code % 8) }
        return bytes
    }

    public func writeConfig(offset: Int, bytes: [UInt8]) {
        guard offset + bytes.count <= 2 else {
            Log.write(.guestErrors, "\(stateName): write to read-only configuration space at \(offset)")
            return
        }
        for (index, byte) in bytes.enumerated() {
            if offset + index == 0 { ownState.select = byte } else { ownState.subselect = byte }
        }
    }

    public func process(queue index: Int) {
        guard index == Queue.status else { return deliver() }
        core?.serve(index) { chain in
            guard let type: UInt16 = chain.readable.load(at: 0), let code: UInt16 = chain.readable.load(at: 2),
                  let value: UInt32 = chain.readable.load(at: 4) else {
                core?.fail("status of \(chain.readable.count) bytes")
                return nil
            }
            if type == InputEvent.lamp, code < 32 { ownState.lamps = ownState.lamps & ~(1 << UInt32(code)) | (value != 0 ? 1 << UInt32(code) : 0) }
            return 0
        }
    }

    public func reset() {
        ownState = State()
        releaseTimer.cancel()
    }
}
