// Once a hart's command to flash memory is done, no hart's loads find the array any more, and all find it again after the next; code that
// another hart has programmed into it is run (Intel command set; "Zifencei" extension).
#include "rom.h"

#define FLASH 0x20000000ull
#define PLACE (FLASH + 0x1000)
#define STATUS 0x00800080u
#define ROUNDS 40

static volatile u64 asked[8] __attribute__((aligned(64)));
static volatile u64 answered[8] __attribute__((aligned(64)));
static volatile u64 mistakes;

// Even: the array is there, odd: status registers.
void secondary(u64 hart) {
    (void)hart;
    for (u64 round = 0;;) {
        u64 now = *asked;
        if (now == round) continue;
        asm volatile("fence r, ir" ::: "memory");
        if (now & 1) {
            mistakes = mistakes + (load32(FLASH) != STATUS);
        } else {
            // Long enough for loads to be direct ones.
            for (int i = 0; i < 100; i++) mistakes = mistakes + (load32(FLASH) == STATUS);
            fence_i();
            mistakes = mistakes + (jump_to(PLACE) != now / 2);
        }
        round = now;
        asm volatile("fence iorw, w" ::: "memory");
        *answered = round;
    }
}

static void program(u64 address, u32 value) {
    store32(address, 0x00400040);
    store32(address, value);
}

RULE("smp_flash") {
    for (u64 round = 1; round <= ROUNDS; round++) {
        store32(PLACE, 0x00200020);
        store32(PLACE, 0x00d000d0);
        // li a0, round; ret
        program(PLACE, 0x00000513 | (u32)round << 20);
        program(PLACE + 4, 0x00008067);
        store32(FLASH, 0x00700070);
        asm volatile("fence iow, w" ::: "memory");
        *asked = 2 * round - 1;
        while (*answered != 2 * round - 1) ;
        store32(FLASH, 0x00ff00ff);
        asm volatile("fence iow, w" ::: "memory");
        *asked = 2 * round;
        while (*answered != 2 * round) ;
        check(mistakes, 0);
    }
}
