// A U-mode program under Sv39 with all its traps delegated to S-mode: calls, faults and time slices
// (privileged manual, "Supervisor-Level ISA").
#include "rom.h"

static volatile u64 slices;

static void slice(u64 number, u64 mode) {
    (void)number;
    check(mode, MODE_S);
    slices++;
    csr_write(stimecmp, csr_read(time) + 2000);
}

static u64 work(u64 rounds) {
    u64 sum = 0;
    for (u64 i = 0; i < rounds; i++) { sum += i; asm volatile("" : "+r"(sum)); }
    return sum;
}
static u64 call(void) { return TRAP_OF("li a7, 0\necall", ::: "a7", "memory"); }

RULE("user_mode") {
    csr_set(menvcfg, MENVCFG_STCE | MENVCFG_ADUE);
    csr_write(mcounteren, 7);
    csr_write(medeleg, BIT(ECALL_U) | BIT(LOAD_PAGE) | BIT(STORE_PAGE) | BIT(FETCH_PAGE) | BIT(ILLEGAL));
    csr_write(mideleg, BIT(STI));
    paging_on(SV39);
    check(call_in(MODE_U, call, 0, 0), ECALL_U);
    check(trap.handler, MODE_S);
    check(load_trap(MODE_U, 0x7777000), LOAD_PAGE);
    check(trap.handler, MODE_S);
    check(trap.tval, 0x7777000);
    // S-mode's own pages are out of reach.
    check(store_trap(MODE_U, (u64)&slices, 0), STORE_PAGE);
    check(fetch_trap(MODE_U, (u64)work), FETCH_PAGE);
    // Interrupted again and again, the sum stays right.
    on_interrupt = slice;
    csr_write(stimecmp, csr_read(time));
    csr_write(mie, BIT(STI));
    u64 rounds = 300000;
    u64 end = mtime() + 50000000;
    while (slices < 5 && mtime() < end) check(call_in(MODE_U, work, rounds, 0), rounds * (rounds - 1) / 2);
    csr_write(mie, 0);
    check(slices >= 5, 1);
}
