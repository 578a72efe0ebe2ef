import EmuBus
import EmuCPU
import Glibc

/// What a run did and cost, for `--stats`.
public struct MachineStatistics: Sendable {
    /// Instructions retired by all harts.
    public var instructions: UInt64
    /// Host seconds since `run` was first called.
    public var wallSeconds: Double
    /// Seconds of guest time since the machine was created.
    public var guestSeconds: Double
    /// Bytes of the process that were resident at most, guest RAM included.
    public var peakResident: UInt64
    /// Bytes held for decoded code, and blocks decoded so far.
    public var cacheBytes: Int
    public var blocksDecoded: Int

    /// Million guest instructions per host second.
    public var mips: Double { wallSeconds > 0 ? Double(instructions) / wallSeconds / 1e6 : 0 }

    /// The summary line.
    public var summary: String {
        "\(instructions) instructions in \(Self.decimal(wallSeconds, 2)) s (\(Self.decimal(mips, 1)) MIPS), "
            + "guest time \(Self.decimal(guestSeconds, 2)) s, peak memory \(peakResident >> 20) MiB, "
            + "\(blocksDecoded) blocks decoded (\(cacheBytes >> 10) KiB)"
    }

    private static func decimal(_ value: Double, _ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (value * scale).rounded()
        guard scaled.isFinite, scaled < 1e15 else { return "\(value)" }
        let whole = Int(scaled), unit = Int(scale)
        let fraction = String(whole % unit)
        return "\(whole / unit)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }
}

extension Machine {
    public var statistics: MachineStatistics {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return MachineStatistics(
            instructions: harts.reduce(0) { $0 &+ $1.retired },
            wallSeconds: clock.started.map { Double(RunClock.now() &- $0) / 1e9 } ?? 0,
            guestSeconds: Double(events.now) / 1e9,
            peakResident: UInt64(max(0, usage.ru_maxrss)) << 10,
            cacheBytes: cache.bytes,
            blocksDecoded: cache.blocksDecoded)
    }
}
