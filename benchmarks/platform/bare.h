// Bare metal on the `virt` board: registers of the processor and of the board.
#ifndef BARE_H
#define BARE_H

#include "bench.h"

#define CSR_READ(name) ({ u64 value_; __asm__ volatile("csrr %0, " #name : "=r"(value_)); value_; })
#define CSR_WRITE(name, value) __asm__ volatile("csrw " #name ", %0" : : "r"((u64)(value)) : "memory")
#define CSR_SET(name, bits) __asm__ volatile("csrs " #name ", %0" : : "r"((u64)(bits)) : "memory")
#define CSR_CLEAR(name, bits) __asm__ volatile("csrc " #name ", %0" : : "r"((u64)(bits)) : "memory")

#define UART ((volatile u8 *)0x10000000)
#define MTIME ((volatile u64 *)0x200bff8)
#define MTIMECMP ((volatile u64 *)0x2004000)
#define MSIP ((volatile u32 *)0x2000000)
#define FINISHER ((volatile u32 *)0x100000)

enum { PAGE = 4096 };
enum { PTE_V = 1, PTE_R = 2, PTE_W = 4, PTE_X = 8, PTE_U = 16, PTE_A = 64, PTE_D = 128 };

/// A page table, or the place of one page.
typedef u64 page[PAGE / 8] __attribute__((aligned(4096)));

/// The entry that points to a table.
static inline u64 table_entry(const void *table) { return ((u64)table >> 12 << 10) | PTE_V; }
/// The entry that maps a page.
static inline u64 leaf_entry(const void *address, u64 rights) { return ((u64)address >> 12 << 10) | rights | PTE_A | PTE_D | PTE_V; }
/// The value of satp for Sv39.
static inline u64 sv39(const void *root, u64 space) { return 8ull << 60 | space << 44 | (u64)root >> 12; }

/// In S mode: the root table in use. Its entry 0 is the board's devices and entry 2 guest memory, both identical; 1 and 3 (1 GiB
/// from 0x4000_0000 and from 0xc000_0000) are free for kernels.
extern page bare_root;

#endif
