// As code_overwritten, by the instructions of newer extensions: amocas, byte and halfword AMOs, fsh and cbo.zero.
#include "float.h"

static u64 at;
static void prepare(void) {
    store32(at, 0x00100513);
    store32(at + 4, 0x00008067);
    fence_i();
    check(jump_to(at), 1);
    check(jump_to(at), 1);
}
#define CHANGED(statement, value) do { prepare(); statement; fence_i(); check(jump_to(at), value); } while (0)
#define ATOMIC ".option push\n.option arch, +zacas, +zabha, +zicboz\n"

static void cas_pair(void) {
    register u64 a0 asm("a0") = 0x0000806700100513;
    register u64 a1 asm("a1") = load64(at + 8);
    register u64 a2 asm("a2") = 0x0000806700700513;
    register u64 a3 asm("a3") = 0;
    asm volatile(ATOMIC "amocas.q a0, a2, (%4)\n.option pop" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(at) : "memory");
}

RULE("code_overwritten_new") {
    float_on();
    at = 0x80900010;
    CHANGED(asm volatile(ATOMIC "amoswap.b zero, %0, (%1)\n.option pop" :: "r"(0x70), "r"(at + 2) : "memory"), 7);
    CHANGED(asm volatile(ATOMIC "amoadd.h zero, %0, (%1)\n.option pop" :: "r"(0x60), "r"(at + 2) : "memory"), 7);
    CHANGED(asm volatile(ATOMIC "mv t0, %2\namocas.w t0, %0, (%1)\n.option pop" :: "r"(0x00700513), "r"(at), "r"(0x00100513) : "t0", "memory"), 7);
    CHANGED(cas_pair(), 7);
    CHANGED(asm volatile(FARCH "fmv.w.x ft0, %0\nfsh ft0, 2(%1)\n.option pop" :: "r"(0x70), "r"(at) : "memory"), 7);
    prepare();
    asm volatile(ATOMIC "cbo.zero (%0)\n.option pop" :: "r"(at) : "memory");
    fence_i();
    skip_bytes = 2;
    check(trap_of(({ store32(at + 2, 0x00008067); fence_i(); jump_to(at); })), ILLEGAL);
    check(trap.tval, 0);
}
