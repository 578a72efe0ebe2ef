// Smmpm and Smnpm: loads and stores ignore the upper 7 or 16 bits of an address, and traps report it without them
// (privileged manual, "Pointer Masking Extensions").
#include "rom.h"

#define MSECCFG 0x747
#define PMM(n) ((u64)(n) << 32)
#define PAGE 0x300000000ull

static u64 cell;

RULE("pointer_masking") {
    u64 at = (u64)&cell;
    for (u64 pmm = 2; pmm <= 3; pmm++) {
        u64 ignored = pmm == 2 ? 7 : 16;
        csr_write(MSECCFG, PMM(pmm));
        check(csr_read(MSECCFG) & PMM(3), PMM(pmm));
        for (u64 tag = 0; tag < 2000; tag++) {
            u64 tagged = at | tag << (64 - ignored);
            store64(tagged, tag);
            check(cell, tag);
            check(load64(at | ~tag << (64 - ignored)), tag);
        }
        // Physical addresses are extended by zeros.
        check(load_trap(MODE_M, ~0ull << 40), LOAD_ACCESS);
        check(trap.tval, (~0ull << 40) << ignored >> ignored);
    }
    csr_write(MSECCFG, PMM(1));
    check(csr_read(MSECCFG) & PMM(3), PMM(3));
    csr_write(MSECCFG, 0);
    check(load_trap(MODE_M, at | BIT(63)), LOAD_ACCESS);

    // In S-mode, with pages: by the sign.
    paging_on(SV39);
    u64 *page = new_page();
    map(PAGE, (u64)page, PTE_V | PTE_R | PTE_W | PTE_AD, 0);
    csr_set(menvcfg, PMM(2));
    *page = 77;
    check(load64_in(MODE_S, PAGE | BIT(63) | BIT(57)), 77);
    check(store_trap(MODE_S, PAGE | BIT(60), 78), NO_TRAP);
    check(*page, 78);
    check(load_trap(MODE_S, PAGE | BIT(56)), LOAD_PAGE);
    check(trap.tval, PAGE | ~0ull << 56);
    check(fetch_trap(MODE_S, PAGE | BIT(60)), FETCH_PAGE);
    check(trap.tval, PAGE | BIT(60));
    // MXR switches it off.
    csr_set(mstatus, MSTATUS_MXR);
    check(load_trap(MODE_S, PAGE | BIT(60)), LOAD_PAGE);
    check(trap.tval, PAGE | BIT(60));
}
