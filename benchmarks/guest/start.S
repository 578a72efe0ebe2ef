# Entry of a bare-metal benchmark: hart 0 gets a stack and calls main, whose result goes to the test finisher.
    .section .text.start
    .globl _start
_start:
    csrr t0, mhartid
    bnez t0, park
    li t0, 0x6000           # mstatus.FS: floating point on
    csrs mstatus, t0
    la sp, stack_top
    la t0, bss_start
    la t1, bss_end
1:  bgeu t0, t1, 2f
    sd zero, 0(t0)
    addi t0, t0, 8
    j 1b
2:  call main
    li t0, 0x100000
    beqz a0, 3f
    slli a0, a0, 16
    li t1, 0x3333
    or t1, t1, a0
    sw t1, 0(t0)
3:  li t1, 0x5555
    sw t1, 0(t0)
park:
    wfi
    j park
