// variants: host machine supervisor linux
// An open-addressing hash table: insertions, hits, misses and removals.
#include "bench.h"
BENCH("hashtable", 1);
enum { SLOTS = 32768, KEYS = 20000 };
static struct { u64 key, value; } table[SLOTS];

void bench_setup(void) {}

static inline u64 slot_of(u64 key) { return key * 0x9e3779b97f4a7c15ull >> 49; }

static NOINLINE u64 find(u64 key) {
    u64 slot = slot_of(key);
    while (table[slot].key && table[slot].key != key) slot = (slot + 1) % SLOTS;
    return slot;
}

static NOINLINE void erase(u64 slot) {
    // What follows in the run moves up, so that no mark is needed.
    for (u64 next = (slot + 1) % SLOTS; table[next].key; next = (next + 1) % SLOTS) {
        u64 home = slot_of(table[next].key);
        if ((next - home) % SLOTS >= (next - slot) % SLOTS) {
            table[slot] = table[next];
            slot = next;
        }
    }
    table[slot].key = 0;
}

u64 bench_run(void) {
    for (u64 i = 0; i < SLOTS; i++) table[i].key = 0;
    u64 state = 7, sum = 0;
    for (u64 i = 0; i < KEYS; i++) {
        u64 key = bench_random(&state) % 1000000 + 1, slot = find(key);
        table[slot].key = key;
        table[slot].value = i;
    }
    for (u64 i = 0; i < KEYS; i++) {
        u64 slot = find(bench_random(&state) % 1000000 + 1);
        if (table[slot].key) sum = bench_mix(sum, table[slot].value);
    }
    state = 7;
    for (u64 i = 0; i < KEYS / 2; i++) {
        u64 slot = find(bench_random(&state) % 1000000 + 1);
        if (table[slot].key) erase(slot), sum++;
    }
    return sum;
}
