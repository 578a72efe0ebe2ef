import CHost

/// The host's monotonic clock, which guest time with `--time host`, polling and measurements go by.
public enum HostClock {
    /// Nanoseconds since some moment before the process began; never less than this thread was told before, nor, but for what a processor reads ahead
    /// of its turn (less than 100 ns), than any other was.
    @inline(__always)
    public static func now() -> UInt64 { host_clock_now() }
}
