// A guest's memory: two-stage translation, guest-page faults with what htval and htinst tell, HLV, HLVX and HSV, and the hypervisor's fences
// (privileged manual, "Two-Stage Address Translation", "Hypervisor Instructions", "Transformed Instruction or Pseudoinstruction").
#include "guest.h"

// A page of the guest's, above everything else, at a guest physical address that memory does not have.
#define PAGE 0x300000000ull
#define GUEST_PAGE 0xc0000000ull

static u64 load_guest(u64 address, u64 unused) { (void)unused; return load64(address); }
static u64 load_word_guest(u64 address, u64 unused) { (void)unused; u64 v; asm volatile(".option push\n.option norvc\nlw a5, 0(%1)\nmv %0, a5\n.option pop" : "=r"(v) : "r"(address) : "a5", "memory"); return v; }
static u64 store_guest(u64 address, u64 value) { store64(address, value); return 0; }
static u64 compressed_guest(u64 address, u64 unused) {
    (void)unused;
    // The handler skips four bytes: a compressed load and a compressed nop.
    asm volatile(".option push\n.option rvc\nmv a4, %0\n.balign 4\nc.ld a5, 8(a4)\nc.nop\n.option pop" :: "r"(address) : "a4", "a5", "memory");
    return 0;
}
static u64 amo_guest(u64 address, u64 value) { asm volatile("amoadd.d zero, %1, (%0)" :: "r"(address), "r"(value) : "memory"); return 0; }
static u64 call_page(u64 address, u64 unused) { (void)unused; return jump_to(address); }

static u64 *second_entry;

static void map_guest(u64 physical, u64 flags) {
    *second_entry = pte(physical, flags);
    asm volatile(".option push\n.option arch, +h\nhfence.gvma\n.option pop" ::: "memory");
}

#define HYPERVISOR(text, ...) asm volatile(".option push\n.option norvc\n.option arch, +h\n" text "\n.option pop" __VA_ARGS__)

static void check_stages(u64 mode) {
    guest_on(mode, 1ull << FETCH_GUEST_PAGE | 1ull << LOAD_GUEST_PAGE | 1ull << STORE_GUEST_PAGE);
    u64 *cell = new_page(), *last = new_page(), *middle = new_page();
    // The guest's page in its own tables; they are built where satp's would be.
    u64 *leaf = pte_of(PAGE, 0);
    *leaf = pte(GUEST_PAGE, PTE_V | PTE_R | PTE_W | PTE_X | PTE_AD);
    u64 *table = guest_root;
    for (u64 level = mode - 6; level > 2; level--) table = (u64 *)(table[0] >> 10 << 12);
    table[GUEST_PAGE >> 30] = pte((u64)middle, PTE_V);
    middle[0] = pte((u64)last, PTE_V);
    second_entry = &last[0];
    map_guest((u64)cell, PTE_V | PTE_R | PTE_W | PTE_X | PTE_U | PTE_AD);
    cell[0] = 0x1234;
    check(call_guest(MODE_S, load_guest, PAGE, 0), 0x1234);
    call_guest(MODE_S, store_guest, PAGE + 8, 0x5678);
    check(cell[1], 0x5678);

    // Without U the second stage gives nothing; what faulted is told to the byte, and the instruction without its address.
    map_guest((u64)cell, PTE_V | PTE_R | PTE_W | PTE_X | PTE_AD);
    clear_host();
    call_guest(MODE_S, load_word_guest, PAGE + 0x24, 0);
    check(host.cause, LOAD_GUEST_PAGE);
    check(host.tval, PAGE + 0x24);
    check(host.htval, (GUEST_PAGE + 0x24) >> 2);
    check(host.htinst, 0x2783);   // lw a5, 0(x0)
    check(host.hstatus & (HSTATUS_GVA | HSTATUS_SPV | HSTATUS_SPVP), HSTATUS_GVA | HSTATUS_SPV | HSTATUS_SPVP);
    clear_host();
    call_guest(MODE_S, compressed_guest, PAGE, 0);
    check(host.cause, LOAD_GUEST_PAGE);
    check(host.htinst, 0x3781);   // ld a5, 0(x0), of two bytes
    map_guest((u64)cell, PTE_V | PTE_R | PTE_U | PTE_AD);
    clear_host();
    call_guest(MODE_S, amo_guest, PAGE + 16, 1);
    check(host.cause, STORE_GUEST_PAGE);
    check(host.htval, (GUEST_PAGE + 16) >> 2);
    check(host.htinst & 0xf80ff07f, 0x0000302f);
    clear_host();
    call_guest(MODE_S, store_guest, PAGE + 16, 1);
    check(host.cause, STORE_GUEST_PAGE);
    check(host.htinst & 0xfe0fffff, 0x3023);

    // The guest's own table out of reach: the entry's address, and a pseudoinstruction.
    u64 *own = (u64 *)((u64)leaf & ~0xfffull);
    *leaf = pte(GUEST_PAGE, PTE_V | PTE_R | PTE_W | PTE_X | PTE_AD);
    u64 *up = pte_of(PAGE, 1);
    u64 saved = *up;
    own[0] = *leaf;
    map_guest((u64)own, 0);
    *up = pte(GUEST_PAGE, PTE_V);
    HYPERVISOR("hfence.vvma", ::: "memory");
    clear_host();
    call_guest(MODE_S, load_guest, PAGE, 0);
    check(host.cause, LOAD_GUEST_PAGE);
    check(host.tval, PAGE);
    check(host.htval, (GUEST_PAGE + ((PAGE >> 12 & 511) << 3)) >> 2);
    check(host.htinst, 0x3000);
    *up = saved;
    HYPERVISOR("hfence.vvma", ::: "memory");

    // HLV, HLVX, HSV, in M-mode as in HS-mode, with the rights of VS- or VU-mode.
    map_guest((u64)cell, PTE_V | PTE_R | PTE_W | PTE_U | PTE_AD);
    cell[0] = 0x8182838485868788;
    u64 value;
    csr_set(hstatus, HSTATUS_SPVP);
    HYPERVISOR("hlv.b %0, (%1)", : "=r"(value) : "r"(PAGE) : "memory");
    check(value, 0xffffffffffffff88);
    HYPERVISOR("hlv.bu %0, (%1)", : "=r"(value) : "r"(PAGE) : "memory");
    check(value, 0x88);
    HYPERVISOR("hlv.h %0, (%1)", : "=r"(value) : "r"(PAGE) : "memory");
    check(value, 0xffffffffffff8788);
    HYPERVISOR("hlv.hu %0, (%1)", : "=r"(value) : "r"(PAGE) : "memory");
    check(value, 0x8788);
    HYPERVISOR("hlv.w %0, (%1)", : "=r"(value) : "r"(PAGE) : "memory");
    check(value, 0xffffffff85868788);
    HYPERVISOR("hlv.wu %0, (%1)", : "=r"(value) : "r"(PAGE) : "memory");
    check(value, 0x85868788);
    HYPERVISOR("hlv.d %0, (%1)", : "=r"(value) : "r"(PAGE) : "memory");
    check(value, 0x8182838485868788);
    HYPERVISOR("hsv.b %0, (%1)", :: "r"(0x11ull), "r"(PAGE) : "memory");
    HYPERVISOR("hsv.h %0, (%1)", :: "r"(0x2222ull), "r"(PAGE + 2) : "memory");
    HYPERVISOR("hsv.w %0, (%1)", :: "r"(0x33333333ull), "r"(PAGE + 4) : "memory");
    check(cell[0], 0x3333333322228711);
    HYPERVISOR("hsv.d %0, (%1)", :: "r"(0x4444444444444444ull), "r"(PAGE) : "memory");
    check(cell[0], 0x4444444444444444);
    // No right to execute in the second stage.
    csr_write(medeleg, 0);
    check(TRAP_OF(".option arch, +h\nhlvx.hu zero, (%0)", :: "r"(PAGE) : "memory"), LOAD_GUEST_PAGE);
    check(csr_read(mtval2), GUEST_PAGE >> 2);
    check(csr_read(mtinst) >> 15 & 31, 0);
    map_guest((u64)cell, PTE_V | PTE_X | PTE_U | PTE_AD);
    HYPERVISOR("hlvx.wu %0, (%1)", : "=r"(value) : "r"(PAGE) : "memory");
    check(value, 0x44444444);
    HYPERVISOR("hlvx.hu %0, (%1)", : "=r"(value) : "r"(PAGE) : "memory");
    check(value, 0x4444);
    check(TRAP_OF(".option arch, +h\nhlv.d zero, (%0)", :: "r"(PAGE) : "memory"), LOAD_GUEST_PAGE);
    // MXR of HS-mode opens both stages, that of the guest its own only.
    csr_set(vsstatus, MSTATUS_MXR);
    check(TRAP_OF(".option arch, +h\nhlv.d zero, (%0)", :: "r"(PAGE) : "memory"), LOAD_GUEST_PAGE);
    csr_clear(vsstatus, MSTATUS_MXR);
    csr_set(mstatus, MSTATUS_MXR);
    HYPERVISOR("hlv.d %0, (%1)", : "=r"(value) : "r"(PAGE) : "memory");
    check(value, 0x4444444444444444);
    csr_clear(mstatus, MSTATUS_MXR);
    // VU-mode has no right to a supervisor's page; SUM is the guest's.
    map_guest((u64)cell, PTE_V | PTE_R | PTE_W | PTE_U | PTE_AD);
    csr_clear(hstatus, HSTATUS_SPVP);
    check(TRAP_OF(".option arch, +h\nhlv.d zero, (%0)", :: "r"(PAGE) : "memory"), LOAD_PAGE);
    csr_set(hstatus, HSTATUS_SPVP);
    *leaf = pte(GUEST_PAGE, PTE_V | PTE_R | PTE_U | PTE_AD);
    HYPERVISOR("hfence.vvma %0", :: "r"(PAGE) : "memory");
    check(TRAP_OF(".option arch, +h\nhlv.d zero, (%0)", :: "r"(PAGE) : "memory"), LOAD_PAGE);
    csr_set(vsstatus, MSTATUS_SUM);
    check(TRAP_OF(".option arch, +h\nhlv.d zero, (%0)", :: "r"(PAGE) : "memory"), NO_TRAP);
    csr_clear(vsstatus, MSTATUS_SUM);
    // MPRV with MPV goes the same way.
    csr_clear(mstatus, MSTATUS_MPP);
    asm volatile(".option push\n.option norvc\ncsrs mstatus, %2\nld %0, 0(%1)\ncsrc mstatus, %2\n.option pop"
        : "=&r"(value) : "r"(PAGE), "r"(MSTATUS_MPRV | MSTATUS_MPV) : "memory");
    check(value, 0x4444444444444444);
    csr_write(hgatp, 0);
    csr_write(vsatp, 0);
}

RULE("guest_memory") {
    check_stages(SV39);
    (void)call_page;
}
