// variants: host linux
// Sequential reads of 1 MiB, past the guest's cache, of what disk-write left.
#include "disk.h"
BENCH("disk-read", 0);

void bench_setup(void) {
    open_disk(OS_READ_ONLY);
    bench_operations = megabytes << 20;
}

u64 bench_run(void) {
    u64 sum = 0;
    for (u64 i = 0; i < megabytes; i++) {
        if (os_pread(disk, buffer, CHUNK, (long)(i << 20)) != CHUNK) bench_fail("a read failed");
        for (u64 at = 0; at < CHUNK; at += 4096) sum = bench_mix(sum, *(u64 *)(buffer + at));
    }
    return sum;
}
