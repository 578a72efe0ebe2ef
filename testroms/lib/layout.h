// Numbers shared by assembly and C.
#ifndef LAYOUT_H
#define LAYOUT_H

#define MAX_HARTS 4
#define STACK_SIZE 8192

// struct frame: x0…x31, then pc, cause, tval, status.
#define FRAME_PC 256
#define FRAME_CAUSE 264
#define FRAME_TVAL 272
#define FRAME_STATUS 280
#define FRAME_SIZE 288

// struct hart: the M-mode frame comes first, so that mscratch points at both; sscratch points at the S-mode frame.
#define HART_S_FRAME FRAME_SIZE
#define HART_SAVED (2 * FRAME_SIZE)
#define HART_SAVED_SIZE (15 * 8)
#define HART_ID (HART_SAVED + HART_SAVED_SIZE)
#define HART_SHIFT 10
#define HART_SIZE (1 << HART_SHIFT)

// The environment call that ends call_in, and the one that reports a failed check from below M-mode.
#define CALL_LEAVE 0x1eaf
#define CALL_FAIL 0xfa11

#endif
