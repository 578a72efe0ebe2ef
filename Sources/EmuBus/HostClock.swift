import Glibc

/// The host's monotonic clock, which guest time with `--time host`, polling and measurements go by.
public enum HostClock {
    /// Nanoseconds since some moment before the process began.
    public static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
