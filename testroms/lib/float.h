// Floating-point instructions on bit patterns: the compiler knows of no floating-point registers here.
#ifndef FLOAT_H
#define FLOAT_H
#include "rom.h"

enum { NX = 1, UF = 2, OF = 4, DZ = 8, NV = 16 };
enum { RNE, RTZ, RDN, RUP, RMM, DYN = 7 };
#define FARCH ".option push\n.option arch, +f, +d, +zfh, +zfa\n"

static inline void float_on(void) { csr_set(mstatus, MSTATUS_FS); asm volatile("csrw 0x003, zero"); }
#define rounding(mode) asm volatile("csrw 0x002, %0" :: "r"((u64)(mode)))
#define flags() ({ u64 v_; asm volatile("csrrwi %0, 0x001, 0" : "=r"(v_)); v_; })

// Raw 64-bit register contents in and out.
#define FP1(instruction, a) ({ u64 r_; asm volatile(FARCH "fmv.d.x ft0, %1\n" instruction " ft3, ft0\nfmv.x.d %0, ft3\n.option pop" : "=r"(r_) : "r"((u64)(a)) : "memory"); r_; })
#define FP2(instruction, a, b) ({ u64 r_; asm volatile(FARCH "fmv.d.x ft0, %1\nfmv.d.x ft1, %2\n" instruction " ft3, ft0, ft1\nfmv.x.d %0, ft3\n.option pop" \
    : "=r"(r_) : "r"((u64)(a)), "r"((u64)(b)) : "memory"); r_; })
#define FP3(instruction, a, b, c) ({ u64 r_; asm volatile(FARCH "fmv.d.x ft0, %1\nfmv.d.x ft1, %2\nfmv.d.x ft2, %3\n" instruction " ft3, ft0, ft1, ft2\nfmv.x.d %0, ft3\n.option pop" \
    : "=r"(r_) : "r"((u64)(a)), "r"((u64)(b)), "r"((u64)(c)) : "memory"); r_; })
// To and from integer registers; `mode` is ", rtz" and the like, or "".
#define FP_TO_X(instruction, mode, a) ({ u64 r_; asm volatile(FARCH "fmv.d.x ft0, %1\n" instruction " %0, ft0" mode "\n.option pop" : "=r"(r_) : "r"((u64)(a)) : "memory"); r_; })
#define FP_FROM_X(instruction, mode, a) ({ u64 r_; asm volatile(FARCH instruction " ft3, %1" mode "\nfmv.x.d %0, ft3\n.option pop" : "=r"(r_) : "r"((u64)(a)) : "memory"); r_; })
#define FP_COMPARE(instruction, a, b) ({ u64 r_; asm volatile(FARCH "fmv.d.x ft0, %1\nfmv.d.x ft1, %2\n" instruction " %0, ft0, ft1\n.option pop" \
    : "=r"(r_) : "r"((u64)(a)), "r"((u64)(b)) : "memory"); r_; })
#define check_flags(value, want, raised) do { check(value, want); check(flags(), raised); } while (0)

#define S(bits) (0xffffffff00000000 | (u64)(bits))
#define H(bits) (0xffffffffffff0000 | (u64)(bits))

#define D_NAN 0x7ff8000000000000
#define D_SNAN 0x7ff0000000000001
#define D_INF 0x7ff0000000000000
#define D_MAX 0x7fefffffffffffff
#define D_ONE 0x3ff0000000000000
#define D_TWO 0x4000000000000000
#define D_HALF 0x3fe0000000000000
#define NEGATIVE 0x8000000000000000
#endif
