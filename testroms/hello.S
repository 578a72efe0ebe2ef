# Prints a greeting on the UART and ends with exit code 0: the smallest program of the virt board.
    .globl _start
    .section .text.start, "ax"
_start:
    csrr t0, mhartid
    bnez t0, 3f                 # one hart is enough
    la a0, greeting
    li a1, 0x10000000           # 16550A
0:  lbu a2, 0(a0)
    beqz a2, 2f
1:  lbu t0, 5(a1)               # line status
    andi t0, t0, 0x20           # room to transmit
    beqz t0, 1b
    sb a2, 0(a1)
    addi a0, a0, 1
    j 0b
2:  li t0, 0x100000             # test finisher
    li t1, 0x5555
    sw t1, 0(t0)
3:  wfi
    j 3b

    .section .rodata
greeting:
    .asciz "Hello from RISC-V on bare metal.\n"
