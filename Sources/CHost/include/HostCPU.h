#ifndef EMULATE_HOSTCPU_H
#define EMULATE_HOSTCPU_H

// Host processor instructions that Swift cannot express.

#include <stddef.h>
#include <stdint.h>

/// CPUID: writes EAX, EBX, ECX and EDX of the leaf to `registers`; zeroes where the leaf does not exist or the host is not x86-64.
void host_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]);

/// XCR0, the register state the operating system saves; 0 where it cannot be read or the host is not x86-64.
uint64_t host_enabled_state(void);

/// Makes instructions just written visible to instruction fetch at `address`. Nothing to do on x86-64.
void host_synchronize_code(const void *address, size_t count);

/// 16 bytes of memory as two numbers.
typedef struct {
    uint64_t low, high;
} host_uint128;

/// Stores `desired` at `place`, which is a multiple of 16, if it holds `*expected`, at once for all threads; returns whether it did.
/// `*expected` becomes what was there.
int host_compare_exchange_16(void *place, host_uint128 *expected, host_uint128 desired);

#endif
