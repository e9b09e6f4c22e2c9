// LAPACKE's complex types need C99 complex, which Swift's importer does not take; plain structs do.
#pragma once
#define lapack_complex_float struct { float real, imag; }
#define lapack_complex_double struct { double real, imag; }
#define LAPACK_COMPLEX_CUSTOM
#include <cblas.h>
