#ifndef EMULATE_HOSTCLOCK_H
#define EMULATE_HOSTCLOCK_H

// CLOCK_MONOTONIC in nanoseconds, at half its price: between two looks at the kernel's clock, 10 ms apart, the processor's time-stamp
// counter tells what has passed. Only where the kernel keeps its own time by that counter; elsewhere each reading asks the kernel.

#include <stdatomic.h>
#include <stdint.h>

/// A straight line from ticks of the time-stamp counter to nanoseconds, good for `limit` ticks.
struct host_clock_line {
    uint64_t base;   ///< ticks where it begins
    uint64_t time;   ///< nanoseconds there
    uint64_t rate;   ///< nanoseconds of a tick, times 2^32
    uint64_t limit;  ///< ticks from `base`, exclusive; 0: not usable
};

/// Nanoseconds of `line` at `ticks`: where it ends from there on, where it begins before.
uint64_t host_clock_on(const struct host_clock_line *line, uint64_t ticks);

/// The line that follows `line` when the counter shows `ticks` and the kernel's clock `time`; `old_ticks` and `old_time` are an earlier
/// pair. It begins no earlier than `line` has reached, and where that was ahead of the kernel's clock lets it catch up.
struct host_clock_line host_clock_next(const struct host_clock_line *line, uint64_t old_ticks, uint64_t old_time, uint64_t ticks, uint64_t time);

/// The kernel's clock, and a new line where it is time for one.
uint64_t host_clock_look(void);

/// The line in use. A writer makes `sequence` odd, writes, and makes it even again; a reader that saw it change looks again.
struct host_clock_shared {
    _Atomic uint32_t sequence;
    _Atomic uint64_t base, time, rate, limit;
};
extern struct host_clock_shared host_clock_shared;

/// Keeps later looks at the clock behind earlier loads: the counter is read as soon as the processor likes (Intel SDM volume 2, RDTSC).
static inline void host_clock_fence(void) {
#if defined(__x86_64__)
    __builtin_ia32_lfence();
#endif
}

/// Nanoseconds of CLOCK_MONOTONIC. Never less than this thread was told before, nor, behind `host_clock_fence`, than any other was.
static inline uint64_t host_clock_now(void) {
#if defined(__x86_64__)
    uint32_t sequence = atomic_load_explicit(&host_clock_shared.sequence, memory_order_acquire);
    uint64_t limit = atomic_load_explicit(&host_clock_shared.limit, memory_order_relaxed);
    uint64_t base = atomic_load_explicit(&host_clock_shared.base, memory_order_relaxed);
    uint64_t time = atomic_load_explicit(&host_clock_shared.time, memory_order_relaxed);
    uint64_t rate = atomic_load_explicit(&host_clock_shared.rate, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    uint64_t passed = __builtin_ia32_rdtsc() - base;
    if (passed < limit && !(sequence & 1) && atomic_load_explicit(&host_clock_shared.sequence, memory_order_relaxed) == sequence) {
        return time + (passed * rate >> 32);
    }
#endif
    return host_clock_look();
}

#endif
