// What a benchmark kernel and its surroundings owe each other. One kernel source serves every place it runs: bare metal on the
// `virt` board, Linux in a guest, and the host.
#ifndef BENCH_H
#define BENCH_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

// A kernel gives its name and how many operations one iteration does (what a time per operation is divided by) …
#ifdef BENCH_NAME  // of a kernel that includes another one
#define BENCH(name, operations)            \
    const char *bench_name = (BENCH_NAME); \
    u64 bench_operations = (operations)
#else
#define BENCH(name, operations)           \
    const char *bench_name = (name);      \
    u64 bench_operations = (operations)
#endif
extern const char *bench_name;
extern u64 bench_operations;
/// … prepares what it works on, untimed …
void bench_setup(void);
/// … and does one iteration. Its result is the checksum, the same in every iteration and everywhere.
u64 bench_run(void);

// A platform provides:
/// Nanoseconds of the machine's own clock.
u64 platform_nanoseconds(void);
/// Instructions retired so far by this hart; 0 where that cannot be read.
u64 platform_instructions(void);
void platform_write(const char *text, unsigned long length);
/// Ends the program; 0 means that all went well.
_Noreturn void platform_exit(int code);
/// Runs `work(0)` … `work(count - 1)` at once, on harts or threads of their own.
void platform_parallel(unsigned count, void (*work)(unsigned index));

/// The words after the program's name, where the platform has any.
extern int bench_argument_count;
extern char **bench_arguments;

/// Ends the program as failed, saying why.
_Noreturn void bench_fail(const char *reason);

/// Large memory that is not cleared at the start.
#define LARGE __attribute__((section(".bss.large")))
#define NOINLINE __attribute__((noinline))

/// A pseudo-random sequence (xorshift); the state must not be 0.
static inline u64 bench_random(u64 *state) {
    u64 x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/// Folds a value into a checksum.
static inline u64 bench_mix(u64 sum, u64 value) { return (sum ^ value) * 0x9e3779b97f4a7c15ull + (sum >> 29); }

#endif
