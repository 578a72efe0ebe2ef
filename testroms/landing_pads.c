// Zicfilp in S-mode: a computed jump must land on a pad with the label in x7, unless it goes through x1, x5 or x7
// (unprivileged manual, "Landing Pad Enforcement").
#include "rom.h"

#define SOFTWARE_CHECK 18
#define MENVCFG_LPE BIT(2)
#define MPELP BIT(41)

extern char pad[], no_pad[], labelled[], odd_pad[], landed[];
u64 jump_to_a0(u64 target, u64 label), jump_through_x7(u64 target, u64 label);

// Each comes back by x5, which needs no pad. An lpad is an auipc to x0.
asm(".option push\n.option norvc\n.balign 4\n"
    "jump_to_a0: .word 0x17\n mv t0, ra\n mv t2, a1\n jr a0\n"
    "jump_through_x7: .word 0x17\n mv t0, ra\n mv t2, a0\n jr t2\n"
    "pad: .word 0x17\n li a0, 1\n jr t0\n"
    "no_pad: li a0, 2\n jr t0\n"
    "labelled: .word 0x12345017\n li a0, 3\n jr t0\n"
    "landed: .word 0x17\n li a0, 9\n jr t0\n"
    ".option rvc\n c.nop\n.option norvc\n odd_pad: .word 0x17\n li a0, 4\n jr t0\n.option pop");

static void expect_fault(void *target, u64 label) {
    resume_pc = (u64)landed;
    clear_trap();
    check(call_in(MODE_S, jump_to_a0, (u64)target, label), 9);
    check(trap.cause, SOFTWARE_CHECK);
    check(trap.tval, 2);
    check(trap.pc, (u64)target);
    check(trap.status & MPELP, MPELP);
    resume_pc = 0;
}

RULE("landing_pads") {
    clear_trap();
    check(call_in(MODE_S, jump_to_a0, (u64)no_pad, 0), 2);
    csr_set(menvcfg, MENVCFG_LPE);
    check(csr_read(menvcfg) & MENVCFG_LPE, MENVCFG_LPE);
    // Often enough for the loop around it to be translated.
    for (u64 i = 0; i < 2000; i++) check(call_in(MODE_S, jump_to_a0, (u64)pad, i << 12), 1);
    check(call_in(MODE_S, jump_to_a0, (u64)labelled, 0x12345000), 3);
    check(call_in(MODE_S, jump_to_a0, (u64)labelled, 0xffffffff12345fff), 3);
    check(call_in(MODE_S, jump_through_x7, (u64)no_pad, 0), 2);
    check(trap.cause, NO_TRAP);
    expect_fault(no_pad, 0);
    expect_fault(labelled, 0x12344000);
    expect_fault(odd_pad, 0);
    // M-mode does not ask, and its returns clear what it saved.
    check(csr_read(mstatus) & MPELP, 0);
    csr_clear(menvcfg, MENVCFG_LPE);
    check(call_in(MODE_S, jump_to_a0, (u64)no_pad, 0), 2);
}
