// After fence.i a hart runs what it stored: in the same page, another page, through another address, over and over
// ("Zifencei" extension).
#include "rom.h"

#define PAGE 0x300000000ull
// addi a0, zero, value; ret
static void write_function(u64 at, u64 value) {
    store32(at, 0x00000513 | (u32)value << 20);
    store32(at + 4, 0x00008067);
}

RULE("self_modifying") {
    static u32 code[16] __attribute__((aligned(16)));
    for (u64 value = 0; value < 200; value++) {
        write_function((u64)code, value);
        fence_i();
        check(jump_to((u64)code), value);
    }
    // Another page, in the middle of RAM, with bytes and halfwords.
    u64 far = 0x80900000;
    write_function(far, 1);
    fence_i();
    check(jump_to(far), 1);
    store16(far + 2, 0x0070);
    fence_i();
    check(jump_to(far), 7);
    store8(far + 3, 0x02);
    fence_i();
    check(jump_to(far), 0x27);
    // Data beside code in a page: stores to it without a fence leave the code as it is.
    for (u64 i = 0; i < 100; i++) {
        store64(far + 0x100, i);
        check(jump_to(far), 0x27);
        check(load64(far + 0x100), i);
    }
    // By a double-word store over two instructions, and by an AMO.
    store64(far, 0x0000806700800513);
    fence_i();
    check(jump_to(far), 8);
    asm volatile("amoswap.w zero, %0, (%1)" :: "r"(0x00900513), "r"(far) : "memory");
    fence_i();
    check(jump_to(far), 9);
    // Code that stores `li a0, 5` over its own `li a0, 1` a few instructions ahead.
    u64 at = far + 0x200;
    store32(at, 0x00000297);            // auipc t0, 0
    store32(at + 4, 0x00b2aa23);        // sw a1, 20(t0)
    store32(at + 8, 0x0000100f);        // fence.i
    store32(at + 12, 0x00000013);       // nop
    store32(at + 16, 0x00000013);       // nop
    store32(at + 20, 0x00100513);       // li a0, 1
    store32(at + 24, 0x00008067);       // ret
    fence_i();
    register u64 a0 asm("a0");
    register u64 a1 asm("a1") = 0x00500513;
    asm volatile("jalr ra, 0(%2)" : "=r"(a0) : "r"(a1), "r"(at) : "ra", "t0", "memory");
    check(a0, 5);

    // Through two addresses for one page.
    paging_on(SV39);
    u64 page = (u64)new_page();
    map(PAGE, page, PTE_V | PTE_RWX | PTE_AD, 0);
    map(PAGE + 0x1000, page, PTE_V | PTE_RWX | PTE_AD, 0);
    for (u64 value = 1; value < 20; value++) {
        write_function(page, value);
        fence_i();
        check(jump_in(MODE_S, PAGE), value);
        store64_in(MODE_S, PAGE + 0x1000, 0x0000806700000513 | (value + 100) << 20);
        fence_i();
        check(jump_in(MODE_S, PAGE), value + 100);
        check(jump_in(MODE_S, PAGE + 0x1000), value + 100);
    }
}
