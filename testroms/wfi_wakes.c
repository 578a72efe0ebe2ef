// wfi ends when an enabled interrupt becomes pending, whether or not the hart may take it (privileged manual, "Wait for Interrupt").
#include "rom.h"

static u64 sleep(u64 until) {
    u64 naps = 0;
    while (mtime() < until && naps < 100000) { wfi(); naps++; }
    return naps;
}

static u64 sleep_in_supervisor(void) { wfi(); return csr_read(sip) & BIT(STI); }

RULE("wfi_wakes") {
    // Interrupts are off globally: the timer only wakes.
    csr_clear(mstatus, MSTATUS_MIE);
    csr_write(mie, BIT(MTI));
    for (int round = 0; round < 3; round++) {
        u64 due = mtime() + 20000;
        mtimecmp(0, due);
        u64 naps = sleep(due);
        check(mtime() >= due, 1);
        check(naps >= 1, 1);
        check(csr_read(mip) & BIT(MTI), BIT(MTI));
    }
    check(interrupts[MTI], 0);

    // Already pending: no sleep at all.
    wfi();
    check(csr_read(mip) & BIT(MTI), BIT(MTI));
    mtimecmp(0, ~0ull);

    // Pending and delegated: S-mode wakes with SIE off, and M-mode wakes although the interrupt is S-mode's.
    csr_write(mie, BIT(STI));
    csr_write(mideleg, BIT(STI));
    csr_write(mip, BIT(STI));
    check(call_in(MODE_S, sleep_in_supervisor, 0, 0), BIT(STI));
    wfi();
    check(interrupts[STI], 0);
    csr_write(mip, 0);

    // With the interrupt enabled the handler runs, and xepc is behind the wfi.
    csr_write(mie, BIT(MTI));
    mtimecmp(0, mtime() + 20000);
    csr_set(mstatus, MSTATUS_MIE);
    while (!interrupts[MTI]) wfi();
    csr_clear(mstatus, MSTATUS_MIE);
    check(interrupts[MTI], 1);
}
