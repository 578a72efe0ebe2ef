// Of several pending interrupts the most important comes first: for M-mode MEI, MSI, MTI, SEI, SSI, STI; M-mode's before
// S-mode's delegated ones (privileged manual, "Machine Interrupt (mip and mie) Registers", "Supervisor Interrupt Registers").
#include "rom.h"

static volatile u64 order;

// Notes each interrupt as a digit, in the order they come.
static void note(u64 number, u64 mode) {
    order = order << 4 | number;
    if (mode == MODE_M) csr_clear(mie, BIT(number)); else csr_clear(sie, BIT(number));
}

static void all_pending(void) {
    order = 0;
    csr_write(mie, 0);
    msip(0, 1);
    mtimecmp(0, 0);
    csr_write(mip, BIT(SSI) | BIT(STI) | BIT(SEI));
    // The idle UART transmitter, through the PLIC's first M context.
    store32(PLIC + 4 * UART_IRQ, 1);
    store32(PLIC + 0x2000, 1 << UART_IRQ);
    store8(UART + 1, 2);
    check(WAIT_FOR((csr_read(mip) & 0xaaa) == 0xaaa), 1);
}

static u64 spin(void) { for (int i = 0; i < 100; i++) asm volatile("nop"); return 0; }
static u64 spin_enabled(void) { csr_set(sstatus, MSTATUS_SIE); spin(); csr_clear(sstatus, MSTATUS_SIE); return 0; }

RULE("interrupt_priorities") {
    on_interrupt = note;
    all_pending();
    csr_write(mie, 0xaaa);
    csr_set(mstatus, MSTATUS_MIE);
    spin();
    csr_clear(mstatus, MSTATUS_MIE);
    check(order, 0xb37915);

    // S-mode's own, taken in S-mode.
    all_pending();
    csr_write(mideleg, 0x222);
    csr_write(mie, 0x222);
    call_in(MODE_S, spin_enabled, 0, 0);
    check(order, 0x915);

    // An M-mode interrupt goes before a delegated one of higher rank among equals.
    all_pending();
    csr_write(mideleg, BIT(SEI));
    csr_write(mie, BIT(SEI) | BIT(SSI) | BIT(MTI));
    call_in(MODE_S, spin_enabled, 0, 0);
    check(order, 0x719);
    store8(UART + 1, 0);
    csr_write(mie, 0);
}
