// The CLINT's MSIP registers drive mip.MSIP: one 32-bit register a hart, only bit 0 exists (RISC-V ACLINT, "MSWI").
#include "rom.h"

RULE("clint_software") {
    check(load32(CLINT), 0);
    check(csr_read(mip) & BIT(MSI), 0);
    msip(0, 1);
    check(WAIT_FOR(csr_read(mip) & BIT(MSI)), 1);
    check(load32(CLINT), 1);
    msip(0, 0xfffffffe);
    check(WAIT_FOR(!(csr_read(mip) & BIT(MSI))), 1);
    check(load32(CLINT), 0);
    msip(0, 0xffffffff);
    check(load32(CLINT), 1);
    msip(0, 0);
    csr_write(mie, BIT(MSI));
    csr_set(mstatus, MSTATUS_MIE);
    check(interrupts[MSI], 0);
    msip(0, 1);
    check(WAIT_FOR(interrupts[MSI]), 1);
    check(interrupts[MSI], 1);
    csr_clear(mstatus, MSTATUS_MIE);
    msip(0, 0);
    // Software cannot set the bit in mip itself.
    csr_set(mip, BIT(MSI));
    check(csr_read(mip) & BIT(MSI), 0);
}
