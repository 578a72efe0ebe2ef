#ifndef EMULATE_HOSTMEASURE_H
#define EMULATE_HOSTMEASURE_H

// Starting a process so that what it costs can be counted from its first instruction on. In C because between fork and exec only
// async-signal-safe functions may be called.

#include <stdint.h>

/// Starts `program` (an absolute path or a name to look up in PATH) in `directory` with standard input empty and the given output
/// and error descriptors. It is killed when this process ends.
/// `*counter` becomes a descriptor that counts the user-mode instructions of it and its children, or -1 where the kernel allows none.
/// Returns the process id, or -1 with errno set (also when the program cannot be executed).
int host_spawn_measured(const char *program, char *const arguments[], const char *directory, int output, int errors, int *counter);

/// Reads a counter of `host_spawn_measured`; 0, or -1 when nothing was counted.
int host_read_counter(int counter, uint64_t *value);

#endif
