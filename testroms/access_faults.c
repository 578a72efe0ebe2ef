// Loads, stores and fetches where there is nothing raise access faults with the address in xtval
// (privileged manual, "Physical Memory Attributes", "Machine Trap Value Register").
#include "rom.h"

#define HOLE 0x200000ull

static void expect_nothing(u64 address) {
    check(load_trap(MODE_M, address), LOAD_ACCESS);
    check(trap.tval, address);
    check(trap_of(load8(address)), LOAD_ACCESS);
    check(trap_of(load32(address)), LOAD_ACCESS);
    check(store_trap(MODE_M, address, 0), STORE_ACCESS);
    check(trap.tval, address);
    check(trap_of(store8(address, 0)), STORE_ACCESS);
    check(fetch_trap(MODE_M, address), FETCH_ACCESS);
    check(trap.tval, address);
    check(trap.pc, address);
    check(load_trap(MODE_S, address), LOAD_ACCESS);
    check(store_trap(MODE_U, address, 0), STORE_ACCESS);
}

RULE("access_faults") {
    expect_nothing(HOLE);
    // Past the end of 128 MiB of RAM.
    expect_nothing(0x88000000);
    check(load_trap(MODE_M, 0x87fffff8), NO_TRAP);
    // Beyond what a physical address can be.
    expect_nothing(0x100000000000000);
    expect_nothing(0xfffffffffffffff8);
    // A load that fails leaves its register alone.
    check(load64(HOLE), 0xdead);
    // The last bytes of RAM begin an instruction that ends outside: xepc is its start, xtval where the fetch failed.
    store16(0x87fffffe, 0x0013);
    fence_i();
    check(fetch_trap(MODE_M, 0x87fffffe), FETCH_ACCESS);
    check(trap.pc, 0x87fffffe);
    check(trap.tval, 0x88000000);
    // A compressed one still runs: c.jr ra.
    store16(0x87fffffe, 0x8082);
    fence_i();
    check(fetch_trap(MODE_M, 0x87fffffe), NO_TRAP);
}
