import EmuBus
import EmuDevices
import Glibc

extension MachineConfig {
    /// What the real-time clock reads when the machine is created on the virtual clock and `-rtc base=` says nothing:
    /// 2025-01-01T00:00:00Z, in seconds since 1970.
    static let virtualEpoch: UInt64 = 1_735_689_600

    /// The wall clock the guest's real-time clock follows: nanoseconds since 1970.
    func wallClock(_ events: EventQueue) -> () -> UInt64 {
        let source = rtcClock ?? (clock == .virtual ? .guest : .host)
        let present = GoldfishRTC.hostClock()
        let start = switch rtc {
        case .automatic: clock == .virtual && source == .guest ? Self.virtualEpoch &* 1_000_000_000 : present
        case .utc: present
        case .localtime: present &+ Self.localOffset()
        case .date(let seconds): seconds &* 1_000_000_000
        }
        switch source {
        case .guest: return GoldfishRTC.virtualClock(events, epoch: start)
        case .host: return { GoldfishRTC.hostClock() &+ (start &- present) }
        case .monotonic:
            let monotonicPresent = HostClock.now()
            return { start &+ (HostClock.now() &- monotonicPresent) }
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
