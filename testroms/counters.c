// instret counts retired instructions exactly, cycle runs on, mcountinhibit stops either, and a write sets what the next read sees
// (privileged manual, "Hardware Performance Monitor"; Zicntr).
#include "rom.h"

RULE("counters") {
    u64 a, b;
    // Between two reads: the first read itself and whatever stands between.
    asm volatile(".option push\n.option norvc\ncsrr %0, minstret\ncsrr %1, minstret\n.option pop" : "=r"(a), "=r"(b));
    check(b - a, 1);
    asm volatile("csrr %0, minstret\nnop\nnop\nnop\nnop\ncsrr %1, minstret" : "=r"(a), "=r"(b));
    check(b - a, 5);
    // A loop of 1000 rounds of two instructions, and the li before it.
    asm volatile("csrr %0, minstret\nli t0, 1000\n1: addi t0, t0, -1\nbnez t0, 1b\ncsrr %1, minstret" : "=r"(a), "=r"(b) :: "t0");
    check(b - a, 2002);
    // instret is the same counter.
    asm volatile("csrr %0, minstret\ncsrr %1, instret" : "=r"(a), "=r"(b));
    check(b - a, 1);
    // A write takes effect after its own instruction.
    asm volatile("csrw minstret, zero\ncsrr %0, minstret\ncsrr %1, minstret" : "=r"(a), "=r"(b));
    check(a, 0);
    check(b, 1);
    asm volatile("csrw minstret, %2\nnop\ncsrr %0, minstret\ncsrr %1, minstret" : "=r"(a), "=r"(b) : "r"(0x7fffffffffffffff));
    check(a, 0x8000000000000000);
    check(b, 0x8000000000000001);
    // ecall does not retire, but the handler does.
    a = csr_read(mcycle);
    asm volatile("nop\nnop");
    b = csr_read(mcycle);
    check(b > a, 1);
    // Stopped.
    csr_write(mcountinhibit, 4);
    a = csr_read(minstret);
    asm volatile("nop\nnop");
    check(csr_read(minstret), a);
    csr_write(minstret, 500);
    check(csr_read(minstret), 500);
    asm volatile("csrw mcountinhibit, zero\nnop\nnop\ncsrr %0, minstret" : "=r"(a));
    check(a, 502);
    csr_write(mcountinhibit, 1);
    a = csr_read(mcycle);
    asm volatile("nop\nnop");
    check(csr_read(mcycle), a);
    csr_write(mcycle, 77);
    check(csr_read(mcycle), 77);
    csr_write(mcountinhibit, 0);
    check(WAIT_FOR(csr_read(mcycle) > 77), 1);
    // Event counters hold 64 bits, and count nothing without an event.
    csr_write(mhpmevent3, 0);
    csr_write(mhpmcounter3, 0xfedcba9876543210);
    check(csr_read(mhpmcounter3), 0xfedcba9876543210);
    check(csr_read(hpmcounter3), 0xfedcba9876543210);
}
