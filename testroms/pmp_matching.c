// How PMP entries match: NA4, NAPOT of every size, TOR, the lowest entry wins, an access must lie in one entry whole
// (privileged manual, "Physical Memory Protection CSRs").
#include "rom.h"

enum { R = 1, W = 2, X = 4, TOR = 1 << 3, NA4 = 2 << 3, NAPOT = 3 << 3 };
#define AREA 0x80800000ull

static void configure(unsigned entry, u64 address, u64 flags) {
    u64 shift = 8 * (entry & 7);
    switch (entry) {
    case 0: csr_write(pmpaddr0, address); break;
    case 1: csr_write(pmpaddr1, address); break;
    case 2: csr_write(pmpaddr2, address); break;
    default: csr_write(pmpaddr3, address); break;
    }
    csr_field(pmpcfg0, 0xffull << shift, flags << shift);
    sfence();
}

static u64 load32_there(u64 address) { return trap_of(load32(address)); }
static u64 load16_there(u64 address) { return trap_of(load16(address)); }
static u64 load8_there(u64 address) { return trap_of(load8(address)); }
static u64 expect4(u64 address) { return call_in(MODE_S, load32_there, address, 0); }

RULE("pmp_matching") {
    // Without read permission only what the entry covers is lost. NA4:
    configure(0, AREA >> 2, NA4);
    check(expect4(AREA - 4), NO_TRAP);
    check(expect4(AREA), LOAD_ACCESS);
    check(trap.tval, AREA);
    check(expect4(AREA + 4), NO_TRAP);
    check(call_in(MODE_S, load8_there, AREA + 3, 0), LOAD_ACCESS);
    check(call_in(MODE_S, load16_there, AREA + 2, 0), LOAD_ACCESS);
    check(load_trap(MODE_S, AREA + 8), NO_TRAP);
    // Half inside: fails, whatever the other half may do.
    check(load_trap(MODE_S, AREA), LOAD_ACCESS);
    check(load_trap(MODE_S, AREA - 4), LOAD_ACCESS);
    configure(0, AREA >> 2, NA4 | R | W | X);
    check(load_trap(MODE_S, AREA), LOAD_ACCESS);
    check(expect4(AREA), NO_TRAP);

    // NAPOT, 8 bytes to 64 KiB.
    for (u64 bits = 3; bits <= 16; bits++) {
        u64 size = 1ull << bits;
        configure(0, AREA >> 2 | (size / 8 - 1), NAPOT);
        check(expect4(AREA - 4), NO_TRAP);
        check(expect4(AREA), LOAD_ACCESS);
        check(expect4(AREA + size - 4), LOAD_ACCESS);
        check(expect4(AREA + size), NO_TRAP);
    }
    // TOR: from the address below up to, not including, its own; entry 0 starts at 0.
    configure(0, AREA >> 2, 0);
    configure(1, (AREA + 12) >> 2, TOR);
    check(expect4(AREA - 4), NO_TRAP);
    check(expect4(AREA), LOAD_ACCESS);
    check(expect4(AREA + 8), LOAD_ACCESS);
    check(expect4(AREA + 12), NO_TRAP);
    // An empty range matches nothing.
    configure(1, AREA >> 2, TOR);
    check(expect4(AREA - 4), NO_TRAP);
    check(expect4(AREA), NO_TRAP);
    configure(1, (AREA - 64) >> 2, TOR);
    check(expect4(AREA - 64), NO_TRAP);
    check(expect4(AREA - 4), NO_TRAP);
    configure(1, 0, 0);
    configure(0, 0x80000000 >> 2, TOR);
    check(load_trap(MODE_S, CLINT + 0xbff8), LOAD_ACCESS);
    check(expect4(AREA), NO_TRAP);

    // The lowest-numbered entry decides.
    configure(0, AREA >> 2 | 0x1ff, NAPOT | R);
    configure(1, AREA >> 2 | 0xfff, NAPOT);
    check(expect4(AREA + 0xffc), NO_TRAP);
    check(store_trap(MODE_S, AREA, 0), STORE_ACCESS);
    check(expect4(AREA + 0x1000), LOAD_ACCESS);
    configure(0, 0, 0);
    check(expect4(AREA + 0xffc), LOAD_ACCESS);

    // Permissions one by one; W without R is reserved and not kept as it is.
    store32(AREA, 0x8067);
    fence_i();
    for (u64 flags = 0; flags < 8; flags++) {
        configure(1, AREA >> 2 | 0xfff, NAPOT | flags);
        if ((flags & 3) == W) { check((csr_read(pmpcfg0) >> 8 & 3) == W, 0); continue; }
        for (u64 mode = MODE_U; mode <= MODE_S; mode++) {
            check(load_trap(mode, AREA), flags & R ? NO_TRAP : LOAD_ACCESS);
            check(store_trap(mode, AREA, 0x8067), flags & W ? NO_TRAP : STORE_ACCESS);
            check(fetch_trap(mode, AREA), flags & X ? NO_TRAP : FETCH_ACCESS);
        }
        // Not locked: M-mode does not mind.
        check(load_trap(MODE_M, AREA), NO_TRAP);
        check(store_trap(MODE_M, AREA, 0x8067), NO_TRAP);
        check(fetch_trap(MODE_M, AREA), NO_TRAP);
    }
    configure(1, 0, 0);
    // An instruction over the boundary of two entries, or into one that forbids it.
    store32(AREA + 2, 0x00000013);
    store32(AREA + 6, 0x00008067);
    fence_i();
    configure(1, (AREA + 4) >> 2, NA4 | R);
    check(fetch_trap(MODE_S, AREA + 2), FETCH_ACCESS);
    check(trap.pc, AREA + 2);
    configure(1, 0, 0);
    check(fetch_trap(MODE_S, AREA + 2), NO_TRAP);

    // Reserved bits 5 and 6, and the width of the address registers.
    csr_field(pmpcfg0, 0xff, 0x60);
    check(csr_read(pmpcfg0) & 0x60, 0);
    check(csr_try(pmpaddr0, ~0ull), (1ull << 54) - 1);
    csr_write(pmpaddr0, 0);
}
