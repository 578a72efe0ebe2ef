// Guests: VS-mode over a second stage that maps memory to itself, and a handler in HS-mode that notes what its registers say.
#ifndef GUEST_H
#define GUEST_H

#include "rom.h"

enum { ECALL_VS = 10, FETCH_GUEST_PAGE = 20, LOAD_GUEST_PAGE = 21, VIRTUAL_INSTRUCTION = 22, STORE_GUEST_PAGE = 23 };
enum { VSSI = 2, VSTI = 6, VSEI = 10, SGEI = 12 };

#define MSTATUS_GVA BIT(38)
#define MSTATUS_MPV BIT(39)
#define HSTATUS_GVA BIT(6)
#define HSTATUS_SPV BIT(7)
#define HSTATUS_SPVP BIT(8)
#define HSTATUS_HU BIT(9)
#define HSTATUS_VTVM BIT(20)
#define HSTATUS_VTW BIT(21)
#define HSTATUS_VTSR BIT(22)

// What HS-mode's handler found; it goes on behind the 4-byte instruction.
static struct { u64 saved, count, cause, tval, htval, htinst, hstatus, pc; } volatile host;
#define clear_host() do { host.cause = NO_TRAP; host.tval = host.htval = host.htinst = ~0ull; } while (0)

__attribute__((naked, aligned(4), used)) static void host_trap(void) {
    asm volatile(".option push\n.option arch, +h\n"
        "csrrw t6, sscratch, t6\n sd t5, 0(t6)\n ld t5, 8(t6)\n addi t5, t5, 1\n sd t5, 8(t6)\n"
        "csrr t5, scause\n sd t5, 16(t6)\n csrr t5, stval\n sd t5, 24(t6)\n csrr t5, htval\n sd t5, 32(t6)\n csrr t5, htinst\n sd t5, 40(t6)\n"
        "csrr t5, hstatus\n sd t5, 48(t6)\n csrr t5, sepc\n sd t5, 56(t6)\n addi t5, t5, 4\n csrw sepc, t5\n"
        "ld t5, 0(t6)\n csrrw t6, sscratch, t6\n sret\n.option pop");
}

static u64 guest_root[2048] __attribute__((section(".bss.pages"), aligned(16384)));

// Devices and memory at their addresses for the guest; `mode` for both stages. HS-mode handles what `delegated` says.
static void guest_on(u64 mode, u64 delegated) {
    csr_set(menvcfg, MENVCFG_ADUE | MENVCFG_PBMTE | MENVCFG_STCE);
    paging_on(mode);
    csr_write(vsatp, csr_read(satp));
    paging_off();
    u64 *table = guest_root;
    if (mode != SV39) {
        for (u64 level = mode - 6; level > 2; level--) {
            u64 *next = new_page();
            table[0] = pte((u64)next, PTE_V);
            table = next;
        }
    }
    for (u64 gigabyte = 0; gigabyte < 3; gigabyte += 2) table[gigabyte] = pte(gigabyte << 30, PTE_V | PTE_RWX | PTE_U | PTE_AD);
    csr_write(hgatp, mode << 60 | 1ull << 44 | (u64)guest_root >> 12);
    asm volatile(".option push\n.option arch, +h\nhfence.gvma\nhfence.vvma\n.option pop" ::: "memory");
    csr_write(stvec, host_trap);
    csr_write(sscratch, &host);
    csr_write(medeleg, delegated);
}

// Calls function(a, b) in VS- or VU-mode.
static u64 call_guest(u64 mode, void *function, u64 a, u64 b) {
    csr_set(mstatus, MSTATUS_MPV);
    return enter(mode, function, a, b, mode == MODE_U ? USER_OFFSET : 0);
}

#endif
