// Code another hart has just put into a page that held data runs after a fence.i, in page after page, and is seen again when it
// changes; stores to data beside it are not lost ("Zifencei" extension).
#include "rom.h"

#define PAGES 12
#define CHANGES 4

static u32 code[PAGES][1024] __attribute__((aligned(4096)));
static volatile u64 round_, answer, answered;

void secondary(u64 hart) {
    if (hart != 1) for (;;) wfi();
    for (u64 seen = 0;;) {
        while (round_ == seen) ;
        seen = round_;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        fence_i();
        answer = jump_to((u64)code[seen / CHANGES % PAGES]);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        answered = seen;
    }
}

RULE("smp_code_fresh_pages") {
    for (u64 round = 1; round < PAGES * CHANGES; round++) {
        u32 *page = code[round / CHANGES % PAGES];
        page[1] = 0x00008067;               // ret
        store32((u64)page, 0x00000513 | (u32)round << 20);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        round_ = round;
        // Data of the page while the other hart decodes it.
        u32 sum = 0;
        for (u32 word = 16; word < 1024; word += 5) page[word] = (u32)round + word;
        check(WAIT_FOR(answered == round), 1);
        check(answer, round);
        for (u32 word = 16; word < 1024; word += 5) sum += page[word] != (u32)round + word;
        check(sum, 0);
    }
}
