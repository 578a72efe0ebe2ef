// variants: host linux
// Two processes hand one byte to and fro through two pipes.
#include "bench.h"
#include "os.h"
enum { TURNS = 500 };
BENCH("pipe", TURNS);
static int to_child[2], to_parent[2];

void bench_setup(void) {
    if (os_pipe(to_child) || os_pipe(to_parent)) bench_fail("cannot make a pipe");
    long child = os_fork();
    if (child < 0) bench_fail("cannot make a process");
    if (child == 0) {
        os_close(to_child[1]);
        os_close(to_parent[0]);
        u8 byte;
        while (os_read(to_child[0], &byte, 1) == 1) {
            byte++;
            os_write(to_parent[1], &byte, 1);
        }
        os_exit(0);
    }
    os_close(to_child[0]);
    os_close(to_parent[1]);
}

u64 bench_run(void) {
    u64 sum = 0;
    for (int i = 0; i < TURNS; i++) {
        u8 byte = (u8)i;
        if (os_write(to_child[1], &byte, 1) != 1 || os_read(to_parent[0], &byte, 1) != 1) bench_fail("a pipe broke");
        sum += byte;
    }
    return sum;
}
