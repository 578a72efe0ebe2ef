// Two harts wake each other from wfi by CLINT software interrupts.
#include "rom.h"

#define ROUNDS 200

static volatile u64 pings, pongs;

static u64 wait_for_ipi(u64 hart) {
    csr_write(mie, BIT(MSI));
    u64 naps = 0;
    while (!(csr_read(mip) & BIT(MSI)) && naps++ < 1000000) wfi();
    msip(hart, 0);
    while (csr_read(mip) & BIT(MSI)) ;
    return naps;
}

void secondary(u64 hart) {
    for (;;) {
        wait_for_ipi(hart);
        pongs = pongs + 1;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        msip(0, 1);
    }
}

RULE("smp_ipi_ping_pong") {
    for (pings = 0; pings < ROUNDS; pings = pings + 1) {
        msip(1, 1);
        wait_for_ipi(0);
        check(pongs, pings + 1);
    }
    check(load32(CLINT), 0);
    check(load32(CLINT + 4), 0);
}
