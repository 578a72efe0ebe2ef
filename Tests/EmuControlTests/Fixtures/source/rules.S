// One instruction for each kind of rule of call frame information; the tests make the stacks.
    .option norvc
    .text
    .globl rules
    .type rules, %function
rules:
    .cfi_startproc
    nop
    .cfi_def_cfa_offset 16
    .cfi_offset ra, -8
    nop
    // The CFA is in memory at sp + 8: DW_CFA_def_cfa_expression of DW_OP_breg2 8, DW_OP_deref.
    .cfi_remember_state
    .cfi_escape 0x0f, 3, 0x72, 8, 0x06
    nop
    .cfi_restore_state
    nop
    // s1 is CFA + 4 (DW_CFA_val_expression), s2 is in memory at CFA + 8 (DW_CFA_expression), ra is in t0.
    .cfi_escape 0x16, 9, 2, 0x23, 4
    .cfi_escape 0x10, 18, 2, 0x23, 8
    .cfi_register 1, 5
    nop
    // s3 is CFA + 2 * the data factor (DW_CFA_val_offset), s4 is lost.
    .cfi_escape 0x14, 19, 2
    .cfi_undefined 20
    nop
    .cfi_endproc
    .size rules, . - rules

    .globl interrupted
    .type interrupted, %function
interrupted:
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_def_cfa 2, 32
    .cfi_offset 2, -16
    .cfi_offset ra, -32
    nop
    .cfi_endproc
    .size interrupted, . - interrupted

    // Where the CFA is computed with every operation there is.
    .globl arithmetic
    .type arithmetic, %function
arithmetic:
    .cfi_startproc
    .cfi_escape 0x0f, 0x83, 0x1
    // the stack pointer, to end up 16 higher
    .cfi_escape 0x72, 0
    // 7 * 6 - 2, / 4
    .cfi_escape 0x37, 0x36, 0x1e, 0x32, 0x1c, 0x34, 0x1b
    // << 3, >> 1, - -1
    .cfi_escape 0x33, 0x24, 0x31, 0x25, 0x09, 0xff, 0x1f, 0x22
    // a branch over what would lose the stack pointer
    .cfi_escape 0x12, 0x29, 0x28, 1, 0, 0x13
    // 9 - 5 by swapping, % 3, ^ 1
    .cfi_escape 0x35, 0x39, 0x16, 0x1c, 0x33, 0x1d, 0x31, 0x27, 0x22
    // 3 - (1 - 2) by rotating, abs, & 4
    .cfi_escape 0x31, 0x32, 0x33, 0x17, 0x1c, 0x1c, 0x19, 0x34, 0x1a
    // over, drop, + 12
    .cfi_escape 0x14, 0x13, 0x23, 12
    // pick, subtract, negate, invert twice: the stack pointer less 16
    .cfi_escape 0x15, 1, 0x1c, 0x1f, 0x20, 0x20
    // 16, plus the stack pointer
    .cfi_escape 0x1c, 0x72, 0, 0x22
    // 128 + -128
    .cfi_escape 0x10, 0x80, 0x01, 0x11, 0x80, 0x7f, 0x22, 0x22
    // a jump over a drop
    .cfi_escape 0x2f, 1, 0, 0x13, 0x96
    // -16 >> 2, | 4, + 4
    .cfi_escape 0x09, 0xf0, 0x32, 0x26, 0x34, 0x21, 0x22, 0x34, 0x22
    // (3 < 5) + (5 > 3) <= 2 >= 1 != 1
    .cfi_escape 0x33, 0x35, 0x2d, 0x35, 0x33, 0x2b, 0x22, 0x32, 0x2c, 0x31, 0x2a, 0x31, 0x2e, 0x22
    // constants of every size, each undone
    .cfi_escape 0x0a, 1, 0, 0x0b, 0xff, 0xff, 0x22, 0x0c, 1, 0, 0, 0, 0x22, 0x0d, 0xff, 0xff, 0xff, 0xff, 0x22, 0x0e, 1, 0, 0, 0, 0, 0, 0, 0, 0x22, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x22, 0x22
    nop
    .cfi_endproc
    .size arithmetic, . - arithmetic
