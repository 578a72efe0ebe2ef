// variants: host linux
// Sequential writes of 1 MiB, past the guest's cache, and a flush.
#include "disk.h"
BENCH("disk-write", 0);

void bench_setup(void) {
    open_disk(OS_READ_WRITE);
    bench_operations = megabytes << 20;
}

u64 bench_run(void) {
    for (u64 i = 0; i < megabytes; i++) {
        u64 state = i + 1;
        for (u64 at = 0; at < CHUNK; at += 4096) *(u64 *)(buffer + at) = bench_random(&state);
        if (os_pwrite(disk, buffer, CHUNK, (long)(i << 20)) != CHUNK) bench_fail("a write failed");
    }
    if (os_fsync(disk) < 0) bench_fail("the flush failed");
    return megabytes;
}
