#include "integer_grid.h"

#include <float.h>
#include <math.h>

#pragma clang fp contract(off)

extern "C" {

float pith_stored_scale(float scale, int32_t scale_type, int32_t bits) {
  // No product of a code (at most 2^bits away from its zero) and a scale may overflow f32.
  const float room = 1.0f / static_cast<float>(1 << bits);
  float low = FLT_MIN;
  float high = FLT_MAX * room;
  if (scale_type == PITH_F16) {
    low = 0x1p-14f;
    high = 65504.0f;
  } else if (scale_type == PITH_BF16) {
    high = 0x1.FEp127f * room;
  }
  scale = scale < low ? low : (scale > high ? high : scale);
  float stored = scale;
  if (scale_type != PITH_F32) {
    uint8_t bytes[2];
    pith::StoreScale(scale, scale_type, bytes, 0);
    stored = pith::LoadScale(bytes, scale_type, 0);
  }
  return stored;
}

PithGridPoint pith_grid_for_range(
    const PithGrid *grid, float minimum, float maximum, double shrink) {
  const int top = pith::TopCode(grid->bits);
  const double low = minimum < 0 ? minimum : 0.0;
  const double high = maximum > 0 ? maximum : 0.0;
  PithGridPoint point;
  if (low == 0 && high == 0) {
    // Any normal scale decodes the middle code to exactly 0; 1 has a logarithm of 0 as well.
    point.scale = 1;
    point.zero = grid->symmetric ? 1 << (grid->bits - 1) : 0;
  } else if (grid->symmetric) {
    const double amax = -low > high ? -low : high;
    point.scale = pith_stored_scale(
        static_cast<float>(amax * shrink / (top * 0.5)), grid->scale_type, grid->bits);
    point.zero = 1 << (grid->bits - 1);
  } else {
    point.scale = pith_stored_scale(
        static_cast<float>((high - low) * shrink / top), grid->scale_type, grid->bits);
    double zero = -low * shrink / point.scale;
    zero = zero < 0 ? 0 : (zero > top ? top : zero);
    point.zero = static_cast<int32_t>(nearbyint(zero));
  }
  return point;
}
}
