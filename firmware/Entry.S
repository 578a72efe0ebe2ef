// Reset entry, the trap vector and the way down to the next mode.
#include "Layout.h"

// Says that traps may come: without that a trap would be a critical error where the hart has Smdbltrp (mstatus.MDT), which other harts ignore.
.macro READY_FOR_TRAPS register
    li      \register, 1 << 42
    csrc    mstatus, \register
.endm

    .section .text.entry, "ax"
    .globl _start
// a0 = hart id, a1 = device tree, a2 = fw_dynamic info. Every hart starts here.
_start:
    csrw    mie, zero
    la      t0, park
    csrw    mtvec, t0
    READY_FOR_TRAPS t0
    csrr    s0, mhartid

    // The first hart here performs the cold boot.
    la      t0, boot_lottery
    li      t1, 1
    amoswap.w.aqrl t1, t1, (t0)
    bnez    t1, wait_for_boot

    la      t0, bss_start
    la      t1, bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, (t0)
    addi    t0, t0, 8
    j       1b
2:  la      sp, boot_stack_top
    csrw    mscratch, sp
    la      t0, trap_vector
    csrw    mtvec, t0
    mv      a0, s0
    call    fw_cold_boot

    .text
// The others sleep until the cold boot sends its software interrupt, or message 1 to an interrupt file, which has to be opened for it
// (eie0 and eidelivery). A hart without one traps, and goes on.
wait_for_boot:
    li      t0, 1 << 3 | 1 << 11
    csrw    mie, t0
    la      t0, 3f
    csrw    mtvec, t0
    li      t1, 0xc0
    csrw    0x350, t1
    li      t1, 1 << 1
    csrw    0x351, t1
    li      t1, 0x70
    csrw    0x350, t1
    li      t1, 1
    csrw    0x351, t1
    .balign 4
3:  la      t0, park
    csrw    mtvec, t0
    READY_FOR_TRAPS t0
1:  la      t0, boot_done
    ld      t0, (t0)
    fence   rw, rw
    bnez    t0, 2f
    wfi
    j       1b
2:  mv      a0, s0

// a0 = hart id. Finds the hart's area by its place in the list of harts.
    .globl warm_boot
warm_boot:
    la      t0, boot_hart_ids
    la      t1, boot_hart_count
    ld      t1, (t1)
    li      t2, 0
1:  bgeu    t2, t1, park
    ld      t3, (t0)
    beq     t3, a0, 2f
    addi    t0, t0, 8
    addi    t2, t2, 1
    j       1b
2:  la      sp, boot_hart_areas
    ld      sp, (sp)
    li      t0, HART_AREA_SIZE
    mul     t0, t0, t2
    add     sp, sp, t0
    li      t0, HART_AREA_SIZE - HART_STATE_SIZE
    add     sp, sp, t0
    csrw    mscratch, sp
    la      t0, trap_vector
    csrw    mtvec, t0
    mv      a0, t2
    mv      a1, sp
    call    fw_warm_boot

// Nothing more to do on this hart, ever.
    .globl park
    .balign 4
park:
    csrw    mie, zero
1:  wfi
    j       1b

// Traps from S and U mode. mscratch holds the top of the hart's stack, which is also the address of its state.
    .globl trap_vector
    .balign 4
trap_vector:
    csrrw   sp, mscratch, sp
    addi    sp, sp, -FRAME_SIZE
    sd      x1, 1*8(sp)
    .irp    n, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd      x\n, \n*8(sp)
    .endr
    addi    a1, sp, FRAME_SIZE
    csrrw   t0, mscratch, a1
    sd      t0, 2*8(sp)
    csrr    t0, mepc
    csrr    t1, mstatus
    sd      t0, FRAME_MEPC*8(sp)
    sd      t1, FRAME_MSTATUS*8(sp)
    READY_FOR_TRAPS t2
    mv      a0, sp
    call    fw_trap
    ld      t0, FRAME_MEPC*8(sp)
    ld      t1, FRAME_MSTATUS*8(sp)
    csrw    mepc, t0
    csrw    mstatus, t1
    ld      x1, 1*8(sp)
    .irp    n, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld      x\n, \n*8(sp)
    .endr
    ld      sp, 2*8(sp)
    mret

// Registers are cleared so that nothing of the firmware is seen below.
    .globl enter_next_mode
enter_next_mode:
    csrw    mepc, a2
    .irp    n, 1,2,3,4,5,6,7,8,9,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    li      x\n, 0
    .endr
    mret

    .data
    .balign 8
boot_lottery:       .word 0
                    .word 0
    .globl boot_done
boot_done:          .dword 0

    .bss
    .balign 16
    .globl boot_hart_ids, boot_hart_count, boot_hart_areas, platform_room
platform_room:      .space PLATFORM_SIZE
boot_hart_ids:      .space MAX_HARTS * 8
boot_hart_count:    .space 8
boot_hart_areas:    .space 8
boot_stack:         .space BOOT_STACK_SIZE
boot_stack_top:
