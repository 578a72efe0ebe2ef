import EmuBus
import Glibc

/// Google Goldfish real-time clock: nanoseconds since 1970-01-01 in two 32-bit halves, and one alarm.
public final class GoldfishRTC: MMIODevice, Saveable {
    public static let size: UInt64 = 0x1000
    public static let accessSizes: AccessSizes = .word

    private enum Register {
        static let timeLow: UInt64 = 0x00, timeHigh: UInt64 = 0x04
        static let alarmLow: UInt64 = 0x08, alarmHigh: UInt64 = 0x0C
        static let interruptEnable: UInt64 = 0x10, clearAlarm: UInt64 = 0x14
        static let alarmStatus: UInt64 = 0x18, clearInterrupt: UInt64 = 0x1C
    }

    /// Guest-visible state.
    public struct State: Codable, Equatable {
        /// What the guest added to the clock by setting it, in nanoseconds modulo 2^64.
        public var adjustment: UInt64 = 0
        /// High half latched by the last read of the low half.
        public var latchedHigh: UInt32 = 0
        /// Alarm time in nanoseconds since 1970.
        public var alarm: UInt64 = 0
        public var alarmArmed = false
        public var interruptEnabled = false
        public var interruptPending = false
    }

    public let name: String
    private let events: EventQueue
    private let interrupt: InterruptLine
    private let wallClock: () -> UInt64
    private var current = State()
    private var timer: EventTimer!

    /// - Parameter wallClock: nanoseconds since 1970 before the guest's own adjustments; `hostClock` or `virtualClock`.
    public init(name: String = "rtc", events: EventQueue, interrupt: InterruptLine, wallClock: @escaping () -> UInt64) {
        self.name = name
        self.events = events
        self.interrupt = interrupt
        self.wallClock = wallClock
        timer = events.makeTimer("\(name) alarm") { [unowned self] in checkAlarm() }
    }

    /// The host's wall clock.
    public static func hostClock() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(bitPattern: Int64(time.tv_sec)) &* 1_000_000_000 &+ UInt64(bitPattern: Int64(time.tv_nsec))
    }

    /// A clock that read `epoch` nanoseconds since 1970 when the machine was created and follows guest time.
    public static func virtualClock(_ events: EventQueue, epoch: UInt64) -> () -> UInt64 {
        { [unowned events] in epoch &+ events.now }
    }

    /// The time the guest sees, in nanoseconds since 1970.
    public var time: UInt64 { wallClock() &+ current.adjustment }

    // MARK: Registers

    public func peek(_ offset: UInt64, size: Int) -> UInt64? { offset == Register.timeLow ? time & 0xFFFF_FFFF : read(offset, size: size) }

    public func read(_ offset: UInt64, size: Int) -> UInt64 {
        switch offset {
        case Register.timeLow:
            let now = time
            current.latchedHigh = UInt32(now >> 32)
            return now & 0xFFFF_FFFF
        case Register.timeHigh: return UInt64(current.latchedHigh)
        case Register.alarmLow: return current.alarm & 0xFFFF_FFFF
        case Register.alarmHigh: return current.alarm >> 32
        case Register.interruptEnable: return current.interruptEnabled ? 1 : 0
        case Register.alarmStatus: return current.alarmArmed ? 1 : 0
        default:
            Log.write(.guestErrors, "\(name): read of write-only or unused offset \(hex(offset))")
            return 0
        }
    }

    public func write(_ offset: UInt64, _ value: UInt64, size: Int) {
        let half = value & 0xFFFF_FFFF
        switch offset {
        case Register.timeLow: setTime { $0 & ~0xFFFF_FFFF | half }
        case Register.timeHigh: setTime { $0 & 0xFFFF_FFFF | half << 32 }
        case Register.alarmLow:
            current.alarm = current.alarm & ~0xFFFF_FFFF | half
            current.alarmArmed = true  // the high half comes first, the low half arms
            checkAlarm()
        case Register.alarmHigh: current.alarm = current.alarm & 0xFFFF_FFFF | half << 32
        case Register.interruptEnable:
            current.interruptEnabled = half & 1 != 0
            update()
        case Register.clearAlarm:
            current.alarmArmed = false
            timer.cancel()
        case Register.clearInterrupt:
            current.interruptPending = false
            update()
        default:
            Log.write(.guestErrors, "\(name): write of read-only or unused offset \(hex(offset))")
        }
    }

    private func setTime(_ change: (UInt64) -> UInt64) {
        let now = time
        current.adjustment = current.adjustment &+ (change(now) &- now)
        if current.alarmArmed { checkAlarm() }
    }

    /// Fires an armed alarm that is due, or waits for it. The wall clock may have been set meanwhile, so the timer
    /// only ever asks this question again.
    private func checkAlarm() {
        let now = time
        if now >= current.alarm {
            current.alarmArmed = false
            current.interruptPending = true
            timer.cancel()
            update()
        } else {
            let (deadline, overflow) = events.now.addingReportingOverflow(current.alarm - now)
            if overflow { timer.cancel() } else { timer.schedule(at: deadline) }
        }
    }

    private func update() { interrupt.set(current.interruptPending && current.interruptEnabled) }

    public func reset() {
        current = State()
        timer.cancel()
        update()
    }

    // MARK: State

    public var stateName: String { name }

    public var state: State {
        get { current }
        set {
            current = newValue
            timer.cancel()
            if current.alarmArmed { checkAlarm() }
            update()
        }
    }

    // MARK: Device tree

    /// `rtc@…`.
    public func fdtNode(at base: UInt64, interruptParent: UInt32) -> FDTNode {
        var node = FDTNode("rtc@" + String(base, radix: 16))
        node.set("compatible", "google,goldfish-rtc")
        node.set("reg", pairs: [base, Self.size])
        node.set("interrupt-parent", cells: [interruptParent])
        node.set("interrupts", cells: [UInt32(interrupt.number)])
        return node
    }
}
