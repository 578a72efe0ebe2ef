// fw_cfg: items by selector and data port, and by DMA; signature, version, number of harts, directory (the board's fw_cfg device).
#include "rom.h"

enum { SIGNATURE = 0, ID = 1, CPUS = 5, DIRECTORY = 0x19 };
enum { ERROR = 1, READ = 2, SKIP = 4, SELECT = 8 };

static void select(u64 key) { store16(FW_CFG + 8, (u16)(key << 8 | key >> 8)); }
static u64 byte(void) { return load8(FW_CFG); }

static volatile struct { u32 control, length; u64 address; } command __attribute__((aligned(16)));
static u8 buffer[64];

static u64 dma(u64 control, u64 length, u64 address) {
    command.control = __builtin_bswap32((u32)control);
    command.length = __builtin_bswap32((u32)length);
    command.address = __builtin_bswap64(address);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    store64(FW_CFG + 16, __builtin_bswap64((u64)&command));
    if (!WAIT_FOR(!(__builtin_bswap32(command.control) & ~ERROR))) return ~0ull;
    return __builtin_bswap32(command.control);
}

RULE("fw_cfg") {
    static const char name[] = "QEMU";
    select(SIGNATURE);
    for (int i = 0; i < 4; i++) check(byte(), (u8)name[i]);
    // Past the end of an item: zeros. Selecting again starts over.
    for (int i = 0; i < 4; i++) check(byte(), 0);
    select(SIGNATURE);
    check(byte(), 'Q');
    // Wider reads take more bytes, first one lowest in memory.
    select(SIGNATURE);
    check(load32(FW_CFG), 0x554d4551);
    select(ID);
    check(load32(FW_CFG), 3);
    select(CPUS);
    check(load16(FW_CFG), 2);
    select(0x7fff);
    check(byte(), 0);
    // The DMA register holds its own signature.
    check(load64(FW_CFG + 16), __builtin_bswap64(0x51454d5520434647));
    // Select and read in one.
    check(dma(SIGNATURE << 16 | SELECT | READ, 4, (u64)buffer), 0);
    for (int i = 0; i < 4; i++) check(buffer[i], (u8)name[i]);
    // Skip, then read on.
    check(dma(SIGNATURE << 16 | SELECT | SKIP, 2, 0), 0);
    for (int i = 0; i < 4; i++) buffer[i] = 0xff;
    check(dma(READ, 4, (u64)buffer), 0);
    check(buffer[0], 'M');
    check(buffer[1], 'U');
    check(buffer[2], 0);
    check(buffer[3], 0);
    // Into nowhere: an error, and no harm.
    check(dma(SIGNATURE << 16 | SELECT | READ, 4, 0x200000) & ERROR, ERROR);
    // By two 32-bit writes; the low half starts it.
    buffer[0] = 0;
    command.control = __builtin_bswap32(SIGNATURE << 16 | SELECT | READ);
    command.length = __builtin_bswap32(1);
    command.address = __builtin_bswap64((u64)buffer);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    store32(FW_CFG + 16, __builtin_bswap32((u32)((u64)&command >> 32)));
    check(buffer[0], 0);
    store32(FW_CFG + 20, __builtin_bswap32((u32)(u64)&command));
    check(WAIT_FOR(!command.control), 1);
    check(*(volatile u8 *)buffer, 'Q');
    // The directory counts its files, big-endian, and each has a size, a key of at least 0x20 and a name.
    select(DIRECTORY);
    u64 count = __builtin_bswap32(load32(FW_CFG));
    check(count < 256, 1);
    for (u64 i = 0; i < count; i++) {
        load32(FW_CFG);
        u64 key = (byte() << 8) | byte();
        check(key >= 0x20, 1);
        load16(FW_CFG);
        check(byte() != 0, 1);
        for (int rest = 1; rest < 56; rest++) byte();
    }
}
