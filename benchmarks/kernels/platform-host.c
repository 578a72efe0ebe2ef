#include "platform.h"
#include <stdio.h>
#include <time.h>

u64 now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (u64)time.tv_sec * 1000000000ull + (u64)time.tv_nsec;
}

void report(const char *name, u64 checksum, u64 nanoseconds) { printf("%s %016llx %llu\n", name, checksum, nanoseconds); }
