// Smstateen: after reset S and U have no access to senvcfg and sstateen; each bit of mstateen0 opens its state
// ("Smstateen/Ssstateen" extensions).
#include "rom.h"

#define ENVCFG BIT(62)
#define SE BIT(63)

static u64 read_senvcfg(void) { return csr_read_trap(senvcfg); }
static u64 write_senvcfg(void) { return csr_write_trap(senvcfg, 0); }
static u64 read_sstateen0(void) { return csr_read_trap(0x10c); }
static u64 read_sstateen1(void) { return csr_read_trap(0x10d); }
static u64 read_sstateen3(void) { return csr_read_trap(0x10f); }
static u64 read_mstateen0(void) { return csr_read_trap(0x30c); }

RULE("state_enable") {
    check(csr_read(0x30c), 0);
    check(csr_read(0x30d), 0);
    check(csr_read(0x30e), 0);
    check(csr_read(0x30f), 0);
    // M-mode is not bound.
    check(read_senvcfg(), NO_TRAP);
    check(read_sstateen0(), NO_TRAP);
    check(call_in(MODE_S, read_senvcfg, 0, 0), ILLEGAL);
    check(call_in(MODE_S, write_senvcfg, 0, 0), ILLEGAL);
    check(call_in(MODE_S, read_sstateen0, 0, 0), ILLEGAL);
    check(call_in(MODE_S, read_sstateen1, 0, 0), ILLEGAL);
    check(csr_try(0x30c, ENVCFG), ENVCFG);
    check(call_in(MODE_S, read_senvcfg, 0, 0), NO_TRAP);
    check(call_in(MODE_S, write_senvcfg, 0, 0), NO_TRAP);
    check(call_in(MODE_S, read_sstateen0, 0, 0), ILLEGAL);
    check(csr_try(0x30c, SE), SE);
    check(call_in(MODE_S, read_senvcfg, 0, 0), ILLEGAL);
    check(call_in(MODE_S, read_sstateen0, 0, 0), NO_TRAP);
    check(call_in(MODE_S, read_sstateen1, 0, 0), ILLEGAL);
    check(call_in(MODE_U, read_sstateen0, 0, 0), ILLEGAL);
    check(call_in(MODE_S, read_mstateen0, 0, 0), ILLEGAL);
    csr_write(0x30d, SE);
    csr_write(0x30f, SE);
    check(call_in(MODE_S, read_sstateen1, 0, 0), NO_TRAP);
    check(call_in(MODE_S, read_sstateen3, 0, 0), NO_TRAP);
    // Bits 63 of sstateen do not exist.
    csr_write(0x10c, SE);
    check(csr_read(0x10c) >> 63, 0);
}
