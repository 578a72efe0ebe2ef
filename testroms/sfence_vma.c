// sfence.vma by address and by address space, global pages, and switching address spaces without a fence
// (privileged manual, "Supervisor Memory-Management Fence Instruction").
#include "rom.h"

#define PAGE 0x300000000ull
#define FLAGS (PTE_V | PTE_R | PTE_W | PTE_AD)

static u64 *first, *second;

static void fence_address(u64 address) { asm volatile("sfence.vma %0, zero" :: "r"(address) : "memory"); }
static void fence_space(u64 space) { asm volatile("sfence.vma zero, %0" :: "r"(space) : "memory"); }
static void fence_both(u64 address, u64 space) { asm volatile("sfence.vma %0, %1" :: "r"(address), "r"(space) : "memory"); }
static u64 look(void) { return load64_in(MODE_S, PAGE); }

RULE("sfence_vma") {
    paging_on(SV39);
    first = new_page();
    second = new_page();
    *first = 1;
    *second = 2;
    u64 *entry = pte_of(PAGE, 0), root = csr_read(satp);
    map(PAGE, (u64)first, FLAGS, 0);
    check(look(), 1);
    // By address: any address in the page.
    *entry = pte((u64)second, FLAGS);
    fence_address(PAGE + 0xabc);
    check(look(), 2);
    *entry = 0;
    fence_address(PAGE);
    check(load_trap(MODE_S, PAGE), LOAD_PAGE);
    // From invalid to valid.
    *entry = pte((u64)first, FLAGS);
    fence_address(PAGE);
    check(look(), 1);
    // Less permission.
    check(store_trap(MODE_S, PAGE, 1), NO_TRAP);
    *entry = pte((u64)first, PTE_V | PTE_R | PTE_AD);
    fence_address(PAGE);
    check(store_trap(MODE_S, PAGE, 7), STORE_PAGE);
    check(look(), 1);

    // By address space, which is 0 so far; then 5.
    *entry = pte((u64)second, FLAGS);
    fence_space(0);
    check(look(), 2);
    csr_write(satp, root | 5ull << 44);
    check(csr_read(satp) >> 44 & 0xffff, 5);
    sfence();
    check(look(), 2);
    *entry = pte((u64)first, FLAGS);
    fence_space(5);
    check(look(), 1);
    *entry = pte((u64)second, FLAGS);
    fence_both(PAGE, 5);
    check(look(), 2);

    // Two address spaces with different tables live side by side without a fence.
    u64 *other_root = new_page();
    for (int i = 0; i < 512; i++) other_root[i] = root_table[i];
    other_root[PAGE >> 30] = 0;
    u64 other = (u64)SV39 << 60 | 6ull << 44 | (u64)other_root >> 12;
    u64 *keep_root = root_table;
    root_table = other_root;
    *pte_of(PAGE, 0) = pte((u64)first, FLAGS);
    root_table = keep_root;
    sfence();
    for (int round = 0; round < 4; round++) {
        csr_write(satp, other);
        check(look(), 1);
        csr_write(satp, root | 5ull << 44);
        check(look(), 2);
    }
    // A fence for the other space is not one for this; afterwards this one has its own entry still or again.
    fence_space(6);
    check(look(), 2);

    // Global pages go by address.
    *entry = pte((u64)first, FLAGS | PTE_G);
    sfence();
    check(look(), 1);
    *entry = pte((u64)second, FLAGS | PTE_G);
    fence_address(PAGE);
    check(look(), 2);
    *entry = pte((u64)first, FLAGS | PTE_G);
    sfence();
    check(look(), 1);

    // A superpage goes with any address inside it.
    u64 big = PAGE + 0x40000000;
    u64 *leaf = pte_of(big, 1);
    *leaf = pte(0x80800000, FLAGS);
    store64(0x80900000, 11);
    store64(0x80b00000, 22);
    sfence();
    check(load64_in(MODE_S, big + 0x100000), 11);
    *leaf = pte(0x80a00000, FLAGS);
    fence_address(big + 0x1ff000);
    check(load64_in(MODE_S, big + 0x100000), 22);
    // A table swapped for another higher up.
    u64 *table = new_page();
    table[0] = pte((u64)second, FLAGS);
    *pte_of(PAGE, 1) = pte((u64)table, PTE_V);
    sfence();
    check(look(), 2);
}
