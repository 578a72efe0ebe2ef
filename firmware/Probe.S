// Instructions that may trap, run under a vector that steps over them; CSRs and
// floating-point registers chosen by number; the memory routines the compiler calls.
#include "Layout.h"

#define MSTATUS_MPRV (1 << 17)
#define MSTATUS_MXR  (1 << 19)

    .text

// Steps over the probed instruction (four bytes long), leaving mcause in t1 and mtval in t2.
    .balign 4
expected_trap:
    csrr    t1, mcause
    csrr    t2, mtval
    csrr    t0, mepc
    addi    t0, t0, 4
    csrw    mepc, t0
    mret

// A trap changes mstatus (MPP, MPV), which the interrupted trap handler still needs: it is put back.
.macro PROBE_BEGIN
    la      t0, expected_trap
    csrrw   t3, mtvec, t0
    csrr    t4, mstatus
    li      t1, -1
    li      t2, 0
.endm

.macro PROBE_END
    csrw    mstatus, t4
    csrw    mtvec, t3
.endm

.macro HAS_CSR name, number
    .globl has_\name
has_\name:
    PROBE_BEGIN
    .option push
    .option norvc
    csrr    t5, \number
    .option pop
    PROBE_END
    addi    a0, t1, 1
    seqz    a0, a0
    ret
.endm

    HAS_CSR stimecmp, 0x14d
    HAS_CSR time, 0xc01
    HAS_CSR menvcfg, 0x30a
    HAS_CSR mstateen0, 0x30c
    HAS_CSR mcounteren, 0x306
    HAS_CSR mcountinhibit, 0x320
    HAS_CSR pmpcfg0, 0x3a0
    HAS_CSR pmpaddr1, 0x3b1
    HAS_CSR scountovf, 0xda0
    HAS_CSR mnstatus, 0x744

    .globl has_hpmcounter
has_hpmcounter:
    mv      a5, ra
    PROBE_BEGIN
    jal     read_mhpmcounter
    PROBE_END
    addi    a0, t1, 1
    seqz    a0, a0
    jr      a5

// A table of eight-byte entries "instruction; ret", entered at entry a0. Only t6 is touched.
.macro BY_NUMBER name
    .globl \name
\name:
    slli    t6, a0, 3
    la      a0, \name\()_table
    add     t6, t6, a0
    jr      t6
    .option push
    .option norvc
\name\()_table:
.endm

    BY_NUMBER read_mhpmcounter
    .set    i, 0
    .rept   32
    csrr    a0, 0xb00 + i
    ret
    .set    i, i + 1
    .endr
    .option pop

    BY_NUMBER write_mhpmcounter
    .set    i, 0
    .rept   32
    csrw    0xb00 + i, a1
    ret
    .set    i, i + 1
    .endr
    .option pop

    BY_NUMBER read_mhpmevent
    .set    i, 0
    .rept   32
    csrr    a0, 0x320 + i
    ret
    .set    i, i + 1
    .endr
    .option pop

    BY_NUMBER write_mhpmevent
    .set    i, 0
    .rept   32
    csrw    0x320 + i, a1
    ret
    .set    i, i + 1
    .endr
    .option pop

    .option push
    .option arch, +f, +d
    BY_NUMBER read_double_bits
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fmv.x.d a0, f\n
    ret
    .endr
    .option pop

    BY_NUMBER write_double_bits
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fmv.d.x f\n, a1
    ret
    .endr
    .option pop

    BY_NUMBER read_single_bits
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fmv.x.w a0, f\n
    ret
    .endr
    .option pop

    BY_NUMBER write_single_bits
    .irp    n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fmv.w.x f\n, a1
    ret
    .endr
    .option pop
    .option pop

// One access under the probe. MPRV makes it use the privilege, translation and protection of the trapped mode; between
// the two writes of mstatus nothing else touches memory.
.macro ACCESS name, instruction, result, bits
    .globl \name
\name:
    PROBE_BEGIN
    .if \bits
    li      t5, \bits
    csrs    mstatus, t5
    .endif
    .option push
    .option norvc
    \instruction
    .option pop
    PROBE_END
    sd      t1, 0(\result)
    sd      t2, 8(\result)
    ret
.endm

    ACCESS  guest_load8, "lbu a0, 0(a0)", a1, MSTATUS_MPRV
    ACCESS  guest_store8, "sb a1, 0(a0)", a2, MSTATUS_MPRV
    ACCESS  guest_fetch16, "lhu a0, 0(a0)", a1, (MSTATUS_MPRV | MSTATUS_MXR)
    ACCESS  physical_load8, "lbu a0, 0(a0)", a1, 0
    ACCESS  physical_store8, "sb a1, 0(a0)", a2, 0

// void *memset(void *to, int byte, size_t count)
    .globl memset
memset:
    add     a2, a0, a2
    mv      t0, a0
1:  bgeu    t0, a2, 2f
    sb      a1, (t0)
    addi    t0, t0, 1
    j       1b
2:  ret

// void *memmove(void *to, const void *from, size_t count); memcpy is the same routine.
    .globl memmove, memcpy
memmove:
memcpy:
    bltu    a1, a0, 3f
    add     a2, a0, a2
    mv      t0, a0
1:  bgeu    t0, a2, 2f
    lbu     t1, (a1)
    sb      t1, (t0)
    addi    a1, a1, 1
    addi    t0, t0, 1
    j       1b
2:  ret
3:  add     t0, a0, a2
    add     a1, a1, a2
4:  bgeu    a0, t0, 2b
    addi    t0, t0, -1
    addi    a1, a1, -1
    lbu     t1, (a1)
    sb      t1, (t0)
    j       4b
