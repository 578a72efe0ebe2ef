// The rules all page-table depths share, checked at every level: leaves, invalid and reserved entries, address bounds
// (privileged manual, "Virtual Address Translation Process").
#include "rom.h"

// Puts `entry` at `level` for `address` and expects a page fault of each kind.
static void expect_page_faults(u64 address, u64 entry, unsigned level) {
    *pte_of(address, level) = entry;
    sfence();
    check(load_trap(MODE_S, address), LOAD_PAGE);
    check(trap.tval, address);
    check(store_trap(MODE_S, address, 0), STORE_PAGE);
    check(trap.tval, address);
    check(fetch_trap(MODE_S, address), FETCH_PAGE);
    check(trap.tval, address);
}

static void check_level(u64 base, unsigned level, u64 *cell) {
    u64 size = 1ull << (12 + 9 * level), address = base + (u64)cell % size;
    u64 physical = (u64)cell / size * size, good = PTE_V | PTE_RWX | PTE_AD;
    *cell = 0x1122334455667788 + level;
    // A leaf: reads, writes and runs.
    map(address, physical, good, level);
    check(load64_in(MODE_S, address), 0x1122334455667788 + level);
    check(store_trap(MODE_S, address, 0x8067), NO_TRAP);
    check(*cell, 0x8067);
    fence_i();
    check(fetch_trap(MODE_S, address), NO_TRAP);
    // The two bits for software mean nothing.
    map(address, physical, good | 3 << 8, level);
    check(load64_in(MODE_S, address), 0x8067);
    // Not valid; and writable without readable, which is reserved.
    expect_page_faults(address, pte(physical, good & ~PTE_V), level);
    expect_page_faults(address, pte(physical, PTE_V | PTE_W | PTE_AD), level);
    expect_page_faults(address, pte(physical, PTE_V | PTE_W | PTE_X | PTE_AD), level);
    // Reserved bits at the top; the two above them are the software's (Svrsw60t59b).
    for (unsigned bit = 54; bit < 59; bit++) expect_page_faults(address, pte(physical, good) | BIT(bit), level);
    map(address, physical, good, level);
    *pte_of(address, level) |= BIT(59) | BIT(60);
    sfence();
    check(load64_in(MODE_S, address), 0x8067);
    // A superpage that is not aligned to its size.
    for (unsigned bit = 12; bit < 12 + 9 * level; bit += 4) expect_page_faults(address, pte(physical | BIT(bit), good), level);
    // A pointer with reserved bits, or a pointer where no table can follow.
    if (level > 0) {
        u64 table = (u64)new_page();
        expect_page_faults(address, pte(table, PTE_V | PTE_A), level);
        expect_page_faults(address, pte(table, PTE_V | PTE_D), level);
        expect_page_faults(address, pte(table, PTE_V | PTE_U), level);
        expect_page_faults(address, pte(table, PTE_V) | PTE_N, level);
        expect_page_faults(address, pte(table, PTE_V) | PTE_PBMT_NC, level);
        expect_page_faults(address, pte(table, PTE_V), level);
    } else {
        expect_page_faults(address, pte((u64)cell & ~0xfffull, PTE_V), level);
    }
    *pte_of(address, level) = 0;
    sfence();
}

static void check_translation(u64 mode) {
    static u64 cell __attribute__((aligned(16)));
    unsigned levels = (unsigned)mode - 5, bits = 12 + 9 * levels;
    csr_set(menvcfg, MENVCFG_ADUE | MENVCFG_PBMTE);
    paging_on(mode);
    check(csr_read(satp) >> 60, mode);
    for (unsigned level = 0; level < levels; level++) {
        // In the lower half, and at the bottom of the upper half.
        check_level(level < 3 ? 0x3f80000000 : 3ull << (12 + 9 * level), level, &cell);
        check_level(0 - BIT(bits - 1), level, &cell);
    }
    // Addresses whose upper bits do not repeat the highest one.
    u64 wrong[] = { BIT(bits - 1), 0 - BIT(bits), ~BIT(bits - 1), BIT(63), 0 - BIT(bits - 1) - 8 };
    for (int i = 0; i < 5; i++) {
        u64 address = wrong[i] & ~7ull;
        check(load_trap(MODE_S, address), LOAD_PAGE);
        check(trap.tval, address);
        check(store_trap(MODE_S, address, 0), STORE_PAGE);
        check(trap.tval, address);
        check(fetch_trap(MODE_S, address), FETCH_PAGE);
        check(trap.tval, address);
    }
    paging_off();
}
