// Device registers cannot be executed; the mask ROM can (privileged manual, "Physical Memory Attributes"; the board's regions).
#include "rom.h"

RULE("execute_device") {
    u64 places[] = { UART, FINISHER, RTC, CLINT, PLIC, VIRTIO(0), FW_CFG };
    for (int i = 0; i < 7; i++) {
        check(fetch_trap(MODE_M, places[i]), FETCH_ACCESS);
        check(trap.pc, places[i]);
        check(trap.tval, places[i]);
    }
    // The reset vector's `jr t0` runs where it is: the word at 0x1000 + 5 * 4.
    u64 landed;
    check(load32(0x1014), 0x00028067);
    asm volatile(".option push\n.option norvc\nli %0, 0\nla t0, 1f\njr %1\nnop\n1: addi %0, %0, 1\n.option pop" : "=&r"(landed) : "r"(0x1014) : "t0", "memory");
    check(landed, 1);
}
