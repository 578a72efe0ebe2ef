# An instruction that traps does not count as retired; wfi, fences and the return from a trap do
# (privileged manual, "Hardware Performance Monitor": minstret).
#include "layout.h"
    .option norvc

    # BEGIN, code, END: expects `count` instructions between the two reads of minstret, beside the first read itself.
    .macro BEGIN
    addi s1, s1, 1
    csrr t1, minstret
    .endm
    .macro END count
    csrr t2, minstret
    sub t2, t2, t1
    li t3, \count + 1
    bne t2, t3, fail
    .endm
    .macro COUNT count, text:vararg
    BEGIN
    \text
    END \count
    .endm

    .globl _start
    .section .text.start, "ax"
_start:
    csrr t0, mhartid
    bnez t0, idle
    la t0, handler
    csrw mtvec, t0
    li s1, 0
    li t4, 0x200000                 # nothing is there
    COUNT 0
    COUNT 1, nop
    # The handler retires four.
    COUNT 4, ecall
    COUNT 4, ebreak
    COUNT 4, .word 0
    COUNT 4, ld t5, 0(t4)
    COUNT 4, sd t5, 0(t4)
    COUNT 4, csrr t5, 0x5ff
    COUNT 1, fence
    COUNT 1, fence.i
    COUNT 1, sfence.vma
    BEGIN
    csrw mscratch, t5
    csrr t5, mscratch
    END 2
    # A sleep that an interrupt which stays masked ends: mip.SSIP.
    csrwi mip, 2
    csrwi mie, 2
    COUNT 1, wfi
    csrwi mip, 0
    # A loop: 10 rounds of two.
    li t6, 10
    BEGIN
1:  addi t6, t6, -1
    bnez t6, 1b
    END 20
    li t0, 0x5555
finish:
    li t1, 0x100000
    sw t0, 0(t1)
    j finish
fail:
    slli t0, s1, 16
    li t1, 0x3333
    or t0, t0, t1
    j finish
idle:
    wfi
    j idle

    .balign 4
handler:
    csrr t5, mepc
    addi t5, t5, 4
    csrw mepc, t5
    mret
