// libhdf5 as Swift sees it. Its type and property-list identifiers are macros over global variables
// that Swift cannot import; each gets a small inline function in names.h. child.h, index.h and
// read.h hold what runs in a child process: C alone, because between fork and _exit a process that
// had several threads must not touch Swift's runtime, whose locks another thread may have held.
#pragma once
// The 1.10 names, so that newer releases of libhdf5 serve too.
#define H5_USE_110_API
#include <hdf5.h>

#include "names.h"
#include "child.h"
#include "index.h"
#include "read.h"
