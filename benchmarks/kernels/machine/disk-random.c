// variants: host linux
// Reads of 4 KiB at random places, one at a time.
#include "disk.h"
enum { READS = 200 };
BENCH("disk-random", READS);

void bench_setup(void) { open_disk(OS_READ_ONLY); }

u64 bench_run(void) {
    u64 state = 18, sum = 0;
    for (int i = 0; i < READS; i++) {
        u64 place = bench_random(&state) % (megabytes << 8) * SECTOR_RUN;
        if (os_pread(disk, buffer, SECTOR_RUN, (long)place) != SECTOR_RUN) bench_fail("a read failed");
        sum = bench_mix(sum, *(u64 *)buffer);
    }
    return sum;
}
