// Smepmp: entries for M-mode and entries for the others, shared regions, no access where nothing matches, and what is locked
// (privileged manual, "Smepmp" and "Machine Security Configuration (mseccfg) Register").
#include "rom.h"

#define MSECCFG 0x747
#define MML 1
#define RLB 4
#define TOR 0x08ull
#define NAPOT 0x18ull
#define LOCKED 0x80ull

extern char __text_end[];
static u64 pages[3][512] __attribute__((aligned(4096)));

static u64 napot(u64 base, u64 size) { return base >> 2 | (size >> 3) - 1; }

RULE("machine_lockdown") {
    // Entry 0: shared data that M-mode writes and others read. 1: for lower modes only. 2: for M-mode only, nothing to execute.
    // 4, from the address in 3: the program, shared code that M-mode may read. M-mode reads and writes what no entry matches.
    // What gives everything to the others would keep M-mode out.
    csr_write(pmpcfg2, 0);
    csr_write(pmpaddr0, napot((u64)pages[0], 4096));
    csr_write(pmpaddr1, napot((u64)pages[1], 4096));
    csr_write(pmpaddr2, napot((u64)pages[2], 4096));
    csr_write(pmpaddr3, 0x80000000 >> 2);
    csr_write(pmpaddr4, ((u64)__text_end + 15 & ~15ull) >> 2);
    u64 shared_data = NAPOT | 2, lower = NAPOT | 3, machine = NAPOT | LOCKED | 3, code = TOR | LOCKED | 6;
    // Without an entry for the code the lockdown would be the last instruction; under bypass it can still become a shared one.
    csr_write(MSECCFG, RLB);
    csr_write(pmpcfg0, (TOR | LOCKED | 5) << 32);
    csr_write(MSECCFG, MML | RLB);
    csr_write(pmpcfg0, shared_data | lower << 8 | machine << 16 | code << 32);
    check(csr_read(MSECCFG), MML | RLB);
    pages[0][0] = 0x1234;
    check(load64((u64)pages[0]), 0x1234);
    check(load_trap(MODE_M, (u64)pages[1]), LOAD_ACCESS);
    check(store_trap(MODE_M, (u64)pages[1], 5), STORE_ACCESS);
    check(load_trap(MODE_M, (u64)pages[2]), NO_TRAP);
    check(store_trap(MODE_M, (u64)pages[2], 7), NO_TRAP);
    check(fetch_trap(MODE_M, (u64)pages[2]), FETCH_ACCESS);
    // Locked under bypass: it can still be changed.
    check(csr_try(pmpaddr2, napot((u64)pages[2], 4096)), napot((u64)pages[2], 4096));
    check(csr_read(pmpcfg0) >> 16 & 0xff, machine);
    csr_write(MSECCFG, 0);
    check(csr_read(MSECCFG), MML);
    csr_write(MSECCFG, RLB);
    check(csr_read(MSECCFG), MML);
    csr_write(pmpaddr2, 0);
    check(csr_read(pmpaddr2), napot((u64)pages[2], 4096));
    // Code for M-mode can be added no more.
    csr_write(pmpcfg2, NAPOT | LOCKED | 5);
    check(csr_read(pmpcfg2), 0);
    csr_write(pmpcfg2, NAPOT | LOCKED | 1);
    check(csr_read(pmpcfg2), NAPOT | LOCKED | 1);
}
