#include "HostClock.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const uint64_t period = 10000000;  // nanoseconds a line is good for: the kernel's clock may change its rate by 500 ppm, which makes 5 µs

struct host_clock_shared host_clock_shared;

static uint64_t kernel_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t host_clock_on(const struct host_clock_line *line, uint64_t ticks) {
    int64_t passed = (int64_t)(ticks - line->base);
    if (passed < 0) return line->time;  // a processor whose counter is a little behind
    return line->time + (((uint64_t)passed < line->limit ? (uint64_t)passed : line->limit) * line->rate >> 32);
}

struct host_clock_line host_clock_next(const struct host_clock_line *line, uint64_t old_ticks, uint64_t old_time, uint64_t ticks, uint64_t time) {
    uint64_t given = host_clock_on(line, ticks);
    struct host_clock_line next = {.base = ticks, .time = given > time ? given : time};
    // A counter that was set back, as when a virtual machine moves, gives no rate: there is no line until the next pair.
    if (ticks <= old_ticks || time <= old_time) return next;
    unsigned __int128 rate = ((unsigned __int128)(time - old_time) << 32) / (ticks - old_ticks);
    if (rate == 0 || rate >> 40) return next;
    uint64_t ahead = next.time - time;
    if (ahead > period / 2) ahead = period / 2;
    next.rate = (uint64_t)(rate * (period - ahead) / period);
    next.limit = (uint64_t)(((unsigned __int128)period << 32) / rate);
    return next;
}

#if defined(__x86_64__)
/// The kernel keeps its time by the counter: it has seen that all processors' counters agree and run at one rate.
static bool counter_is_a_clock(void) {
    char name[8] = {0};
    int file = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    ssize_t count = read(file, name, sizeof name - 1);
    close(file);
    return count > 0 && strncmp(name, "tsc\n", sizeof name) == 0;
}

/// Both clocks at one moment; false when something came between them.
static bool read_pair(uint64_t *ticks, uint64_t *time) {
    for (int tries = 0; tries < 3; tries++) {
        uint64_t before = __builtin_ia32_rdtsc();
        *time = kernel_time();
        uint64_t after = __builtin_ia32_rdtsc();
        *ticks = before + (after - before) / 2;
        if (after - before < 1000) return true;
    }
    return false;
}

uint64_t host_clock_look(void) {
    enum { unknown, counter, kernel };
    static _Atomic int source = unknown;
    if (atomic_load_explicit(&source, memory_order_relaxed) == kernel) return kernel_time();

    // What follows is guarded by the lock; `last` is the greatest time this function has told.
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct host_clock_line line;
    static uint64_t old_ticks, old_time, last;
    pthread_mutex_lock(&lock);
    if (atomic_load_explicit(&source, memory_order_relaxed) == unknown) {
        atomic_store_explicit(&source, counter_is_a_clock() ? counter : kernel, memory_order_relaxed);
    }
    // From here on nobody goes by the old line, so that none can have been told a later time than the new one begins with.
    uint32_t sequence = atomic_load_explicit(&host_clock_shared.sequence, memory_order_relaxed);
    atomic_store_explicit(&host_clock_shared.sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t ticks, time;
    bool is_pair = read_pair(&ticks, &time) && atomic_load_explicit(&source, memory_order_relaxed) == counter;
    if (is_pair && (old_time == 0 || time - old_time >= period)) {
        if (old_time != 0) line = host_clock_next(&line, old_ticks, old_time, ticks, time);
        old_ticks = ticks;
        old_time = time;
        atomic_store_explicit(&host_clock_shared.base, line.base, memory_order_relaxed);
        atomic_store_explicit(&host_clock_shared.time, line.time, memory_order_relaxed);
        atomic_store_explicit(&host_clock_shared.rate, line.rate, memory_order_relaxed);
        atomic_store_explicit(&host_clock_shared.limit, line.limit, memory_order_relaxed);
    }
    uint64_t given = host_clock_on(&line, ticks);
    if (given > time) time = given;
    if (last > time) time = last;
    last = time;
    atomic_store_explicit(&host_clock_shared.sequence, sequence + 2, memory_order_release);
    pthread_mutex_unlock(&lock);
    return time;
}
#else
uint64_t host_clock_look(void) { return kernel_time(); }
#endif
