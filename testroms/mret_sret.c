// mret and sret pop the interrupt enable and the privilege, clear MPRV when they leave M-mode, and belong to their modes
// (privileged manual, "Trap-Return Instructions", "Privilege and Global Interrupt-Enable Stack").
#include "rom.h"

// Sets the fields, executes the return to the next instruction in M-mode and yields mstatus.
static u64 mret_with(u64 fields) {
    u64 after, t;
    csr_clear(mstatus, MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MPRV);
    asm volatile(
        "la %1, 1f\ncsrw mepc, %1\ncsrs mstatus, %2\nmret\n1: csrr %0, mstatus"
        : "=&r"(after), "=&r"(t) : "r"(fields | MSTATUS_MPP) : "memory");
    return after;
}

static u64 mode_now(void) { return TRAP_OF("li a7, 0\necall", ::: "a7", "memory"); }

// sret in M- or S-mode to the next instruction; yields mstatus after it, seen from a trap.
static u64 sret_here(u64 fields) {
    asm volatile(".option push\n.option norvc\n"
        "la t0, 1f\ncsrw sepc, t0\nli t0, 0x122\ncsrc sstatus, t0\ncsrs sstatus, %0\nsret\n1: li a7, 0\necall\n.option pop"
        :: "r"(fields) : "t0", "a7", "memory");
    return trap.status;
}

static u64 mret_here(void) { return TRAP_OF("mret", ::: "memory"); }
static u64 sret_alone(void) { return TRAP_OF("sret", ::: "memory"); }

RULE("mret_sret") {
    // MIE takes MPIE, MPIE becomes 1, MPP the lowest mode.
    u64 stack = MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP;
    csr_write(mie, 0);
    check(mret_with(0) & stack, MSTATUS_MPIE);
    check(mret_with(MSTATUS_MPIE) & stack, MSTATUS_MPIE | MSTATUS_MIE);
    check(mret_with(MSTATUS_MIE) & stack, MSTATUS_MPIE);
    csr_clear(mstatus, MSTATUS_MIE);

    // Each destination, told by the cause of a call.
    check(call_in(MODE_U, mode_now, 0, 0), ECALL_U);
    check(call_in(MODE_S, mode_now, 0, 0), ECALL_S);
    check(call_in(MODE_M, mode_now, 0, 0), ECALL_M);

    // mret to S-mode clears MPRV; mret to M-mode keeps it.
    csr_set(mstatus, MSTATUS_MPRV);
    call_in(MODE_S, mode_now, 0, 0);
    check(trap.status & MSTATUS_MPRV, 0);
    check(csr_read(mstatus) & MSTATUS_MPRV, 0);
    u64 t, after;
    asm volatile(
        "la %1, 1f\ncsrw mepc, %1\ncsrs mstatus, %2\nmret\n1: csrr %0, mstatus\ncsrc mstatus, %3"
        : "=&r"(after), "=&r"(t) : "r"(MSTATUS_MPRV | MSTATUS_MPP), "r"(MSTATUS_MPRV) : "memory");
    check(after & MSTATUS_MPRV, MSTATUS_MPRV);

    // sret in S-mode: SIE takes SPIE, SPIE becomes 1, SPP becomes U.
    u64 s_stack = MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP;
    u64 status = call_in(MODE_S, sret_here, MSTATUS_SPP | MSTATUS_SPIE, 0);
    check(trap.cause, ECALL_S);
    check(status & s_stack, MSTATUS_SIE | MSTATUS_SPIE);
    status = call_in(MODE_S, sret_here, MSTATUS_SPP, 0);
    check(trap.cause, ECALL_S);
    check(status & s_stack, MSTATUS_SPIE);
    status = call_in(MODE_S, sret_here, MSTATUS_SPIE, 0);
    check(trap.cause, ECALL_U);
    check(status & s_stack, MSTATUS_SIE | MSTATUS_SPIE);

    // sret in M-mode goes by SPP, and leaves M-mode's own stack and clears MPRV.
    csr_clear(mstatus, MSTATUS_SIE);
    check(mode_now(), ECALL_M);

    // Not for lower modes, and rs1, rs2 and rd are zero.
    check(call_in(MODE_S, mret_here, 0, 0), ILLEGAL);
    check(call_in(MODE_U, mret_here, 0, 0), ILLEGAL);
    check(call_in(MODE_U, sret_alone, 0, 0), ILLEGAL);
    check(TRAP_OF(".word 0x30200073 | 1 << 15", ::: "memory"), ILLEGAL);
    check(TRAP_OF(".word 0x10200073 | 1 << 7", ::: "memory"), ILLEGAL);
}
