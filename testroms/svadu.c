// Svadu: with menvcfg.ADUE the hart sets A and D itself, exactly when an access is allowed ("Svadu" extension).
#include "rom.h"

#define PAGE 0x300000000ull

static u64 amo(u64 address) { return TRAP_OF("amoor.d zero, zero, (%0)", :: "r"(address) : "memory"); }

static u64 *entry;
static void set(u64 value) { *entry = value; sfence(); }

RULE("svadu") {
    csr_set(menvcfg, MENVCFG_ADUE);
    check(csr_read(menvcfg) & MENVCFG_ADUE, MENVCFG_ADUE);
    paging_on(SV39);
    u64 *cell = new_page();
    *cell = 0x8067;
    entry = pte_of(PAGE, 0);
    u64 clean = pte((u64)cell, PTE_V | PTE_RWX);
    set(clean);
    check(load_trap(MODE_S, PAGE), NO_TRAP);
    check(*entry, clean | PTE_A);
    check(store_trap(MODE_S, PAGE, 0x8067), NO_TRAP);
    check(*entry, clean | PTE_A | PTE_D);
    set(clean);
    check(fetch_trap(MODE_S, PAGE), NO_TRAP);
    check(*entry, clean | PTE_A);
    set(clean);
    check(store_trap(MODE_S, PAGE, 0x8067), NO_TRAP);
    check(*entry, clean | PTE_A | PTE_D);
    set(clean);
    check(call_in(MODE_S, amo, PAGE, 0), NO_TRAP);
    check(*entry, clean | PTE_A | PTE_D);
    // An access that faults changes nothing.
    set(pte((u64)cell, PTE_V | PTE_R));
    check(store_trap(MODE_S, PAGE, 0), STORE_PAGE);
    check(fetch_trap(MODE_S, PAGE), FETCH_PAGE);
    check(*entry, pte((u64)cell, PTE_V | PTE_R));
    set(clean);
    check(load_trap(MODE_U, PAGE), LOAD_PAGE);
    check(*entry, clean);
    // A superpage has one entry for all.
    u64 *leaf = pte_of(PAGE + 0x40000000, 1), base = (u64)cell & ~0x1fffffull;
    *leaf = pte(base, PTE_V | PTE_R | PTE_W);
    sfence();
    check(load_trap(MODE_S, PAGE + 0x40000000 + ((u64)cell & 0x1fffff)), NO_TRAP);
    check(*leaf, pte(base, PTE_V | PTE_R | PTE_W | PTE_A));
    check(store_trap(MODE_S, PAGE + 0x40000000 + ((u64)cell & 0x1fffff), 0x8067), NO_TRAP);
    check(*leaf, pte(base, PTE_V | PTE_R | PTE_W | PTE_AD));
    // Entries on the way down are not marked.
    check(*pte_of(PAGE, 1) & (PTE_AD), 0);

    // Switched off, both bits fault as with Svade.
    csr_clear(menvcfg, MENVCFG_ADUE);
    set(clean);
    check(load_trap(MODE_S, PAGE), LOAD_PAGE);
    check(store_trap(MODE_S, PAGE, 0), STORE_PAGE);
    check(*entry, clean);
    set(clean | PTE_A);
    check(load_trap(MODE_S, PAGE), NO_TRAP);
    check(store_trap(MODE_S, PAGE, 0), STORE_PAGE);
    check(*entry, clean | PTE_A);
}
