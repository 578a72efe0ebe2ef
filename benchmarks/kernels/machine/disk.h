// Direct access to a disk. The words after the program's name: the disk, how many MiB of it to use, and the benchmark's name if it is another.
#include "bench.h"
#include "os.h"

enum { CHUNK = 1 << 20, SECTOR_RUN = 4096 };
static u8 buffer[CHUNK] __attribute__((aligned(4096)));
static long disk;
static u64 megabytes;

static void open_disk(long flags) {
    if (bench_argument_count < 3) bench_fail("needs a disk and a number of MiB");
    if (bench_argument_count > 3) bench_name = bench_arguments[3];
    for (const char *digit = bench_arguments[2]; *digit >= '0' && *digit <= '9'; digit++)
        megabytes = megabytes * 10 + (u64)(*digit - '0');
    disk = os_open(bench_arguments[1], flags | OS_DIRECT, 0);
    if (disk < 0 || !megabytes) bench_fail("cannot open the disk");
}
