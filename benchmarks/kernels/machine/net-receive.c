// variants: host linux
// A TCP connection to the host, read to its end. The words after the program's name: the address's four numbers and the port.
#include "bench.h"
#include "os.h"
BENCH("net-receive", 0);
static u8 address[16];
static u8 buffer[64 << 10];

static u64 number(const char *text) {
    u64 value = 0;
    while (*text >= '0' && *text <= '9') value = value * 10 + (u64)(*text++ - '0');
    return value;
}

void bench_setup(void) {
    if (bench_argument_count < 6) bench_fail("needs four numbers of an address and a port");
    u64 port = number(bench_arguments[5]);
    address[0] = 2, address[2] = (u8)(port >> 8), address[3] = (u8)port;
    for (int i = 0; i < 4; i++) address[4 + i] = (u8)number(bench_arguments[1 + i]);
}

u64 bench_run(void) {
    long connection = os_call(OS_SOCKET, 2, 1, 0, 0, 0, 0);
    if (connection < 0 || os_call(OS_CONNECT, connection, (long)address, sizeof address, 0, 0, 0) < 0) bench_fail("cannot connect");
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
