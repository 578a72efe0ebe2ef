// Gives C a stack; one hart is enough.
    .section .text.start, "ax"
    .globl _start
    .type _start, %function
_start:
    .cfi_startproc
    .cfi_undefined ra
    csrr t0, mhartid
    bnez t0, 1f
    la sp, stack_top
    call program
1:  wfi
    j 1b
    .cfi_endproc
    .size _start, . - _start

    .bss
    .balign 16
    .skip 4096
stack_top:
