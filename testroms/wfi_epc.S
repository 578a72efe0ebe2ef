# The interrupt that ends wfi stores the address of the next instruction in mepc (privileged manual, "Wait for Interrupt").
#include "layout.h"
    .text
    .globl rule
rule:
    la t0, handler
    csrw mtvec, t0
    li t0, 0x80
    csrw mie, t0
    li t1, 0x200bff8
    ld t2, 0(t1)
    li t3, 20000
    add t2, t2, t3
    li t1, 0x2004000
    sd t2, 0(t1)
    csrsi mstatus, 8
    wfi
wake:
    # A wfi that returned early leaves the interrupt to this loop, which is allowed.
    j wake
    .balign 4
handler:
    csrr a0, mepc
    la a1, wake
    la t0, trap_m
    csrw mtvec, t0
    beq a0, a1, 1f
    tail check_failed
1:  tail pass

    .section .rodata
    .globl rule_name
rule_name:
    .asciz "wfi_epc"
