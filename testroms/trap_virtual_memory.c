// TVM, TSR and TW make M-mode intercept S-mode's satp accesses, translation fences, sret and wfi
// (privileged manual, "Virtualization Support in mstatus Register").
#include "rom.h"

static u64 read_satp(void) { return csr_read_trap(satp); }
static u64 write_satp(void) { return csr_write_trap(satp, 0); }
static u64 fence_all(void) { return TRAP_OF("sfence.vma", ::: "memory"); }
static u64 fence_address(void) { return TRAP_OF("sfence.vma sp, zero", ::: "memory"); }
static u64 sleep(void) { return TRAP_OF("wfi", ::: "memory"); }
static u64 return_here(void) {
    clear_trap();
    asm volatile(".option push\n.option norvc\nla t0, 1f\ncsrw sepc, t0\nli t0, 0x100\ncsrs sstatus, t0\nsret\n1:\n.option pop" ::: "t0", "memory");
    return trap.cause;
}

RULE("trap_virtual_memory") {
    check(call_in(MODE_S, read_satp, 0, 0), NO_TRAP);
    check(call_in(MODE_S, write_satp, 0, 0), NO_TRAP);
    check(call_in(MODE_S, fence_all, 0, 0), NO_TRAP);
    check(call_in(MODE_S, fence_address, 0, 0), NO_TRAP);
    check(call_in(MODE_S, return_here, 0, 0), NO_TRAP);
    check(call_in(MODE_U, fence_all, 0, 0), ILLEGAL);

    csr_set(mstatus, MSTATUS_TVM);
    check(call_in(MODE_S, read_satp, 0, 0), ILLEGAL);
    check(call_in(MODE_S, write_satp, 0, 0), ILLEGAL);
    check(call_in(MODE_S, fence_all, 0, 0), ILLEGAL);
    check(call_in(MODE_S, fence_address, 0, 0), ILLEGAL);
    check(call_in(MODE_S, return_here, 0, 0), NO_TRAP);
    check(read_satp(), NO_TRAP);
    check(fence_all(), NO_TRAP);
    csr_clear(mstatus, MSTATUS_TVM);

    csr_set(mstatus, MSTATUS_TSR);
    check(call_in(MODE_S, return_here, 0, 0), ILLEGAL);
    check(call_in(MODE_S, read_satp, 0, 0), NO_TRAP);
    csr_clear(mstatus, MSTATUS_TSR);

    // Nothing can end this sleep, so with TW it traps; in M-mode TW means nothing, and an interrupt that is pending ends it.
    csr_write(mie, 0);
    csr_set(mstatus, MSTATUS_TW);
    check(call_in(MODE_S, sleep, 0, 0), ILLEGAL);
    check(call_in(MODE_U, sleep, 0, 0), ILLEGAL);
    csr_write(mie, BIT(SSI));
    csr_write(mip, BIT(SSI));
    check(sleep(), NO_TRAP);
    csr_clear(mstatus, MSTATUS_TW | MSTATUS_SIE);
    csr_write(mideleg, BIT(SSI));
    check(call_in(MODE_S, sleep, 0, 0), NO_TRAP);
    csr_write(mip, 0);
    // S-mode exists, so U-mode cannot sleep even without TW.
    check(call_in(MODE_U, sleep, 0, 0), ILLEGAL);
}
