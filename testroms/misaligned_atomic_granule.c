// Zama16b: a misaligned AMO inside 16 aligned bytes works, one that crosses them traps; LR and SC need their alignment all the same
// (privileged manual, "Misaligned Atomicity Granule PMA").
#include "rom.h"

static u8 cells[32] __attribute__((aligned(16)));

static u64 bytes(u64 at, u64 count) {
    u64 value = 0;
    for (u64 i = count; i-- > 0;) value = value << 8 | cells[at + i];
    return value;
}

RULE("misaligned_atomic_granule") {
    for (u64 at = 0; at < 16; at++) {
        u64 a = (u64)cells + at, old;
        for (u64 i = 0; i < 32; i++) cells[i] = (u8)(i * 7 + 1);
        u64 word = bytes(at, 4), pair = bytes(at, 8), half = bytes(at, 2);

        check(TRAP_OF("amoadd.w %0, %2, (%1)", : "=&r"(old) : "r"(a), "r"(0x01020304) : "memory"), at <= 12 ? NO_TRAP : STORE_MISALIGNED);
        if (at <= 12) check(old, (u64)(i64)(int32_t)word);
        if (at <= 12) check(bytes(at, 4), (u32)(word + 0x01020304));
        else check(bytes(at, 4), word);
        for (u64 i = 0; i < 32; i++) if (i < at || i >= at + 4) check(cells[i], (u8)(i * 7 + 1));
        if (at <= 12) asm volatile("amoswap.w zero, %1, (%0)" :: "r"(a), "r"(word) : "memory");

        check(TRAP_OF("amomaxu.d %0, %2, (%1)", : "=&r"(old) : "r"(a), "r"(~0ull) : "memory"), at <= 8 ? NO_TRAP : STORE_MISALIGNED);
        if (at <= 8) check(old, pair);
        else check(trap.tval, a);
        check(bytes(at, 8), at <= 8 ? ~0ull : pair);
        if (at <= 8) asm volatile("amoswap.d zero, %1, (%0)" :: "r"(a), "r"(pair) : "memory");

        // amoxor.h, amocas.w
        u64 cause = TRAP_OF(".insn r 0x2f, 1, 0x10, %0, %1, %2", : "=&r"(old) : "r"(a), "r"(0xffff) : "memory");
        check(cause, at <= 14 ? NO_TRAP : STORE_MISALIGNED);
        check(bytes(at, 2), at <= 14 ? half ^ 0xffff : half);
        if (at <= 14) TRAP_OF(".insn r 0x2f, 1, 0x10, zero, %0, %1", :: "r"(a), "r"(0xffff) : "memory");
        old = word;
        cause = TRAP_OF(".insn r 0x2f, 2, 0x14, %0, %1, %2", : "+r"(old) : "r"(a), "r"(0x600d) : "memory");
        check(cause, at <= 12 ? NO_TRAP : STORE_MISALIGNED);
        check(bytes(at, 4), at <= 12 ? 0x600d : word);

        check(TRAP_OF("lr.w t0, (%0)", :: "r"(a) : "t0", "memory"), at % 4 ? LOAD_MISALIGNED : NO_TRAP);
        check(TRAP_OF("sc.d t0, zero, (%0)", :: "r"(a) : "t0", "memory"), at % 8 ? STORE_MISALIGNED : NO_TRAP);
    }
}
