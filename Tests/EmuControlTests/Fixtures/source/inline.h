// Functions of a header, inlined into others' code.
#pragma once

static inline __attribute__((always_inline)) long square(long x) {
    return x * x;
}

static inline __attribute__((always_inline)) long sum_of_squares(long a, long b) {
    long left = square(a);
    long right = square(b);
    return left + right;
}
