// sc fails when another hart has stored to the reserved bytes since lr, though they hold the old value again: after plain stores, after
// atomic operations, and in a stack whose pop is only right because of that
// (unprivileged manual, "Load-Reserved/Store-Conditional Instructions").
#include "rom.h"

#define HARTS 4
#define ROUNDS 100
#define NODES 8

static volatile u64 cell[8] __attribute__((aligned(64)));
static volatile u64 turn[8] __attribute__((aligned(64)));

struct node { volatile u64 next, owner; };
static struct node nodes[NODES + 1];
static volatile u64 top __attribute__((aligned(64)));
static volatile u64 mistakes, done, pops;

// Takes the topmost node: its successor is read between lr and sc, and another hart may take the node and others and put it back meanwhile.
static u64 pop(void) {
    u64 node, next, failed;
    do {
        asm volatile("lr.d %0, (%1)" : "=r"(node) : "r"(&top) : "memory");
        if (!node) return 0;
        next = nodes[node].next;
        asm volatile("sc.d %0, %1, (%2)" : "=&r"(failed) : "r"(next), "r"(&top) : "memory");
    } while (failed);
    return node;
}

static void push(u64 node) {
    u64 head, failed;
    do {
        head = top;
        nodes[node].next = head;
        asm volatile("fence w, w" ::: "memory");
        u64 found;
        asm volatile("0: lr.d %0, (%2)\nbne %0, %3, 1f\nsc.d %1, %4, (%2)\nbnez %1, 0b\nj 2f\n1: li %1, 1\n2:"
            : "=&r"(found), "=&r"(failed) : "r"(&top), "r"(head), "r"(node) : "memory");
    } while (failed);
}

static void work(void) {
    u64 count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        u64 first = pop(), second = pop();
        if (first) {
            if (__atomic_fetch_add(&nodes[first].owner, 1, __ATOMIC_SEQ_CST) != 0) mistakes++;
            count++;
        }
        if (second) {
            if (__atomic_fetch_add(&nodes[second].owner, 1, __ATOMIC_SEQ_CST) != 0) mistakes++;
            count++;
        }
        if (first) {
            __atomic_fetch_sub(&nodes[first].owner, 1, __ATOMIC_SEQ_CST);
            push(first);
        }
        if (second) {
            __atomic_fetch_sub(&nodes[second].owner, 1, __ATOMIC_SEQ_CST);
            push(second);
        }
    }
    __atomic_fetch_add(&pops, count, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

static void disturb(void) {
    for (u64 round = 1; round <= 40; round++) {
        while (*turn != 2 * round - 1) ;
        u64 value = *cell;
        if (round & 1) {
            *cell = value + 1;
            *cell = value;
        } else {
            __atomic_exchange_n(cell, value + 1, __ATOMIC_SEQ_CST);
            __atomic_exchange_n(cell, value, __ATOMIC_SEQ_CST);
        }
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        *turn = 2 * round;
    }
}

void secondary(u64 hart) {
    if (hart == 1) disturb();
    while (*turn < 1000) ;
    work();
    for (;;) wfi();
}

RULE("smp_lr_sc_aba") {
    for (u64 round = 1; round <= 40; round++) {
        u64 failed;
        *cell = round;
        asm volatile("lr.d zero, (%0)" :: "r"(cell) : "memory");
        *turn = 2 * round - 1;
        while (*turn != 2 * round) ;
        asm volatile("sc.d %0, zero, (%1)" : "=&r"(failed) : "r"(cell) : "memory");
        check(failed, 1);
        check(*cell, round);
    }
    for (u64 node = 1; node <= NODES; node++) push(node);
    *turn = 1000;
    work();
    check(WAIT_FOR(__atomic_load_n(&done, __ATOMIC_SEQ_CST) == HARTS), 1);
    check(mistakes, 0);
    check(pops > 0, 1);
    // All nodes are there, each once.
    u64 found = 0, node;
    while ((node = pop())) found += 1ull << (8 * (node - 1));
    check(found, 0x0101010101010101);
}
