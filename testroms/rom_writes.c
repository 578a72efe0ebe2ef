// Stores to the mask ROM change nothing (the board's memory map).
#include "rom.h"

RULE("rom_writes") {
    u64 first = load64(0x1000), magic = load64(0x1028);
    store64(0x1000, ~first);
    store32(0x1028, 0);
    store8(0x102f, 0xff);
    check(load64(0x1000), first);
    check(load64(0x1028), magic);
    check(magic, 0x4942534f);
}
