// The 16550A's interrupts, by priority: line status, received data, time-out, transmitter empty, modem status; what clears each
// (16550A data sheet: IER, IIR).
#include "rom.h"

enum { DATA = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6 };
#define get(register) load8(UART + register)
#define put(register, value) store8(UART + register, value)
#define pending() (load32(PLIC + 0x1000) >> UART_IRQ & 1)

static void drain(void) { while (get(LSR) & 1) get(DATA); }

RULE("uart_interrupts") {
    store32(PLIC + 4 * UART_IRQ, 1);
    store32(PLIC + 0x2000, 1 << UART_IRQ);
    put(LCR, 3);
    put(FCR, 0);
    put(IER, 0);
    check(get(IIR) & 0xcf, 0x01);
    check(csr_read(mip) & BIT(MEI), 0);
    // Enabling the empty transmitter's interrupt raises it; reading IIR clears it.
    put(IER, 2);
    check(WAIT_FOR(csr_read(mip) & BIT(MEI)), 1);
    check(get(IIR) & 0x0f, 0x02);
    check(get(IIR) & 0x0f, 0x01);
    // The PLIC remembers the request until it is claimed, although the line is low again.
    check(load32(PLIC + 0x200004), UART_IRQ);
    store32(PLIC + 0x200004, UART_IRQ);
    check(WAIT_FOR(!(csr_read(mip) & BIT(MEI))), 1);
    check(pending(), 0);
    // A character sent raises it again.
    put(DATA, '\n');
    check(WAIT_FOR((get(IIR) & 0x0f) == 0x02), 1);
    put(IER, 0);
    check(get(IIR) & 0x0f, 0x01);

    // In loopback: received data without FIFO.
    put(MCR, 0x10);
    drain();
    get(MSR);
    put(IER, 1);
    put(DATA, 'a');
    check(WAIT_FOR((get(IIR) & 0x0f) == 0x04), 1);
    check(get(DATA), 'a');
    check(get(IIR) & 0x0f, 0x01);
    // With FIFOs: the trigger level of 4, then the time-out for what is below it.
    put(FCR, 0x47);
    check(get(IIR) & 0xc0, 0xc0);
    for (int i = 0; i < 4; i++) { check(WAIT_FOR(get(LSR) & 0x20), 1); put(DATA, 'b'); }
    check(WAIT_FOR((get(IIR) & 0x0f) == 0x04), 1);
    get(DATA);
    check(WAIT_FOR((get(IIR) & 0x0f) == 0x0c), 1);
    drain();
    check(get(IIR) & 0x0f, 0x01);
    // An overrun is a line-status interrupt, above the data; reading LSR clears it.
    put(IER, 5);
    for (int i = 0; i < 17; i++) { check(WAIT_FOR(get(LSR) & 0x20), 1); put(DATA, 'c'); }
    drain();
    put(FCR, 0x07);
    // Modem status is the lowest.
    put(IER, 8);
    get(MSR);
    put(MCR, 0x12);
    check(WAIT_FOR((get(IIR) & 0x0f) == 0x00), 1);
    put(IER, 10);
    check(get(IIR) & 0x0f, 0x02);
    check(get(IIR) & 0x0f, 0x00);
    get(MSR);
    check(get(IIR) & 0x0f, 0x01);
    put(IER, 0);
    put(MCR, 0);
}
