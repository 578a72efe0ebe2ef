// The entry, which has no caller, and a function in assembly without a size.
    .text
    .globl _start
    .type _start, %function
_start:
    .cfi_startproc
#if defined(__riscv)
    .cfi_undefined ra
    la sp, stack_top
    mv s0, zero
    call program
#else
    .cfi_undefined x30
    adrp x0, stack_top
    add x0, x0, :lo12:stack_top
    mov sp, x0
    mov x29, xzr
    bl program
#endif
    .cfi_endproc
    .size _start, . - _start

    .globl label_leaf
label_leaf:
    .cfi_startproc
#if defined(__riscv)
    addi a0, a0, 7
    ret
#else
    add x0, x0, #7
    ret
#endif
    .cfi_endproc

    .globl after_label
after_label:
    nop

    .bss
    .balign 16
    .type stack, %object
stack:
    .skip 16384
    .size stack, . - stack
    .globl stack_top
stack_top:
