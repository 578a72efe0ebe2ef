// cbo.clean, cbo.flush and cbo.inval keep memory as it is; CBCFE and CBIE in menvcfg and senvcfg allow them below M-mode
// ("Zicbom" extension).
#include "rom.h"

#define CBCFE BIT(6)
#define CBIE(n) ((u64)(n) << 4)

#define CBO(operation, address) TRAP_OF(".option arch, +zicbom\ncbo." operation " (%0)", :: "r"(address) : "memory")
static u64 clean(u64 address) { return CBO("clean", address); }
static u64 flush(u64 address) { return CBO("flush", address); }
static u64 inval(u64 address) { return CBO("inval", address); }
static u64 block[8] __attribute__((aligned(64)));

RULE("cache_block_management") {
    u64 at = (u64)block + 5;
    block[1] = 0x77;
    csr_write(menvcfg, 0);
    csr_write(senvcfg, 0);
    check(clean(at), NO_TRAP);
    check(flush(at), NO_TRAP);
    check(inval(at), NO_TRAP);
    check(call_in(MODE_S, clean, at, 0), ILLEGAL);
    check(call_in(MODE_S, flush, at, 0), ILLEGAL);
    check(call_in(MODE_S, inval, at, 0), ILLEGAL);
    csr_write(menvcfg, CBCFE);
    check(call_in(MODE_S, clean, at, 0), NO_TRAP);
    check(call_in(MODE_S, flush, at, 0), NO_TRAP);
    check(call_in(MODE_S, inval, at, 0), ILLEGAL);
    check(call_in(MODE_U, clean, at, 0), ILLEGAL);
    csr_write(senvcfg, CBCFE);
    check(call_in(MODE_U, clean, at, 0), NO_TRAP);
    check(call_in(MODE_U, flush, at, 0), NO_TRAP);
    // CBIE: 01 flushes, 11 invalidates, 00 traps, 10 is reserved.
    for (u64 machine = 1; machine < 4; machine += 2) {
        csr_write(menvcfg, CBIE(machine));
        check(csr_read(menvcfg) >> 4 & 3, machine);
        csr_write(senvcfg, 0);
        check(call_in(MODE_S, inval, at, 0), NO_TRAP);
        check(call_in(MODE_U, inval, at, 0), ILLEGAL);
        csr_write(senvcfg, CBIE(3));
        check(call_in(MODE_U, inval, at, 0), NO_TRAP);
    }
    check((csr_try(menvcfg, CBIE(2)) >> 4 & 3) == 2, 0);
    check(block[1], 0x77);
    check(clean(0x200040), STORE_ACCESS);
    check(trap.tval, 0x200040);
}
