#ifndef EMULATE_CTESTSUPPORT_H
#define EMULATE_CTESTSUPPORT_H

// Host calls for tests that Swift's Glibc overlay does not import.

#include <spawn.h>
#include <stddef.h>

/// Opens a pseudo-terminal with close-on-exec: returns the controlling end and puts the path of the other into `path`,
/// or returns -1 with errno set.
int test_open_terminal(char *path, size_t size);

/// pipe2(2) with O_CLOEXEC.
int test_pipe(int ends[2]);

/// Gives a spawned process an empty signal mask, the usual SIGPIPE and, if asked, a session of its own. Threads of a test block signals, and
/// from now on the process ignores SIGPIPE.
int test_prepare_spawn(posix_spawnattr_t *attributes, int in_session);

/// Leaves a spawned process nothing but its standard streams. To be asked for last.
int test_close_others(posix_spawn_file_actions_t *actions);

#endif
