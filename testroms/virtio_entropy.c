// A driver for the entropy device in slot 3, from reset to an interrupt, over the modern transport
// (virtio 1.2, "MMIO-specific Initialization And Device Operation", "Entropy Device").
#include "rom.h"

#define DEVICE VIRTIO(3)
#define get(offset) load32(DEVICE + offset)
#define put(offset, value) store32(DEVICE + offset, (u32)(value))

enum { STATUS = 0x70, ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
#define SIZE 4

static struct { u64 address; u32 length; u16 flags, next; } descriptors[SIZE] __attribute__((aligned(16)));
static volatile struct { u16 flags, index, ring[SIZE]; } available __attribute__((aligned(2)));
static volatile struct { u16 flags, index; struct { u32 id, length; } ring[SIZE]; } used __attribute__((aligned(4)));
static volatile u8 buffer[64];

static void put64(u64 offset, u64 value) { put(offset, value); put(offset + 4, value >> 32); }

RULE("virtio_entropy") {
    check(get(0), 0x74726976);
    check(get(4), 2);
    check(get(8), 4);
    put(STATUS, 0);
    check(get(STATUS), 0);
    put(STATUS, ACKNOWLEDGE);
    put(STATUS, ACKNOWLEDGE | DRIVER);
    // VIRTIO_F_VERSION_1 is bit 32.
    put(0x14, 1);
    check(get(0x10) & 1, 1);
    put(0x24, 1);
    put(0x20, 1);
    put(0x24, 0);
    put(0x20, 0);
    put(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    check(get(STATUS), ACKNOWLEDGE | DRIVER | FEATURES_OK);
    put(0x30, 0);
    check(get(0x44), 0);
    check(get(0x34) >= SIZE, 1);
    put(0x38, SIZE);
    put64(0x80, (u64)descriptors);
    put64(0x90, (u64)&available);
    put64(0xa0, (u64)&used);
    put(0x44, 1);
    check(get(0x44), 1);
    put(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);

    store32(PLIC + 4 * 4, 1);
    store32(PLIC + 0x2000, 1 << 4);
    for (u16 round = 0; round < 3; round++) {
        for (int i = 0; i < 64; i++) buffer[i] = 0;
        descriptors[0].address = (u64)buffer;
        descriptors[0].length = 64;
        descriptors[0].flags = 2;           // for the device to write
        available.ring[round % SIZE] = 0;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        available.index = round + 1;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        put(0x50, 0);
        check(WAIT_FOR(used.index == (u16)(round + 1)), 1);
        check(used.ring[round % SIZE].id, 0);
        u64 length = used.ring[round % SIZE].length, sum = 0;
        check(length >= 1 && length <= 64, 1);
        for (u64 i = 0; i < length; i++) sum |= buffer[i];
        check(sum != 0, length > 8 ? 1 : sum != 0);
        check(WAIT_FOR(csr_read(mip) & BIT(MEI)), 1);
        check(get(0x60), 1);
        put(0x64, 1);
        check(get(0x60), 0);
        check(load32(PLIC + 0x200004), 4);
        store32(PLIC + 0x200004, 4);
        check(WAIT_FOR(!(csr_read(mip) & BIT(MEI))), 1);
    }
    put(STATUS, 0);
    check(get(0x44), 0);
}
