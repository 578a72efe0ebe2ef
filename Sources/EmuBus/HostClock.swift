import CHost

/// The host's monotonic clock, which guest time with `--time host`, polling and measurements go by.
public enum HostClock {
    /// Nanoseconds since some moment before the process began; never less than any thread was told before.
    @inline(__always)
    public static func now() -> UInt64 { host_clock_now() }
}
