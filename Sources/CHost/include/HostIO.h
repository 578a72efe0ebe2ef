#ifndef EMULATE_HOSTIO_H
#define EMULATE_HOSTIO_H

// File, polling and random-number calls that Swift's Glibc overlay does not import.
// Unless said otherwise each returns 0, or -1 with errno set.

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/// ppoll(2) without a signal mask; a negative timeout waits for ever. Returns the number of ready descriptors.
int host_ppoll(struct pollfd *descriptors, size_t count, int64_t nanoseconds);

/// Lets time-outs of the calling thread end when they should, not up to 50 µs later (prctl(2) PR_SET_TIMERSLACK).
void host_precise_timeouts(void);

/// Fills `buffer` from the host's random number generator (getrandom(2)).
int host_getrandom(void *buffer, size_t length);

/// A nameless file in `directory`, gone when the last descriptor is closed. Returns the descriptor.
int host_open_anonymous_file(const char *directory);

/// fallocate(2) FALLOC_FL_PUNCH_HOLE: gives the range back to the file system; it then reads as zeroes.
int host_punch_hole(int descriptor, int64_t offset, int64_t length);

/// fallocate(2) FALLOC_FL_ZERO_RANGE: zeroes the range and keeps it allocated.
int host_zero_range(int descriptor, int64_t offset, int64_t length);

/// Takes an open-file-description lock on one byte (F_OFD_SETLK), without waiting: shared (0), exclusive (1), none (-1).
int host_lock_byte(int descriptor, int64_t offset, int exclusive);

/// Whether an open file description other than the caller's holds any lock on the byte (F_OFD_GETLK): 1, 0, or -1 with errno set.
int host_lock_is_held(int descriptor, int64_t offset);

/// O_DIRECT, which needs _GNU_SOURCE.
int host_direct_flag(void);

/// preadv2(2) with RWF_NOWAIT: what the page cache has, without waiting for the disk. Returns the number of bytes, or -1 with errno set.
int64_t host_read_cached(int descriptor, const struct iovec *vector, int count, int64_t offset);

/// eventfd(2), not blocking; -1 with errno set.
int host_eventfd(void);

/// Makes an eventfd readable.
void host_eventfd_add(int descriptor);

/// Makes an eventfd not readable.
void host_eventfd_clear(int descriptor);

/// Bytes of a block device (BLKGETSIZE64), or -1 with errno set.
int64_t host_block_device_size(int descriptor);

/// Bytes of a network interface's name, its zero included (IFNAMSIZ).
#define HOST_INTERFACE_NAME_SIZE 16

/// A tap interface without packet information, not blocking: the one named, or a new one whose name is put into `name`. Returns the descriptor.
int host_open_tap(char name[HOST_INTERFACE_NAME_SIZE]);

#endif
