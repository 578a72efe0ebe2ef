#include "HostCPU.h"

#if defined(__x86_64__)
#include <cpuid.h>

void host_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]) {
    registers[0] = registers[1] = registers[2] = registers[3] = 0;
    __get_cpuid_count(leaf, subleaf, &registers[0], &registers[1], &registers[2], &registers[3]);
}

uint64_t host_enabled_state(void) {
    uint32_t registers[4];
    host_cpuid(1, 0, registers);
    if (!(registers[2] & bit_OSXSAVE)) return 0;
    uint32_t low, high;
    // The intrinsic would need this file to be compiled for processors that have it.
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

void host_synchronize_code(const void *address, size_t count) {
    (void)address;
    (void)count;
}
int host_compare_exchange_16(void *place, host_uint128 *expected, host_uint128 desired) {
    unsigned char exchanged;
    // The builtin would need this file to be compiled for processors that have it; all that run 64-bit systems of this century do.
    __asm__ volatile("lock cmpxchg16b %1\n\tsete %0"
                     : "=q"(exchanged), "+m"(*(host_uint128 *)place), "+a"(expected->low), "+d"(expected->high)
                     : "b"(desired.low), "c"(desired.high)
                     : "memory", "cc");
    return exchanged;
}
#else
int host_compare_exchange_16(void *place, host_uint128 *expected, host_uint128 desired) {
    unsigned __int128 old = (unsigned __int128)expected->high << 64 | expected->low;
    unsigned __int128 new = (unsigned __int128)desired.high << 64 | desired.low;
    int exchanged = __atomic_compare_exchange_n((unsigned __int128 *)place, &old, new, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    expected->low = (uint64_t)old;
    expected->high = (uint64_t)(old >> 64);
    return exchanged;
}

void host_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]) {
    (void)leaf;
    (void)subleaf;
    registers[0] = registers[1] = registers[2] = registers[3] = 0;
}

uint64_t host_enabled_state(void) { return 0; }

void host_synchronize_code(const void *address, size_t count) {
    __builtin___clear_cache((char *)address, (char *)address + count);
}
#endif
