# With MODE = 1 in xtvec an interrupt jumps to base + 4 * cause, an exception to base
# (privileged manual, "Machine Trap-Vector Base-Address Register", "Supervisor Trap Vector Base Address Register").
#include "layout.h"
    .text

    # Sixteen jumps; each leaves its number in s2 and returns with interrupts off.
    .macro TABLE name, enable, return
    .balign 64
    .option push
    .option norvc
\name:
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    j \name\()_\n
    .endr
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
\name\()_\n:
    li s2, \n
    j \name\()_end
    .endr
\name\()_end:
    csrw \enable, zero
    \return
    .option pop
    .endm
    TABLE machine_table, mie, mret
    TABLE supervisor_table, sie, sret

    .macro EXPECT value
    mv a0, s2
    li a1, \value
    call check_value
    .endm

    # Takes the machine interrupt `number`, which is pending, through the table.
    .macro TAKE_M number
    li s2, 99
    li t0, 1 << \number
    csrw mie, t0
    csrsi mstatus, 8
    nop
    nop
    csrci mstatus, 8
    EXPECT \number
    csrr s2, mcause
    slli s2, s2, 1
    srli s2, s2, 1
    EXPECT \number
    .endm

    .globl rule
rule:
    addi sp, sp, -16
    sd ra, 0(sp)
    la t0, machine_table + 1
    csrrw s4, mtvec, t0
    # The software interrupt, by CLINT.
    li t1, 0x2000000
    li t2, 1
    sw t2, 0(t1)
1:  csrr t2, mip
    andi t2, t2, 8
    beqz t2, 1b
    TAKE_M 3
    li t1, 0x2000000
    sw zero, 0(t1)
    # The timer, at once.
    li t1, 0x2004000
    sd zero, 0(t1)
1:  csrr t2, mip
    andi t2, t2, 0x80
    beqz t2, 1b
    TAKE_M 7
    # S-level interrupts that are not delegated come to M-mode by their own numbers.
    li t1, 0x222
    csrw mip, t1
    TAKE_M 1
    TAKE_M 5
    TAKE_M 9
    # An exception goes to the base.
    li s2, 99
    la t0, exception_table + 1
    csrw mtvec, t0
    .option push
    .option norvc
    .word 0
    .option pop
    EXPECT 0
    csrw mtvec, s4

    # S-mode, by delegation; the call leads through S code and back by the runtime.
    csrwi mip, 0
    li t0, 0x222
    csrw mideleg, t0
    csrw mip, t0
    li t1, 0x222
    csrw mie, t1
    li a0, 1
    la a1, in_supervisor
    li a4, 0
    call enter
    ld ra, 0(sp)
    addi sp, sp, 16
    ret

    .balign 64
exception_table:
    # The base steps over the instruction; any other entry would leave 99.
    .option push
    .option norvc
    j 3f
    .rept 15
    mret
    .endr
    .option pop
3:  li s2, 0
    csrr t1, mepc
    addi t1, t1, 4
    csrw mepc, t1
    mret

in_supervisor:
    addi sp, sp, -16
    sd ra, 0(sp)
    la t0, supervisor_table + 1
    csrrw s4, stvec, t0
    .irp n, 1, 5, 9
    li s2, 99
    li t0, 1 << \n
    csrw sie, t0
    csrsi sstatus, 2
    nop
    nop
    csrci sstatus, 2
    EXPECT \n
    .endr
    csrw stvec, s4
    ld ra, 0(sp)
    addi sp, sp, 16
    ret

check_value:
    la t0, check_count
    ld t1, 0(t0)
    addi t1, t1, 1
    sd t1, 0(t0)
    beq a0, a1, 2f
    tail check_failed
2:  ret

    .section .rodata
    .globl rule_name
rule_name:
    .asciz "vectored_interrupts"
