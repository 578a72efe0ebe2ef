// medeleg and mideleg send traps from S and U to S-mode; traps never go to a less privileged mode
// (privileged manual, "Machine Trap Delegation Registers").
#include "rom.h"

static u64 illegal(void) { return TRAP_OF(".word 0", ::: "memory"); }
static u64 call(void) { return TRAP_OF("li a7, 0\necall", ::: "a7", "memory"); }
static u64 stop(void) { return TRAP_OF("ebreak", ::: "memory"); }

static u64 before;

// How often the interrupt came since the last call.
static u64 spin(u64 number) {
    
    for (int i = 0; i < 1000 && interrupts[number] == before; i++) asm volatile("nop");
    u64 count = interrupts[number] - before;
    before = interrupts[number];
    return count;
}
static u64 spin_enabled(u64 number) { csr_set(sstatus, MSTATUS_SIE); u64 n = spin(number); csr_clear(sstatus, MSTATUS_SIE); return n; }

static void exceptions(void) {
    csr_write(medeleg, BIT(ILLEGAL) | BIT(ECALL_U) | BIT(BREAKPOINT));
    check(call_in(MODE_U, illegal, 0, 0), ILLEGAL);
    check(trap.handler, MODE_S);
    check(trap.status & MSTATUS_SPP, 0);
    check(call_in(MODE_S, illegal, 0, 0), ILLEGAL);
    check(trap.handler, MODE_S);
    check(trap.status & MSTATUS_SPP, MSTATUS_SPP);
    check(trap.status & MSTATUS_SIE, 0);
    check(call_in(MODE_U, call, 0, 0), ECALL_U);
    check(trap.handler, MODE_S);
    check(call_in(MODE_S, call, 0, 0), ECALL_S);
    check(trap.handler, MODE_M);
    check(call_in(MODE_U, stop, 0, 0), BREAKPOINT);
    check(trap.handler, MODE_S);
    // M-mode keeps its own.
    check(illegal(), ILLEGAL);
    check(trap.handler, MODE_M);
    csr_write(medeleg, 0);
    check(call_in(MODE_U, illegal, 0, 0), ILLEGAL);
    check(trap.handler, MODE_M);

    // A trap to M-mode leaves the S registers alone, and the other way round.
    csr_write(scause, 5);
    csr_write(sepc, 0x1234);
    csr_write(stval, 0x4321);
    call_in(MODE_U, illegal, 0, 0);
    check(csr_read(scause), 5);
    check(csr_read(sepc), 0x1234);
    check(csr_read(stval), 0x4321);
}

static void interrupt(u64 number) {
    before = 0;
    csr_write(mie, BIT(number));
    csr_write(mip, BIT(number));
    csr_write(mideleg, BIT(number));
    // Delegated: not in M-mode even with MIE, in S-mode only with SIE, in U-mode always; the handler is S-mode's.
    csr_set(mstatus, MSTATUS_MIE);
    check(spin(number), 0);
    csr_clear(mstatus, MSTATUS_MIE | MSTATUS_SIE);
    check(call_in(MODE_S, spin, number, 0), 0);
    check(call_in(MODE_S, spin_enabled, number, 0), 1);
    check(interrupt_handler, MODE_S);
    csr_write(mie, BIT(number));
    check(call_in(MODE_U, spin, number, 0), 1);
    check(interrupt_handler, MODE_S);
    // Not delegated: M-mode's, whatever SIE says, when a lower mode runs.
    csr_write(mideleg, 0);
    csr_write(mie, BIT(number));
    check(spin(number), 0);
    check(call_in(MODE_S, spin, number, 0), 1);
    check(interrupt_handler, MODE_M);
    csr_write(mie, BIT(number));
    csr_write(mip, 0);
    csr_write(mie, 0);
}

RULE("delegation") {
    exceptions();
    interrupt(SSI);
    interrupt(STI);
    interrupt(SEI);
}
