// 0x7777 to the test finisher resets the machine: harts and devices start over, memory outside the program stays (the board's finisher).
#include "rom.h"

#define MARK 0x87f00000ull

RULE("finisher_reset") {
    if (load64(MARK) != 0x600dc0de) {
        store64(MARK, 0x600dc0de);
        // State that must not survive.
        msip(0, 1);
        mtimecmp(0, 0x123);
        store32(PLIC + 4 * UART_IRQ, 7);
        store32(PLIC + 0x2000, 1 << UART_IRQ);
        store8(UART + 7, 0x5a);
        csr_write(pmpaddr0, 0x12345);
        csr_write(pmpcfg0, 0x98);
        csr_write(mcounteren, 7);
        csr_set(mstatus, MSTATUS_MIE | MSTATUS_MPRV | MSTATUS_MPP);
        store32(FINISHER, 0x7777);
        for (;;) wfi();
    }
    check(boot_state[0].a2, 0x1028);
    check(boot_state[0].mstatus & (MSTATUS_MIE | MSTATUS_MPRV), 0);
    check(load32(CLINT), 0);
    check(load32(PLIC + 0x2000), 0);
    // The locked entry is free again.
    check(csr_read(pmpcfg0) & 0x98, 0);
    csr_write(pmpaddr0, 77);
    check(csr_read(pmpaddr0), 77);
    store64(MARK, 0);
}
