// variants: host machine supervisor linux
// String work byte by byte: length, compare, search, change of case, numbers to text and back.
#include "bench.h"
BENCH("strings", 1);
enum { WORDS = 2000, LONGEST = 24 };
static char words[WORDS][LONGEST];
static char text[WORDS * LONGEST];

void bench_setup(void) {
    u64 state = 3;
    for (int i = 0; i < WORDS; i++) {
        u64 length = 3 + bench_random(&state) % (LONGEST - 4);
        for (u64 j = 0; j < length; j++) words[i][j] = (char)('a' + bench_random(&state) % 26);
        words[i][length] = 0;
    }
}

static NOINLINE u64 length_of(const char *s) {
    const char *end = s;
    while (*end) end++;
    return (u64)(end - s);
}

static NOINLINE int compare(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return (u8)*a - (u8)*b;
}

static NOINLINE const char *find(const char *in, const char *what) {
    for (; *in; in++) {
        u64 i = 0;
        while (what[i] && in[i] == what[i]) i++;
        if (!what[i]) return in;
    }
    return 0;
}

static NOINLINE char *append_number(char *to, u64 value) {
    char digits[24];
    int count = 0;
    do digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count) *to++ = digits[--count];
    return to;
}

static NOINLINE u64 read_number(const char *from) {
    u64 value = 0;
    while (*from >= '0' && *from <= '9') value = value * 10 + (u64)(*from++ - '0');
    return value;
}

u64 bench_run(void) {
    u64 sum = 0;
    char *to = text;
    for (int i = 0; i < WORDS; i++) {
        for (u64 j = 0, n = length_of(words[i]); j < n; j++) *to++ = (char)(j ? words[i][j] : words[i][j] - 'a' + 'A');
        *to++ = ' ';
    }
    *to = 0;
    for (int i = 1; i < WORDS; i++) sum += (u64)(compare(words[i - 1], words[i]) < 0);
    for (int i = 0; i < WORDS; i += 100) {
        const char *found = find(text, words[i] + 1);
        sum = bench_mix(sum, found ? (u64)(found - text) : 0);
    }
    char number[24];
    for (u64 i = 0; i < WORDS; i++) {
        *append_number(number, i * 7919 * 104729) = 0;
        sum = bench_mix(sum, read_number(number));
    }
    return bench_mix(sum, length_of(text));
}
