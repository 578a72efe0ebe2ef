// The few system calls of Linux that the workloads use, the same in a guest and on the host.
#ifndef OS_H
#define OS_H

#ifdef __x86_64__
enum {
    OS_READ = 0, OS_WRITE = 1, OS_CLOSE = 3, OS_PREAD = 17, OS_PWRITE = 18, OS_SOCKET = 41, OS_CONNECT = 42, OS_SHUTDOWN = 48, OS_CLONE = 56, OS_EXECVE = 59,
    OS_WAIT4 = 61, OS_FSYNC = 74, OS_GETDENTS = 217, OS_CLOCK_GETTIME = 228, OS_EXIT_GROUP = 231, OS_OPENAT = 257, OS_MKDIRAT = 258,
    OS_FSTATAT = 262, OS_DUP3 = 292, OS_PIPE2 = 293, OS_GETPID = 39,
};
#else  // the numbers shared by later architectures, RISC-V and AArch64 among them
enum {
    OS_READ = 63, OS_WRITE = 64, OS_CLOSE = 57, OS_PREAD = 67, OS_PWRITE = 68, OS_SOCKET = 198, OS_CONNECT = 203, OS_SHUTDOWN = 210, OS_CLONE = 220,
    OS_EXECVE = 221, OS_WAIT4 = 260, OS_FSYNC = 82, OS_GETDENTS = 61, OS_CLOCK_GETTIME = 113, OS_EXIT_GROUP = 94, OS_OPENAT = 56,
    OS_MKDIRAT = 34, OS_FSTATAT = 79, OS_DUP3 = 24, OS_PIPE2 = 59, OS_GETPID = 172,
};
#endif

#ifdef __aarch64__
#define OS_DIRECT 0x10000
#else
#define OS_DIRECT 0x4000
#endif
#define OS_AT_CWD (-100)
#define OS_READ_ONLY 0
#define OS_READ_WRITE 2
#define OS_CREATE 0100
#define OS_SIGCHLD 17

long os_call(long number, long a, long b, long c, long d, long e, long f);

static inline long os_read(long file, void *to, long length) { return os_call(OS_READ, file, (long)to, length, 0, 0, 0); }
static inline long os_write(long file, const void *from, long length) { return os_call(OS_WRITE, file, (long)from, length, 0, 0, 0); }
static inline long os_close(long file) { return os_call(OS_CLOSE, file, 0, 0, 0, 0, 0); }
static inline long os_open(const char *path, long flags, long mode) { return os_call(OS_OPENAT, OS_AT_CWD, (long)path, flags, mode, 0, 0); }
static inline long os_mkdir(const char *path) { return os_call(OS_MKDIRAT, OS_AT_CWD, (long)path, 0755, 0, 0, 0); }
static inline long os_pread(long file, void *to, long length, long offset) { return os_call(OS_PREAD, file, (long)to, length, offset, 0, 0); }
static inline long os_pwrite(long file, const void *from, long length, long offset) {
    return os_call(OS_PWRITE, file, (long)from, length, offset, 0, 0);
}
static inline long os_fsync(long file) { return os_call(OS_FSYNC, file, 0, 0, 0, 0, 0); }
static inline long os_fork(void) { return os_call(OS_CLONE, OS_SIGCHLD, 0, 0, 0, 0, 0); }
static inline long os_execute(const char *path, char **arguments, char **environment) {
    return os_call(OS_EXECVE, (long)path, (long)arguments, (long)environment, 0, 0, 0);
}
static inline long os_wait(long process, int *status) { return os_call(OS_WAIT4, process, (long)status, 0, 0, 0, 0); }
static inline void os_exit(int code) { os_call(OS_EXIT_GROUP, code, 0, 0, 0, 0, 0); }
static inline long os_pipe(int ends[2]) { return os_call(OS_PIPE2, (long)ends, 0, 0, 0, 0, 0); }
static inline long os_duplicate(long file, long as) { return os_call(OS_DUP3, file, as, 0, 0, 0, 0); }

#endif
