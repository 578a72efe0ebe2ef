// Bare metal on the `virt` board, without firmware. Built twice: SUPERVISOR=0 stays in M mode without address translation,
// SUPERVISOR=1 runs the kernel in S mode with Sv39 and 4 KiB pages, as an operating system's programs see memory.
#include "bare.h"

u64 platform_nanoseconds(void) { return CSR_READ(time) * 100; }

u64 platform_instructions(void) { return CSR_READ(instret); }

void platform_write(const char *text, unsigned long length) {
    for (unsigned long i = 0; i < length; i++) *UART = (u8)text[i];
}

void platform_exit(int code) {
    *FINISHER = code ? (u32)code << 16 | 0x3333 : 0x5555;
    for (;;) __asm__ volatile("wfi");
}

/// Something trapped that should not have.
__attribute__((used)) void bare_trapped(u64 cause, u64 pc, u64 value) {
    static char text[] = "unexpected trap: cause ................ at ................ value ................";
    u64 numbers[3] = {cause, pc, value};
    char *to = text;
    for (int i = 0; i < 3; i++) {
        while (*to != '.') to++;
        for (int shift = 60; shift >= 0; shift -= 4) *to++ = "0123456789abcdef"[numbers[i] >> shift & 15];
    }
    bench_fail(text);
}

int main(int argc, char **argv);

// MARK: Several harts

static void (*volatile parallel_work)(unsigned);
static volatile u32 parallel_count, parallel_done;

__attribute__((used)) void bare_secondary(u64 hart) {
    if (hart < parallel_count) parallel_work((unsigned)hart);
    __atomic_fetch_add(&parallel_done, 1, __ATOMIC_ACQ_REL);
}

void platform_parallel(unsigned count, void (*work)(unsigned index)) {
    parallel_work = work;
    parallel_count = count;
    parallel_done = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (unsigned hart = 1; hart < count; hart++) MSIP[hart] = 1;
    work(0);
    u64 start = platform_nanoseconds();
    while (__atomic_load_n(&parallel_done, __ATOMIC_ACQUIRE) != count - 1)
        if (platform_nanoseconds() - start > 10000000000ull) bench_fail("a hart did not come back");
}

// MARK: S mode

#if SUPERVISOR
enum { MAPPED = 192 << 20 };
static char *const ram = (char *)0x80000000;

page bare_root;
static page middle;
static page bottom[MAPPED >> 21];

extern char bare_monitor[], bare_unexpected_supervisor[];

static void map_memory(void) {
    bare_root[0] = leaf_entry(0, PTE_R | PTE_W);
    bare_root[2] = table_entry(middle);
    for (u64 table = 0; table < MAPPED >> 21; table++) {
        middle[table] = table_entry(bottom[table]);
        for (u64 entry = 0; entry < 512; entry++)
            bottom[table][entry] = leaf_entry(ram + (table << 21) + (entry << 12), PTE_R | PTE_W | PTE_X);
    }
}

__attribute__((used)) static void supervisor_main(void) { platform_exit(main(0, 0)); }

__attribute__((used)) _Noreturn void bare_main(void) {
    map_memory();
    CSR_WRITE(pmpaddr0, -1);
    CSR_WRITE(pmpcfg0, 0x1f);
    CSR_WRITE(mcounteren, 7);
    CSR_WRITE(scounteren, 7);
    // What kernels provoke on purpose goes to S mode: calls from user mode and page faults of loads.
    CSR_WRITE(medeleg, 1 << 8 | 1 << 13);
    CSR_WRITE(stvec, bare_unexpected_supervisor);
    CSR_WRITE(mtvec, bare_monitor);
    CSR_WRITE(satp, sv39(bare_root, 0));
    __asm__ volatile("sfence.vma");
    CSR_CLEAR(mstatus, 3 << 11);
    CSR_SET(mstatus, 1 << 11);
    CSR_WRITE(mepc, supervisor_main);
    __asm__ volatile("mret");
    __builtin_unreachable();
}
#else
__attribute__((used)) _Noreturn void bare_main(void) {
    CSR_WRITE(mcounteren, 7);
    platform_exit(main(0, 0));
}
#endif
