// The refit's kernels of one instruction set, chosen once for many small calls.
#pragma once

#include "include/PithSweep.h"

namespace pith {

/// As in PithSweep.h; `outer` without and with residuals.
struct RefitKernels {
  void (*bytes)(const PithRefitBytes &from, float *result, size_t step);
  void (*pairs)(const PithRefitBytes &from, uint32_t *result, size_t step);
  void (*outer[2])(const uint32_t *first, const uint32_t *second, const uint32_t *residuals,
                   size_t padded, float *left, float *right);
};

/// Those of this processor, or the twins.
RefitKernels ChosenRefitKernels();

}  // namespace pith
