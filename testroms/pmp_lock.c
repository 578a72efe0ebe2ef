// A locked entry binds M-mode too and stays as it is until reset; locked TOR also fixes the address below it
// (privileged manual, "Locking and Privilege Mode").
#include "rom.h"

enum { R = 1, W = 2, X = 4, TOR = 1 << 3, NA4 = 2 << 3, NAPOT = 3 << 3, L = 1 << 7 };
#define AREA 0x80800000ull

RULE("pmp_lock") {
    store32(AREA, 0x8067);
    fence_i();
    csr_write(pmpaddr1, AREA >> 2 | 0x1ff);
    csr_write(pmpcfg0, (u64)(L | NAPOT | R) << 8);
    sfence();
    check(load_trap(MODE_M, AREA), NO_TRAP);
    check(store_trap(MODE_M, AREA, 0), STORE_ACCESS);
    check(trap.tval, AREA);
    check(fetch_trap(MODE_M, AREA), FETCH_ACCESS);
    check(load_trap(MODE_S, AREA), NO_TRAP);
    check(store_trap(MODE_S, AREA, 0), STORE_ACCESS);
    check(store_trap(MODE_M, AREA + 0x1000, 0), NO_TRAP);
    // Neither half of it can be written.
    csr_write(pmpcfg0, 0);
    check(csr_read(pmpcfg0), (u64)(L | NAPOT | R) << 8);
    csr_write(pmpcfg0, 0x1fff1f);
    check(csr_read(pmpcfg0) >> 8 & 0xff, L | NAPOT | R);
    check(csr_try(pmpaddr1, 0), AREA >> 2 | 0x1ff);
    check(store_trap(MODE_M, AREA, 0), STORE_ACCESS);
    csr_write(pmpcfg0, 0);
    sfence();
    // Entry 0 below a locked NAPOT entry is free.
    check(csr_try(pmpaddr0, 5), 5);
    csr_write(pmpaddr0, 0);

    // Locked TOR in entry 9 pins pmpaddr8 and itself.
    csr_write(pmpaddr8, (AREA + 0x2000) >> 2);
    csr_write(pmpaddr9, (AREA + 0x3000) >> 2);
    csr_set(pmpcfg2, (u64)(L | TOR) << 8);
    sfence();
    check(load_trap(MODE_M, AREA + 0x2000), LOAD_ACCESS);
    check(load_trap(MODE_M, AREA + 0x2ff8), LOAD_ACCESS);
    check(load_trap(MODE_M, AREA + 0x3000), NO_TRAP);
    check(load_trap(MODE_M, AREA + 0x1ff8), NO_TRAP);
    check(csr_try(pmpaddr8, 0), (AREA + 0x2000) >> 2);
    check(csr_try(pmpaddr9, 0), (AREA + 0x3000) >> 2);
    check(csr_try(pmpaddr10, 9), 9);
    // A locked entry that is off matches nothing, but stays.
    csr_write(pmpaddr3, 77);
    csr_set(pmpcfg0, (u64)L << 24);
    check(csr_try(pmpaddr3, 0), 77);
    // An unlocked entry of lower number still goes first.
    csr_write(pmpaddr0, AREA >> 2 | 0x1ff);
    csr_set(pmpcfg0, NAPOT | R | W | X);
    sfence();
    check(store_trap(MODE_M, AREA, 0x8067), NO_TRAP);
    check(store_trap(MODE_S, AREA, 0x8067), NO_TRAP);
}
