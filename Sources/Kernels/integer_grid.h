// Choosing a scale and a zero point: scalar, in f64, shared by the fast and the plain encoders.
#pragma once

#include "include/PithKernels.h"

namespace pith {

/// The largest code, 2^bits - 1.
inline int TopCode(int bits) { return (1 << bits) - 1; }

/// The shrink factor of a clip candidate.
inline double Shrink(const PithGrid &grid, int step) { return 1.0 - step * grid.clip_step; }

/// Where the scales of one type go, as stored.
inline void StoreScale(float scale, int type, void *scales, size_t index) {
  uint8_t *target = static_cast<uint8_t *>(scales);
  switch (type) {
    case PITH_F16: pith_f32_to_f16_reference(&scale, target + 2 * index, 1); break;
    case PITH_BF16: pith_f32_to_bf16_reference(&scale, target + 2 * index, 1); break;
    default: __builtin_memcpy(target + 4 * index, &scale, 4);
  }
}

inline float LoadScale(const void *scales, int type, size_t index) {
  const uint8_t *source = static_cast<const uint8_t *>(scales);
  float scale;
  switch (type) {
    case PITH_F16: pith_f16_to_f32_reference(source + 2 * index, &scale, 1); break;
    case PITH_BF16: pith_bf16_to_f32_reference(source + 2 * index, &scale, 1); break;
    default: __builtin_memcpy(&scale, source + 4 * index, 4);
  }
  return scale;
}

inline bool SamePoint(PithGridPoint a, PithGridPoint b) {
  return a.scale == b.scale && a.zero == b.zero;
}

/// What clipping the ends of a range costs at least on a grid: an end that lies beyond the grid's
/// reach is off by the distance. Grows as the scale shrinks. A little less than the exact bound,
/// for the roundings of the errors it is compared with.
inline double ClippingBound(const PithGrid &grid, PithGridPoint point, float low, float high) {
  double beyond;
  if (grid.symmetric) {
    const double amax = -low > high ? -static_cast<double>(low) : high;
    beyond = amax - (1 << (grid.bits - 1)) * static_cast<double>(point.scale);
    return beyond > 0 ? beyond * beyond * 0.9999 : 0;
  }
  // Two ends share the distance; the sum of their squares is least when each has half.
  beyond = static_cast<double>(high) - low - TopCode(grid.bits) * static_cast<double>(point.scale);
  return beyond > 0 ? beyond * beyond * 0.4999 : 0;
}

/// The candidate with the smallest error; among equals the one that clips least.
///
/// A search that stops at the first rise of the error can miss the minimum; this one stops only
/// where the ends of the range alone cost more than the best so far, as they then do for every
/// further candidate.
template <class ErrorOf>
inline PithGridPoint BestPoint(const PithGrid &grid, float low, float high, ErrorOf error_of) {
  PithGridPoint best = pith_grid_for_range(&grid, low, high, 1.0);
  if (grid.clip_steps <= 1 || (low == 0 && high == 0)) return best;
  double best_error = error_of(best);
  PithGridPoint last = best;
  for (int step = 1; step < grid.clip_steps; ++step) {
    const PithGridPoint candidate = pith_grid_for_range(&grid, low, high, Shrink(grid, step));
    if (SamePoint(candidate, last)) continue;
    last = candidate;
    if (ClippingBound(grid, candidate, low, high) >= best_error) break;
    const double error = error_of(candidate);
    if (error < best_error) {
      best_error = error;
      best = candidate;
    }
  }
  return best;
}

}  // namespace pith
