// What a guest may not do, and what its hypervisor does to it: virtual-instruction exceptions, delegation to VS-mode, injected interrupts,
// a timer of its own (privileged manual, "Trap Cause Codes", "Trap Entry", "Hypervisor Interrupt (hvip, hip, and hie) Registers").
#include "guest.h"

static u64 guest_count, guest_cause, guest_saved[2];

// VS-mode's own handler: notes the cause and disables that interrupt.
__attribute__((naked, aligned(4), used)) static void guest_trap(void) {
    asm volatile("csrrw t6, sscratch, t6\n sd t5, 0(t6)\n csrr t5, scause\n sd t5, 8(t6)\n csrr t5, sstatus\n"
        "li t5, 0x222\n csrc sie, t5\n ld t5, 0(t6)\n csrrw t6, sscratch, t6\n sret\n");
}

static u64 run(u64 number, u64 unused) {
    (void)unused;
    u64 old;
    clear_host();
    switch (number) {
    case 0: asm volatile("csrr %0, vsscratch" : "=r"(old)); break;
    case 1: asm volatile("csrr %0, hstatus" : "=r"(old)); break;
    case 2: asm volatile("csrr %0, mscratch" : "=r"(old)); break;
    case 3: asm volatile(".option push\n.option arch, +h\nhfence.gvma\n.option pop"); break;
    case 4: asm volatile(".option push\n.option arch, +h\nhlv.w %0, (%0)\n.option pop" : "=r"(old)); break;
    case 5: asm volatile(".option push\n.option norvc\nwfi\n.option pop"); break;
    case 6: asm volatile("sfence.vma"); break;
    case 7: asm volatile("csrr %0, satp" : "=r"(old)); break;
    case 8: asm volatile("csrr %0, cycle" : "=r"(old)); break;
    case 9: asm volatile("csrr %0, stimecmp" : "=r"(old)); break;
    case 10: asm volatile("mret"); break;
    case 11: asm volatile("csrw cycle, zero"); break;
    }
    return host.cause;
}

static u64 set_scratch(u64 value, u64 unused) { (void)unused; return csr_swap(sscratch, value); }
static u64 breakpoint(u64 value, u64 unused) {
    (void)unused;
    csr_write(sscratch, guest_saved);
    asm volatile(".option push\n.option norvc\nli t0, 0\nebreak\n.option pop" ::: "t0");
    return value;
}
static u64 wait_for_interrupt(u64 bits, u64 unused) {
    (void)unused;
    csr_write(sscratch, guest_saved);
    guest_saved[1] = 0;
    csr_write(sie, bits);
    csr_set(sstatus, MSTATUS_SIE);
    // Volatile: the handler writes it, and no compiler must count the rounds instead of going them.
    for (int i = 0; i < 100000 && !*(volatile u64 *)&guest_saved[1]; i++) ;
    csr_clear(sstatus, MSTATUS_SIE);
    return guest_saved[1];
}
static u64 read_time(u64 a, u64 b) { (void)a; (void)b; return csr_read(time); }
static u64 arm_timer(u64 ticks, u64 bits) {
    csr_write(stimecmp, csr_read(time) + ticks);
    u64 cause = wait_for_interrupt(bits, 0);
    csr_write(stimecmp, ~0ull);
    return cause;
}

RULE("guest_traps") {
    guest_on(SV39, 1ull << VIRTUAL_INSTRUCTION | 1ull << ILLEGAL | 1ull << BREAKPOINT);
    csr_write(mcounteren, ~0ull);
    // What HS-mode has a guest may not touch; what it has not is illegal.
    check(call_guest(MODE_S, run, 0, 0), VIRTUAL_INSTRUCTION);
    check(host.tval & 0xfff0007f, 0x24000073);
    check(host.hstatus & (HSTATUS_GVA | HSTATUS_SPV), HSTATUS_SPV);
    check(call_guest(MODE_S, run, 1, 0), VIRTUAL_INSTRUCTION);
    check(call_guest(MODE_S, run, 2, 0), ILLEGAL);
    check(call_guest(MODE_S, run, 3, 0), VIRTUAL_INSTRUCTION);
    check(call_guest(MODE_S, run, 4, 0), VIRTUAL_INSTRUCTION);
    check(call_guest(MODE_S, run, 10, 0), ILLEGAL);
    check(call_guest(MODE_S, run, 11, 0), ILLEGAL);
    // By the hypervisor's choice.
    csr_set(hstatus, HSTATUS_VTW);
    check(call_guest(MODE_S, run, 5, 0), VIRTUAL_INSTRUCTION);
    csr_set(mstatus, MSTATUS_TW);
    check(call_guest(MODE_S, run, 5, 0), ILLEGAL);
    csr_clear(mstatus, MSTATUS_TW);
    csr_clear(hstatus, HSTATUS_VTW);
    check(call_guest(MODE_S, run, 6, 0), NO_TRAP);
    check(call_guest(MODE_S, run, 7, 0), NO_TRAP);
    csr_set(hstatus, HSTATUS_VTVM);
    check(call_guest(MODE_S, run, 6, 0), VIRTUAL_INSTRUCTION);
    check(call_guest(MODE_S, run, 7, 0), VIRTUAL_INSTRUCTION);
    csr_clear(hstatus, HSTATUS_VTVM);
    check(call_guest(MODE_S, run, 8, 0), VIRTUAL_INSTRUCTION);
    csr_write(hcounteren, 1);
    check(call_guest(MODE_S, run, 8, 0), NO_TRAP);
    csr_write(mcounteren, 2);
    check(call_guest(MODE_S, run, 8, 0), ILLEGAL);
    csr_write(mcounteren, ~0ull);
    csr_write(hcounteren, ~0ull);
    check(call_guest(MODE_S, run, 9, 0), VIRTUAL_INSTRUCTION);
    csr_set(henvcfg, MENVCFG_STCE);
    check(call_guest(MODE_S, run, 9, 0), NO_TRAP);

    // Two of every supervisor register.
    csr_write(vsscratch, 0x55);
    u64 mine = csr_read(sscratch);
    check(call_guest(MODE_S, set_scratch, 0x66, 0), 0x55);
    check(csr_read(vsscratch), 0x66);
    check(csr_read(sscratch), mine);

    // An exception that the guest handles itself: neither host nor machine hears of it. Its handler returns to the breakpoint again and again,
    // so let the host take the second one.
    csr_write(vstvec, guest_trap);
    csr_write(hedeleg, 0);
    clear_host();
    check(call_guest(MODE_S, breakpoint, 0x77, 0), 0x77);
    check(host.cause, BREAKPOINT);

    // Interrupts of hvip.
    csr_write(hideleg, BIT(VSSI) | BIT(VSTI) | BIT(VSEI));
    csr_write(hvip, BIT(VSSI));
    check(csr_read(hip), BIT(VSSI));
    check(csr_read(vsip), BIT(SSI));
    check(call_guest(MODE_S, wait_for_interrupt, BIT(SSI), 0), INTERRUPT | SSI);
    csr_write(hvip, BIT(VSEI));
    check(call_guest(MODE_S, wait_for_interrupt, BIT(SEI) | BIT(SSI), 0), INTERRUPT | SEI);
    csr_write(hvip, BIT(VSTI));
    check(call_guest(MODE_S, wait_for_interrupt, BIT(STI), 0), INTERRUPT | STI);
    csr_write(hvip, 0);
    check(call_guest(MODE_S, wait_for_interrupt, BIT(STI), 0), 0);
    // The guest's time and timer.
    csr_write(htimedelta, 1ull << 40);
    u64 now = csr_read(time);
    u64 theirs = call_guest(MODE_S, read_time, 0, 0);
    check(theirs - now - (1ull << 40) < 100000, 1);
    check(call_guest(MODE_S, arm_timer, 50, BIT(STI)), INTERRUPT | STI);
    (void)guest_count;
    (void)guest_cause;
    csr_write(hgatp, 0);
    csr_write(vsatp, 0);
}
