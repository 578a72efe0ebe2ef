// The spike board: characters through HTIF's console device, the end through its first device with exit code 0, timer and software
// interrupts by the CLINT.
#include "htif.h"

RULE("htif_console") {
    print("Hello through HTIF.\n");
    mtimecmp(0, ~0ull);
    check(WAIT_FOR(!(csr_read(mip) & BIT(MTI))), 1);
    mtimecmp(0, mtime() + 1000);
    check(WAIT_FOR(csr_read(mip) & BIT(MTI)), 1);
    msip(0, 1);
    check(WAIT_FOR(csr_read(mip) & BIT(MSI)), 1);
    // This board has no UART and no finisher.
    check(load_trap(MODE_M, UART), LOAD_ACCESS);
    check(load_trap(MODE_M, FINISHER), LOAD_ACCESS);
    check(boot_state[0].a0, 0);
    check(__builtin_bswap32(load32(boot_state[0].a1)), 0xd00dfeed);
}
