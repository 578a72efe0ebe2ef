// Bare metal on the `virt` board, M mode: UART, mtime, finisher.
#include "../kernels/platform.h"

static volatile unsigned char *const uart = (volatile unsigned char *)0x10000000;
static volatile u64 *const mtime = (volatile u64 *)0x200bff8;

u64 now_ns(void) { return *mtime * 100; }

static void put(char c) { *uart = (unsigned char)c; }

static void put_text(const char *text) {
    while (*text) put(*text++);
}

static void put_number(u64 value, unsigned base, int width) {
    char digits[24];
    int count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value || count < width);
    while (count) put(digits[--count]);
}

void report(const char *name, u64 checksum, u64 nanoseconds) {
    put_text(name);
    put(' ');
    put_number(checksum, 16, 16);
    put(' ');
    put_number(nanoseconds, 10, 1);
    put('\n');
}

// Compilers turn loops into calls to these even without a C library.
void *memset(void *target, int value, unsigned long length) {
    unsigned char *bytes = target;
    for (unsigned long i = 0; i < length; i++) bytes[i] = (unsigned char)value;
    return target;
}

void *memcpy(void *target, const void *source, unsigned long length) {
    unsigned char *to = target;
    const unsigned char *from = source;
    for (unsigned long i = 0; i < length; i++) to[i] = from[i];
    return target;
}
