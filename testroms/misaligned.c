// Loads and stores of every size work at every address, also across pages that are not neighbours in memory; a fault in either page
// is precise and its xtval lies in the page that failed (unprivileged manual, "Load and Store Instructions"; this machine's choice).
#include "rom.h"

#define PAGE 0x300000000ull

static void expect_bytes(u64 address, u64 size, u64 value) {
    for (u64 i = 0; i < size; i++) check(load8(address + i), value >> (8 * i) & 0xff);
}

static void all_sizes(u64 base) {
    for (u64 offset = 0; offset < 16; offset++) {
        u64 at = base + offset;
        store64(at, 0x8877665544332211);
        expect_bytes(at, 8, 0x8877665544332211);
        check(load64(at), 0x8877665544332211);
        store32(at, 0xddccbbaa);
        expect_bytes(at, 8, 0x88776655ddccbbaa);
        check(load32(at), 0xddccbbaa);
        store16(at, 0xf00f);
        expect_bytes(at, 8, 0x88776655ddccf00f);
        check(load16(at), 0xf00f);
        i64 value;
        asm volatile("lw %0, 0(%1)" : "=r"(value) : "r"(at));
        check(value, (i64)(int)0xddccf00f);
        asm volatile("lh %0, 0(%1)" : "=r"(value) : "r"(at));
        check(value, (i64)(short)0xf00f);
    }
}

// Not built into the S-mode wrappers: a 4-byte access.
static u64 load32_there(u64 address) { return load32(address); }
static u64 store32_there(u64 address, u64 value) { store32(address, (u32)value); return 0; }

RULE("misaligned") {
    static u8 area[64] __attribute__((aligned(16)));
    all_sizes((u64)area);

    // Two pages that lie the other way round in memory.
    paging_on(SV39);
    u64 low = (u64)new_page(), high = (u64)new_page();
    map(PAGE, high, PTE_V | PTE_R | PTE_W | PTE_AD, 0);
    map(PAGE + 0x1000, low, PTE_V | PTE_R | PTE_W | PTE_AD, 0);
    for (u64 back = 1; back < 8; back++) {
        u64 value = 0x0123456789abcdef + (back << 60);
        check(store_trap(MODE_S, PAGE + 0x1000 - back, value), NO_TRAP);
        for (u64 i = 0; i < back; i++) check(load8(high + 0x1000 - back + i), value >> (8 * i) & 0xff);
        for (u64 i = back; i < 8; i++) check(load8(low + i - back), value >> (8 * i) & 0xff);
        check(load64_in(MODE_S, PAGE + 0x1000 - back), value);
    }
    check(call_in(MODE_S, store32_there, PAGE + 0xffe, 0xcafebabe), 0);
    check(call_in(MODE_S, load32_there, PAGE + 0xffe, 0), 0xcafebabe);
    check(load16(high + 0xffe), 0xbabe);
    check(load16(low), 0xcafe);

    // The second page is missing: the fault names its first byte; the first page is missing: the address itself.
    map(PAGE + 0x1000, 0, 0, 0);
    check(load_trap(MODE_S, PAGE + 0xffc), LOAD_PAGE);
    check(trap.tval, PAGE + 0x1000);
    check(store_trap(MODE_S, PAGE + 0xff9, 0), STORE_PAGE);
    check(trap.tval, PAGE + 0x1000);
    map(PAGE + 0x1000, low, PTE_V | PTE_R | PTE_W | PTE_AD, 0);
    map(PAGE, 0, 0, 0);
    check(load_trap(MODE_S, PAGE + 0xffc), LOAD_PAGE);
    check(trap.tval, PAGE + 0xffc);
    // A read-only second page takes no store.
    map(PAGE, high, PTE_V | PTE_R | PTE_W | PTE_AD, 0);
    map(PAGE + 0x1000, low, PTE_V | PTE_R | PTE_AD, 0);
    store64(low, 0x1111);
    check(store_trap(MODE_S, PAGE + 0xffc, ~0ull), STORE_PAGE);
    check(load64(low), 0x1111);
    check(load_trap(MODE_S, PAGE + 0xffc), NO_TRAP);
    // Where there is no memory at all.
    paging_off();
    check(load_trap(MODE_M, 0x200001), LOAD_ACCESS);
    check(store_trap(MODE_M, 0x200003, 0), STORE_ACCESS);
}
