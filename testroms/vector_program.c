// Compiled vector code: strlen by fault-only-first loads, memcpy, a × x + y, a dot product, and what the compiler makes of a plain loop
// (unprivileged manual, "V" Standard Extension for Vector Operations, examples in its appendix).
#include "rom.h"
#include <riscv_vector.h>

#define VECTOR __attribute__((target("arch=+v"), noinline))
#define COUNT 137

static float x[COUNT], y[COUNT], expected[COUNT];
static u8 text[400], copy[400];
static u16 samples[COUNT], gains[COUNT];
static u32 products[COUNT];

VECTOR static u64 vector_strlen(const u8 *start) {
    const u8 *at = start;
    for (;;) {
        size_t vl = __riscv_vsetvlmax_e8m8();
        vuint8m8_t bytes = __riscv_vle8ff_v_u8m8(at, &vl, vl);
        long first = __riscv_vfirst_m_b1(__riscv_vmseq_vx_u8m8_b1(bytes, 0, vl), vl);
        if (first >= 0) return (u64)(at - start) + (u64)first;
        at += vl;
    }
}

VECTOR static void vector_copy(u8 *to, const u8 *from, size_t count) {
    for (size_t vl; count > 0; count -= vl, to += vl, from += vl) {
        vl = __riscv_vsetvl_e8m4(count);
        __riscv_vse8_v_u8m4(to, __riscv_vle8_v_u8m4(from, vl), vl);
    }
}

// The factor is an integer because this program's calling convention passes no floating point.
VECTOR static void saxpy(size_t count, int a, const float *from, float *to) {
    float factor = (float)a / 4;
    for (size_t vl; count > 0; count -= vl, from += vl, to += vl) {
        vl = __riscv_vsetvl_e32m8(count);
        __riscv_vse32_v_f32m8(to, __riscv_vfmacc_vf_f32m8(__riscv_vle32_v_f32m8(to, vl), factor, __riscv_vle32_v_f32m8(from, vl), vl), vl);
    }
}

VECTOR static u64 dot(size_t count, const u16 *a, const u16 *b) {
    size_t all = __riscv_vsetvlmax_e32m8();
    vuint32m8_t sums = __riscv_vmv_v_x_u32m8(0, all);
    for (size_t vl; count > 0; count -= vl, a += vl, b += vl) {
        vl = __riscv_vsetvl_e16m4(count);
        sums = __riscv_vwmaccu_vv_u32m8_tu(sums, __riscv_vle16_v_u16m4(a, vl), __riscv_vle16_v_u16m4(b, vl), vl);
    }
    vuint64m1_t total = __riscv_vwredsumu_vs_u32m8_u64m1(sums, __riscv_vmv_v_x_u64m1(0, 1), all);
    return __riscv_vmv_x_s_u64m1_u64(total);
}

VECTOR static void multiply(size_t count, const u16 *a, const u16 *b, u32 *to) {
#pragma clang loop vectorize(enable) interleave(enable)
    for (size_t i = 0; i < count; i++) to[i] = (u32)a[i] * b[i] + (u32)i;
}

// The bits of a number as a float.
static u32 float_bits(u32 number) {
    u64 bits;
    asm volatile(".option push\n.option arch, +f\nfcvt.s.wu ft0, %1\nfmv.x.w %0, ft0\n.option pop" : "=r"(bits) : "r"(number));
    return (u32)bits;
}

RULE("vector_program") {
    csr_set(mstatus, 3 << 9 | MSTATUS_FS);
    for (unsigned i = 0; i < sizeof text; i++) text[i] = (u8)(i % 251 + 1);
    for (unsigned length = 0; length < sizeof text; length += 37) {
        u8 kept = text[length];
        text[length] = 0;
        check(vector_strlen(text), length);
        text[length] = kept;
    }
    vector_copy(copy + 1, text, sizeof text - 3);
    check(copy[0], 0);
    for (unsigned i = 0; i < sizeof text - 3; i++) check(copy[i + 1], text[i]);
    check(copy[sizeof text - 2], 0);

    u64 sum = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        samples[i] = (u16)(i * 479);
        gains[i] = (u16)(65535 - i * 77);
        sum += (u64)(u32)(samples[i] * (u32)gains[i]);
    }
    check(dot(COUNT, samples, gains), sum);
    multiply(COUNT, samples, gains, products);
    for (unsigned i = 0; i < COUNT; i++) check(products[i], (u32)samples[i] * gains[i] + i);

    // i + 3/4 × 4i, exact; floats are compared by their bits.
    u32 *xs = (u32 *)x, *ys = (u32 *)y, *wanted = (u32 *)expected;
    for (unsigned i = 0; i < COUNT; i++) {
        xs[i] = wanted[i] = float_bits(4 * i);
        ys[i] = float_bits(i);
    }
    saxpy(COUNT, 3, x, y);
    for (unsigned i = 0; i < COUNT; i++) check(ys[i], wanted[i]);
}
