// variants: host machine supervisor
// SHA-256 by the instructions made for it: Zvknha in the guest, SHA on the host.
#define BENCH_NAME "sha256-v"
#define OWN_COMPRESS
#include "../integer/sha256.c"

// Four words, and what works on them. A state is two such: a, b, e, f and c, d, g, h, the last of each first.
#ifdef __riscv
#include <riscv_vector.h>
typedef vuint32m1_t words;

static inline words load(const u32 *from) { return __riscv_vle32_v_u32m1(from, 4); }
static inline void store(u32 *to, words w) { __riscv_vse32_v_u32m1(to, w, 4); }
static inline words add(words a, words b) { return __riscv_vadd_vv_u32m1(a, b, 4); }
static inline words lower_rounds(words old, words new, words sums) { return __riscv_vsha2cl_vv_u32m1(old, new, sums, 4); }
static inline words upper_rounds(words old, words new, words sums) { return __riscv_vsha2ch_vv_u32m1(old, new, sums, 4); }
static inline words next(words w0, words w4, words w8, words w12, vbool32_t first) {
    return __riscv_vsha2ms_vv_u32m1(w0, __riscv_vmerge_vvm_u32m1(w8, w4, first, 4), w12, 4);
}
#define FIRST __riscv_vmseq_vx_u32m1_b32(__riscv_vid_v_u32m1(4), 0, 4)
typedef vbool32_t choice;
#else
#include <immintrin.h>
typedef __m128i words;

static inline words load(const u32 *from) { return _mm_loadu_si128((const words *)from); }
static inline void store(u32 *to, words w) { _mm_storeu_si128((words *)to, w); }
static inline words add(words a, words b) { return _mm_add_epi32(a, b); }
static inline words lower_rounds(words old, words new, words sums) { return _mm_sha256rnds2_epu32(old, new, sums); }
static inline words upper_rounds(words old, words new, words sums) { return _mm_sha256rnds2_epu32(old, new, _mm_shuffle_epi32(sums, 0x0e)); }
static inline words next(words w0, words w4, words w8, words w12, int first) {
    return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w0, w4), _mm_alignr_epi8(w12, w8, 4)), w12);
}
#define FIRST 0
typedef int choice;
#endif

/// Four rounds with the words w, from number `round` on.
#define ROUNDS(round, w)                           \
    {                                              \
        words sums = add(w, load(constants + (round))); \
        cdgh = lower_rounds(cdgh, abef, sums);     \
        abef = upper_rounds(abef, cdgh, sums);     \
    }

static NOINLINE void compress(u32 *hash, const u32 *block) {
    u32 first[4] = {hash[5], hash[4], hash[1], hash[0]}, second[4] = {hash[7], hash[6], hash[3], hash[2]};
    words abef = load(first), cdgh = load(second);
    words w0 = load(block), w4 = load(block + 4), w8 = load(block + 8), w12 = load(block + 12);
    choice lowest = FIRST;
    for (int round = 0; round < 48; round += 16) {
        ROUNDS(round, w0);
        w0 = next(w0, w4, w8, w12, lowest);
        ROUNDS(round + 4, w4);
        w4 = next(w4, w8, w12, w0, lowest);
        ROUNDS(round + 8, w8);
        w8 = next(w8, w12, w0, w4, lowest);
        ROUNDS(round + 12, w12);
        w12 = next(w12, w0, w4, w8, lowest);
    }
    ROUNDS(48, w0);
    ROUNDS(52, w4);
    ROUNDS(56, w8);
    ROUNDS(60, w12);
    store(first, abef);
    store(second, cdgh);
    hash[5] += first[0], hash[4] += first[1], hash[1] += first[2], hash[0] += first[3];
    hash[7] += second[0], hash[6] += second[1], hash[3] += second[2], hash[2] += second[3];
}
