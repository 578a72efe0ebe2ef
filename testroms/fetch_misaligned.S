# Without compressed instructions a jump to an address that is not a multiple of 4 traps at the jump: xepc is the jump, xtval the target,
# nothing is linked; xepc holds multiples of 4 (unprivileged manual, "Control Transfer Instructions"; mepc).
    .option norvc
    .macro EXPECT register, value
    addi s1, s1, 1
    li t0, \value
    bne \register, t0, fail
    .endm
    .macro EXPECT_AT register, label
    addi s1, s1, 1
    la t0, \label
    bne \register, t0, fail
    .endm

    .globl _start
    .section .text.start, "ax"
_start:
    la t0, handler
    csrw mtvec, t0
    li s1, 0
    # jal
    li s2, -1
    li ra, 7
j1: .word 0x006000ef                # jal ra, .+6
    EXPECT s2, 0
    EXPECT_AT s3, j1
    EXPECT_AT s4, j1 + 6
    EXPECT ra, 7
    # jalr, whose lowest bit is dropped first
    li s2, -1
    la t1, target + 3
j2: jalr ra, 0(t1)
    EXPECT s2, 0
    EXPECT_AT s3, j2
    EXPECT_AT s4, target + 2
    EXPECT ra, 7
    li s2, -1
    la t1, target + 1
    jalr ra, 0(t1)
    EXPECT s2, -1
    # a branch traps only when it is taken
    li t1, 1
j3: .word 0x00031363                # bnez t1, .+6
    EXPECT s2, 0
    EXPECT_AT s3, j3
    EXPECT_AT s4, j3 + 6
    li s2, -1
    .word 0x00030363                # beqz t1, .+6
    EXPECT s2, -1
    # mepc has no bit 1
    li t1, -1
    csrw mepc, t1
    csrr t1, mepc
    EXPECT t1, -4
    # misa says so
    csrr t1, misa
    andi t1, t1, 4
    EXPECT t1, 0
    # and a compressed instruction is illegal: its 32 bits are one unknown instruction
    li s2, -1
    .word 0x00010001
    EXPECT s2, 2
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

    .balign 4
target:
    ret

    .balign 4
handler:
    csrr s2, mcause
    csrr s3, mepc
    csrr s4, mtval
    addi t0, s3, 4
    csrw mepc, t0
    mret
