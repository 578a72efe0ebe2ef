#ifndef EMULATE_HOSTPROCESS_H
#define EMULATE_HOSTPROCESS_H

#include <sys/types.h>

/// fork(2), which Swift does not import. Only for a process with one thread.
pid_t host_fork(void);

/// A pipe whose ends are not inherited by programs that are started (O_CLOEXEC): read end, write end. Returns 0, or -1 with errno set.
int host_pipe(int ends[2]);

#endif
