// variants: host machine supervisor
// AES-128-GCM by the instructions made for it: Zvkned, Zvkg and Zvkb in the guest, AES and PCLMULQDQ on the host.
#define BENCH_NAME "aesgcm-v"
#define OWN_SEAL
#include "../integer/aesgcm.c"

#ifdef __riscv
#include <riscv_vector.h>

/// Words 0 to 2 of each block of a counter are the nonce's.
static u32 first_counters[64];

static NOINLINE void seal(block *hash) {
    size_t all = __riscv_vsetvlmax_e32m4();
    for (u32 i = 0; i < all; i++) first_counters[i] = (i & 3) == 3 ? 2 + i / 4 : __builtin_bswap32(nonce[i & 3]);
    vuint32m4_t counters = __riscv_vle32_v_u32m4(first_counters, all);
    // What each word of the counters grows by.
    for (u32 i = 0; i < all; i++) first_counters[i] = (i & 3) == 3 ? (u32)all / 4 : 0;
    vuint32m4_t step = __riscv_vle32_v_u32m4(first_counters, all);
    vuint32m1_t k0 = __riscv_vle32_v_u32m1(keys[0].words, 4), k1 = __riscv_vle32_v_u32m1(keys[1].words, 4), k2 = __riscv_vle32_v_u32m1(keys[2].words, 4),
        k3 = __riscv_vle32_v_u32m1(keys[3].words, 4), k4 = __riscv_vle32_v_u32m1(keys[4].words, 4), k5 = __riscv_vle32_v_u32m1(keys[5].words, 4),
        k6 = __riscv_vle32_v_u32m1(keys[6].words, 4), k7 = __riscv_vle32_v_u32m1(keys[7].words, 4), k8 = __riscv_vle32_v_u32m1(keys[8].words, 4),
        k9 = __riscv_vle32_v_u32m1(keys[9].words, 4), k10 = __riscv_vle32_v_u32m1(keys[10].words, 4);
    vuint32m1_t h = __riscv_vle32_v_u32m1(factor.words, 4), sum = __riscv_vle32_v_u32m1(hash->words, 4);
    // BLOCKS is a multiple of what a group holds.
    for (u32 i = 0; i < BLOCKS; i += (u32)all / 4) {
        vuint32m4_t s = __riscv_vrev8_v_u32m4(counters, all);
        counters = __riscv_vadd_vv_u32m4(counters, step, all);
        s = __riscv_vaesz_vs_u32m1_u32m4(s, k0, all);
        s = __riscv_vaesem_vs_u32m1_u32m4(s, k1, all);
        s = __riscv_vaesem_vs_u32m1_u32m4(s, k2, all);
        s = __riscv_vaesem_vs_u32m1_u32m4(s, k3, all);
        s = __riscv_vaesem_vs_u32m1_u32m4(s, k4, all);
        s = __riscv_vaesem_vs_u32m1_u32m4(s, k5, all);
        s = __riscv_vaesem_vs_u32m1_u32m4(s, k6, all);
        s = __riscv_vaesem_vs_u32m1_u32m4(s, k7, all);
        s = __riscv_vaesem_vs_u32m1_u32m4(s, k8, all);
        s = __riscv_vaesem_vs_u32m1_u32m4(s, k9, all);
        s = __riscv_vaesef_vs_u32m1_u32m4(s, k10, all);
        s = __riscv_vxor_vv_u32m4(s, __riscv_vle32_v_u32m4(text[i].words, all), all);
        __riscv_vse32_v_u32m4(sealed[i].words, s, all);
        for (u32 j = i; j < i + all / 4; j++) sum = __riscv_vghsh_vv_u32m1(sum, h, __riscv_vle32_v_u32m1(sealed[j].words, 4), 4);
    }
    __riscv_vse32_v_u32m1(hash->words, sum, 4);
}
#else
#include <immintrin.h>

static inline __m128i reversed(__m128i x) { return _mm_shuffle_epi8(x, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)); }

/// x times the polynomial x, in reverse order of bits.
static __m128i doubled(__m128i x) {
    __m128i carry = _mm_srai_epi32(_mm_shuffle_epi32(x, 0xff), 31), upper = _mm_slli_si128(_mm_srli_epi64(x, 63), 8);
    return _mm_xor_si128(_mm_or_si128(_mm_slli_epi64(x, 1), upper), _mm_and_si128(carry, _mm_set_epi64x((i64)0xc200000000000000, 1)));
}

/// a · b, where b is doubled.
static inline __m128i product(__m128i a, __m128i b) {
    const __m128i modulus = _mm_set_epi64x((i64)0xc200000000000000, 1);
    __m128i low = _mm_clmulepi64_si128(a, b, 0x00), high = _mm_clmulepi64_si128(a, b, 0x11);
    __m128i middle = _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01), _mm_clmulepi64_si128(a, b, 0x10));
    low = _mm_xor_si128(low, _mm_slli_si128(middle, 8));
    high = _mm_xor_si128(high, _mm_srli_si128(middle, 8));
    for (int i = 0; i < 2; i++) low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, modulus, 0x10));
    return _mm_xor_si128(low, high);
}

static NOINLINE void seal(block *hash) {
    enum { AT_ONCE = 8 };
    const __m128i *key = (const __m128i *)keys;
    __m128i h = doubled(reversed(*(const __m128i *)&factor)), sum = reversed(*(const __m128i *)hash);
    for (u32 i = 0; i < BLOCKS; i += AT_ONCE) {
        __m128i s[AT_ONCE];
        for (u32 j = 0; j < AT_ONCE; j++)
            s[j] = _mm_xor_si128(_mm_set_epi32((int)__builtin_bswap32(i + j + 2), (int)nonce[2], (int)nonce[1], (int)nonce[0]), key[0]);
        for (int round = 1; round < ROUNDS; round++)
            for (int j = 0; j < AT_ONCE; j++) s[j] = _mm_aesenc_si128(s[j], key[round]);
        for (u32 j = 0; j < AT_ONCE; j++) {
            s[j] = _mm_xor_si128(_mm_aesenclast_si128(s[j], key[ROUNDS]), ((const __m128i *)text)[i + j]);
            ((__m128i *)sealed)[i + j] = s[j];
        }
        for (int j = 0; j < AT_ONCE; j++) sum = product(_mm_xor_si128(sum, reversed(s[j])), h);
    }
    *(__m128i *)hash = reversed(sum);
}
#endif
