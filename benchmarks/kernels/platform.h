// What a benchmark kernel may use of its surroundings, the same bare metal and on a host.
#ifndef PLATFORM_H
#define PLATFORM_H

typedef unsigned long long u64;

/// Nanoseconds of the machine's own clock (guest: mtime, 100 ns steps; host: CLOCK_MONOTONIC).
u64 now_ns(void);
/// Prints "NAME CHECKSUM NANOSECONDS".
void report(const char *name, u64 checksum, u64 nanoseconds);

#endif
