import EmuBus
import EmuDevices
import Glibc

extension MachineConfig {
    /// What the real-time clock reads when the machine is created on the virtual clock and `-rtc base=` says nothing:
    /// 2025-01-01T00:00:00Z, in seconds since 1970.
    static let virtualEpoch: UInt64 = 1_735_689_600

    /// The wall clock the guest's real-time clock follows: nanoseconds since 1970.
    func wallClock(_ events: EventQueue) -> () -> UInt64 {
        switch rtc {
        case .automatic:
            return clock == .virtual
                ? GoldfishRTC.virtualClock(events, epoch: Self.virtualEpoch &* 1_000_000_000) : GoldfishRTC.hostClock
        case .utc: return clock == .virtual ? GoldfishRTC.virtualClock(events, epoch: GoldfishRTC.hostClock()) : GoldfishRTC.hostClock
        case .localtime:
            let offset = Self.localOffset()
            if clock == .virtual { return GoldfishRTC.virtualClock(events, epoch: GoldfishRTC.hostClock() &+ offset) }
            return { GoldfishRTC.hostClock() &+ offset }
        case .date(let seconds): return GoldfishRTC.virtualClock(events, epoch: seconds &* 1_000_000_000)
        }
    }

    /// Local time minus UTC in nanoseconds, modulo 2^64.
    private static func localOffset() -> UInt64 {
        var now = time(nil)
        var local = tm()
        localtime_r(&now, &local)
        return UInt64(bitPattern: Int64(local.tm_gmtoff) &* 1_000_000_000)
    }
}
