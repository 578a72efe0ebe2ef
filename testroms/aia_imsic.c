// An IMSIC's interrupt files as CSRs show them, Smaia's and Ssaia's registers, and an APLIC that sends a device's interrupts as messages
// (RISC-V Advanced Interrupt Architecture, "Incoming MSI Controller", "Control and Status Registers", "Interrupt forwarding by MSIs").
#include "rom.h"

#define miselect 0x350
#define mireg 0x351
#define mtopei 0x35c
#define mtopi 0xfb0
#define mvien 0x308
#define mvip 0x309
#define siselect 0x150
#define sireg 0x151
#define stopei 0x15c
#define stopi 0xdb0
#define mstateen0 0x30c

#define FILE_M 0x24000000ull
#define FILE_S 0x28000000ull
#define APLIC_M 0xc000000ull

static volatile u64 claimed;

static void serve(u64 number, u64 mode) {
    (void)number;
    claimed = mode == MODE_M ? csr_swap(mtopei, 0) : csr_swap(stopei, 0);
    store8(UART + 1, 0);
}

static u64 indirect(u64 select, u64 value) {
    csr_write(miselect, select);
    return csr_try(mireg, value);
}

static u64 supervisor(void) {
    csr_write(siselect, 0x70);
    csr_write(sireg, 1);
    csr_write(siselect, 0xc0);
    csr_write(sireg, BIT(3));
    csr_set(sie, BIT(SEI));
    store32(FILE_S, 3);
    if (csr_read(stopi) != (SEI << 16 | 1) || csr_read(stopei) != (3 << 16 | 3)) return 1;
    csr_set(sstatus, MSTATUS_SIE);
    for (int i = 0; i < 1000 && !interrupts[SEI]; i++) ;
    csr_clear(sstatus, MSTATUS_SIE);
    return csr_read(stopi) == 0 && csr_read(stopei) == 0 ? 2 : 3;
}

static u64 supervisor_file_traps(void) {
    csr_write(siselect, 0x70);
    u64 first = csr_read_trap(sireg), second = csr_read_trap(stopei);
    csr_write(siselect, 0x30);
    return first == ILLEGAL && second == ILLEGAL && csr_read_trap(sireg) == NO_TRAP;
}

static u64 virtual_software(void) {
    csr_set(sie, BIT(SSI));
    if (!(csr_read(sip) & BIT(SSI)) || csr_read(stopi) != (SSI << 16 | 1)) return 1;
    csr_clear(sip, BIT(SSI));
    return csr_read(sip) & BIT(SSI) ? 2 : 3;
}

RULE("aia_imsic") {
    on_interrupt = serve;
    // Selectors hold eight bits at least; registers that do not exist.
    check(csr_try(miselect, 0xff), 0xff);
    csr_write(miselect, 0x31);
    check(csr_read_trap(mireg), ILLEGAL);
    csr_write(miselect, 0x81);
    check(csr_read_trap(mireg), ILLEGAL);
    csr_write(miselect, 0x00);
    check(csr_read_trap(mireg), ILLEGAL);
    check(indirect(0x30, ~0ull), 0);
    check(indirect(0x71, ~0ull), 0);
    check(indirect(0x80, ~0ull), ~1ull);
    check(indirect(0x80, 0), 0);
    check(indirect(0x88, ~0ull), 0);
    check(indirect(0xc0, BIT(5) | BIT(9)), BIT(5) | BIT(9));
    check(indirect(0x72, 0), 0);
    check(indirect(0x70, 0x40000000), 0);
    check(indirect(0x70, 1), 1);
    // Messages, in the order of their identities.
    store32(FILE_M, 9);
    store32(FILE_M, 5);
    store32(FILE_M, 6);
    check(csr_read(mip) & BIT(MEI), BIT(MEI));
    check(csr_read(mtopei), 5 << 16 | 5);
    check(csr_read(mtopi), 0);
    csr_write(mie, BIT(MEI));
    check(csr_read(mtopi), MEI << 16 | 1);
    check(csr_swap(mtopei, 0), 5 << 16 | 5);
    check(csr_swap(mtopei, 0), 9 << 16 | 9);
    check(csr_swap(mtopei, 0), 0);
    check(csr_read(mip) & BIT(MEI), 0);
    check(load32(FILE_M), 0);
    // A device's level, through the APLIC.
    store32(APLIC_M + 0x1bc0, FILE_M >> 12);
    store32(APLIC_M + 4 * UART_IRQ, 6);
    store32(APLIC_M, 0x104);
    check(load32(APLIC_M), 0x80000104);
    store32(APLIC_M + 0x3000 + 4 * UART_IRQ, 5);
    store32(APLIC_M + 0x1edc, UART_IRQ);
    csr_set(mstatus, MSTATUS_MIE);
    store8(UART + 1, 2);
    check(WAIT_FOR(interrupts[MEI] == 1), 1);
    csr_clear(mstatus, MSTATUS_MIE);
    check(claimed, 5 << 16 | 5);
    // A domain that sends to where no file is, or to itself, does no harm.
    store32(APLIC_M + 0x1bc0, APLIC_M >> 12);
    store32(APLIC_M + 0x3000, 7);
    // The supervisor's file.
    csr_write(mideleg, BIT(SEI));
    csr_write(mstateen0, ~0ull);
    check(call_in(MODE_S, supervisor, 0, 0), 2);
    check(claimed, 3 << 16 | 3);
    check(interrupt_handler, MODE_S);
    // mvien.SEIP takes the file away from S-mode, and mstateen0 too.
    check(csr_try(mvien, ~0ull), BIT(SSI) | BIT(SEI) | BIT(LCOFI));
    check(call_in(MODE_S, supervisor_file_traps, 0, 0), 1);
    csr_write(mvien, 0);
    csr_write(mstateen0, ~BIT(58));
    check(call_in(MODE_S, supervisor_file_traps, 0, 0), 1);
    csr_write(mstateen0, ~0ull);
    // An interrupt of S-mode's that is not delegated comes out of mvip, and mip knows nothing of it.
    csr_write(mideleg, 0);
    csr_write(mip, 0);
    csr_write(mvien, BIT(SSI));
    csr_write(mvip, BIT(SSI));
    check(csr_read(mip) & BIT(SSI), 0);
    check(call_in(MODE_S, virtual_software, 0, 0), 3);
    check(csr_read(mvip) & BIT(SSI), 0);
    // Without mvien it is an alias of mip's.
    csr_write(mvien, 0);
    csr_write(mvip, BIT(SSI));
    check(csr_read(mip) & BIT(SSI), BIT(SSI));
    csr_write(mip, 0);
    check(csr_read(mvip) & BIT(SSI), 0);
}
