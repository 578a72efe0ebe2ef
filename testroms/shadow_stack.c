// Zicfiss in S-mode: pushes, pops and swaps on pages only they may write, and what they do where they are off
// (unprivileged and privileged manual, "Shadow Stack").
#include "rom.h"

#define SOFTWARE_CHECK 18
#define MENVCFG_SSE BIT(3)
#define STACK 0x300000000ull
#define SSP 0x011

u64 push_and_pop(u64 value, u64 expected), swap(u64 address, u64 value), push_read(u64 value, u64 unused);
asm(".option push\n.option norvc\n.balign 4\n"
    "push_and_pop: mv t1, ra\n mv ra, a0\n .word 0xce104073\n mv t0, a1\n .word 0xcdc2c073\n mv ra, t1\n li a0, 1\n ret\n"  // sspush ra; sspopchk t0
    "push_read: mv t1, ra\n mv ra, a0\n .word 0xce104073\n .word 0xcdc04573\n mv ra, t1\n ret\n"                          // sspush ra; ssrdp a0
    "swap: .word 0x48b5352f\n ret\n.option pop");                                                                          // ssamoswap.d a0, a1, (a0)

RULE("shadow_stack") {
    // Off: may-be-operations.
    csr_write(SSP, STACK + 0x800);
    check(call_in(MODE_S, push_read, 5, 0), 0);
    check(csr_read(SSP), STACK + 0x800);

    csr_set(menvcfg, MENVCFG_SSE);
    paging_on(SV39);
    u64 *page = new_page();
    map(STACK, (u64)page, PTE_V | PTE_W | PTE_AD, 0);
    check(call_in(MODE_S, push_read, 0x1234, 0), STACK + 0x7f8);
    check(page[255], 0x1234);
    csr_write(SSP, STACK + 0x800);
    for (u64 i = 0; i < 2000; i++) check(call_in(MODE_S, push_and_pop, i, i), 1);
    check(csr_read(SSP), STACK + 0x800);
    clear_trap();
    check(call_in(MODE_S, push_and_pop, 7, 8), 1);
    check(trap.cause, SOFTWARE_CHECK);
    check(trap.tval, 3);
    check(csr_read(SSP), STACK + 0x7f8);
    check(call_in(MODE_S, swap, STACK + 0x7f8, 99), 7);
    check(page[255], 99);

    // Loads may read it, nothing else may touch it.
    check(load64_in(MODE_S, STACK + 0x7f8), 99);
    check(store_trap(MODE_S, STACK + 0x7f8, 1), STORE_ACCESS);
    check(fetch_trap(MODE_S, STACK), FETCH_ACCESS);
    check(page[255], 99);
    // Other pages are no shadow stacks: a mistake, or one that was shared and is to be copied.
    map(STACK, (u64)page, PTE_V | PTE_R | PTE_W | PTE_AD, 0);
    clear_trap();
    call_in(MODE_S, swap, STACK + 0x7f8, 1);
    check(trap.cause, STORE_ACCESS);
    map(STACK, (u64)page, PTE_V | PTE_R | PTE_AD, 0);
    clear_trap();
    call_in(MODE_S, swap, STACK + 0x7f8, 1);
    check(trap.cause, STORE_PAGE);
    // Without SSE the encoding is reserved, at once.
    map(STACK, (u64)page, PTE_V | PTE_W | PTE_AD, 0);
    check(load_trap(MODE_S, STACK), NO_TRAP);
    csr_clear(menvcfg, MENVCFG_SSE);
    check(load_trap(MODE_S, STACK), LOAD_PAGE);
}
