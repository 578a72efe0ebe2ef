// With no entry that matches, M-mode may do everything, S and U nothing (privileged manual, "Priority and Matching Logic").
#include "rom.h"

static u64 nothing(void) { return 1; }

RULE("pmp_default") {
    // The runtime's entry for all memory goes; then code in S-mode cannot even be fetched, and the fault is M-mode's.
    csr_write(pmpcfg2, 0);
    sfence();
    asm volatile(
        "li t0, 3 << 11\ncsrc mstatus, t0\nli t0, 1 << 11\ncsrs mstatus, t0\ncsrw mepc, %0\nla t0, 2f\ncsrrw t1, mtvec, t0\nmret\n"
        ".balign 4\n2: csrw mtvec, t1"
        :: "r"(nothing) : "t0", "t1", "memory");
    check(csr_read(mcause), FETCH_ACCESS);
    check(csr_read(mepc), (u64)nothing);
    check(csr_read(mtval), (u64)nothing);
    check(csr_read(mstatus) >> 11 & 3, MODE_S);
    check(load_trap(MODE_M, 0x80000000), NO_TRAP);
    csr_write(pmpcfg2, 0x1full << 56);
    sfence();
    check(call_in(MODE_S, nothing, 0, 0), 1);
}
