// cbo.zero clears the 64-byte block that holds its address; menvcfg.CBZE and senvcfg.CBZE allow it below M-mode; its faults are a store's
// ("Zicboz" extension).
#include "rom.h"

#define PAGE 0x300000000ull
#define CBZE BIT(7)

static u64 zero(u64 address) { return TRAP_OF(".option arch, +zicboz\ncbo.zero (%0)", :: "r"(address) : "memory"); }
static u64 block[24] __attribute__((aligned(64)));

RULE("cache_block_zero") {
    for (u64 offset = 0; offset < 64; offset += 7) {
        for (int i = 0; i < 24; i++) block[i] = ~0ull;
        check(zero((u64)&block[8] + offset), NO_TRAP);
        for (int i = 0; i < 24; i++) check(block[i], i >= 8 && i < 16 ? 0 : ~0ull);
    }
    // Who may.
    for (u64 machine = 0; machine < 2; machine++) {
        for (u64 supervisor = 0; supervisor < 2; supervisor++) {
            csr_field(menvcfg, CBZE, machine ? CBZE : 0);
            csr_field(senvcfg, CBZE, supervisor ? CBZE : 0);
            check(csr_read(senvcfg) >> 7 & 1, supervisor);
            check(zero((u64)block), NO_TRAP);
            check(call_in(MODE_S, zero, (u64)block, 0), machine ? NO_TRAP : ILLEGAL);
            check(call_in(MODE_U, zero, (u64)block, 0), machine && supervisor ? NO_TRAP : ILLEGAL);
        }
    }
    // Faults.
    check(zero(0x200010), STORE_ACCESS);
    check(trap.tval, 0x200010);
    csr_set(menvcfg, MENVCFG_ADUE);
    paging_on(SV39);
    u64 *page = new_page();
    page[9] = 1;
    map(PAGE, (u64)page, PTE_V | PTE_R | PTE_AD, 0);
    check(call_in(MODE_S, zero, PAGE + 0x48, 0), STORE_PAGE);
    check(trap.tval, PAGE + 0x48);
    check(page[9], 1);
    map(PAGE, (u64)page, PTE_V | PTE_R | PTE_W, 0);
    check(call_in(MODE_S, zero, PAGE + 0x48, 0), NO_TRAP);
    check(page[9], 0);
    check(*pte_of(PAGE, 0) & PTE_AD, PTE_AD);
}
