// The PLIC: priorities, threshold, enables per context, claim and complete (RISC-V PLIC specification). Two sources whose levels are in
// hand: the UART's idle transmitter (10) and the real-time clock's alarm (11).
#include "rom.h"

#define PRIORITY(n) (PLIC + 4 * (n))
#define PENDING (PLIC + 0x1000)
#define ENABLE(context) (PLIC + 0x2000 + 0x80 * (context))
#define THRESHOLD(context) (PLIC + 0x200000 + 0x1000 * (context))
#define CLAIM(context) (THRESHOLD(context) + 4)
enum { M = 0, S = 1 };

static u64 machine(void) { return csr_read(mip) >> MEI & 1; }
static u64 supervisor(void) { return csr_read(mip) >> SEI & 1; }

static void uart_up(void) { store8(UART + 1, 0); store8(UART + 1, 2); }
static void uart_down(void) { store8(UART + 1, 0); load8(UART + 2); }
static void clock_up(void) {
    store32(RTC + 0x10, 1);
    store32(RTC + 0x0c, 0);
    store32(RTC + 0x08, 0);
}
static void clock_down(void) { store32(RTC + 0x10, 0); store32(RTC + 0x1c, 1); }

RULE("plic") {
    uart_down();
    clock_down();
    // Priorities are three bits; source 0 does not exist.
    store32(PRIORITY(UART_IRQ), 0xffffffff);
    check(load32(PRIORITY(UART_IRQ)), 7);
    store32(PRIORITY(0), 7);
    check(load32(PRIORITY(0)), 0);
    store32(ENABLE(M), 0xffffffff);
    check(load32(ENABLE(M)), 0xfffffffe);
    store32(ENABLE(M), 0);
    check(load32(ENABLE(S)), 0);
    check(load32(CLAIM(M)), 0);
    check(load32(PENDING), 0);

    // Pending shows without an enable; the interrupt needs enable, priority above zero and above the threshold.
    store32(PRIORITY(UART_IRQ), 0);
    uart_up();
    check(WAIT_FOR(load32(PENDING) == 1 << UART_IRQ), 1);
    check(machine(), 0);
    store32(ENABLE(M), 1 << UART_IRQ);
    check(machine(), 0);
    store32(PRIORITY(UART_IRQ), 3);
    check(WAIT_FOR(machine()), 1);
    store32(THRESHOLD(M), 3);
    check(WAIT_FOR(!machine()), 1);
    check(load32(THRESHOLD(M)), 3);
    store32(THRESHOLD(M), 2);
    check(WAIT_FOR(machine()), 1);
    check(supervisor(), 0);
    // Another context has its own enables and threshold.
    store32(ENABLE(S), 1 << UART_IRQ);
    check(WAIT_FOR(supervisor()), 1);
    store32(THRESHOLD(S), 7);
    check(WAIT_FOR(!supervisor()), 1);
    check(machine(), 1);
    store32(THRESHOLD(S), 0);

    // A claim takes the request from everybody; until it is completed the level does not come again.
    check(load32(CLAIM(S)), UART_IRQ);
    check(load32(PENDING), 0);
    check(WAIT_FOR(!machine() && !supervisor()), 1);
    check(load32(CLAIM(M)), 0);
    // Completion of something else changes nothing; of this, with the level still high, raises it again.
    store32(CLAIM(S), RTC_IRQ);
    check(machine(), 0);
    store32(CLAIM(S), UART_IRQ);
    check(WAIT_FOR(machine()), 1);
    check(load32(CLAIM(M)), UART_IRQ);
    uart_down();
    store32(CLAIM(M), UART_IRQ);
    check(machine(), 0);
    check(load32(PENDING), 0);

    // The higher priority first; equals by the lower number.
    store32(ENABLE(S), 0);
    store32(THRESHOLD(M), 0);
    store32(ENABLE(M), 1 << UART_IRQ | 1 << RTC_IRQ);
    store32(PRIORITY(UART_IRQ), 3);
    store32(PRIORITY(RTC_IRQ), 4);
    uart_up();
    clock_up();
    check(WAIT_FOR(load32(PENDING) == (1 << UART_IRQ | 1 << RTC_IRQ)), 1);
    check(load32(CLAIM(M)), RTC_IRQ);
    check(machine(), 1);
    check(load32(CLAIM(M)), UART_IRQ);
    check(WAIT_FOR(!machine()), 1);
    store32(CLAIM(M), UART_IRQ);
    store32(CLAIM(M), RTC_IRQ);
    store32(PRIORITY(RTC_IRQ), 3);
    check(WAIT_FOR(load32(PENDING) == (1 << UART_IRQ | 1 << RTC_IRQ)), 1);
    check(load32(CLAIM(M)), UART_IRQ);
    check(load32(CLAIM(M)), RTC_IRQ);
    uart_down();
    clock_down();
    store32(CLAIM(M), RTC_IRQ);
    store32(CLAIM(M), UART_IRQ);
    check(load32(PENDING), 0);
    check(machine(), 0);
}
