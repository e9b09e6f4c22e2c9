// CBLAS from OpenBLAS's own header, LAPACK through the prototypes in lapack_routines.h.
#pragma once
#include <cblas.h>
#include "lapack_routines.h"
