// variants: host machine supervisor
// Lengths of strings, by vector instructions on both sides: compilers do not vectorise such loops.
#define BENCH_NAME "strlen-v"
#define OWN_STRLEN
#include "../integer/strlen.c"

#ifdef __riscv
#include <riscv_vector.h>

static NOINLINE unsigned long length(const char *string) {
    const u8 *place = (const u8 *)string;
    for (;;) {
        size_t count;
        vuint8m8_t bytes = __riscv_vle8ff_v_u8m8(place, &count, __riscv_vsetvlmax_e8m8());
        long first = __riscv_vfirst_m_b1(__riscv_vmseq_vx_u8m8_b1(bytes, 0, count), count);
        if (first >= 0) return (unsigned long)(place + first - (const u8 *)string);
        place += count;
    }
}
#else
#include <immintrin.h>

/// Aligned, so that what is read beyond the end lies in the same page.
static NOINLINE unsigned long length(const char *string) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i *place = (const __m256i *)((unsigned long)string & ~31ul);
    u32 found = (u32)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_load_si256(place), zero)) >> ((unsigned long)string & 31);
    if (found) return (unsigned long)__builtin_ctz(found);
    for (;;) {
        found = (u32)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_load_si256(++place), zero));
        if (found) return (unsigned long)((const char *)place + __builtin_ctz(found) - string);
    }
}
#endif
