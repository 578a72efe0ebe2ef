// An APLIC that drives the harts itself: delegation to the supervisor's domain, claims
// (RISC-V Advanced Interrupt Architecture, "Interrupt delivery directly by the APLIC").
#include "rom.h"

#define APLIC_M 0xc000000ull
#define APLIC_S 0xd000000ull
#define CLAIM 0x401c

static volatile u64 claimed;

static void serve(u64 number, u64 mode) {
    (void)number;
    store8(UART + 1, 0);
    claimed = load32((mode == MODE_M ? APLIC_M : APLIC_S) + CLAIM);
}

static void open_domain(u64 domain, u64 priority) {
    store32(domain + 4 * UART_IRQ, 4);
    store32(domain + 0x3000 + 4 * UART_IRQ, (u32)priority);
    store32(domain + 0x1edc, UART_IRQ);
    store32(domain + 0x4000, 1);
    store32(domain, 0x100);
}

static u64 wait_in_supervisor(void) {
    csr_set(sie, BIT(SEI));
    csr_set(sstatus, MSTATUS_SIE);
    store8(UART + 1, 2);
    for (int i = 0; i < 1000000 && !interrupts[SEI]; i++) ;
    csr_clear(sstatus, MSTATUS_SIE);
    return interrupts[SEI];
}

RULE("aia_aplic") {
    on_interrupt = serve;
    store8(UART + 1, 0);
    check(load32(APLIC_M), 0x80000000);
    open_domain(APLIC_M, 3);
    check(load32(APLIC_M), 0x80000100);
    csr_write(mie, BIT(MEI));
    csr_set(mstatus, MSTATUS_MIE);
    for (u64 round = 1; round <= 3; round++) {
        claimed = 0;
        store8(UART + 1, 2);
        check(WAIT_FOR(interrupts[MEI] == round), 1);
        check(claimed, UART_IRQ << 16 | 3);
    }
    csr_clear(mstatus, MSTATUS_MIE);
    // Not the supervisor's until it is delegated.
    open_domain(APLIC_S, 7);
    check(load32(APLIC_S + 4 * UART_IRQ), 0);
    store32(APLIC_M + 4 * UART_IRQ, 0x400);
    check(load32(APLIC_M + 0x3000 + 4 * UART_IRQ), 0);
    open_domain(APLIC_S, 7);
    csr_write(mideleg, BIT(SEI));
    check(call_in(MODE_S, wait_in_supervisor, 0, 0), 1);
    check(claimed, UART_IRQ << 16 | 7);
    check(interrupt_handler, MODE_S);
    check(interrupts[MEI], 3);
}
