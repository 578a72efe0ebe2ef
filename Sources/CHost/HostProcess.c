#define _GNU_SOURCE
#include "HostProcess.h"
#include <fcntl.h>
#include <unistd.h>

pid_t host_fork(void) { return fork(); }

int host_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }
