// Choosing a scale and a zero point: scalar, in f64, shared by the fast and the plain encoders.
#pragma once

#include <float.h>
#include <string.h>

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

/// Half to even, for numbers below 2^51; a call of the library's takes as long as all of a candidate.
inline double Nearest(double value) { return (value + 0x1.8p52) - 0x1.8p52; }

/// A normal number with so many bits fewer in its significand, half to even.
inline float Shortened(float value, int dropped) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  const uint32_t half = (uint32_t{1} << (dropped - 1)) - 1;
  bits += half + ((bits >> dropped) & 1);
  bits &= ~((uint32_t{1} << dropped) - 1);
  memcpy(&value, &bits, sizeof bits);
  return value;
}

/// A scale as it is stored: normal, and no product of it and a code (at most 2^bits away from its
/// zero) overflows f32.
inline float StoredScale(float scale, int scale_type, int bits) {
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
  if (scale_type == PITH_F32 || scale != scale) return scale;
  return Shortened(scale, scale_type == PITH_F16 ? 13 : 16);
}

/// The grid of a range of values, shrunk.
__attribute__((always_inline)) inline PithGridPoint GridForRange(
    const PithGrid &grid, float minimum, float maximum, double shrink) {
  const int top = TopCode(grid.bits);
  const double low = minimum < 0 ? minimum : 0.0;
  const double high = maximum > 0 ? maximum : 0.0;
  PithGridPoint point;
  if (low == 0 && high == 0) {
    // Any normal scale decodes the middle code to exactly 0; 1 has a logarithm of 0 as well.
    point.scale = 1;
    point.zero = grid.symmetric ? 1 << (grid.bits - 1) : 0;
  } else if (grid.symmetric) {
    const double amax = -low > high ? -low : high;
    point.scale = StoredScale(
        static_cast<float>(amax * shrink / (top * 0.5)), grid.scale_type, grid.bits);
    point.zero = 1 << (grid.bits - 1);
  } else {
    point.scale = StoredScale(
        static_cast<float>((high - low) * shrink / top), grid.scale_type, grid.bits);
    double zero = -low * shrink / point.scale;
    zero = zero < 0 ? 0 : (zero > top ? top : zero);
    point.zero = static_cast<int32_t>(Nearest(zero));
  }
  return point;
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
  PithGridPoint best = GridForRange(grid, low, high, 1.0);
  if (grid.clip_steps <= 1 || (low == 0 && high == 0)) return best;
  double best_error = error_of(best);
  PithGridPoint last = best;
  for (int step = 1; step < grid.clip_steps; ++step) {
    const PithGridPoint candidate = GridForRange(grid, low, high, Shrink(grid, step));
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
