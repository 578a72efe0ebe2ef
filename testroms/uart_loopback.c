// The 16550A in loopback mode: what is sent is received, modem outputs come back as inputs, the FIFO holds 16 and then overruns
// (16550A data sheet: MCR bit 4, LSR, MSR, FCR).
#include "rom.h"

enum { DATA = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };
#define get(register) load8(UART + register)
#define put(register, value) store8(UART + register, value)

static void send(u8 value) {
    check(WAIT_FOR(get(LSR) & 0x20), 1);
    put(DATA, value);
}

RULE("uart_loopback") {
    // At rest: transmitter empty, nothing received; 8 data bits are for the driver to choose.
    check(get(LSR) & 0x61, 0x60);
    // Scratch and divisor are storage.
    for (u64 value = 0; value < 256; value += 51) { put(SCR, value); check(get(SCR), value); }
    put(LCR, 0x80);
    put(DATA, 0x34);
    put(IER, 0x12);
    check(get(DATA), 0x34);
    check(get(IER), 0x12);
    put(DATA, 1);
    put(IER, 0);
    put(LCR, 0x03);
    check(get(LCR), 0x03);
    check(get(IER), 0);

    put(FCR, 0x07);
    put(MCR, 0x10);
    // Modem lines: DTR is DSR, RTS is CTS, OUT1 is RI, OUT2 is DCD.
    for (u64 out = 0; out < 16; out++) {
        put(MCR, 0x10 | out);
        u64 in = (out & 2 ? 0x10 : 0) | (out & 1 ? 0x20 : 0) | (out & 4 ? 0x40 : 0) | (out & 8 ? 0x80 : 0);
        check(get(MSR) & 0xf0, in);
        check(get(MSR) & 0x0f, 0);
    }
    put(MCR, 0x10);
    get(MSR);
    put(MCR, 0x12);
    check(get(MSR), 0x11);
    check(get(MSR), 0x10);
    put(MCR, 0x10);
    get(MSR);

    // One character.
    check(get(LSR) & 1, 0);
    send('A');
    check(WAIT_FOR(get(LSR) & 1), 1);
    check(get(DATA), 'A');
    check(get(LSR) & 1, 0);
    // Sixteen of them wait in order; the seventeenth is lost with an overrun, which one read of LSR clears.
    for (u64 i = 0; i < 16; i++) send((u8)(0x60 + i));
    check(WAIT_FOR(get(LSR) & 0x40), 1);
    check(get(LSR) & 0x02, 0);
    send('x');
    check(WAIT_FOR(get(LSR) & 0x40), 1);
    for (u64 i = 0; i < 16; i++) check(get(DATA), 0x60 + i);
    check(get(LSR) & 1, 0);
    // The receiver's reset empties it.
    send('z');
    check(WAIT_FOR(get(LSR) & 1), 1);
    put(FCR, 0x03);
    check(get(LSR) & 1, 0);
    put(MCR, 0);
}
