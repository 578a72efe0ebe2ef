// Two address spaces hold different code at one address; switching satp switches what runs, with and without ASIDs
// (privileged manual, "Supervisor Address Translation and Protection Register").
#include "rom.h"

#define PAGE 0x300000000ull
#define FLAGS (PTE_V | PTE_R | PTE_X | PTE_AD)

// li a0, value; a loop of three rounds, so that blocks are chained; ret.
static u64 *make_code(u64 value) {
    u64 page = (u64)new_page();
    store32(page, 0x00000513 | (u32)value << 20);
    store32(page + 4, 0x00300293);          // li t0, 3
    store32(page + 8, 0xfff28293);          // addi t0, t0, -1
    store32(page + 12, 0xfe029ee3);         // bnez t0, .-4
    store32(page + 16, 0x00150513);         // addi a0, a0, 1
    store32(page + 20, 0x00008067);
    return (u64 *)page;
}

RULE("address_space_code") {
    paging_on(SV39);
    u64 *first_root = root_table, *second_root = new_page();
    for (int i = 0; i < 512; i++) second_root[i] = first_root[i];
    map(PAGE, (u64)make_code(10), FLAGS, 0);
    root_table = second_root;
    second_root[PAGE >> 30] = 0;
    map(PAGE, (u64)make_code(20), FLAGS, 0);
    fence_i();
    u64 first = (u64)SV39 << 60 | (u64)first_root >> 12, second = (u64)SV39 << 60 | (u64)second_root >> 12;
    // By ASID, without fences.
    sfence();
    for (int round = 0; round < 10; round++) {
        csr_write(satp, first | 1ull << 44);
        check(jump_in(MODE_S, PAGE), 11);
        csr_write(satp, second | 2ull << 44);
        check(jump_in(MODE_S, PAGE), 21);
    }
    // With one ASID and a fence at each switch.
    for (int round = 0; round < 10; round++) {
        csr_write(satp, first);
        sfence();
        check(jump_in(MODE_S, PAGE), 11);
        csr_write(satp, second);
        sfence();
        check(jump_in(MODE_S, PAGE), 21);
    }
    // The same page under another entry while its code is known.
    u64 third = (u64)make_code(30);
    fence_i();
    for (int round = 0; round < 5; round++) {
        u64 old = *pte_of(PAGE, 0) >> 10 << 12;
        map(PAGE, third, FLAGS, 0);
        check(jump_in(MODE_S, PAGE), 31);
        map(PAGE, old, FLAGS, 0);
        check(jump_in(MODE_S, PAGE), 21);
    }
}
