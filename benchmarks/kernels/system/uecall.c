// variants: supervisor
// A call from user mode to S mode and back: what every system call costs at least.
#include "bare.h"
enum { TURNS = 2000 };
BENCH("uecall", TURNS);
static page middle, bottom;

// The program in user mode calls a0 times with a7 = 0, then once with a7 = 1. It has a page of its own, since S mode may not run
// what user mode may.
__asm__(".section .text.user, \"ax\"\n"
        ".balign 4096\n"
        "user_program:\n"
        "    li a7, 0\n"
        "1:  ecall\n"
        "    addi a0, a0, -1\n"
        "    bnez a0, 1b\n"
        "    li a7, 1\n"
        "    ecall\n"
        ".balign 4096\n"
        ".text\n");
extern char user_program[];

// u64 enter_user(u64 turns): runs the program above; the result is how often it called.
__asm__(".globl enter_user\n"
        "enter_user:\n"
        "    la t0, user_called\n"
        "    csrw stvec, t0\n"
        "    li t0, 0x40000000\n"
        "    csrw sepc, t0\n"
        "    li t0, 0x100\n"  // sstatus.SPP
        "    csrc sstatus, t0\n"
        "    li a1, 0\n"
        "    sret\n"
        ".balign 4\n"
        "user_called:\n"  // user mode leaves ra, sp and a1 alone
        "    csrw sscratch, t0\n"
        "    bnez a7, 1f\n"
        "    csrr t0, sepc\n"
        "    addi t0, t0, 4\n"
        "    csrw sepc, t0\n"
        "    addi a1, a1, 1\n"
        "    csrr t0, sscratch\n"
        "    sret\n"
        "1:  mv a0, a1\n"
        "    ret\n");
u64 enter_user(u64 turns);

void bench_setup(void) {
    bare_root[1] = table_entry(middle);
    middle[0] = table_entry(bottom);
    bottom[0] = leaf_entry(user_program, PTE_R | PTE_X | PTE_U);
    __asm__ volatile("sfence.vma" : : : "memory");
}

u64 bench_run(void) { return enter_user(TURNS); }
