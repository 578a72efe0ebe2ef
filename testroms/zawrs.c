// Zawrs: waiting on a reservation ends when another hart stores there; wrs.nto below M-mode is under TW's control ("Zawrs" extension).
#include "rom.h"

static volatile u64 cell __attribute__((aligned(64)));
static volatile u64 ready;

static u64 no_timeout(void) { return TRAP_OF(".option arch, +zawrs\nwrs.nto", ::: "memory"); }
static u64 short_timeout(void) { return TRAP_OF(".option arch, +zawrs\nwrs.sto", ::: "memory"); }

void secondary(u64 hart) {
    (void)hart;
    for (u64 round = 1;; round++) {
        while (ready != round) ;
        for (int i = 0; i < 1000; i++) asm volatile("nop");
        cell = round;
    }
}

RULE("zawrs") {
    // Without a reservation neither waits.
    check(no_timeout(), NO_TRAP);
    check(short_timeout(), NO_TRAP);
    for (u64 round = 1; round <= 20; round++) {
        ready = round;
        u64 seen;
        do {
            asm volatile("lr.d %0, (%1)" : "=r"(seen) : "r"(&cell) : "memory");
            if (seen == round) break;
            if (round & 1) asm volatile(".option push\n.option arch, +zawrs\nwrs.nto\n.option pop" ::: "memory");
            else asm volatile(".option push\n.option arch, +zawrs\nwrs.sto\n.option pop" ::: "memory");
        } while (1);
        check(cell, round);
    }
    // TW: wrs.sto never traps; wrs.nto in M-mode neither.
    csr_set(mstatus, MSTATUS_TW);
    check(short_timeout(), NO_TRAP);
    check(call_in(MODE_S, short_timeout, 0, 0), NO_TRAP);
    check(call_in(MODE_U, short_timeout, 0, 0), NO_TRAP);
    check(no_timeout(), NO_TRAP);
    csr_clear(mstatus, MSTATUS_TW);
    check(call_in(MODE_S, no_timeout, 0, 0), NO_TRAP);
    check(call_in(MODE_U, no_timeout, 0, 0), NO_TRAP);
}
