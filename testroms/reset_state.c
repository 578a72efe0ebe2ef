// All harts start together in M-mode with a0 = mhartid, a1 = device tree, a2 = firmware hand-off, interrupts off
// (privileged manual, "Reset"; the virt board's reset vector).
#include "rom.h"

static u64 big_endian32(u64 address) { return __builtin_bswap32(load32(address)); }

RULE("reset_state") {
    u64 harts_present = 4;
    for (u64 hart = 0; hart < harts_present; hart++) {
        volatile struct boot_state *state = &boot_state[hart];
        check(WAIT_FOR(state->a2 != 0), 1);
        __asm__ volatile("fence r, r" : : : "memory");
        check(state->a0, hart);
        check(state->mhartid, hart);
        check(state->a2, 0x1028);
        check(state->a1, boot_state[0].a1);
        check(state->mstatus & (MSTATUS_MIE | MSTATUS_MPRV), 0);
        check(state->mcause, 0);
    }
    u64 tree = boot_state[0].a1;
    check(tree & 7, 0);
    check(big_endian32(tree), 0xd00dfeed);
    // The six words of firmware hand-off: magic "OSBI", version 2, next address, next mode S, options, boot hart.
    check(load64(0x1028), 0x4942534f);
    check(load64(0x1030), 2);
    check(load64(0x1040), 1);
    check(load64(0x1048), 0);
    check(load64(0x1050), 0);
    // PMP entries are off and unlocked after reset (the runtime uses only the last one).
    check(csr_read(pmpcfg0) & 0x9898989898989898, 0);
    check(csr_read(pmpcfg2) & 0x0098989898989898, 0);
}
