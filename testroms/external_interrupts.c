// A device interrupt reaches M-mode through the first PLIC context of a hart, and S-mode, delegated, through the second.
#include "rom.h"

#define CLAIM(context) (PLIC + 0x200004 + 0x1000 * (context))
static volatile u64 claimed;

static void serve(u64 number, u64 mode) {
    (void)number;
    u64 context = mode == MODE_M ? 0 : 1;
    claimed = load32(CLAIM(context));
    store8(UART + 1, 0);
    store32(CLAIM(context), (u32)claimed);
}

RULE("external_interrupts") {
    on_interrupt = serve;
    store8(UART + 1, 0);
    store32(PLIC + 4 * UART_IRQ, 1);
    store32(PLIC + 0x2000, 1 << UART_IRQ);
    csr_write(mie, BIT(MEI));
    csr_set(mstatus, MSTATUS_MIE);
    for (u64 round = 1; round <= 3; round++) {
        claimed = 0;
        store8(UART + 1, 2);
        check(WAIT_FOR(interrupts[MEI] == round), 1);
        check(claimed, UART_IRQ);
    }
    csr_clear(mstatus, MSTATUS_MIE);
    check(interrupts[SEI], 0);
    store32(PLIC + 0x2000, 0);
    store32(PLIC + 0x2080, 1 << UART_IRQ);
    csr_write(mideleg, BIT(SEI));
    claimed = 0;
    check(call_in(MODE_S, take_uart_interrupt, 0, 0), 1);
    check(claimed, UART_IRQ);
    check(interrupt_handler, MODE_S);
    check(interrupts[MEI], 3);
    // The line and the bit software wrote are one in mip, and a write by software is not lost in the line.
    csr_write(mip, BIT(SEI));
    check(csr_read(mip) & BIT(SEI), BIT(SEI));
    csr_write(mip, 0);
    check(csr_read(mip) & BIT(SEI), 0);
}
