// variants: supervisor
// The other of two address spaces (satp, each with its ASID), then 16 pages that differ between the two.
#include "bare.h"
enum { TURNS = 300, PAGES = 16 };
BENCH("ctxsw", TURNS);
static page roots[2], middles[2], bottoms[2], pages[2][PAGES];
static u64 spaces[2];

void bench_setup(void) {
    for (u64 space = 0; space < 2; space++) {
        for (int i = 0; i < 512; i++) roots[space][i] = bare_root[i];
        roots[space][3] = table_entry(middles[space]);
        middles[space][0] = table_entry(bottoms[space]);
        for (u64 i = 0; i < PAGES; i++) {
            pages[space][i][0] = space * 1000 + i;
            bottoms[space][i] = leaf_entry(pages[space][i], PTE_R | PTE_W);
        }
        spaces[space] = sv39(roots[space], space + 1);
    }
    __asm__ volatile("sfence.vma" : : : "memory");
    // Without ASIDs software has to fence; then this would measure something else.
    CSR_WRITE(satp, spaces[1]);
    if (CSR_READ(satp) != spaces[1]) bench_fail("this processor has no ASIDs");
}

u64 bench_run(void) {
    u64 sum = 0;
    for (u64 i = 0; i < TURNS; i++) {
        CSR_WRITE(satp, spaces[i & 1]);
        for (u64 j = 0; j < PAGES; j++) sum = sum * 3 + *(volatile u64 *)(0xc0000000 + j * PAGE);
    }
    return sum;
}
