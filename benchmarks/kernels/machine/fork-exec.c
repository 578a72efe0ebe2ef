// variants: host linux
// Processes made, given another program, waited for.
#include "bench.h"
#include "os.h"
enum { PROCESSES = 20 };
BENCH("fork-exec", PROCESSES);

void bench_setup(void) {
    // The program that is started is this one again, with a word that makes it end at once.
    if (bench_argument_count > 1) platform_exit(7);
}

u64 bench_run(void) {
    static char word[] = "end";
    char *arguments[] = {bench_arguments[0], word, 0}, *environment[] = {0};
    u64 sum = 0;
    for (int i = 0; i < PROCESSES; i++) {
        long child = os_fork();
        if (child < 0) bench_fail("cannot make a process");
        if (child == 0) {
            os_execute("/proc/self/exe", arguments, environment);
            os_exit(1);
        }
        int status = 0;
        if (os_wait(child, &status) != child) bench_fail("cannot wait for a process");
        sum = bench_mix(sum, (u64)status);
    }
    return sum;
}
