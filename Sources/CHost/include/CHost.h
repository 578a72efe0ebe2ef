#ifndef EMULATE_CHOST_H
#define EMULATE_CHOST_H

// The host calls that Swift's Glibc overlay does not import. Nothing else belongs here.

#include <stddef.h>

#include "HostClock.h"
#include "HostCPU.h"
#include "HostFolder.h"
#include "HostIO.h"
#include "HostMeasure.h"
#include "HostTerminal.h"

/// memfd_create(2) with MFD_CLOEXEC; returns the descriptor or -1 with errno set.
int host_memfd_create(const char *name);

#endif
