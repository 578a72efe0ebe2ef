// A pointer chase over NODES cache lines of 64 bytes in one random cycle; STEPS of it are one iteration.
#include "bench.h"

struct node {
    struct node *next;
    u64 id;
    u64 rest[6];
};
static LARGE struct node nodes[NODES];

void bench_setup(void) {
    // Sattolo's shuffle makes one cycle of all nodes.
    for (u64 i = 0; i < NODES; i++) nodes[i].id = i;
    u64 state = 9;
    for (u64 i = NODES - 1; i > 0; i--) {
        u64 j = bench_random(&state) % i, swap = nodes[i].id;
        nodes[i].id = nodes[j].id;
        nodes[j].id = swap;
    }
    for (u64 i = 0; i < NODES; i++) nodes[i].next = &nodes[nodes[i].id];
}

u64 bench_run(void) {
    struct node *node = nodes;
    for (u64 i = 0; i < STEPS; i++) node = node->next;
    return node->id;
}
