// Code that another hart changed runs after a fence.i on the hart that runs it ("Zifencei" extension).
#include "rom.h"

static u32 code[4] __attribute__((aligned(16)));
static volatile u64 round_, answer, answered;

void secondary(u64 hart) {
    (void)hart;
    for (u64 seen = 0;;) {
        while (round_ == seen) ;
        seen = round_;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        fence_i();
        answer = jump_to((u64)code);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        answered = seen;
    }
}

RULE("smp_code_change") {
    code[1] = 0x00008067;               // ret
    for (u64 value = 1; value <= 50; value++) {
        store32((u64)code, 0x00000513 | (u32)value << 20);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        round_ = value;
        check(WAIT_FOR(answered == value), 1);
        check(answer, value);
    }
}
