// variants: host linux
// Bytes to the host over TCP. The host says at the end how many it got, so that all of them are there when time stops.
#include "net.h"
enum { SENT = 32 << 20 };
BENCH("net-send", SENT);

u64 bench_run(void) {
    long connection = connect_to_host();
    u64 got = 0;
    for (long left = SENT; left > 0;) {
        long count = os_write(connection, buffer, left < CHUNK ? left : CHUNK);
        if (count <= 0) bench_fail("the connection broke");
        left -= count;
    }
    if (os_call(OS_SHUTDOWN, connection, 1, 0, 0, 0, 0) < 0) bench_fail("the connection cannot be ended");
    for (unsigned long done = 0; done < sizeof got;) {
        long count = os_read(connection, (u8 *)&got + done, (long)(sizeof got - done));
        if (count <= 0) bench_fail("the host did not answer");
        done += (unsigned long)count;
    }
    os_close(connection);
    if (got != SENT) bench_fail("the host got another number of bytes");
    return bench_mix(0, got);
}
