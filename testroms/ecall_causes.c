// Environment calls and breakpoints: the cause tells the mode they came from, xepc is the instruction itself, xtval is zero for a call
// (privileged manual, "Environment Call and Breakpoint", "Machine Trap Value Register").
#include "rom.h"

static u64 call_here(void) { return TRAP_OF("li a7, 0\n1: ecall", ::: "a7", "memory"); }
static u64 break_here(void) { return TRAP_OF("ebreak", ::: "memory"); }
static u64 compressed_break(void) {
    skip_bytes = 2;
    clear_trap();
    asm volatile(".option push\n.option rvc\nc.ebreak\n.option pop" ::: "memory");
    u64 cause = trap.cause;
    skip_bytes = 4;
    return cause;
}

static void expect(u64 mode, u64 call_cause) {
    check(call_in(mode, call_here, 0, 0), call_cause);
    check(trap.cause, call_cause);
    check(trap.tval, 0);
    check(trap.handler, MODE_M);
    check(trap.status >> 11 & 3, mode);
    check(call_in(mode, break_here, 0, 0), BREAKPOINT);
    check(call_in(mode, compressed_break, 0, 0), BREAKPOINT);
}

RULE("ecall_causes") {
    expect(MODE_U, ECALL_U);
    expect(MODE_S, ECALL_S);
    expect(MODE_M, ECALL_M);
    // A call is not retired before it traps: mepc is its own address.
    u64 here;
    clear_trap();
    asm volatile(".option push\n.option norvc\nli a7, 0\nla %0, 1f\n1: ecall\n.option pop" : "=&r"(here) :: "a7", "memory");
    check(trap.pc, here);
    asm volatile(".option push\n.option norvc\nla %0, 1f\n1: ebreak\n.option pop" : "=&r"(here) :: "memory");
    check(trap.pc, here);
}
