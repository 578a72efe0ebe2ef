#define _GNU_SOURCE
#include "CHost.h"
#include <sys/mman.h>

#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

int host_memfd_create(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

int host_memfd_create_huge(const char *name, unsigned shift) {
    // MFD_HUGE_SHIFT is 26.
    return memfd_create(name, MFD_CLOEXEC | MFD_HUGETLB | shift << 26);
}

int64_t host_file_page_size(int descriptor) {
    struct statfs system;
    if (fstatfs(descriptor, &system) != 0) return -1;
    return system.f_type == HUGETLBFS_MAGIC ? (int64_t)system.f_bsize : (int64_t)sysconf(_SC_PAGESIZE);
}
