// mip.MTIP is set while mtime >= mtimecmp; mtime runs at 10 MHz, is what `time` reads, and can be written
// (privileged manual, "Machine Timer (mtime and mtimecmp) Registers"; RISC-V ACLINT, "MTIMER").
#include "rom.h"

RULE("clint_timer") {
    mtimecmp(0, ~0ull);
    check(WAIT_FOR(!(csr_read(mip) & BIT(MTI))), 1);
    u64 a = mtime(), b = csr_read(time), c = mtime();
    check(a <= b && b <= c, 1);
    check(WAIT_FOR(mtime() > c), 1);
    // In the past, and equal: pending at once. In the future: not yet, then yes.
    mtimecmp(0, 0);
    check(WAIT_FOR(csr_read(mip) & BIT(MTI)), 1);
    u64 due = mtime() + 50000;
    mtimecmp(0, due);
    u64 pending = csr_read(mip) & BIT(MTI);
    if (mtime() < due) check(pending, 0);
    check(WAIT_FOR(csr_read(mip) & BIT(MTI)), 1);
    check(mtime() >= due, 1);
    check(load64(CLINT + 0x4000), due);
    // Halves of both registers.
    store32(CLINT + 0x4004, 0xffffffff);
    check(load64(CLINT + 0x4000), 0xffffffff00000000 | (u32)due);
    store32(CLINT + 0x4000, 0x12345678);
    check(load32(CLINT + 0x4000), 0x12345678);
    check(load32(CLINT + 0x4004), 0xffffffff);
    check(WAIT_FOR(!(csr_read(mip) & BIT(MTI))), 1);
    u64 now = mtime();
    u64 high = load32(CLINT + 0xbffc);
    check(high - (now >> 32) <= 1, 1);
    u64 low = load32(CLINT + 0xbff8);
    check((u32)(low - (u32)now) < 100000000, 1);
    // The interrupt itself, three in a row.
    csr_set(mstatus, MSTATUS_MIE);
    for (u64 count = 1; count <= 3; count++) {
        due = mtime() + 10000;
        mtimecmp(0, due);
        csr_set(mie, BIT(MTI));
        check(WAIT_FOR(interrupts[MTI] == count), 1);
        check(mtime() >= due, 1);
    }
    csr_clear(mstatus, MSTATUS_MIE);
    // A write moves the clock, and `time` with it.
    u64 future = mtime() + 1000000000000;
    store64(CLINT + 0xbff8, future);
    now = mtime();
    check(now >= future && now - future < 100000000, 1);
    now = csr_read(time);
    check(now >= future && now - future < 100000000, 1);
    // And with it what is due.
    check(WAIT_FOR(csr_read(mip) & BIT(MTI)), 1);
}
