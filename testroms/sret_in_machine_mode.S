# sret works in M-mode: it goes where SPP says, clears MPRV and leaves MPP and MPIE alone
# (privileged manual, "Trap-Return Instructions").
#include "layout.h"
    .text
    .globl rule
rule:
    addi sp, sp, -16
    sd ra, 0(sp)
    li t0, 3 << 11 | 1 << 8 | 1 << 5 | 1 << 7
    csrc mstatus, t0
    li t0, 1 << 17 | 1 << 11 | 1 << 8 | 1 << 5     # MPRV, MPP = S, SPP = S, SPIE
    csrs mstatus, t0
    la t0, 1f
    csrw sepc, t0
    .option push
    .option norvc
    sret
1:  li a7, 0
    ecall                                           # now from S-mode
    .option pop
    la t1, traps
    ld a0, 8(t1)                                    # cause
    li a1, 9
    call check_value
    la t1, traps
    ld a0, 32(t1)                                   # mstatus in the handler: SIE was SPIE, SPIE = 1, SPP = U, MPRV = 0
    li t0, 1 << 17 | 1 << 8 | 1 << 5 | 1 << 1 | 1 << 7
    and a0, a0, t0
    li a1, 1 << 5 | 1 << 1
    call check_value
    ld ra, 0(sp)
    addi sp, sp, 16
    la t0, pass
    li a7, CALL_LEAVE
    # Ends in S-mode: the finisher is in reach of every mode.
    jr t0

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
    .asciz "sret_in_machine_mode"
