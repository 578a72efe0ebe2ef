// A TCP connection to the host. The words after the program's name: the address's four numbers and the port.
#include "bench.h"
#include "os.h"

enum { CHUNK = 64 << 10 };
static u8 address[16];
static u8 buffer[CHUNK];

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

static long connect_to_host(void) {
    long connection = os_call(OS_SOCKET, 2, 1, 0, 0, 0, 0);
    if (connection < 0 || os_call(OS_CONNECT, connection, (long)address, sizeof address, 0, 0, 0) < 0) bench_fail("cannot connect");
    return connection;
}
