// Which of several exceptions an instruction raises (privileged manual, "Synchronous exception priority in decreasing priority order").
#include "rom.h"

#define PAGE 0x300000000ull

static u64 mtval_of_illegal(u64 word) {
    static u32 code[4] __attribute__((aligned(16)));
    code[0] = (u32)word;
    code[1] = 0x00008067;           // ret
    fence_i();
    clear_trap();
    jump_to((u64)code);
    return trap.tval;
}

static u64 store_csr(void) { return TRAP_OF("csrw mscratch, %0", :: "r"(0)); }

RULE("exception_priorities") {
    // An illegal instruction is found before any memory access it would make: a load with a reserved width from nowhere.
    check(TRAP_OF(".insn i 0x03, 7, t0, 0(%0)", :: "r"(PAGE) : "t0", "memory"), ILLEGAL);
    check(mtval_of_illegal(0xffffffff), 0xffffffff);
    check(trap.cause, ILLEGAL);

    paging_on(SV39);
    u64 physical = (u64)new_page();
    map(PAGE, physical, PTE_V | PTE_R | PTE_W | PTE_AD, 0);
    // A fetch page fault comes before whatever the bytes would mean.
    *(volatile u32 *)physical = 0;
    check(fetch_trap(MODE_S, PAGE), FETCH_PAGE);
    check(trap.tval, PAGE);
    // A page fault comes before the access fault of the physical address.
    map(PAGE + 0x1000, 0x5000, PTE_V | PTE_W | PTE_R | PTE_X | PTE_U | PTE_AD, 0);
    check(load_trap(MODE_S, PAGE + 0x1000), LOAD_PAGE);
    check(store_trap(MODE_S, PAGE + 0x1000, 0), STORE_PAGE);
    check(fetch_trap(MODE_S, PAGE + 0x1000), FETCH_PAGE);
    map(PAGE + 0x1000, 0x7000000000, PTE_V | PTE_W | PTE_R | PTE_X | PTE_AD, 0);
    check(load_trap(MODE_S, PAGE + 0x1000), LOAD_ACCESS);
    check(store_trap(MODE_S, PAGE + 0x1000, 0), STORE_ACCESS);
    check(fetch_trap(MODE_S, PAGE + 0x1000), FETCH_ACCESS);
    check(trap.tval, PAGE + 0x1000);
    // A table that lies outside memory faults as an access of the original kind.
    *pte_of(PAGE + 0x40000000, 2) = pte(0x7000000000, PTE_V);
    sfence();
    check(load_trap(MODE_S, PAGE + 0x40000000), LOAD_ACCESS);
    check(store_trap(MODE_S, PAGE + 0x40000000, 0), STORE_ACCESS);
    check(fetch_trap(MODE_S, PAGE + 0x40000000), FETCH_ACCESS);
    // A privileged CSR is illegal before anything else about it matters.
    check(call_in(MODE_S, store_csr, 0, 0), ILLEGAL);
    // The address of a non-canonical load is reported as it was.
    check(load_trap(MODE_S, 0x8000000000), LOAD_PAGE);
    check(trap.tval, 0x8000000000);
}
