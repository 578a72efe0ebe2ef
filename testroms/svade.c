// Svade: a clear A bit, or a clear D bit under a store, is a page fault, and the entry stays as it is
// (privileged manual, "Virtual Address Translation Process"; "Svade").
#include "rom.h"

#define PAGE 0x300000000ull

static u64 amo(u64 address) { return TRAP_OF("amoor.d zero, zero, (%0)", :: "r"(address) : "memory"); }

RULE("svade") {
    csr_clear(menvcfg, MENVCFG_ADUE);
    check(csr_read(menvcfg) & MENVCFG_ADUE, 0);
    paging_on(SV39);
    u64 *cell = new_page();
    *cell = 0x8067;
    for (unsigned level = 0; level < 2; level++) {
        u64 *entry = pte_of(PAGE + level * 0x40000000, level), address = PAGE + level * 0x40000000, base = (u64)cell;
        if (level) { base &= ~0x1fffffull; address += (u64)cell & 0x1fffff; }
        u64 clean = pte(base, PTE_V | PTE_RWX), read = clean | PTE_A, written = read | PTE_D;
        *entry = clean;
        sfence();
        check(load_trap(MODE_S, address), LOAD_PAGE);
        check(store_trap(MODE_S, address, 0), STORE_PAGE);
        check(fetch_trap(MODE_S, address), FETCH_PAGE);
        check(*entry, clean);
        *entry = read;
        sfence();
        check(load_trap(MODE_S, address), NO_TRAP);
        check(fetch_trap(MODE_S, address), NO_TRAP);
        check(store_trap(MODE_S, address, 0), STORE_PAGE);
        check(call_in(MODE_S, amo, address, 0), STORE_PAGE);
        check(*entry, read);
        *entry = written;
        sfence();
        check(store_trap(MODE_S, address, 0x8067), NO_TRAP);
        check(*entry, written);
        // D without A is clean enough to fault.
        *entry = clean | PTE_D;
        sfence();
        check(load_trap(MODE_S, address), LOAD_PAGE);
        check(store_trap(MODE_S, address, 0), STORE_PAGE);
    }
}
