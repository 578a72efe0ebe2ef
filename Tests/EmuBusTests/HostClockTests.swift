import CHost
import EmuBus
import Glibc
import Synchronization
import Testing

@Suite struct HostClockTests {
    /// The kernel's own answer, nanoseconds.
    private func kernelTime() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    @Test func itAgreesWithTheKernelWhileItsLinesFollowEachOther() {
        let start = kernelTime()
        var readings = 0
        while kernelTime() < start + 60_000_000 {
            let before = kernelTime()
            let now = HostClock.now()
            let after = kernelTime()
            // 5 µs: how far the kernel's clock, slewed by 500 ppm, may leave a line of 10 ms; as much again to come back.
            #expect(now + 10_000 >= before && now <= after + 10_000, "\(now) is not between \(before) and \(after)")
            readings += 1
        }
        #expect(readings > 0)
    }

    private final class Seen: Sendable {
        let latest = Atomic<UInt64>(0)
        let backwards = Atomic<UInt64>(0)
    }

    @Test func behindAFenceNoThreadIsToldATickLessThanAnotherWasBefore() async {
        let seen = Seen()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<100_000 {
                        let known = seen.latest.load(ordering: .acquiring)
                        HostClock.fence()
                        let now = HostClock.now()
                        if now < known { seen.backwards.max(known - now, ordering: .relaxed) }
                        seen.latest.max(now, ordering: .acquiringAndReleasing)
                    }
                }
            }
        }
        // Counters of processors may differ by a little; a tick of the guest's clock is 100 ns.
        #expect(seen.backwards.load(ordering: .relaxed) < 100)
    }

    /// One nanosecond a tick from tick 1000, time 5000, on.
    private let line = host_clock_line(base: 1000, time: 5000, rate: 1 << 32, limit: 10_000_000)

    private func next(_ oldTicks: UInt64, _ oldTime: UInt64, _ ticks: UInt64, _ time: UInt64) -> host_clock_line {
        withUnsafePointer(to: line) { host_clock_next($0, oldTicks, oldTime, ticks, time) }
    }

    @Test func aLineEndsAtItsLimitAndDoesNotReachBehindItsBeginning() {
        withUnsafePointer(to: line) { line in
            #expect(host_clock_on(line, 1500) == 5500)
            #expect(host_clock_on(line, 900) == 5000)
            #expect(host_clock_on(line, 1 << 60) == 10_005_000)
        }
    }

    @Test func theNextLineBeginsWithTheKernelsTimeWhereThatIsAhead() {
        let next = next(1000, 5000, 10_001_000, 10_006_000)
        #expect(next.base == 10_001_000 && next.time == 10_006_000)
        #expect(next.rate == UInt64((10_001_000.0 / 10_000_000.0) * 0x1p32))
    }

    @Test func theNextLineBeginsWhereTheOldOneEndsAndRunsSlowerWhereTheKernelIsBehind() {
        let next = next(1000, 5000, 10_001_000, 9_905_000)
        #expect(next.time == 10_005_000)
        // At its end, 10 ms of the kernel's later, it has caught up.
        let end = withUnsafePointer(to: next) { host_clock_on($0, .max >> 1) }
        #expect(abs(Int64(end) - Int64(9_905_000 + 10_000_000)) < 2)
    }

    @Test func aCounterSetBackGivesNoLine() {
        let next = next(5000, 9000, 2000, 12_000)
        #expect(next.limit == 0 && next.time == 12_000)
        #expect(withUnsafePointer(to: next) { host_clock_on($0, 1 << 40) } == 12_000)
    }
}
