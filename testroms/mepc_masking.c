// xepc holds instruction addresses: bit 0 is always zero, and bit 1 is writable with compressed instructions
// (privileged manual, "Machine Exception Program Counter (mepc) Register").
#include "rom.h"

RULE("mepc_masking") {
    check(csr_try(mepc, 0xffffffffffffffff), 0xfffffffffffffffe);
    check(csr_try(mepc, 1), 0);
    check(csr_try(mepc, 0x80000003), 0x80000002);
    check(csr_try(sepc, 0xffffffffffffffff), 0xfffffffffffffffe);
    check(csr_try(sepc, 3), 2);
    // A trap stores the address of the instruction itself.
    u64 here;
    clear_trap();
    asm volatile(".option push\n.option norvc\nla %0, 1f\n1: ecall\n.option pop" : "=&r"(here) :: "a7", "memory");
    check(trap.cause, ECALL_M);
    check(trap.pc, here);
}
