// Start-up, trap entry and changes of privilege for the test programs.
#include "layout.h"

    .section .text.start, "ax"
    .globl _start
_start:
    // What the board hands over is kept before anything changes it.
    la t0, boot_state
    slli t1, a0, 6
    add t0, t0, t1
    sd a0, 0(t0)
    sd a1, 8(t0)
    csrr t1, mstatus
    sd t1, 24(t0)
    csrr t1, mie
    sd t1, 32(t0)
    csrr t1, satp
    sd t1, 40(t0)
    csrr s0, mhartid
    sd s0, 48(t0)
    csrr t1, mcause
    sd t1, 56(t0)
    fence w, w              # who finds a2 there finds the rest
    sd a2, 16(t0)
    csrw mie, zero
    la t0, trap_m
    csrw mtvec, t0
    // All of memory is open to S and U, behind fifteen entries a test can use first.
    li t0, -1
    csrw pmpaddr15, t0
    li t0, 0x1f
    slli t0, t0, 56
    csrw pmpcfg2, t0

    bnez s0, 2f
    la t0, __bss_start
    la t1, __bss_end
0:  sd zero, 0(t0)
    addi t0, t0, 8
    bltu t0, t1, 0b
    fence rw, rw
    la t0, memory_is_ready
    li t1, 1
    sw t1, 0(t0)
2:  la t0, memory_is_ready
    lw t0, 0(t0)
    beqz t0, 2b
    fence rw, rw

    la t0, stack_tops
    slli t1, s0, 3
    add t0, t0, t1
    ld sp, 0(t0)
    slli t0, s0, HART_SHIFT
    la t1, harts
    add t0, t0, t1
    sd s0, HART_ID(t0)
    csrw mscratch, t0
    addi t0, t0, HART_S_FRAME
    csrw sscratch, t0
    la t0, trap_s
    csrw stvec, t0
    mv a0, s0
    bnez s0, 3f
    call rom_main
3:  call rom_secondary
4:  wfi
    j 4b

    // Saves all registers in the frame the scratch register points at, calls handle_trap(frame, mode) and goes back to
    // where it says.
    .macro TRAP mode, scratch, epc, cause, tval, status, stacks, return
    csrrw t6, \scratch, t6
    .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    sd x\n, (8 * \n)(t6)
    .endr
    mv t5, t6
    csrrw t6, \scratch, t6
    sd t6, (8 * 31)(t5)
    csrr t0, \epc
    sd t0, FRAME_PC(t5)
    csrr t0, \cause
    sd t0, FRAME_CAUSE(t5)
    csrr t0, \tval
    sd t0, FRAME_TVAL(t5)
    csrr t0, \status
    sd t0, FRAME_STATUS(t5)
    ld t0, (HART_ID - HART_S_FRAME * (1 - \mode / 3))(t5)
    slli t0, t0, 3
    la t1, \stacks
    add t0, t0, t1
    ld sp, 0(t0)
    mv s0, t5
    mv a0, t5
    li a1, \mode
    call handle_trap
    mv t6, s0
    ld t0, FRAME_PC(t6)
    csrw \epc, t0
    ld t0, FRAME_STATUS(t6)
    csrw \status, t0
    .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ld x\n, (8 * \n)(t6)
    .endr
    \return
    .endm

    .text
    .balign 4
    .globl trap_m
trap_m:
    TRAP 3, mscratch, mepc, mcause, mtval, mstatus, m_stack_tops, mret

    .balign 4
    .globl trap_s
trap_s:
    TRAP 1, sscratch, sepc, scause, stval, sstatus, s_stack_tops, sret

    // uint64_t enter(mode, function, a, b, offset): calls function(a, b) in a lower mode, with code and stack `offset` higher.
    .globl enter
enter:
    csrr t0, mscratch
    addi t0, t0, HART_SAVED
    sd ra, 0(t0)
    sd sp, 8(t0)
    sd s0, 16(t0)
    sd s1, 24(t0)
    sd s2, 32(t0)
    sd s3, 40(t0)
    sd s4, 48(t0)
    sd s5, 56(t0)
    sd s6, 64(t0)
    sd s7, 72(t0)
    sd s8, 80(t0)
    sd s9, 88(t0)
    sd s10, 96(t0)
    sd s11, 104(t0)
    csrr t1, mstatus
    sd t1, 112(t0)
    li t1, 3 << 11
    csrc mstatus, t1
    slli t1, a0, 11
    csrs mstatus, t1
    add a1, a1, a4
    csrw mepc, a1
    add sp, sp, a4
    la ra, leave
    add ra, ra, a4
    mv a0, a2
    mv a1, a3
    mret

    .globl leave
    .balign 4
leave:
    li a7, CALL_LEAVE
    .option push
    .option norvc
    ecall
    .option pop
    j leave

    .data
    .balign 8
    .globl boot_state
boot_state:
    .zero 64 * MAX_HARTS
    .globl memory_is_ready
memory_is_ready:
    .word 0
    .balign 8
stack_tops:
    .dword stacks + STACK_SIZE, stacks + 2 * STACK_SIZE, stacks + 3 * STACK_SIZE, stacks + 4 * STACK_SIZE
m_stack_tops:
    .dword stacks + 5 * STACK_SIZE, stacks + 6 * STACK_SIZE, stacks + 7 * STACK_SIZE, stacks + 8 * STACK_SIZE
s_stack_tops:
    .dword stacks + 9 * STACK_SIZE, stacks + 10 * STACK_SIZE, stacks + 11 * STACK_SIZE, stacks + 12 * STACK_SIZE

    .bss
    .balign 16
stacks:
    .zero 12 * STACK_SIZE
    .globl harts
harts:
    .zero MAX_HARTS * HART_SIZE
