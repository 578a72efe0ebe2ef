// An interrupt that becomes takable by a CSR write or by xRET is taken before the next instruction
// (privileged manual, "Machine Interrupt (mip and mie) Registers").
#include "rom.h"

#define AT(instructions) ({ u64 here_; interrupts[SSI] = 0; \
    asm volatile(".option push\n.option norvc\nla %0, 1f\n" instructions "\n1: nop\nnop\n.option pop" : "=&r"(here_) : "r"((u64)BIT(SSI)), "r"((u64)MSTATUS_MIE) : "memory"); \
    check(interrupts[SSI], 1); check(seen_pc, here_); })

static volatile u64 seen_pc;
static void note(u64 number, u64 mode) { (void)number; (void)mode; seen_pc = csr_read(mepc); csr_write(mip, 0); }

static volatile u64 after_return;
static u64 in_user(void) { after_return = interrupts[SSI]; return 0; }

RULE("interrupt_timing") {
    on_interrupt = note;
    // mstatus last.
    csr_write(mie, BIT(SSI));
    csr_write(mip, BIT(SSI));
    AT("csrs mstatus, %2");
    // mip last.
    AT("csrs mip, %1");
    // mie last.
    csr_write(mie, 0);
    csr_write(mip, BIT(SSI));
    AT("csrs mie, %1");
    // mret: before the first instruction of the lower mode.
    csr_clear(mstatus, MSTATUS_MIE);
    interrupts[SSI] = 0;
    csr_write(mip, BIT(SSI));
    call_in(MODE_S, in_user, 0, 0);
    check(seen_pc, (u64)in_user);
    check(after_return, 1);
    check(interrupts[SSI], 1);
}
