// A software interrupt another hart raises is not lost while the hart changes other bits of mip
// (privileged manual, "Machine Interrupt (mip and mie) Registers"; RISC-V ACLINT, "SSWI").
#include "rom.h"

#define SETSSIP(hart) (0x2f00000ull + 4 * (hart))
#define ROUNDS 300

static volatile u64 taken;

void secondary(u64 hart) {
    (void)hart;
    for (;;) {
        csr_set(mip, BIT(STI));
        csr_clear(mip, BIT(STI));
        if (csr_read(mip) & BIT(SSI)) {
            csr_clear(mip, BIT(SSI));
            taken = taken + 1;
        }
    }
}

RULE("smp_software_interrupts") {
    for (u64 round = 1; round <= ROUNDS; round++) {
        store32(SETSSIP(1), 1);
        while (taken != round) ;
    }
    check(csr_read(mip) & BIT(SSI), 0);
}
