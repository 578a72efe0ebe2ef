import CHost

/// The host's monotonic clock, which guest time with `--time host`, polling and measurements go by.
public enum HostClock {
    /// Nanoseconds since some moment before the process began; never less than this thread was told before, nor, behind a sequentially consistent fence,
    /// than any other was. Without one a processor may read its counter before loads that come first in the program.
    @inline(__always)
    public static func now() -> UInt64 { host_clock_now() }
}
