# Entry and exceptions of a bare-metal benchmark. Hart 0 runs it; the others wait for platform_parallel.
    .section .text.start, "ax"
    .globl _start
_start:
    la t0, bare_unexpected
    csrw mtvec, t0
    li t0, 0x6600           # mstatus.FS and VS: floating point and vectors on
    csrs mstatus, t0
    csrr tp, mhartid
    bnez tp, secondary
    la sp, stack_top
    la t0, bss_start
    la t1, bss_end
1:  bgeu t0, t1, 2f
    sd zero, 0(t0)
    addi t0, t0, 8
    j 1b
2:  call bare_main

secondary:                  # tp: the hart
    la sp, stack_top
    slli t0, tp, 16
    sub sp, sp, t0
    csrwi mie, 8            # a software interrupt ends wfi; it is never taken
    li s0, 0x2000000        # MSIP
    slli t0, tp, 2
    add s0, s0, t0
1:  wfi
    csrr t0, mip
    andi t0, t0, 8
    beqz t0, 1b
    sw zero, 0(s0)
    fence
    mv a0, tp
    call bare_secondary
    j 1b

# Nothing may trap here, unless a kernel has put its own handler in place.
    .balign 4
    .globl bare_unexpected
bare_unexpected:
    la sp, stack_top
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    call bare_trapped

    .balign 4
    .globl bare_unexpected_supervisor
bare_unexpected_supervisor:
    la sp, stack_top
    csrr a0, scause
    csrr a1, sepc
    csrr a2, stval
    call bare_trapped

# M mode below an S-mode benchmark: a call from S mode adds 1 to a0.
    .balign 4
    .globl bare_monitor
bare_monitor:
    csrw mscratch, t0
    csrr t0, mcause
    addi t0, t0, -9
    bnez t0, bare_unexpected
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    addi a0, a0, 1
    csrr t0, mscratch
    mret

    .section .note.GNU-stack, "", @progbits
