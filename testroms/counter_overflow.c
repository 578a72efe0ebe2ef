// Sscofpmf: an event counter that wraps sets OF and raises interrupt 13 unless OF was set; MINH, SINH and UINH stop it per mode;
// scountovf shows OF where mcounteren lets it ("Sscofpmf" extension). Event 2 of this machine counts retired instructions.
#include "rom.h"

#define OF BIT(63)
#define MINH BIT(62)
#define SINH BIT(61)
#define UINH BIT(60)
#define INSTRUCTIONS 2

static u64 spin(void) { for (int i = 0; i < 1000; i++) asm volatile("nop"); return 0; }
static u64 read_overflow(void) { return csr_read(scountovf); }
static u64 read_overflow_trap(void) { return csr_read_trap(scountovf); }

static u64 counted_in(u64 mode, u64 flags) {
    csr_write(mhpmevent3, INSTRUCTIONS | flags);
    csr_write(mhpmcounter3, 0);
    call_in(mode, spin, 0, 0);
    csr_write(mhpmevent3, INSTRUCTIONS | MINH | SINH | UINH);
    return csr_read(mhpmcounter3);
}

RULE("counter_overflow") {
    csr_write(mcountinhibit, 0);
    check(csr_try(mhpmevent3, INSTRUCTIONS | MINH | SINH | UINH), INSTRUCTIONS | MINH | SINH | UINH);
    // Modes.
    check(counted_in(MODE_U, MINH | SINH) > 100, 1);
    check(counted_in(MODE_S, MINH | UINH) > 100, 1);
    check(counted_in(MODE_M, SINH | UINH) > 100, 1);
    check(counted_in(MODE_U, MINH | SINH | UINH), 0);
    check(counted_in(MODE_S, MINH | SINH), 0);
    check(counted_in(MODE_U, MINH | UINH), 0);

    // Overflow: in S-mode after some thousand instructions, taken at once by M-mode.
    csr_write(mie, BIT(LCOFI));
    check(csr_read(mie), BIT(LCOFI));
    csr_write(mip, 0);
    csr_write(mhpmevent3, INSTRUCTIONS | MINH | UINH);
    csr_write(mhpmcounter3, 0 - 200ull);
    csr_write(mcounteren, BIT(3));
    check(interrupts[LCOFI], 0);
    check(call_in(MODE_S, read_overflow, 0, 0), 0);
    call_in(MODE_S, spin, 0, 0);
    check(interrupts[LCOFI], 1);
    check(csr_read(mhpmevent3) & OF, OF);
    check(csr_read(mip) & BIT(LCOFI), BIT(LCOFI));
    check(csr_read(mhpmcounter3) < 100000, 1);
    check(call_in(MODE_S, read_overflow, 0, 0), BIT(3));
    csr_write(mcounteren, 0);
    check(call_in(MODE_S, read_overflow, 0, 0), 0);
    check(csr_read(scountovf), BIT(3));
    check(call_in(MODE_U, read_overflow_trap, 0, 0), ILLEGAL);
    // With OF still set a second wrap raises nothing.
    csr_write(mip, 0);
    csr_write(mie, BIT(LCOFI));
    csr_write(mhpmcounter3, 0 - 200ull);
    call_in(MODE_S, spin, 0, 0);
    check(interrupts[LCOFI], 1);
    check(csr_read(mip) & BIT(LCOFI), 0);
    // Delegated, it is S-mode's interrupt, and S-mode may clear it.
    csr_write(mideleg, BIT(LCOFI));
    csr_write(mhpmevent3, INSTRUCTIONS | MINH | UINH);
    csr_write(mhpmcounter3, 0 - 200ull);
    call_in(MODE_S, spin, 0, 0);
    check(interrupts[LCOFI], 1);
    check(csr_read(sip) & BIT(LCOFI), BIT(LCOFI));
    csr_write(sip, 0);
    check(csr_read(mip) & BIT(LCOFI), 0);
    // Stopped by mcountinhibit.
    csr_write(mcountinhibit, BIT(3));
    csr_write(mhpmevent3, INSTRUCTIONS);
    csr_write(mhpmcounter3, 5);
    spin();
    check(csr_read(mhpmcounter3), 5);
}
