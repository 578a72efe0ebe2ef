// variants: linux
// Times a command: NAME OPERATIONS COMMAND [WORD…]. What it prints is the checksum.
#include "bench.h"
#include "os.h"
BENCH("command", 1);

void bench_setup(void) {
    if (bench_argument_count < 4) bench_fail("needs a name, a number of operations and a command");
    bench_name = bench_arguments[1];
    bench_operations = 0;
    for (const char *digit = bench_arguments[2]; *digit >= '0' && *digit <= '9'; digit++)
        bench_operations = bench_operations * 10 + (u64)(*digit - '0');
}

u64 bench_run(void) {
    char *environment[] = {"PATH=/bin:/sbin:/usr/bin", 0};
    int ends[2];
    if (os_pipe(ends)) bench_fail("cannot make a pipe");
    long child = os_fork();
    if (child < 0) bench_fail("cannot make a process");
    if (child == 0) {
        os_duplicate(ends[1], 1);
        os_close(ends[0]);
        os_close(ends[1]);
        os_execute(bench_arguments[3], bench_arguments + 3, environment);
        os_exit(127);
    }
    os_close(ends[1]);
    u64 sum = 0xcbf29ce484222325ull;
    static u8 buffer[4096];
    long count;
    while ((count = os_read(ends[0], buffer, sizeof buffer)) > 0)
        for (long i = 0; i < count; i++) sum = (sum ^ buffer[i]) * 0x100000001b3ull;
    os_close(ends[0]);
    int status = 0;
    os_wait(child, &status);
    if (status) bench_fail("the command failed");
    return sum;
}
