import CHost

/// The host's monotonic clock, which guest time with `--time host`, polling and measurements go by.
public enum HostClock {
    /// Nanoseconds since some moment before the process began; never less than this thread was told before, nor, behind `fence`, than any other was.
    @inline(__always)
    public static func now() -> UInt64 { host_clock_now() }

    /// Keeps later calls of `now` behind earlier loads, which a processor may otherwise finish after it has read its counter.
    @inline(__always)
    public static func fence() { host_clock_fence() }
}
