// What software can write to the CSRs of M and S (privileged manual, "Machine-Level ISA", "Supervisor-Level ISA").
#include "rom.h"

static void status(void) {
    u64 before = csr_read(mstatus);
    // MPP never holds the reserved encoding 2.
    csr_field(mstatus, MSTATUS_MPP, 2ull << 11);
    check((csr_read(mstatus) >> 11 & 3) == 2, 0);
    csr_field(mstatus, MSTATUS_MPP, 3ull << 11);
    check(csr_read(mstatus) >> 11 & 3, 3);
    csr_field(mstatus, MSTATUS_MPP, 1ull << 11);
    check(csr_read(mstatus) >> 11 & 3, 1);
    csr_field(mstatus, MSTATUS_MPP, 0);
    check(csr_read(mstatus) >> 11 & 3, 0);
    // UXL and SXL are 64 bits.
    check(csr_read(mstatus) >> 32 & 15, 10);
    csr_clear(mstatus, 15ull << 32);
    check(csr_read(mstatus) >> 32 & 15, 10);
    // SD sums up FS.
    csr_clear(mstatus, MSTATUS_FS);
    check(csr_read(mstatus) >> 63, 0);
    csr_set(mstatus, MSTATUS_FS);
    check(csr_read(mstatus) >> 63, 1);
    csr_field(mstatus, MSTATUS_FS, 1ull << 13);
    check(csr_read(mstatus) >> 63, 0);
    // Reserved bits stay zero: WPRI 0, 2, 4, 24…31, 42…62.
    csr_set(mstatus, 0x7ffffc00ff000015);
    check(csr_read(mstatus) & 0x7ffffc00ff000015, 0);
    // Every privilege control sticks.
    u64 controls = MSTATUS_SUM | MSTATUS_MXR | MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR;
    csr_set(mstatus, controls);
    check(csr_read(mstatus) & controls, controls);
    csr_clear(mstatus, controls);
    check(csr_read(mstatus) & controls, 0);
    // sstatus is a view of mstatus.
    csr_write(mstatus, before);
    csr_set(sstatus, MSTATUS_SUM | MSTATUS_MXR | MSTATUS_SPP | MSTATUS_SPIE);
    check(csr_read(mstatus) & (MSTATUS_SUM | MSTATUS_MXR | MSTATUS_SPP | MSTATUS_SPIE), MSTATUS_SUM | MSTATUS_MXR | MSTATUS_SPP | MSTATUS_SPIE);
    csr_set(sstatus, MSTATUS_MPP | MSTATUS_MIE | MSTATUS_MPRV | MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR);
    check(csr_read(mstatus) & (MSTATUS_MPP | MSTATUS_MIE | MSTATUS_MPRV | MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR), before & MSTATUS_MPP);
    check(csr_read(sstatus) & ~0x80000003008de762, 0);
    check(csr_read(sstatus) >> 32 & 3, 2);
    csr_write(mstatus, before);
}

static void vectors(void) {
    u64 machine = csr_read(mtvec), supervisor = csr_read(stvec);
    check(csr_try(mtvec, 0x80000000), 0x80000000);
    check(csr_try(mtvec, 0x80000101), 0x80000101);
    check(csr_try(mtvec, 0x80000002) & 2, 0);
    check(csr_try(mtvec, 0x80000003) & 2, 0);
    csr_write(mtvec, machine);
    check(csr_try(stvec, 0x80000101), 0x80000101);
    check(csr_try(stvec, 0x80000002) & 2, 0);
    check(csr_try(stvec, 0x80000003) & 2, 0);
    csr_write(stvec, supervisor);
}

static void delegation(void) {
    u64 all = csr_try(medeleg, ~0ull);
    // Exceptions that cannot come from below M-mode, and reserved ones, cannot be delegated.
    check(all & (BIT(ECALL_M) | BIT(14)), 0);
    u64 wanted = BIT(ILLEGAL) | BIT(BREAKPOINT) | BIT(ECALL_U) | BIT(FETCH_ACCESS) | BIT(LOAD_ACCESS) | BIT(STORE_ACCESS) | BIT(LOAD_MISALIGNED)
        | BIT(STORE_MISALIGNED) | BIT(FETCH_PAGE) | BIT(LOAD_PAGE) | BIT(STORE_PAGE);
    check(all & wanted, wanted);
    check(csr_try(medeleg, 0), 0);
    all = csr_try(mideleg, ~0ull);
    check(all & (BIT(MSI) | BIT(MTI) | BIT(MEI) | 1), 0);
    check(all & (BIT(SSI) | BIT(STI) | BIT(SEI)), BIT(SSI) | BIT(STI) | BIT(SEI));
    // sie and sip show only what is delegated.
    csr_write(mideleg, BIT(SSI));
    csr_write(mie, ~0ull);
    check(csr_read(sie), BIT(SSI));
    check(csr_read(mie) & 0xaaa, 0xaaa);
    check(csr_read(mie) & ~(0xaaaull | BIT(LCOFI)) & 0xefff, 0);
    csr_write(sie, 0);
    check(csr_read(mie) & 0xaaa, 0xaa8);
    csr_write(mie, 0);
    csr_write(mideleg, 0);
    csr_write(mip, BIT(SSI) | BIT(STI) | BIT(SEI));
    check(csr_read(mip) & 0x222, 0x222);
    check(csr_read(sip), 0);
    csr_write(mideleg, 0x222);
    check(csr_read(sip) & 0x222, 0x222);
    // S-mode clears its software interrupt, but not timer and external.
    csr_write(sip, 0);
    check(csr_read(mip) & 0x222, 0x220);
    csr_write(mip, 0);
    check(csr_read(mip) & 0x222, 0);
    // MSIP, MTIP and MEIP belong to the interrupt controllers.
    csr_write(mip, BIT(MSI) | BIT(MEI));
    check(csr_read(mip) & (BIT(MSI) | BIT(MEI)), 0);
    csr_write(mideleg, 0);
}

static void translation(void) {
    check(csr_try(satp, 0), 0);
    // A write with a mode that does not exist changes nothing at all.
    for (u64 mode = 1; mode < 16; mode++) {
        if (mode >= SV39 && mode <= SV57) continue;
        csr_write(satp, mode << 60 | 0x123456789abcdef);
        check(csr_read(satp), 0);
    }
    for (u64 mode = SV39; mode <= SV57; mode++) {
        u64 value = mode << 60 | 0x1234ull << 44 | 0x81000;
        check(csr_try(satp, value), value);
        csr_write(satp, 15ull << 60 | 1);
        check(csr_read(satp), value);
    }
    csr_write(satp, 0);
    check(csr_read(satp), 0);
}

static void storage(void) {
    u64 keep = csr_read(mscratch), keep_s = csr_read(sscratch);
    u64 value = csr_try(mscratch, 0xfedcba9876543210);
    csr_write(mscratch, keep);
    check(value, 0xfedcba9876543210);
    check(csr_try(sscratch, 0x123456789abcdef0), 0x123456789abcdef0);
    csr_write(sscratch, keep_s);
    check(csr_try(mtval, ~0ull), ~0ull);
    check(csr_try(stval, 0x8000000000000001), 0x8000000000000001);
    check(csr_try(mcause, INTERRUPT | 11), INTERRUPT | 11);
    check(csr_try(scause, 15), 15);
    check(csr_try(mcountinhibit, ~0ull) & 2, 0);
    csr_write(mcountinhibit, 0);
    check(csr_try(mcounteren, 7), 7);
    check(csr_try(scounteren, 5), 5);
    check(csr_try(mcounteren, ~0ull) >> 32, 0);
}

RULE("csr_warl") {
    status();
    vectors();
    delegation();
    translation();
    storage();
}
