// The host: its C library.
#include "bench.h"
#include "os.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

u64 platform_nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (u64)time.tv_sec * 1000000000ull + (u64)time.tv_nsec;
}

u64 platform_instructions(void) { return 0; }

void platform_write(const char *text, unsigned long length) {
    while (length) {
        ssize_t written = write(STDOUT_FILENO, text, length);
        if (written <= 0) exit(2);
        text += written;
        length -= (unsigned long)written;
    }
}

void platform_exit(int code) { exit(code); }

struct part {
    void (*work)(unsigned);
    unsigned index;
};

static void *run_part(void *argument) {
    struct part *part = argument;
    part->work(part->index);
    return 0;
}

void platform_parallel(unsigned count, void (*work)(unsigned index)) {
    pthread_t threads[64];
    struct part parts[64];
    if (count > 64) bench_fail("too many threads");
    for (unsigned i = 0; i < count; i++) {
        parts[i] = (struct part){work, i};
        if (pthread_create(&threads[i], 0, run_part, &parts[i])) bench_fail("cannot start a thread");
    }
    for (unsigned i = 0; i < count; i++) pthread_join(threads[i], 0);
}

long os_call(long number, long a, long b, long c, long d, long e, long f) { return syscall(number, a, b, c, d, e, f); }
