// Calls nested and recursive, with inlined functions in between: what a backtrace and a line table have to explain.
#include "inline.h"

long shape_area(long side);
long label_leaf(long x);
extern volatile long sink;

volatile long sink;

// What a kernel is recognised by.
__attribute__((used)) const char linux_banner[] = "Linux version 6.1.0 (fixture@example) (clang) #1 SMP, a text of more than 64 bytes\n";

static __attribute__((noinline)) long leaf(long x) {
    sink = x;
    return x + 1;
}

__attribute__((noinline)) long fact(long n) {
    if (n < 2) {
        return leaf(n);
    }
    long rest = fact(n - 1);
    // Keeps the compiler from making a loop of it.
    __asm__ volatile("" : "+r"(rest));
    return n * rest;
}

// A frame of a size only known when it runs: its CFA is found through the frame pointer.
__attribute__((noinline)) long dynamic(long n) {
    volatile char room[n];
    for (long i = 0; i < n; i++) {
        room[i] = (char)i;
    }
    return leaf(room[n - 1]);
}

__attribute__((noinline)) long middle(long a, long b) {
    long sum = sum_of_squares(a, b);
    sink = sum;
    long product = fact(4);
    return sum + product + leaf(sum);
}

// Larger than an addi can move the stack pointer by.
__attribute__((noinline)) long large(long n) {
    volatile char room[3000];
    room[n] = 1;
    return dynamic(n) + room[n] + label_leaf(n);
}

#ifdef DISCARDED
// Nobody calls it: the linker drops its code.
long discarded(long x) {
    return x * 3 + leaf(x);
}
#endif

__attribute__((noreturn)) void program(void) {
    for (;;) {
        sink = middle(3, 4) + large(33) + shape_area(5);
        __asm__ volatile("" ::: "memory");
    }
}
