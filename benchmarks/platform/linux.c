// Linux in the guest, statically linked and without a C library.
#include "bench.h"
#include "os.h"

long os_call(long number, long a, long b, long c, long d, long e, long f) {
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d;
    register long a4 __asm__("a4") = e;
    register long a5 __asm__("a5") = f;
    register long a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7) : "memory");
    return a0;
}

u64 platform_nanoseconds(void) {
    struct { long seconds, nanoseconds; } time;
    os_call(OS_CLOCK_GETTIME, 1, (long)&time, 0, 0, 0, 0);
    return (u64)time.seconds * 1000000000ull + (u64)time.nanoseconds;
}

// The counter belongs to the kernel, which may refuse it to programs.
u64 platform_instructions(void) { return 0; }

void platform_write(const char *text, unsigned long length) {
    while (length) {
        long written = os_write(1, text, length);
        if (written <= 0) platform_exit(2);
        text += written;
        length -= (unsigned long)written;
    }
}

void platform_exit(int code) {
    for (;;) os_call(OS_EXIT_GROUP, code, 0, 0, 0, 0, 0);
}

void platform_parallel(unsigned count, void (*work)(unsigned index)) {
    (void)work;
    (void)count;
    bench_fail("several threads are not available here");
}

int main(int argc, char **argv);

/// The stack starts with the number of arguments and their addresses.
__attribute__((used)) static void enter(long *stack) { platform_exit(main((int)stack[0], (char **)(stack + 1))); }

__asm__(".globl _start\n_start:\n    mv a0, sp\n    andi sp, sp, -16\n    call enter\n");
