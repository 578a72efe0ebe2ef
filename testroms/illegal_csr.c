// CSR accesses that must raise an illegal-instruction exception, and their neighbours that must not
// (privileged manual, "CSR Address Mapping Conventions"; Zicsr).
#include "rom.h"

static u64 read_mscratch(void) { return csr_read_trap(mscratch); }
static u64 read_sscratch(void) { return csr_read_trap(sscratch); }
static u64 read_satp(void) { return csr_read_trap(satp); }
static u64 read_mhartid(void) { return csr_read_trap(mhartid); }

RULE("illegal_csr") {
    // Numbers nobody implements, in all four privilege quarters.
    check(csr_read_trap(0x8ff), ILLEGAL);
    check(csr_read_trap(0x5ff), ILLEGAL);
    check(csr_read_trap(0x9ff), ILLEGAL);
    check(csr_read_trap(0xdff), ILLEGAL);
    check(csr_read_trap(0x7ff), ILLEGAL);
    check(csr_read_trap(0xfff), ILLEGAL);
    check(csr_write_trap(0x5ff, 0), ILLEGAL);
    // Only RV32 has the high halves.
    check(csr_read_trap(0xc80), ILLEGAL);
    check(csr_read_trap(0xb80), ILLEGAL);
    check(csr_read_trap(0x310), ILLEGAL);
    check(csr_read_trap(0x3a1), ILLEGAL);
    check(csr_read_trap(0x3a3), ILLEGAL);
    // mtval holds the instruction: csrr t0, 0x5ff.
    clear_trap();
    asm volatile(".word 0x5ff022f3");
    check(trap.cause, ILLEGAL);
    check(trap.tval, 0x5ff022f3);

    // Read-only registers: any write traps, also of the same value; csrrs and csrrc with x0 or 0 do not write.
    check(csr_write_trap(mhartid, 0), ILLEGAL);
    check(csr_write_trap(mvendorid, 0), ILLEGAL);
    check(csr_write_trap(cycle, 0), ILLEGAL);
    check(TRAP_OF("csrrw zero, mhartid, zero"), ILLEGAL);
    check(TRAP_OF("li t0, 0\ncsrrs t1, mhartid, t0", ::: "t0", "t1"), ILLEGAL);
    check(TRAP_OF("csrrwi zero, mhartid, 0"), ILLEGAL);
    check(TRAP_OF("csrrsi t0, mhartid, 1", ::: "t0"), ILLEGAL);
    check(TRAP_OF("csrrsi t0, mhartid, 0", ::: "t0"), NO_TRAP);
    check(TRAP_OF("csrrci t0, mhartid, 0", ::: "t0"), NO_TRAP);
    check(TRAP_OF("csrrs t0, mhartid, zero", ::: "t0"), NO_TRAP);
    check(TRAP_OF("csrrc t0, mhartid, zero", ::: "t0"), NO_TRAP);
    check(csr_read_trap(mvendorid), NO_TRAP);
    check(csr_read_trap(marchid), NO_TRAP);
    check(csr_read_trap(mimpid), NO_TRAP);
    check(csr_read_trap(mconfigptr), NO_TRAP);

    // A trapping CSR instruction leaves rd alone.
    u64 kept;
    asm volatile(".option push\n.option norvc\nli t0, 77\ncsrr t0, 0x5ff\nmv %0, t0\n.option pop" : "=r"(kept) :: "t0", "memory");
    check(kept, 77);

    // Registers of a higher privilege.
    check(call_in(MODE_S, read_mscratch, 0, 0), ILLEGAL);
    check(call_in(MODE_S, read_mhartid, 0, 0), ILLEGAL);
    check(call_in(MODE_S, read_sscratch, 0, 0), NO_TRAP);
    check(call_in(MODE_S, read_satp, 0, 0), NO_TRAP);
    check(call_in(MODE_U, read_mscratch, 0, 0), ILLEGAL);
    check(call_in(MODE_U, read_sscratch, 0, 0), ILLEGAL);
    check(call_in(MODE_U, read_satp, 0, 0), ILLEGAL);
}
