// Messages from another hart, each of which comes once: what csrrw reads from mtopei is what it claims, however many messages come meanwhile
// (RISC-V Advanced Interrupt Architecture, "Top external interrupt CSRs").
#include "rom.h"

#define miselect 0x350
#define mireg 0x351
#define mtopei 0x35c

#define FILE_M(hart) (0x24000000ull + 0x1000ull * (hart))
#define ROUNDS 60
#define IDENTITIES 40

static volatile u64 round_, received, mistakes;

void secondary(u64 hart) {
    (void)hart;
    csr_write(miselect, 0x70);
    csr_write(mireg, 1);
    csr_write(miselect, 0xc0);
    csr_write(mireg, ~0ull);
    u64 seen = 0, round = 0;
    received = 1;
    for (;;) {
        u64 identity = csr_swap(mtopei, 0) >> 16;
        if (!identity) continue;
        if (round_ != round) {
            // The first of a round.
            round = round_;
            seen = 0;
        }
        if (seen & BIT(identity)) mistakes++;
        seen |= BIT(identity);
        if (seen == (BIT(IDENTITIES + 1) - 2)) received = round + 1;
    }
}

RULE("smp_messages") {
    while (received != 1) ;
    for (u64 round = 1; round <= ROUNDS; round++) {
        round_ = round;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        // Each goes before all that came earlier.
        for (u64 identity = IDENTITIES; identity >= 1; identity--) store32(FILE_M(1), identity);
        while (received != round + 1) ;
    }
    check(mistakes, 0);
}
