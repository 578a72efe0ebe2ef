// Page tables for programs that translate addresses.
#include "rom.h"

#define POOL_PAGES 48
static u64 pool[POOL_PAGES][512] __attribute__((section(".bss.pages"), aligned(4096)));
static unsigned used;
static unsigned levels;

u64 *new_page(void) {
    if (used == POOL_PAGES) check_failed(used, 0);
    return pool[used++];
}

u64 *pte_of(u64 address, unsigned level) {
    u64 *table = root_table;
    for (unsigned at = levels - 1; at > level; at--) {
        u64 *entry = &table[address >> (12 + 9 * at) & 511];
        if (!(*entry & PTE_V)) *entry = pte((u64)new_page(), PTE_V);
        table = (u64 *)(*entry >> 10 << 12);
    }
    return &table[address >> (12 + 9 * level) & 511];
}

void map(u64 address, u64 physical, u64 flags, unsigned level) {
    *pte_of(address, level) = pte(physical, flags);
    sfence();
}

void paging_on(u64 mode) {
    levels = (unsigned)mode - 5;
    root_table = new_page();
    for (u64 gigabyte = 0; gigabyte < 3; gigabyte += 2) {
        u64 physical = gigabyte << 30;
        map(physical, physical, PTE_V | PTE_RWX | PTE_AD, 2);
        map(physical + USER_OFFSET, physical, PTE_V | PTE_RWX | PTE_U | PTE_AD, 2);
    }
    user_offset = USER_OFFSET;
    csr_write(satp, mode << 60 | (u64)root_table >> 12);
    sfence();
}

void paging_off(void) {
    csr_write(satp, 0);
    sfence();
    user_offset = 0;
}
