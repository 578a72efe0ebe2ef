// A Linux program without a library that keeps all harts busy with what they share: threads on a futex, forks, signals, pages that change hands
// and rights under other threads, code written by one thread and run by another. Built and run by stress.sh; argument: seconds.
#include <stdint.h>

typedef uint32_t u32;
typedef uint64_t u64;

enum {
    SYS_futex = 98, SYS_clone = 220, SYS_exit = 93, SYS_exit_group = 94, SYS_write = 64, SYS_read = 63, SYS_pipe2 = 59, SYS_close = 57,
    SYS_wait4 = 260, SYS_kill = 129, SYS_getpid = 172, SYS_rt_sigaction = 134, SYS_rt_sigprocmask = 135, SYS_rt_sigtimedwait = 137,
    SYS_mmap = 222, SYS_munmap = 215, SYS_mprotect = 226, SYS_madvise = 233, SYS_clock_gettime = 113, SYS_sched_yield = 124, SYS_flush_icache = 259,
};

static long sys(long number, long a, long b, long c, long d, long e, long f) {
    register long a0 asm("a0") = a, a1 asm("a1") = b, a2 asm("a2") = c, a3 asm("a3") = d, a4 asm("a4") = e, a5 asm("a5") = f, a7 asm("a7") = number;
    asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7) : "memory");
    return a0;
}
#define CALL6(n, a, b, c, d, e, f, ...) sys(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define CALL(...) CALL6(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

static void print(const char *text) {
    u64 length = 0;
    while (text[length]) length++;
    CALL(SYS_write, 1, text, length);
}

static void print_number(u64 value) {
    char digits[24], *place = digits + 23;
    *place = 0;
    do *--place = '0' + value % 10; while (value /= 10);
    print(place);
}

static void fail(const char *what, u64 got, u64 want) {
    print("stress: ");
    print(what);
    print(": ");
    print_number(got);
    print(" instead of ");
    print_number(want);
    print("\nstress: FAILED\n");
    CALL(SYS_exit_group, 1);
}
#define check(what, got, want) do { u64 got_ = (u64)(got), want_ = (u64)(want); if (got_ != want_) fail(what, got_, want_); } while (0)

static u64 end_time;
static u64 now(void) {
    u64 time[2];
    CALL(SYS_clock_gettime, 1, time);
    return time[0];
}
static int is_over(void) { return now() >= end_time; }

// ---- threads

#define STACK 65536
struct thread { void (*body)(u64); u64 argument; volatile u32 alive; void *stack; };

static void *pages(u64 size, int rights) {
    long place = CALL(SYS_mmap, 0, size, rights, 0x22, -1, 0);
    if (place < 0 && place > -4096) fail("mmap", -place, 0);
    return (void *)place;
}
enum { READ_WRITE = 3, EXECUTABLE = 7 };

static void start(struct thread *thread, void (*body)(u64), u64 argument) {
    thread->body = body;
    thread->argument = argument;
    thread->alive = 1;
    thread->stack = pages(STACK, READ_WRITE);
    u64 *top = (u64 *)((char *)thread->stack + STACK) - 2;
    top[0] = (u64)body;
    top[1] = argument;
    // VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, CHILD_CLEARTID
    register long a0 asm("a0") = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x200000, a1 asm("a1") = (long)top, a2 asm("a2") = 0,
        a3 asm("a3") = 0, a4 asm("a4") = (long)&thread->alive, a7 asm("a7") = SYS_clone;
    asm volatile("ecall\n bnez a0, 1f\n ld t0, 0(sp)\n ld a0, 8(sp)\n jalr t0\n li a0, 0\n li a7, 93\n ecall\n1:"
        : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a7) : "memory", "t0", "ra");
    if (a0 < 0) fail("clone", -a0, 0);
}

static void join(struct thread *thread) {
    u32 alive;
    while ((alive = thread->alive)) CALL(SYS_futex, &thread->alive, 0, alive);
    CALL(SYS_munmap, thread->stack, STACK);
}

// ---- a mutex: 0 free, 1 taken, 2 taken and waited for

static volatile u32 mutex;
static volatile u64 guarded[2];

static void lock(void) {
    u32 seen = 0;
    if (__atomic_compare_exchange_n(&mutex, &seen, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    if (seen != 2) seen = __atomic_exchange_n(&mutex, 2, __ATOMIC_ACQUIRE);
    while (seen) {
        CALL(SYS_futex, &mutex, 128, 2);
        seen = __atomic_exchange_n(&mutex, 2, __ATOMIC_ACQUIRE);
    }
}

static void unlock(void) {
    if (__atomic_exchange_n(&mutex, 0, __ATOMIC_RELEASE) == 2) CALL(SYS_futex, &mutex, 129, 1);
}

static volatile u64 locked, counted;

static void use_mutex(u64 argument) {
    (void)argument;
    u64 count = 0;
    do {
        for (int i = 0; i < 2000; i++) {
            lock();
            check("guarded numbers", guarded[0], guarded[1]);
            guarded[0]++;
            for (volatile int delay = 0; delay < 20; delay++) ;
            guarded[1]++;
            unlock();
            __atomic_fetch_add(&counted, 1, __ATOMIC_RELAXED);
            count++;
        }
    } while (!is_over());
    __atomic_fetch_add(&locked, count, __ATOMIC_RELAXED);
}

// ---- pages that change under other threads: what a thread has unmapped or emptied no thread finds any more

#define SHARED_PAGES 16
static volatile u64 *shared;
static volatile u64 generation, acknowledged, wants_end;
static volatile u64 page_rounds;

static void own_pages(u64 argument) {
    (void)argument;
    while (!is_over()) {
        u64 next = generation + 1;
        for (int page = 0; page < SHARED_PAGES; page++) shared[512 * page] = next;
        __atomic_store_n(&generation, next, __ATOMIC_RELEASE);
        while (__atomic_load_n(&acknowledged, __ATOMIC_ACQUIRE) != next) ;
        // All pages become zero, or come back elsewhere with the same address.
        if (next & 2) {
            check("madvise", CALL(SYS_madvise, shared, SHARED_PAGES * 4096, 4), 0);
        } else {
            check("munmap", CALL(SYS_munmap, shared, SHARED_PAGES * 4096), 0);
            check("mmap", CALL(SYS_mmap, shared, SHARED_PAGES * 4096, READ_WRITE, 0x32, -1, 0), shared);
        }
        next++;
        __atomic_store_n(&generation, next, __ATOMIC_RELEASE);
        while (__atomic_load_n(&acknowledged, __ATOMIC_ACQUIRE) != next) ;
        page_rounds++;
    }
    wants_end = 1;
}

static void watch_pages(u64 argument) {
    (void)argument;
    u64 seen = 0;
    while (!wants_end) {
        u64 present = __atomic_load_n(&generation, __ATOMIC_ACQUIRE);
        if (present == seen) continue;
        seen = present;
        for (int page = 0; page < SHARED_PAGES; page++) check("page of another thread", shared[512 * page], seen & 1 ? seen : 0);
        __atomic_store_n(&acknowledged, seen, __ATOMIC_RELEASE);
    }
}

// ---- code written by one thread and run by another

static volatile u32 *code;
static volatile u64 code_wanted, code_run, code_rounds;

static void write_code(u64 argument) {
    (void)argument;
    for (u64 round = 1; !is_over(); round++) {
        // li a0, round % 2048; ret
        code[0] = 0x513 | (u32)(round & 0x7ff) << 20;
        code[1] = 0x8067;
        check("flush_icache", CALL(SYS_flush_icache, code, code + 2, 0), 0);
        __atomic_store_n(&code_wanted, round, __ATOMIC_RELEASE);
        while (__atomic_load_n(&code_run, __ATOMIC_ACQUIRE) != round) ;
        code_rounds = round;
    }
    __atomic_store_n(&code_wanted, ~0ull, __ATOMIC_RELEASE);
}

static void run_code(u64 argument) {
    (void)argument;
    for (u64 seen = 0;;) {
        u64 wanted = __atomic_load_n(&code_wanted, __ATOMIC_ACQUIRE);
        if (wanted == ~0ull) return;
        if (wanted == seen) continue;
        seen = wanted;
        check("code of another thread", ((u64 (*)(void))(u64)code)(), seen & 0x7ff);
        __atomic_store_n(&code_run, seen, __ATOMIC_RELEASE);
    }
}

// ---- processes

static volatile u64 mark[512 * 8] __attribute__((aligned(4096)));

static long process(void) { return CALL(SYS_clone, 17, 0, 0, 0, 0); }

static u64 forks(u64 seed) {
    u64 count = 0;
    while (!is_over()) {
        int ends[2];
        check("pipe", CALL(SYS_pipe2, ends, 0), 0);
        for (int page = 0; page < 8; page++) mark[512 * page] = seed + count;
        long child = process();
        if (child < 0) fail("fork", -child, 0);
        if (child == 0) {
            u64 sum = 0;
            for (int page = 0; page < 8; page++) {
                sum += mark[512 * page];
                mark[512 * page] = 77;
            }
            CALL(SYS_write, ends[1], &sum, 8);
            CALL(SYS_exit, (count & 63) + 1);
        }
        u64 sum = 0;
        check("read", CALL(SYS_read, ends[0], &sum, 8), 8);
        check("what a child saw", sum, 8 * (seed + count));
        for (int page = 0; page < 8; page++) check("what a parent kept", mark[512 * page], seed + count);
        int status = 0;
        check("wait4", CALL(SYS_wait4, child, &status, 0, 0), child);
        check("exit status", status >> 8, (count & 63) + 1);
        CALL(SYS_close, ends[0]);
        CALL(SYS_close, ends[1]);
        count++;
    }
    return count;
}

static volatile u64 handled;
static void handle(int signal) {
    (void)signal;
    handled++;
}

/// Two processes that send each other signals in turns, one of which is handled and one waited for.
static u64 signals(void) {
    u64 action[3] = {(u64)handle, 0, 0}, set = 1ull << (10 - 1), both = set | 1ull << (12 - 1), count = 0;
    check("rt_sigaction", CALL(SYS_rt_sigaction, 12, action, 0, 8), 0);
    check("rt_sigprocmask", CALL(SYS_rt_sigprocmask, 0, &both, 0, 8), 0);
    long parent = CALL(SYS_getpid), child = process();
    if (child < 0) fail("fork", -child, 0);
    u64 limit[2] = {60, 0};
    if (child == 0) {
        for (;;) {
            if (CALL(SYS_rt_sigtimedwait, &set, 0, limit, 8) != 10) CALL(SYS_exit, 9);
            CALL(SYS_kill, parent, 10);
        }
    }
    check("rt_sigprocmask", CALL(SYS_rt_sigprocmask, 1, &both, 0, 8), 0);
    check("rt_sigprocmask", CALL(SYS_rt_sigprocmask, 0, &set, 0, 8), 0);
    while (!is_over()) {
        check("kill", CALL(SYS_kill, child, 10), 0);
        check("answer to a signal", CALL(SYS_rt_sigtimedwait, &set, 0, limit, 8), 10);
        // One to itself, which is handled before kill returns.
        check("kill", CALL(SYS_kill, parent, 12), 0);
        count++;
        check("signals handled", handled, count);
    }
    CALL(SYS_kill, child, 9);
    int status;
    CALL(SYS_wait4, child, &status, 0, 0);
    return count;
}

static u64 number(const char *text) {
    u64 value = 0;
    while (*text >= '0' && *text <= '9') value = 10 * value + (*text++ - '0');
    return value;
}

static void tell(const char *what, u64 count) {
    print("stress: ");
    print_number(count);
    print(" ");
    print(what);
    print("\n");
}

/// Runs `body` in a process of its own, which ends with the others.
static long part(u64 (*body)(u64), const char *what, u64 argument) {
    long child = process();
    if (child < 0) fail("fork", -child, 0);
    if (child == 0) {
        tell(what, body(argument));
        CALL(SYS_exit, 0);
    }
    return child;
}

static u64 send_signals(u64 argument) {
    (void)argument;
    return signals();
}

static u64 share_memory(u64 argument) {
    (void)argument;
    struct thread threads[6];
    shared = pages(SHARED_PAGES * 4096, READ_WRITE);
    code = pages(4096, EXECUTABLE);
    for (int index = 0; index < 2; index++) start(threads + index, use_mutex, 0);
    start(threads + 2, own_pages, 0);
    start(threads + 3, watch_pages, 0);
    start(threads + 4, write_code, 0);
    start(threads + 5, run_code, 0);
    for (int index = 0; index < 6; index++) join(threads + index);
    check("additions under the mutex", guarded[0], locked);
    check("atomic additions", counted, locked);
    tell("rounds of pages", page_rounds);
    tell("rounds of code", code_rounds);
    return locked;
}

int run(u64 *stack) {
    end_time = now() + (stack[0] > 1 ? number((const char *)stack[2]) : 10);
    long children[8];
    int count = 0;
    for (; count < 3; count++) children[count] = part(forks, "forks", 1000 * (u64)count);
    for (; count < 5; count++) children[count] = part(send_signals, "signals answered", 0);
    for (; count < 7; count++) children[count] = part(share_memory, "additions under a futex", 0);
    int failures = 0;
    for (int index = 0; index < count; index++) {
        int status = 0;
        CALL(SYS_wait4, children[index], &status, 0, 0);
        failures += status != 0;
    }
    print(failures ? "stress: FAILED\n" : "stress: all is well\n");
    return failures;
}

__attribute__((naked)) void _start(void) { asm("mv a0, sp\n call run\n li a7, 94\n ecall"); }
