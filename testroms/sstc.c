// Sstc: STIP is set while time >= stimecmp, once menvcfg.STCE allows it; mcounteren.TM guards S-mode's access ("Sstc" extension).
#include "rom.h"

static u64 read_there(void) { return csr_read_trap(stimecmp); }
static u64 write_there(void) { return csr_write_trap(stimecmp, ~0ull); }
static u64 wait_there(u64 ticks) {
    csr_write(stimecmp, csr_read(time) + ticks);
    csr_set(sie, BIT(STI));
    csr_set(sstatus, MSTATUS_SIE);
    u64 end = csr_read(time) + 50000000;
    while (!interrupts[STI] && csr_read(time) < end) ;
    csr_clear(sstatus, MSTATUS_SIE);
    return interrupts[STI];
}

RULE("sstc") {
    // Without STCE: illegal in S-mode, and STIP is a plain bit of mip.
    csr_clear(menvcfg, MENVCFG_STCE);
    csr_write(mcounteren, 7);
    check(call_in(MODE_S, read_there, 0, 0), ILLEGAL);
    check(call_in(MODE_S, write_there, 0, 0), ILLEGAL);
    check(csr_read_trap(stimecmp), NO_TRAP);
    csr_write(mip, BIT(STI));
    check(csr_read(mip) & BIT(STI), BIT(STI));
    csr_write(mip, 0);
    check(csr_read(mip) & BIT(STI), 0);

    csr_write(stimecmp, ~0ull);
    csr_set(menvcfg, MENVCFG_STCE);
    check(csr_read(menvcfg) >> 63, 1);
    check(call_in(MODE_S, read_there, 0, 0), NO_TRAP);
    check(call_in(MODE_U, read_there, 0, 0), ILLEGAL);
    // STIP belongs to the comparison now.
    check(csr_read(mip) & BIT(STI), 0);
    csr_set(mip, BIT(STI));
    check(csr_read(mip) & BIT(STI), 0);
    csr_write(stimecmp, 0);
    check(WAIT_FOR(csr_read(mip) & BIT(STI)), 1);
    csr_clear(mip, BIT(STI));
    check(csr_read(mip) & BIT(STI), BIT(STI));
    u64 due = csr_read(time) + 30000;
    csr_write(stimecmp, due);
    check(csr_read(stimecmp), due);
    u64 pending = csr_read(mip) & BIT(STI);
    if (csr_read(time) < due) check(pending, 0);
    check(WAIT_FOR(csr_read(mip) & BIT(STI)), 1);
    check(csr_read(time) >= due, 1);
    csr_write(stimecmp, ~0ull);
    check(WAIT_FOR(!(csr_read(mip) & BIT(STI))), 1);

    // mcounteren.TM = 0 takes it from S-mode again.
    csr_write(mcounteren, 5);
    check(call_in(MODE_S, read_there, 0, 0), ILLEGAL);
    csr_write(mcounteren, 7);

    // Delegated and taken in S-mode.
    csr_write(mideleg, BIT(STI));
    check(call_in(MODE_S, wait_there, 30000, 0), 1);
    check(interrupt_handler, MODE_S);
    csr_write(stimecmp, ~0ull);
}
