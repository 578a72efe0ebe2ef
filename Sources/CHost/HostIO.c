#define _GNU_SOURCE
#include "HostIO.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

int host_ppoll(struct pollfd *descriptors, size_t count, int64_t nanoseconds) {
    struct timespec timeout = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    return ppoll(descriptors, count, nanoseconds < 0 ? NULL : &timeout, NULL);
}

void host_precise_timeouts(void) { prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

int host_getrandom(void *buffer, size_t length) {
    unsigned char *next = buffer;
    while (length > 0) {
        ssize_t got = getrandom(next, length, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        next += got;
        length -= (size_t)got;
    }
    return 0;
}

int host_open_anonymous_file(const char *directory) {
    int descriptor = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor >= 0) return descriptor;
    // File systems without O_TMPFILE: a named file, unlinked at once.
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/emulate-XXXXXX", directory) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    descriptor = mkostemp(path, O_CLOEXEC);
    if (descriptor >= 0) unlink(path);
    return descriptor;
}

// A signal that stops or continues this process must not look like a failing disk.
static int allocate(int descriptor, int mode, int64_t offset, int64_t length) {
    int result;
    do result = fallocate(descriptor, mode | FALLOC_FL_KEEP_SIZE, offset, length);
    while (result < 0 && errno == EINTR);
    return result;
}

int host_punch_hole(int descriptor, int64_t offset, int64_t length) {
    return allocate(descriptor, FALLOC_FL_PUNCH_HOLE, offset, length);
}

int host_zero_range(int descriptor, int64_t offset, int64_t length) {
    return allocate(descriptor, FALLOC_FL_ZERO_RANGE, offset, length);
}

int host_lock_byte(int descriptor, int64_t offset, int exclusive) {
    struct flock lock = {
        .l_type = exclusive < 0 ? F_UNLCK : exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
    return fcntl(descriptor, F_OFD_SETLK, &lock);
}

int host_lock_is_held(int descriptor, int64_t offset) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
    if (fcntl(descriptor, F_OFD_GETLK, &lock) < 0) return -1;
    return lock.l_type != F_UNLCK;
}

int host_direct_flag(void) { return O_DIRECT; }

int64_t host_read_cached(int descriptor, const struct iovec *vector, int count, int64_t offset) {
    return preadv2(descriptor, vector, count, offset, RWF_NOWAIT);
}

int host_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void host_eventfd_add(int descriptor) {
    uint64_t one = 1;
    while (write(descriptor, &one, sizeof one) < 0 && errno == EINTR) {}
}

void host_eventfd_clear(int descriptor) {
    uint64_t count;
    while (read(descriptor, &count, sizeof count) < 0 && errno == EINTR) {}
}

int64_t host_block_device_size(int descriptor) {
    uint64_t size = 0;
    if (ioctl(descriptor, BLKGETSIZE64, &size) < 0) return -1;
    return (int64_t)size;
}

int host_open_tap(char name[HOST_INTERFACE_NAME_SIZE]) {
    int descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) return -1;
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    memcpy(request.ifr_name, name, HOST_INTERFACE_NAME_SIZE);
    request.ifr_name[HOST_INTERFACE_NAME_SIZE - 1] = 0;
    if (ioctl(descriptor, TUNSETIFF, &request) != 0) {
        int reason = errno;
        close(descriptor);
        errno = reason;
        return -1;
    }
    memcpy(name, request.ifr_name, HOST_INTERFACE_NAME_SIZE);
    return descriptor;
}
