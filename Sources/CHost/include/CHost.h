#ifndef EMULATE_CHOST_H
#define EMULATE_CHOST_H

// The host calls that Swift's Glibc overlay does not import. Nothing else belongs here.

#include <stddef.h>
#include <stdint.h>

#include "HostClock.h"
#include "HostCPU.h"
#include "HostFolder.h"
#include "HostIO.h"
#include "HostMeasure.h"
#include "HostProcess.h"
#include "HostTerminal.h"

/// memfd_create(2) with MFD_CLOEXEC; returns the descriptor or -1 with errno set.
int host_memfd_create(const char *name);

/// The same in large pages: of 2^shift bytes, or with 0 of the host's default size (MFD_HUGETLB).
int host_memfd_create_huge(const char *name, unsigned shift);

/// Bytes of the pages a file is mapped by, or -1 with errno set.
int64_t host_file_page_size(int descriptor);

#endif
