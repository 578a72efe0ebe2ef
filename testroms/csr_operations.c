// The six CSR instructions: what they return and what they write, with x0 and 0 as special cases (Zicsr).
#include "rom.h"

RULE("csr_operations") {
    u64 old, keep = csr_read(sscratch);
    csr_write(sscratch, 0x00ff);
    asm volatile("csrrw %0, sscratch, %1" : "=r"(old) : "r"(0x1234));
    check(old, 0x00ff);
    check(csr_read(sscratch), 0x1234);
    asm volatile("csrrs %0, sscratch, %1" : "=r"(old) : "r"(0xf001));
    check(old, 0x1234);
    check(csr_read(sscratch), 0xf235);
    asm volatile("csrrc %0, sscratch, %1" : "=r"(old) : "r"(0x0035));
    check(old, 0xf235);
    check(csr_read(sscratch), 0xf200);
    asm volatile("csrrwi %0, sscratch, 31" : "=r"(old));
    check(old, 0xf200);
    check(csr_read(sscratch), 31);
    asm volatile("csrrci %0, sscratch, 5" : "=r"(old));
    check(old, 31);
    check(csr_read(sscratch), 26);
    asm volatile("csrrsi %0, sscratch, 1" : "=r"(old));
    check(old, 26);
    check(csr_read(sscratch), 27);
    // Source and destination in one register swap.
    old = 99;
    asm volatile("csrrw %0, sscratch, %0" : "+r"(old));
    check(old, 27);
    check(csr_read(sscratch), 99);
    // x0 as destination still writes, x0 as source of csrrw writes zero.
    asm volatile("csrrw zero, sscratch, %0" :: "r"(1234));
    check(csr_read(sscratch), 1234);
    asm volatile("csrrw %0, sscratch, zero" : "=r"(old));
    check(old, 1234);
    check(csr_read(sscratch), 0);
    csr_write(sscratch, keep);
}
