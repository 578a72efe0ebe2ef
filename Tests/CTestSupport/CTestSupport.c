#define _GNU_SOURCE
#include "CTestSupport.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int test_open_terminal(char *path, size_t size) {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0) return -1;
    if (grantpt(master) == 0 && unlockpt(master) == 0 && ptsname_r(master, path, size) == 0) return master;
    close(master);
    return -1;
}

int test_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int test_prepare_spawn(posix_spawnattr_t *attributes, int in_session) {
    sigset_t none;
    sigemptyset(&none);
    int code = posix_spawnattr_setsigmask(attributes, &none);
    if (code != 0) return code;
    // A child that ends early must not take the test that talks to it along, nor inherit that.
    signal(SIGPIPE, SIG_IGN);
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    code = posix_spawnattr_setsigdefault(attributes, &pipe);
    if (code != 0) return code;
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (in_session ? POSIX_SPAWN_SETSID : 0));
}

int test_close_others(posix_spawn_file_actions_t *actions) { return posix_spawn_file_actions_addclosefrom_np(actions, 3); }
