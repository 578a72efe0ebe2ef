// The eight virtio-mmio slots identify themselves; an empty one is device 0; legacy is the default transport version
// (virtio 1.2, "MMIO Device Register Layout").
#include "rom.h"

RULE("virtio_mmio_id") {
    for (u64 slot = 0; slot < 8; slot++) {
        check(load32(VIRTIO(slot)), 0x74726976);
        check(load32(VIRTIO(slot) + 4), 1);
        check(load32(VIRTIO(slot) + 8), 0);
        check(load32(VIRTIO(slot) + 12), 0x554d4551);
    }
}
