import EmuBus
import EmuCPU
import EmuJIT
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
    /// What the translator did, and the bytes its code takes; nil without one.
    public var translation: TranslationFigures?
    public var translatedBytes = 0
    public var counts: ExecutionCounts

    /// Million guest instructions per host second.
    public var mips: Double { wallSeconds > 0 ? Double(instructions) / wallSeconds / 1e6 : 0 }

    /// The summary line, then indented lines: what the translator did.
    public var summary: String {
        "\(instructions) instructions in \(Self.decimal(wallSeconds, 2)) s (\(Self.decimal(mips, 1)) MIPS), "
            + "guest time \(Self.decimal(guestSeconds, 2)) s, peak memory \(peakResident >> 20) MiB, "
            + "\(blocksDecoded) blocks decoded (\(cacheBytes >> 10) KiB)\n"
            + (translation.map(describe) ?? "")
            + "  TLB misses \(counts.tlbFills), jump cache misses \(counts.jumpCacheMisses)"
    }

    private func describe(_ translation: TranslationFigures) -> String {
        let speed = translation.seconds > 0 ? Double(translation.instructions) / translation.seconds : 0
        let exits = CodeExit.allCases.map { "\($0) \(counts.exits[Int($0.rawValue)])" }.joined(separator: ", ")
        return "  translated: \(translation.units) units, \(translation.blocks) blocks, \(translation.instructions) instructions, "
            + "\(Self.decimal(translation.seconds, 3)) s (\(Self.decimal(speed / 1e6, 2)) million/s, longest \(Self.decimal(translation.longest * 1e3, 2)) ms), "
            + "\(translatedBytes >> 10) KiB in use\n"
            + "  links \(translation.links), units retired \(translation.retired), evictions \(translation.evictions)\n"
            + "  exits: \(exits)\n"
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
            wallSeconds: clock.started.map { Double(HostClock.now() &- $0) / 1e9 } ?? 0,
            guestSeconds: Double(events.now) / 1e9,
            peakResident: UInt64(max(0, usage.ru_maxrss)) << 10,
            cacheBytes: caches.reduce(0) { $0 + $1.bytes },
            blocksDecoded: caches.reduce(0) { $0 + $1.blocksDecoded },
            translation: caches.compactMap { $0.hostCode?.figures }.reduce(nil) { sum, each in sum.map { $0 + each } ?? each },
            translatedBytes: caches.reduce(0) { $0 + ($1.hostCode?.bytes ?? 0) },
            counts: caches.map(\.executionCounts).reduce(ExecutionCounts(), +))
    }
}
