#define _GNU_SOURCE
#include "HostFolder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

// A descriptor's entry in /proc leads to the very file, whatever its name is by now.
#define DESCRIPTOR_PATH_SIZE 32
static const char *descriptor_path(char *buffer, int descriptor) {
    snprintf(buffer, DESCRIPTOR_PATH_SIZE, "/proc/self/fd/%d", descriptor);
    return buffer;
}

int host_folder_root(const char *path) { return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC); }

int host_folder_step(int node, const char *name) { return openat(node, name, O_PATH | O_NOFOLLOW | O_CLOEXEC); }

int host_folder_open(int node, int flags) {
    char path[DESCRIPTOR_PATH_SIZE];
    return open(descriptor_path(path, node), flags | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

int host_folder_node(int descriptor) {
    char path[DESCRIPTOR_PATH_SIZE];
    return open(descriptor_path(path, descriptor), O_PATH | O_CLOEXEC);
}

int host_folder_chown(int node, uid_t owner, gid_t group) { return fchownat(node, "", owner, group, AT_EMPTY_PATH); }

ssize_t host_folder_readlink(int node, char *text, size_t size) { return readlinkat(node, "", text, size); }

int host_folder_link(int node, int target, const char *name) {
    char path[DESCRIPTOR_PATH_SIZE];
    return linkat(AT_FDCWD, descriptor_path(path, node), target, name, AT_SYMLINK_FOLLOW);
}

int host_folder_space(int node, struct host_folder_space *space) {
    struct statfs host;
    if (fstatfs(node, &host) != 0) return -1;
    uint64_t identity = 0;
    memcpy(&identity, &host.f_fsid, sizeof host.f_fsid < sizeof identity ? sizeof host.f_fsid : sizeof identity);
    *space = (struct host_folder_space){
        .block_size = (uint32_t)host.f_bsize, .name_length = (uint32_t)host.f_namelen, .blocks = host.f_blocks, .free_blocks = host.f_bfree,
        .available_blocks = host.f_bavail, .files = host.f_files, .free_files = host.f_ffree, .identity = identity,
    };
    return 0;
}

static const short lock_types[] = {F_RDLCK, F_WRLCK, F_UNLCK};

static struct flock host_lock(const struct host_folder_lock *lock) {
    return (struct flock){.l_type = lock_types[lock->type], .l_whence = SEEK_SET, .l_start = lock->start, .l_len = lock->length};
}

static int is_lock(const struct host_folder_lock *lock) { return lock->type >= 0 && lock->type <= 2 && lock->start >= 0 && lock->length >= 0; }

int host_folder_lock(int descriptor, const struct host_folder_lock *lock) {
    if (!is_lock(lock)) {
        errno = EINVAL;
        return -1;
    }
    struct flock host = host_lock(lock);
    return fcntl(descriptor, F_OFD_SETLK, &host);
}

int host_folder_test_lock(int descriptor, struct host_folder_lock *lock) {
    if (!is_lock(lock) || lock->type == 2) {
        errno = EINVAL;
        return -1;
    }
    struct flock host = host_lock(lock);
    if (fcntl(descriptor, F_OFD_GETLK, &host) != 0) return -1;
    lock->type = host.l_type == F_RDLCK ? 0 : host.l_type == F_WRLCK ? 1 : 2;
    if (lock->type != 2) {
        lock->start = host.l_start;
        lock->length = host.l_len;
        lock->owner = host.l_pid;
    }
    return 0;
}
