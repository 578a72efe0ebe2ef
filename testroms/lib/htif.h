// The spike board's console and end: commands in `tohost`, answers in `fromhost`.
#include "rom.h"

volatile u64 tohost __attribute__((section(".tohost"), used));
volatile u64 fromhost __attribute__((section(".tohost"), used, aligned(64)));

static void htif(u64 device, u64 command, u64 payload) {
    while (tohost) fromhost = 0;
    tohost = device << 56 | command << 48 | payload;
    while (tohost) fromhost = 0;
}

void console_put(char c) { htif(1, 1, (u8)c); }

void machine_exit(u64 code) {
    for (;;) htif(0, 0, code << 1 | 1);
}
