#include "integer_grid.h"

extern "C" {

float pith_stored_scale(float scale, int32_t scale_type, int32_t bits) {
  return pith::StoredScale(scale, scale_type, bits);
}

PithGridPoint pith_grid_for_range(
    const PithGrid *grid, float minimum, float maximum, double shrink) {
  return pith::GridForRange(*grid, minimum, maximum, shrink);
}
}
