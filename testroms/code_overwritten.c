// Every way to write memory reaches code that has run already: stores of each width, crossing pages, atomics, floating point,
// cbo.zero, and a device's DMA. After fence.i the new code runs.
#include "float.h"

static u64 at;

// li a0, 1 ; ret — run once, so that it is known; then `change` and run again.
static void prepare(void) {
    store32(at, 0x00100513);
    store32(at + 4, 0x00008067);
    fence_i();
    check(jump_to(at), 1);
    check(jump_to(at), 1);
}
#define NEW 0x00700513ull
#define NEW_PAIR 0x0000806700700513ull
#define CHANGED(statement, value) do { prepare(); statement; fence_i(); check(jump_to(at), value); } while (0)

static volatile struct { u32 control, length; u64 address; } command __attribute__((aligned(16)));

static void dma_signature(u64 target) {
    command.control = __builtin_bswap32(8 | 2);
    command.length = __builtin_bswap32(4);
    command.address = __builtin_bswap64(target);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    store64(FW_CFG + 16, __builtin_bswap64((u64)&command));
    check(WAIT_FOR(!command.control), 1);
}

RULE("code_overwritten") {
    float_on();
    static const u64 places[] = { 0x80900000, 0x80900ff0, 0x809007f8 };
    for (int i = 0; i < 3; i++) {
        at = places[i];
        CHANGED(store8(at + 2, 0x70), 7);
        CHANGED(store16(at + 2, 0x0070), 7);
        CHANGED(store32(at, (u32)NEW), 7);
        CHANGED(store64(at, NEW_PAIR), 7);
        CHANGED(asm volatile("amoswap.w zero, %0, (%1)" :: "r"(NEW), "r"(at) : "memory"), 7);
        CHANGED(asm volatile("amoadd.d zero, %0, (%1)" :: "r"(0x600000), "r"(at) : "memory"), 7);
        CHANGED(asm volatile("1: lr.w t0, (%1)\nsc.w t0, %0, (%1)\nbnez t0, 1b" :: "r"(NEW), "r"(at) : "t0", "memory"), 7);
        CHANGED(asm volatile(FARCH "fmv.w.x ft0, %0\nfsw ft0, 0(%1)\n.option pop" :: "r"(NEW), "r"(at) : "memory"), 7);
        CHANGED(asm volatile(FARCH "fmv.d.x ft0, %0\nfsd ft0, 0(%1)\n.option pop" :: "r"(NEW_PAIR), "r"(at) : "memory"), 7);
        // "QEMU" happens to be two instructions: c.li a0, 20 and c.li a0, -13.
        CHANGED(dma_signature(at), (u64)-13);
    }
    // A store that crosses from the page before into the code's page.
    at = 0x80901000;
    prepare();
    store64(at - 4, NEW << 32 | 0x12345678);
    fence_i();
    check(jump_to(at), 7);
    // From the code's page into the next, with code on both sides.
    at = 0x80900ffc;
    CHANGED(store64(at, NEW_PAIR), 7);
    CHANGED(store32(at + 2, 0x80670070), 7);
}
