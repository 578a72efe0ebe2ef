// variants: host linux
// A TCP connection to the host, read to its end.
#include "net.h"
BENCH("net-receive", 0);

u64 bench_run(void) {
    long connection = connect_to_host();
    u64 received = 0, sum = 0;
    long count;
    while ((count = os_read(connection, buffer, sizeof buffer)) > 0) {
        for (long i = 0; i < count; i++) sum += buffer[i];
        received += (u64)count;
    }
    os_close(connection);
    if (count < 0) bench_fail("the connection broke");
    bench_operations = received;
    return bench_mix(sum, received);
}
